// expect g++: inconsistent deduction for auto return type
// expect clang++: 'auto' in return type deduced as
// and clang++: a pipeline has a stage that is none
// expect nvcc: inconsistent deduction for auto return type
// nvcc -c: its own front end takes the two types
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/schedules/cosine.hpp>

using namespace tweedie;
inline constexpr auto network = [](batch const&) {};

struct my_sampler {
  auto step(level t, level s) const {
    using namespace symbols;
    if (t.alpha < s.sigma) return tweedie::step(x = s.alpha * x0 + s.sigma * eps);
#ifdef MISTAKE
    return tweedie::step(x = +x0);
#else
    return tweedie::step(x = 1 * x0 + 0 * eps);
#endif
  }
};
auto const pipeline_ = schedules::cosine{} | predicts::v{} | my_sampler{} | network;

images result() { return pipeline_.sample({.shape = {1, 4}, .steps = 2}); }
