// expect: a guidance's on would never be called
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/schedules/cosine.hpp>

using namespace tweedie;
inline constexpr auto network = [](batch const&) {};

struct my_guidance {
  using kind = kinds::guidance;
  static constexpr int branches = 2;
  auto raw_of(level) const { return 2 * symbols::out<0> - symbols::out<1>; }
#ifdef MISTAKE
  bool on(double t) const { return t < 500; }
#else
  bool on(level t) const { return t.t < 500; }
#endif
};
auto const pipeline_ =
    schedules::cosine{} | predicts::v{} | my_guidance{} | samplers::ddim{} | network;

images result() { return pipeline_.sample({.shape = {1, 4}, .steps = 2}); }
