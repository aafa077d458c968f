// expect: a parameterization needs x0_of(level) const and eps_of(level) const
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/schedules/cosine.hpp>

using namespace tweedie;
inline constexpr auto network = [](batch const&) {};

struct my_prediction {
  using kind = kinds::parameterization;
  static constexpr char const* name = "mine";
  auto x0_of(level t) const { return (symbols::x - t.sigma * symbols::raw) / t.alpha; }
#ifndef MISTAKE
  auto eps_of(level) const { return +symbols::raw; }
#endif
};
auto const pipeline_ = schedules::cosine{} | my_prediction{} | samplers::ddim{} | network;

images result() { return pipeline_.sample({.shape = {1, 4}, .steps = 2}); }
