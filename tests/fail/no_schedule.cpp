// expect: a pipeline needs a schedule: write schedules::cosine{} | ...
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/schedules/cosine.hpp>

using namespace tweedie;
inline constexpr auto network = [](batch const&) {};

#ifdef MISTAKE
auto const pipeline_ = predicts::v{} | samplers::ddim{} | network;
#else
auto const pipeline_ = schedules::cosine{} | predicts::v{} | samplers::ddim{} | network;
#endif

images result() { return pipeline_.sample({.shape = {1, 4}, .steps = 2}); }
