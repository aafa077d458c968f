// expect: a guidance says how many branches of the network it takes
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/schedules/cosine.hpp>

using namespace tweedie;
inline constexpr auto network = [](batch const&) {};

struct my_guidance {
  using kind = kinds::guidance;
#ifndef MISTAKE
  static constexpr int branches = 2;
#endif
  auto raw_of(level) const {
    using namespace symbols;
    return out<1> + 2 * (out<0> - out<1>);
  }
};
auto const pipeline_ = schedules::cosine{} | predicts::v{} |
                       guidance::within{my_guidance{}, 200, 800} | samplers::ddim{} | network;

images result() { return pipeline_.sample({.shape = {1, 4}, .steps = 2}); }
