// expect: adaptive steps have no grid, and so no plan
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/samplers/adaptive.hpp>
#include <tweedie/schedules/linear.hpp>

using namespace tweedie;
inline constexpr auto network = [](batch const&) {};

auto const pipeline_ = schedules::linear{} | predicts::v{} |
                       samplers::adaptive<tableaux::dormand_prince>{.tolerance = 1e-4} | network;

#ifdef MISTAKE
images result() { return pipeline_.plan(50).sample({.shape = {1, 4}}); }
#else
images result() { return pipeline_.sample({.shape = {1, 4}}); }
#endif
