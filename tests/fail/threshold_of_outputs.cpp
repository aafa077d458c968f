// expect: a threshold may use x, x0, eps, raw, score, v and velocity
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/schedules/cosine.hpp>

using namespace tweedie;
inline constexpr auto network = [](batch const&) {};

struct my_threshold {
  using kind = kinds::threshold;
#ifdef MISTAKE
  auto x0_of(level) const { return clamp(symbols::out<0>, -1, 1); }
#else
  auto x0_of(level) const { return clamp(symbols::x0, -1, 1); }
#endif
  auto eps_of(level) const { return +symbols::eps; }
};
auto const pipeline_ =
    schedules::cosine{} | predicts::v{} | my_threshold{} | samplers::ddim{} | network;

images result() { return pipeline_.sample({.shape = {1, 4}, .steps = 2}); }
