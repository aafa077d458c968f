// expect: adaptive steps need an embedded pair
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/samplers/adaptive.hpp>
#include <tweedie/schedules/linear.hpp>

using namespace tweedie;
inline constexpr auto network = [](batch const&) {};

#ifdef MISTAKE
using tableau = tableaux::rk4;
#else
using tableau = tableaux::bogacki_shampine;
#endif
auto const pipeline_ =
    schedules::linear{} | predicts::v{} | samplers::adaptive<tableau>{.tolerance = 1e-4} | network;

images result() { return pipeline_.sample({.shape = {1, 4}}); }
