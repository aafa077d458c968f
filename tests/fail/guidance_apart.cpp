// expect: a guidance that guides x0 and eps apart, such as cfg_plus_plus, needs a sampler whose steps read both
#include <tweedie/guidances/cfg_plus_plus.hpp>
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/samplers/euler_maruyama.hpp>
#include <tweedie/schedules/cosine.hpp>

using namespace tweedie;
inline constexpr auto network = [](batch const&) {};

#ifdef MISTAKE
auto const pipeline_ = schedules::cosine{} | predicts::v{} | guidance::cfg_plus_plus{} |
                       samplers::euler_maruyama{} | network;
#else
auto const pipeline_ =
    schedules::cosine{} | predicts::v{} | guidance::cfg_plus_plus{} | samplers::ddim{} | network;
#endif

images result() { return pipeline_.sample({.shape = {1, 4}, .steps = 2}); }
