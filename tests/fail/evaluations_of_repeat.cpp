// expect: how often the evaluations of this step are repeated is a value: ask the plan
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/samplers/annealed_langevin.hpp>
#include <tweedie/schedules/variance_exploding.hpp>

using namespace tweedie;
inline constexpr auto network = [](batch const&) {};

std::size_t result() {
  auto const pipeline_ =
      schedules::variance_exploding{} | predicts::score{} | samplers::annealed_langevin{} | network;
#ifdef MISTAKE
  return decltype(pipeline_)::network_evaluations(10);
#else
  return pipeline_.plan(10).network_evaluations();
#endif
}
