// expect: a guidance reads an output that nobody writes
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/schedules/cosine.hpp>

using namespace tweedie;
inline constexpr auto network = [](batch const&) {};

struct my_guidance {
  using kind = kinds::guidance;
  static constexpr int branches = 2;
  auto raw_of(level) const {
    using namespace symbols;
#ifdef MISTAKE
    return out<1> + 2 * (out<2> - out<1>);
#else
    return out<1> + 2 * (out<0> - out<1>);
#endif
  }
};
auto const pipeline_ =
    schedules::cosine{} | predicts::v{} | my_guidance{} | samplers::ddim{} | network;

images result() { return pipeline_.sample({.shape = {1, 4}, .steps = 2}); }
