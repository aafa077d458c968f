// expect: a pipeline has a grid among its stages, where there is no place for it
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/schedules/grids/karras.hpp>
#include <tweedie/schedules/linear.hpp>

using namespace tweedie;
inline constexpr auto network = [](batch const&) {};

images result() {
#ifdef MISTAKE
  auto const pipeline_ =
      schedules::linear{} | grids::karras{} | predicts::v{} | samplers::ddim{} | network;
  return pipeline_.sample({.shape = {1, 2}, .steps = 4});
#else
  auto const pipeline_ = schedules::linear{} | predicts::v{} | samplers::ddim{} | network;
  return pipeline_.plan(grids::karras{}, 4).sample({.shape = {1, 2}});
#endif
}
