// expect: step(...) takes statements such as x = s.alpha * x0 + s.sigma * eps
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/schedules/cosine.hpp>

using namespace tweedie;
inline constexpr auto network = [](batch const&) {};

struct my_sampler {
  auto step(level, level s) const {
    using namespace symbols;
    auto const once = at(s, x = s.alpha * x0 + s.sigma * eps);
#ifdef MISTAKE
    return tweedie::step(repeat(3, once));
#else
    return stages(repeat(3, once));
#endif
  }
};
auto const pipeline_ = schedules::cosine{} | predicts::v{} | my_sampler{} | network;

images result() { return pipeline_.sample({.shape = {1, 4}, .steps = 2}); }
