// expect: a sampler's step assigns x, this one has a step, a first or a last that leaves it where it was
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
    return tweedie::step(keep<0> = s.alpha * x0 + s.sigma * eps);
#else
    return tweedie::step(x = s.alpha * x0 + s.sigma * eps);
#endif
  }
};
auto const pipeline_ = schedules::cosine{} | predicts::v{} | my_sampler{} | network;

images result() { return pipeline_.sample({.shape = {1, 4}, .steps = 2}); }
