// expect: a parameterization needs a name
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/schedules/cosine.hpp>

using namespace tweedie;
inline constexpr auto network = [](batch const&) {};

struct my_prediction {
  using kind = kinds::parameterization;
#ifndef MISTAKE
  static constexpr char const* name = "mine";
#endif
  auto x0_of(level t) const { return (symbols::x - t.sigma * symbols::raw) / t.alpha; }
  auto eps_of(level) const { return +symbols::raw; }
};
auto const pipeline_ = schedules::cosine{} | my_prediction{} | samplers::ddim{} | network;

images result() { return pipeline_.sample({.shape = {1, 4}, .steps = 2}); }
