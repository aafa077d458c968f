#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <tweedie/samplers/dpm_solver_2.hpp>

#include "numbers.hpp"
#include "orders_common.hpp"

using namespace laws;

BOOST_AUTO_TEST_CASE(order_2_on_the_inner_interval) {
  for (auto const& schedule : continuous_ones()) {
    auto const start = starts(one, schedule.at(0.95));
    auto const truth = ends(schedule, one, start, 0.95, 0.05);
    auto const r =
        order_of(samplers::dpm_solver_2{}, schedule, one, 0.95, 0.05, doublings, start, truth);
    BOOST_TEST(std::abs(r.order - 2) < 0.2, schedule.called << " has order " << r.order);
    BOOST_TEST(r.of_float < 1e-5);
    if (schedule.called == schedules::continuous::linear::name)
      record("dpm_solver_2", "order", r.order);
  }
}
