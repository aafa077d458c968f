// What a pipeline's type says of it as a whole.
#include <tweedie/tweedie.hpp>

namespace {

using namespace tweedie;

struct free_network {
  using kind = kinds::network;
  void operator()(batch const&) const {}
};

template <class... Stages>
using of = decltype((schedules::cosine{} | ... | std::declval<Stages>()));
using cfg = guidance::classifier_free;

// One kernel: x, both branches and the last x0 in, x and this x0 out.
using multistep = of<predicts::v, cfg, thresholds::clip, samplers::dpmpp_2m, free_network>;
static_assert(multistep::kernels == 1 && multistep::structures == 3);
static_assert(multistep::reads == 4 && multistep::writes == 2 &&
              multistep::bytes_per_element == 24);
static_assert(multistep::history == 1 && multistep::is_deterministic && multistep::is_capturable);
static_assert(multistep::network_evaluations(50) == 50);
static_assert(multistep::network_evaluations(0) == 0);

// Two evaluations, two kernels; the last step has one.
using two = of<predicts::v, samplers::heun, free_network>;
static_assert(two::kernels == 2 && two::history == 0);
static_assert(two::network_evaluations(18) == 35 && two::network_evaluations(1) == 1);

using rk4 = of<predicts::v, samplers::runge_kutta<tableaux::rk4>, free_network>;
static_assert(rk4::network_evaluations(10) == 37);

// A reduction is one kernel more.
using dynamic = of<predicts::v, thresholds::dynamic, samplers::ancestral, free_network>;
static_assert(dynamic::kernels == 2 && !dynamic::is_deterministic);

using adaptive = of<predicts::v, samplers::adaptive<tableaux::dormand_prince>, free_network>;
static_assert(!adaptive::is_capturable);

}  // namespace
