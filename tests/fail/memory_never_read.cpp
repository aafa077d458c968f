// expect: a guidance remembers what it never reads
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
  auto raw_of(level) const { return 2 * symbols::out<0> - symbols::out<1>; }
#else
  auto raw_of(level) const { return 2 * symbols::out<0> - symbols::out<1> + symbols::memory<0>; }
#endif
  auto remember(level) const { return tweedie::step(symbols::memory<0> = 0.1 * symbols::out<0>); }
};
auto const pipeline_ =
    schedules::cosine{} | predicts::v{} | my_guidance{} | samplers::ddim{} | network;

images result() { return pipeline_.sample({.shape = {1, 4}, .steps = 2}); }
