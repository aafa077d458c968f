// expect: a pipeline has one sampler, this one has several: remove all but one
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/schedules/cosine.hpp>

using namespace tweedie;
inline constexpr auto network = [](batch const&) {};

#ifdef MISTAKE
auto const pipeline_ =
    schedules::cosine{} | predicts::v{} | samplers::ddim{} | samplers::ddim_eta{} | network;
#else
auto const pipeline_ = schedules::cosine{} | predicts::v{} | samplers::ddim{} | network;
#endif

images result() {
  auto const plan = pipeline_.plan(2);
  state s = plan.start({.shape = {1, 4}});
  plan.advance(s);
  return plan.run(s);
}
