// expect: a guidance reads a memory<k> that its remember(level) does not write
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/schedules/cosine.hpp>

using namespace tweedie;
inline constexpr auto network = [](batch const&) {};

struct my_guidance {
  using kind = kinds::guidance;
  static constexpr int branches = 2;
  auto raw_of(level) const { return 2 * symbols::out<0> - symbols::out<1> + symbols::memory<0>; }
#ifndef MISTAKE
  auto remember(level) const { return tweedie::step(symbols::memory<0> = 0.1 * symbols::out<0>); }
#endif
};
auto const pipeline_ =
    schedules::cosine{} | predicts::v{} | my_guidance{} | samplers::ddim{} | network;

images result() { return pipeline_.sample({.shape = {1, 4}, .steps = 2}); }
