// expect: pointwise<F>({numbers}, a, ...) takes as many numbers as F::parameters says
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/schedules/cosine.hpp>

using namespace tweedie;
inline constexpr auto network = [](batch const&) {};

struct softened {
  static constexpr std::size_t parameters = 1;
  static constexpr char const* name = "softened";
  TWEEDIE_HD static float apply(float const* p, float const* a) { return a[0] / (p[0] + 1); }
};
struct my_sampler {
  auto step(level, level s) const {
    using namespace symbols;
#ifdef MISTAKE
    auto const soft = pointwise<softened>({0.5, 1.0}, x0);
#else
    auto const soft = pointwise<softened>({0.5}, x0);
#endif
    return tweedie::step(let<0> = soft, x = s.alpha * let<0> + s.sigma * eps);
  }
};
auto const pipeline_ = schedules::cosine{} | predicts::v{} | my_sampler{} | network;

images result() { return pipeline_.sample({.shape = {1, 4}, .steps = 2}); }
