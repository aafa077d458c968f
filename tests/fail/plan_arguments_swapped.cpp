// expect: a plan takes the grid first and then the number of evaluations
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/schedules/cosine.hpp>
#include <tweedie/schedules/grids.hpp>

using namespace tweedie;
inline constexpr auto network = [](batch const&) {};

inline constexpr auto pipeline_ = schedules::cosine{} | predicts::v{} | samplers::ddim{} | network;

images result() {
#ifdef MISTAKE
  return pipeline_.plan(10, grids::karras{.sigma_max = 80}).sample({.shape = {1, 4}});
#else
  return pipeline_.plan(grids::karras{.sigma_max = 80}, 10).sample({.shape = {1, 4}});
#endif
}
