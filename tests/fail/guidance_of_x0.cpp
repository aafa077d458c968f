// expect: a guidance's raw_of(level) and remember(level) may use
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/schedules/cosine.hpp>

using namespace tweedie;
inline constexpr auto network = [](batch const&) {};

struct my_guidance {
  using kind = kinds::guidance;
  static constexpr int branches = 1;
#ifdef MISTAKE
  auto raw_of(level) const { return symbols::out<0> + 0.1 * symbols::x0; }
#else
  auto raw_of(level) const { return symbols::out<0> + 0.1 * symbols::branch_x0<0>; }
#endif
};
auto const pipeline_ =
    schedules::cosine{} | predicts::v{} | my_guidance{} | samplers::ddim{} | network;

images result() { return pipeline_.sample({.shape = {1, 4}, .steps = 2}); }
