// expect: encoding follows the deterministic flow, this sampler draws noise
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/schedules/linear.hpp>

using namespace tweedie;
inline constexpr auto network = [](batch const&) {};

#ifdef MISTAKE
using sampler = samplers::ddim_eta;
#else
using sampler = samplers::ddim;
#endif
auto const pipeline_ = schedules::linear{} | predicts::v{} | sampler{} | network;

images result(images const& clean) {
  auto const encoder = pipeline_.encoder(10);
  return encoder.run(encoder.start_at(clean, {}));
}
