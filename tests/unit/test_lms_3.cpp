#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <tweedie/samplers/lms_3.hpp>

#include "numbers.hpp"
#include "orders_common.hpp"

using namespace laws;

BOOST_AUTO_TEST_CASE(the_slope_at_alpha_0_is_not_one) {
  for (int steps : {2, 3, 10}) {
    auto const m = two_classes(3);
    auto const of = [&](auto sampler) {
      return (schedules::rectified_flow{} | predicts::v{} | sampler |
              network_function(m.predicting<predicts::v>()))
          .sample({.shape = {4, 3}, .steps = steps, .seed = 1});
    };
    auto const samples = of(samplers::lms_3{});
    for (float a : samples.data) BOOST_TEST(std::isfinite(a));
  }
}

BOOST_AUTO_TEST_CASE(order_3_on_the_inner_interval) {
  for (auto const& schedule : continuous_ones()) {
    double const order = multistep_order(samplers::lms_3{}, schedule, 0.95, 0.05);
    BOOST_TEST(order > 2.8, schedule.called << " has order " << order);
    if (schedule.called == schedules::continuous::linear::name) record("lms_3", "order", order);
  }
}
