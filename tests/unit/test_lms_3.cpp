#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/samplers/lms_3.hpp>

#include "numbers.hpp"
#include "orders_common.hpp"

using namespace laws;

// Where rho is infinite there is no slope in it: what follows the first step is the method begun
// anew at the second level.
BOOST_AUTO_TEST_CASE(from_alpha_0_it_is_ddim_and_then_begins_anew) {
  auto const m = two_classes(3);
  auto const base = schedules::rectified_flow{} | predicts::v{};
  auto const network = network_function(m.predicting<predicts::v>());
  request const r{.shape = {4, 3}, .seed = 1};
  for (int steps : {2, 3, 10}) {
    auto const lms = (base | samplers::lms_3{} | network).plan(steps);
    auto const ddim = (base | samplers::ddim{} | network).plan(steps);
    BOOST_TEST(lms.levels()[0].alpha == 0);
    state first = lms.start(r), expected = ddim.start(r);
    lms.advance(first);
    ddim.advance(expected);
    BOOST_TEST(equal_bits(take(first).data, take(expected).data), steps << " steps");
    auto const rest = lms.from(1);
    auto const whole = lms.run(first), anew = rest.run(rest.start_at(take(first), r));
    BOOST_TEST(largest_difference(whole.data, anew.data) < 2e-6, steps << " steps");
  }
}

BOOST_AUTO_TEST_CASE(order_3_on_the_inner_interval) {
  for (auto const& schedule : continuous_ones()) {
    double const order = multistep_order(samplers::lms_3{}, schedule, 0.95, 0.05);
    BOOST_TEST(order > 2.8, schedule.called << " has order " << order);
    if (schedule.called == schedules::continuous::linear::name) record("lms_3", "order", order);
  }
}
