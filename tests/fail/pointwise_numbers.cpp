// expect: pointwise<F>({numbers}, a, ...) needs of F
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/schedules/cosine.hpp>

using namespace tweedie;
inline constexpr auto network = [](batch const&) {};

struct softened {
  static constexpr std::size_t parameters = 1;
  static constexpr char const* name = "softened";
#ifdef MISTAKE
  TWEEDIE_HD static float apply(float p, float a) { return a / (p + 1); }
#else
  TWEEDIE_HD static float apply(float const* p, float const* a) { return a[0] / (p[0] + 1); }
#endif
};
struct my_sampler {
  auto step(level, level s) const {
    using namespace symbols;
    return tweedie::step(let<0> = pointwise<softened>({0.5}, x0),
                         x = s.alpha * let<0> + s.sigma * eps);
  }
};
auto const pipeline_ = schedules::cosine{} | predicts::v{} | my_sampler{} | network;

images result() { return pipeline_.sample({.shape = {1, 4}, .steps = 2}); }
