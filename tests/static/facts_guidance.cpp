// What the guidances compile to: kernels, and what these read and write.
#include <cstddef>
#include <tweedie/guidances/apg.hpp>
#include <tweedie/guidances/autoguidance.hpp>
#include <tweedie/guidances/cfg_plus_plus.hpp>
#include <tweedie/guidances/cfg_zero_star.hpp>
#include <tweedie/guidances/classifier.hpp>
#include <tweedie/guidances/rescaled.hpp>
#include <tweedie/guidances/two_conditions.hpp>
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/schedules/cosine.hpp>
#include <tweedie/thresholds/thresholds.hpp>
#include <utility>

namespace {

using namespace tweedie;

struct free_network {
  using kind = kinds::network;
  void operator()(batch const&) const {}
};

template <class... Stages>
using code_of =
    typename decltype((schedules::cosine{} | predicts::v{} | ... | std::declval<Stages>())
                          .plan(1))::code;
template <class Guidance> using guided = code_of<Guidance, samplers::ddim, free_network>;

/// Of every kind of step.
template <class Code> constexpr bool all_take(std::size_t kernels) {
  for (auto const& f : Code::facts)
    if (f.kernels != kernels || !f.deterministic()) return false;
  return true;
}
template <class Code> constexpr bool first_does(std::size_t reads, std::size_t writes) {
  return Code::facts[0].reads == reads && Code::facts[0].writes == writes;
}

// Linear ones are one kernel, with a buffer for each branch or second network.
static_assert(all_take<guided<guidance::two_conditions>>(1));
static_assert(first_does<guided<guidance::two_conditions>>(4, 1));
static_assert(guided<guidance::two_conditions>::branches == 3);
static_assert(guided<guidance::two_conditions>::conditions == 2);
static_assert(all_take<guided<guidance::cfg_plus_plus>>(1));
static_assert(first_does<guided<guidance::cfg_plus_plus>>(3, 1));
using autoguided = guided<guidance::autoguidance<free_network, predicts::epsilon>>;
static_assert(all_take<autoguided>(1) && first_does<autoguided>(3, 1));
static_assert(autoguided::branches == 1 && autoguided::extras == 1);
using classified = guided<guidance::classifier<free_network>>;
static_assert(all_take<classified>(1) && first_does<classified>(3, 1));
static_assert(classified::branches == 1 && classified::extras == 1);

// One reduction, two kernels. The first writes what is reduced, the second what a step writes.
static_assert(all_take<guided<guidance::rescaled>>(2));
static_assert(first_does<guided<guidance::rescaled>>(2 + 3, 2 + 1));
static_assert(all_take<guided<guidance::cfg_zero_star>>(2));
static_assert(first_does<guided<guidance::cfg_zero_star>>(2 + 3, 3 + 1));
static_assert(all_take<guided<guidance::apg>>(2));
static_assert(first_does<guided<guidance::apg>>(4 + 4, 4 + 2), "x and the memory are written");
static_assert(guided<guidance::apg>::memories == 1 && guided<guidance::rescaled>::memories == 0);

// A threshold waits for the guidance.
static_assert(all_take<code_of<thresholds::dynamic, samplers::ddim, free_network>>(2));
static_assert(
    all_take<code_of<guidance::apg, thresholds::dynamic, samplers::ddim, free_network>>(3));
static_assert(
    all_take<code_of<guidance::classifier_free, thresholds::dynamic, samplers::ddim, free_network>>(
        2));

// Where a guidance is off nothing is reduced. Per kind of step: on, off.
using sometimes = guided<guidance::within<guidance::rescaled>>;
static_assert(sometimes::facts.size() == 4);
static_assert(sometimes::facts[0].kernels == 2 && sometimes::facts[1].kernels == 1);
static_assert(sometimes::facts[1].reads == 2);
static_assert(guided<guidance::within<guidance::two_conditions>>::conditions == 2);
static_assert(guided<guidance::within<guidance::apg>>::memories == 1);
static_assert(guided<guidance::within<guidance::classifier<free_network>>>::extras == 1);

}  // namespace
