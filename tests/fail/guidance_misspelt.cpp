// expect: a guidance needs raw_of(level) const, or x0_of(level) const or eps_of(level) const
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/schedules/cosine.hpp>

using namespace tweedie;
inline constexpr auto network = [](batch const&) {};

struct my_guidance {
  using kind = kinds::guidance;
  static constexpr int branches = 2;
#ifdef MISTAKE
  auto raw_off(level) const { return 2 * symbols::out<0> - symbols::out<1>; }
#else
  auto raw_of(level) const { return 2 * symbols::out<0> - symbols::out<1>; }
#endif
};
auto const pipeline_ =
    schedules::cosine{} | predicts::v{} | my_guidance{} | samplers::ddim{} | network;

images result() { return pipeline_.sample({.shape = {1, 4}, .steps = 2}); }
