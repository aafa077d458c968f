// expect: a form is linear: clamp(...), exp(...), product(...) and their like cannot be a term of it
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
    return tweedie::step(x = s.alpha * clamp(x0, -1, 1) + s.sigma * eps);
#else
    return tweedie::step(let<0> = clamp(x0, -1, 1), x = s.alpha * let<0> + s.sigma * eps);
#endif
  }
};
auto const pipeline_ = schedules::cosine{} | predicts::v{} | my_sampler{} | network;

images result() { return pipeline_.sample({.shape = {1, 4}, .steps = 2}); }
