// expect: a parameterization's x0_of(level) and eps_of(level) are forms
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/schedules/cosine.hpp>

using namespace tweedie;
inline constexpr auto network = [](batch const&) {};

struct my_prediction {
  using kind = kinds::parameterization;
  static constexpr char const* name = "mine";
#ifdef MISTAKE
  auto x0_of(level) const { return clamp(symbols::raw, -1, 1); }
#else
  auto x0_of(level) const { return +symbols::raw; }
#endif
  auto eps_of(level t) const { return (symbols::x - t.alpha * symbols::raw) / t.sigma_below(); }
};
auto const pipeline_ = schedules::cosine{} | my_prediction{} | samplers::ddim{} | network;

images result() { return pipeline_.sample({.shape = {1, 4}, .steps = 2}); }
