// expect: the right-hand side of a statement is a form or a node
#include <cmath>

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
    return tweedie::step(let<0> = std::exp(eps), x = s.alpha * x0 + s.sigma * let<0>);
#else
    return tweedie::step(let<0> = tweedie::exp(eps), x = s.alpha * x0 + s.sigma * let<0>);
#endif
  }
};
auto const pipeline_ = schedules::cosine{} | predicts::v{} | my_sampler{} | network;

images result() { return pipeline_.sample({.shape = {1, 4}, .steps = 2}); }
