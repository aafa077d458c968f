// expect: noise_from{f} asks f for noise: it is called with a tweedie::noise_request const&
#include <tweedie/pipelines/noise_from.hpp>
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/schedules/cosine.hpp>

using namespace tweedie;
inline constexpr auto network = [](batch const&) {};

#ifdef MISTAKE
inline constexpr auto source = [](float*, int) {};
#else
inline constexpr auto source = [](noise_request const&) {};
#endif
auto const pipeline_ =
    schedules::cosine{} | predicts::v{} | samplers::ddim{} | noise_from{source} | network;

images result() { return pipeline_.sample({.shape = {1, 4}, .steps = 2}); }
