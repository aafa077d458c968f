// expect: a pointwise function takes a float for each of the values that follow it
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/schedules/cosine.hpp>

using namespace tweedie;
inline constexpr auto network = [](batch const&) {};

struct my_sampler {
  auto step(level, level s) const {
    using namespace symbols;
#ifdef MISTAKE
    auto const bounded = pointwise([](float a, float b) { return a < b ? a : b; }, x0);
#else
    auto const bounded = pointwise([](float a, float b) { return a < b ? a : b; }, x0, x);
#endif
    return tweedie::step(let<0> = bounded, x = s.alpha * let<0> + s.sigma * eps);
  }
};
auto const pipeline_ = schedules::cosine{} | predicts::v{} | my_sampler{} | network;

images result() { return pipeline_.sample({.shape = {1, 4}, .steps = 2}); }
