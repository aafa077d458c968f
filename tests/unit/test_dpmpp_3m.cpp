#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <tweedie/samplers/dpmpp_3m.hpp>

#include "numbers.hpp"
#include "orders_common.hpp"

using namespace laws;

BOOST_AUTO_TEST_CASE(order_3_on_the_inner_interval) {
  for (auto const& schedule : continuous_ones()) {
    double const order = multistep_order(samplers::dpmpp_3m{}, schedule, 0.95, 0.05);
    BOOST_TEST(order > 2.8, schedule.called << " has order " << order);
    if (schedule.called == schedules::continuous::linear::name) record("dpmpp_3m", "order", order);
  }
}

BOOST_AUTO_TEST_CASE(as_published_it_is_of_order_2) {
  for (auto const& schedule : continuous_ones()) {
    double const order = multistep_order(samplers::dpmpp_3m_published{}, schedule, 0.95, 0.05);
    if (schedule.called == schedules::continuous::linear::name)
      record("dpmpp_3m_published", "order", order);
    BOOST_TEST(order > 1.8, schedule.called << " has order " << order);
    BOOST_TEST(order < 2.6, schedule.called << " has order " << order);
  }
}
