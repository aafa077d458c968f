// expect: a sampler's step returns tweedie::step(...) or stages(at(level, ...), ...)
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
    return x = s.alpha * x0 + s.sigma * eps;
#else
    return tweedie::step(x = s.alpha * x0 + s.sigma * eps);
#endif
  }
};
auto const pipeline_ = schedules::cosine{} | predicts::v{} | my_sampler{} | network;

images result() { return pipeline_.sample({.shape = {1, 4}, .steps = 2}); }
