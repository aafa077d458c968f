// expect: a pipeline needs a network: write ... | network, anything that is called with a tweedie::batch const&
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/schedules/cosine.hpp>

using namespace tweedie;
inline constexpr auto network = [](batch const&) {};

#ifdef MISTAKE
auto const pipeline_ = schedules::cosine{} | predicts::v{} | samplers::ddim{};
#else
auto const pipeline_ = schedules::cosine{} | predicts::v{} | samplers::ddim{} | network;
#endif

images result() { return pipeline_.sample({.shape = {1, 4}, .steps = 2}); }
