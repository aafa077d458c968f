// expect: a stage's check is void check() const
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/schedules/cosine.hpp>

using namespace tweedie;
inline constexpr auto network = [](batch const&) {};

inline void refuse_below_0(double eta) {
  if (!(eta >= 0)) throw error("my_sampler: a negative eta was given");
}
struct my_sampler {
  double eta = 1;
#ifdef MISTAKE
  void check() { refuse_below_0(eta); }
#else
  void check() const { refuse_below_0(eta); }
#endif
  auto step(level, level s) const {
    using namespace symbols;
    return tweedie::step(x = s.alpha * x0 + s.sigma * eps);
  }
};
auto const pipeline_ = schedules::cosine{} | predicts::v{} | my_sampler{} | network;

images result() { return pipeline_.sample({.shape = {1, 4}, .steps = 2}); }
