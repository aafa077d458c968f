// expect: a guidance has a raw_of that is read by nothing
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
  auto x0_of(level) const { return 0.9 * symbols::branch_x0<0>; }
#else
  auto x0_of(level) const { return 0.9 * symbols::x0; }
#endif
};
auto const pipeline_ =
    schedules::cosine{} | predicts::v{} | my_guidance{} | samplers::ddim{} | network;

images result() { return pipeline_.sample({.shape = {1, 4}, .steps = 2}); }
