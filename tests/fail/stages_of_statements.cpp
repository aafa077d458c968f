// expect: stages(...) takes evaluations, at(level, ...) or repeat(n, at(level, ...))
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/schedules/cosine.hpp>

using namespace tweedie;
inline constexpr auto network = [](batch const&) {};

struct my_sampler {
  auto step(level t, level s) const {
    using namespace symbols;
#ifdef MISTAKE
    return stages(keep<0> = eps, at(t, x = s.alpha * x0 + s.sigma * eps));
#else
    return stages(at(t, x = s.alpha * x0 + s.sigma * eps));
#endif
  }
};
auto const pipeline_ = schedules::cosine{} | predicts::v{} | my_sampler{} | network;

images result() { return pipeline_.sample({.shape = {1, 4}, .steps = 2}); }
