// expect: a sampler's first, last or enter would never be called
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/schedules/cosine.hpp>

using namespace tweedie;
inline constexpr auto network = [](batch const&) {};

struct my_sampler {
  auto step(level, level s) const {
    using namespace symbols;
    return tweedie::step(x = s.alpha * x0 + s.sigma * eps);
  }
#ifdef MISTAKE
  auto last(level s) const { return tweedie::step(symbols::x = s.alpha * symbols::x0); }
#else
  auto last(level, level s) const { return tweedie::step(symbols::x = s.alpha * symbols::x0); }
#endif
};
auto const pipeline_ = schedules::cosine{} | predicts::v{} | my_sampler{} | network;

images result() { return pipeline_.sample({.shape = {1, 4}, .steps = 2}); }
