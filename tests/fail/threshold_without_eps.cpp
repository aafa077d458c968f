// expect: a threshold needs x0_of(level) const and eps_of(level) const
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/schedules/cosine.hpp>

using namespace tweedie;
inline constexpr auto network = [](batch const&) {};

struct my_threshold {
  using kind = kinds::threshold;
  auto x0_of(level) const { return clamp(symbols::x0, -1, 1); }
#ifndef MISTAKE
  auto eps_of(level t) const { return (symbols::x - t.alpha * symbols::x0) / t.sigma_below(); }
#endif
};
auto const pipeline_ =
    schedules::cosine{} | predicts::v{} | my_threshold{} | samplers::ddim{} | network;

images result() { return pipeline_.sample({.shape = {1, 4}, .steps = 2}); }
