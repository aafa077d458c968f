// expect: a pointwise function must be trivially copyable
#include <vector>

#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/schedules/cosine.hpp>

using namespace tweedie;
inline constexpr auto network = [](batch const&) {};

#ifdef MISTAKE
struct gain {
  std::vector<float> values{1, 2};
  float operator()(float a) const { return values[0] * a; }
};
#else
struct gain {
  float value = 1;
  TWEEDIE_HD float operator()(float a) const { return value * a; }
};
#endif

struct my_sampler {
  auto step(level, level s) const {
    using namespace symbols;
    return tweedie::step(x = pointwise(gain{}, s.alpha * x0 + s.sigma * eps));
  }
};
auto const pipeline_ = schedules::cosine{} | predicts::v{} | my_sampler{} | network;

images result() { return pipeline_.sample({.shape = {1, 4}, .steps = 2}); }
