// expect: the guidance asks the network with and without a condition, and this network takes none
#include <tweedie/networks/unconditional.hpp>
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/schedules/linear.hpp>

using namespace tweedie;
inline constexpr auto asked = [](batch const&) {};

#ifdef MISTAKE
auto const network = networks::unconditional{asked};
#else
auto const network = asked;
#endif

images result() {
  auto const pipeline_ = schedules::linear{} | predicts::v{} | guidance::classifier_free{} |
                         samplers::ddim{} | network;
  return pipeline_.sample({.shape = {1, 2}, .steps = 4});
}
