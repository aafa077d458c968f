// expect: a threshold that leaves eps, such as clip_x0_only, limits nothing of a sampler whose steps read eps alone
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/samplers/euler.hpp>
#include <tweedie/schedules/cosine.hpp>
#include <tweedie/thresholds/thresholds.hpp>

using namespace tweedie;
inline constexpr auto network = [](batch const&) {};

#ifdef MISTAKE
auto const pipeline_ =
    schedules::cosine{} | predicts::v{} | thresholds::clip_x0_only{} | samplers::euler{} | network;
#else
auto const pipeline_ =
    schedules::cosine{} | predicts::v{} | thresholds::clip_x0_only{} | samplers::ddim{} | network;
#endif

images result() { return pipeline_.sample({.shape = {1, 4}, .steps = 2}); }
