// expect: a guidance with extras asks for them
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/schedules/cosine.hpp>

using namespace tweedie;
inline constexpr auto network = [](batch const&) {};

struct my_guidance {
  using kind = kinds::guidance;
  static constexpr int branches = 1, extras = 1;
#ifndef MISTAKE
  void evaluate(batch const&) const {}
#endif
  auto eps_of(level t) const { return symbols::eps - t.sigma * symbols::grad; }
};
auto const pipeline_ =
    schedules::cosine{} | predicts::v{} | my_guidance{} | samplers::ddim{} | network;

images result() { return pipeline_.sample({.shape = {1, 4}, .steps = 2}); }
