// expect: a sampler's enter returns tweedie::step(x = ...) over x and noise
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/schedules/cosine.hpp>

using namespace tweedie;
inline constexpr auto network = [](batch const&) {};

struct my_sampler {
#ifdef MISTAKE
  auto enter(level t, level) const { return tweedie::step(symbols::x = t.alpha * symbols::x0); }
#else
  auto enter(level, level) const { return tweedie::step(symbols::x = +symbols::x); }
#endif
  auto step(level, level s) const {
    using namespace symbols;
    return tweedie::step(x = s.alpha * x0 + s.sigma * eps);
  }
};
auto const pipeline_ = schedules::cosine{} | predicts::v{} | my_sampler{} | network;

images result() { return pipeline_.sample({.shape = {1, 4}, .steps = 2}); }
