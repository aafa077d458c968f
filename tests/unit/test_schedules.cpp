// Published values, exact ends, derivatives and inverses of every schedule.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <string>
#include <tuple>
#include <tweedie/schedules/cosine.hpp>
#include <tweedie/schedules/edm.hpp>
#include <tweedie/schedules/linear.hpp>
#include <tweedie/schedules/rectified_flow.hpp>
#include <tweedie/schedules/scaled_linear.hpp>
#include <tweedie/schedules/sub_variance_preserving.hpp>
#include <tweedie/schedules/variance_exploding.hpp>
#include <type_traits>

#include "common.hpp"

using common::sentence;
using namespace tweedie;
namespace continuous = schedules::continuous;

namespace {

using tables = std::tuple<schedules::linear, schedules::scaled_linear, schedules::cosine>;
using vp = std::tuple<continuous::linear, continuous::scaled_linear, continuous::cosine>;
using other = std::tuple<schedules::rectified_flow, schedules::variance_exploding, schedules::edm,
                         schedules::sub_variance_preserving>;
using all = decltype(std::tuple_cat(tables{}, vp{}, other{}));
using preserving = decltype(std::tuple_cat(tables{}, vp{}));

double abar(level t) { return t.alpha * t.alpha; }

void close(double value, double expected, double relative) {
  BOOST_TEST(std::abs(value - expected) <= relative * std::abs(expected),
             value << " is not " << expected << " within " << relative);
}

/// Shares of the way from the clean end, none of which is a level of a table of 1000.
constexpr double shares[] = {1e-6, 3e-4, 0.00123, 0.0337, 0.2501, 0.50047, 0.7777, 0.95003, 0.9993};

}  // namespace

BOOST_AUTO_TEST_CASE(abar_has_the_published_values) {
  schedules::linear const linear{.beta_first = 1e-4, .beta_last = 0.02, .steps = 1000};
  close(abar(linear.at(250)), 0.524, 1e-3);
  close(abar(linear.at(500)), 0.0786, 1e-3);
  close(abar(linear.at(800)), 0.00153, 2e-3);
  close(abar(linear.at(1000)), 4.0358e-5, 1e-5);
  schedules::cosine const cosine;
  close(abar(cosine.at(250)), 0.847, 1e-3);
  close(abar(cosine.at(500)), 0.494, 1e-3);
  close(abar(cosine.at(800)), 0.0940, 1e-3);
  close(abar(continuous::linear{}.at(1)), 4.3e-5, 1e-2);
  close(abar(schedules::scaled_linear{}.at(1000)), 0.0046602, 1e-4);
}

BOOST_AUTO_TEST_CASE(betas_are_those_of_the_papers) {
  close(schedules::linear{}.beta(1), 1e-4, 1e-15);
  close(schedules::linear{}.beta(1000), 0.02, 1e-15);
  close(schedules::linear{.steps = 3}.beta(2), 0.01005, 1e-15);
  close(schedules::scaled_linear{}.beta(1), 0.00085, 1e-14);
  close(schedules::scaled_linear{}.beta(1000), 0.012, 1e-14);
  schedules::cosine const cosine;
  BOOST_TEST(cosine.beta(1000) == 0.999);
  close(cosine.beta(1), 4.128e-5, 1e-3);  // no cap from below
  close(std::sqrt(abar(cosine.at(700))), continuous::cosine{}.at(0.7).alpha, 1e-12);
}

BOOST_AUTO_TEST_CASE(sigma_keeps_its_precision_near_the_clean_end) {
  close(schedules::linear{.beta_first = 1e-18}.at(1).sigma, 1e-9, 1e-15);
  close(continuous::linear{}.at(1e-18).sigma, std::sqrt(1e-19), 1e-15);
  close(continuous::scaled_linear{}.at(1e-18).sigma, std::sqrt(0.85e-18), 1e-15);
  // sigma^2 = -(alpha^2)' t near 0, and (alpha^2)' = -2 tan(theta_0) theta'
  double const rate = std::acos(-1.0) / 2 / 1.008;
  close(continuous::cosine{}.at(1e-15).sigma, std::sqrt(2e-15 * std::tan(0.008 * rate) * rate),
        1e-11);
}

BOOST_AUTO_TEST_CASE(ends_are_exact) {
  BOOST_TEST(continuous::cosine{}.at(1).alpha == 0);
  BOOST_TEST(continuous::cosine{}.at(1).sigma == 1);
  BOOST_TEST(schedules::rectified_flow{}.at(1).alpha == 0);
  BOOST_TEST(schedules::rectified_flow{}.at(1).sigma == 1);
  schedules::variance_exploding const ve;
  BOOST_TEST(ve.at(0).sigma == 0.01);
  BOOST_TEST(ve.at(1).sigma == 50);
  close(ve.at(0.5).sigma, std::sqrt(0.5), 1e-14);
  BOOST_TEST(schedules::edm{}.at(80).sigma == 80);
  BOOST_TEST(schedules::linear{}.table_steps() == 1000);
  BOOST_TEST(schedules::linear{.steps = 7}.end() == 7);
  BOOST_TEST(continuous::linear{}.table_steps() == 0);
  BOOST_TEST(schedules::linear{.steps = 1}.at(1).alpha == std::sqrt(1 - 1e-4),
             boost::test_tools::tolerance(1e-15));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_schedule_is_a_small_value_with_a_clean_end, S, all) {
  static_assert(schedule<S> && std::is_aggregate_v<S> && std::is_trivially_copyable_v<S>);
  level const clean = S{}.clean();
  BOOST_TEST(clean.t == 0);
  BOOST_TEST(clean.alpha == 1);
  BOOST_TEST(clean.sigma == 0);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(variance_is_preserved, S, preserving) {
  S const s;
  for (double share : shares) {
    level const t = s.at(share * s.end());
    BOOST_TEST(std::abs(t.alpha * t.alpha + t.sigma * t.sigma - 1) <= 1e-15);
  }
  for (int k = 0; k <= s.table_steps(); ++k) {
    level const t = s.at(k);
    if (s.table_steps()) BOOST_TEST(std::abs(t.alpha * t.alpha + t.sigma * t.sigma - 1) <= 1e-15);
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(derivatives_are_those_of_alpha_and_sigma, S, all) {
  S const s;
  for (double share : shares) {
    double const t = share * s.end(), h = 1e-5 * std::min(t, s.end() - t);
    level const here = s.at(t), below = s.at(t - h), above = s.at(t + h);
    double const dalpha = (above.alpha - below.alpha) / (2 * h);
    double const dsigma = (above.sigma - below.sigma) / (2 * h);
    BOOST_TEST(std::abs(here.dalpha - dalpha) <= 1e-6 * std::abs(dalpha) + 2e-16 / h,
               "alpha' at " << t);
    BOOST_TEST(std::abs(here.dsigma - dsigma) <= 1e-6 * std::abs(dsigma) + 2e-16 / h,
               "sigma' at " << t);
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(table_slopes_at_a_level_are_the_mean_of_both_sides, S, tables) {
  S const s;
  for (double t : {2., 500., 900.}) {
    double const h = 1e-5;
    close(s.at(t).dalpha, (s.at(t + h).alpha - s.at(t - h).alpha) / (2 * h), 1e-5);
    close(s.at(t).dsigma, (s.at(t + h).sigma - s.at(t - h).sigma) / (2 * h), 1e-5);
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(lambda_is_linear_between_levels_of_a_table, S, tables) {
  S const s;
  close(s.at(500.25).lambda(), 0.75 * s.at(500).lambda() + 0.25 * s.at(501).lambda(), 1e-12);
  close(s.at(0.25).sigma, s.at(1).sigma / 2, 1e-14);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(noise_grows_with_time, S, all) {
  S const s;
  double before = -1;
  for (int k = 0; k <= 4000; ++k) {
    double const rho = s.at(s.end() * k / 4000).rho();
    BOOST_REQUIRE(rho > before);
    before = rho;
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(t_of_rho_is_the_inverse_of_rho, S, all) {
  S const s;
  for (double share : shares) {
    double const t = share * s.end();
    bool const logarithmic = s.at(0).sigma > 0;  // rho does not vanish with t
    double const tolerance = logarithmic ? 1e-14 : 4e-13 * t;
    BOOST_TEST(std::abs(s.t_of_rho(s.at(t).rho()) - t) <= tolerance, s.t_of_rho(s.at(t).rho())
                                                                         << " is not " << t);
  }
  BOOST_TEST(s.t_of_rho(s.at(s.end()).rho()) == s.end(), boost::test_tools::tolerance(1e-13));
  BOOST_TEST(s.t_of_rho(s.at(0).rho()) == 0);
  for (int k = 1; k <= s.table_steps(); ++k) close(s.t_of_rho(s.at(k).rho()), k, 1e-12);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(times_outside_are_refused_in_a_sentence, S, all) {
  S const s;
  double const nan = std::numeric_limits<double>::quiet_NaN();
  for (double t : {-1e-9, s.end() * 1.001, nan}) {
    BOOST_TEST(sentence([&] { s.at(t); }) ==
               fmt::format("{}: t = {} was given, expected 0 <= t <= {}", S::name, t, s.end()));
  }
  BOOST_TEST(
      sentence([&] {
        s.t_of_rho(-1);
      }).starts_with(fmt::format("{}: rho = sigma / alpha = -1 was given, expected", S::name)));
  BOOST_TEST(sentence([&] {
               s.t_of_rho(nan);
             }).starts_with(fmt::format("{}: rho = sigma / alpha = nan was given", S::name)));
}

BOOST_AUTO_TEST_CASE(wrong_parameters_are_refused_in_a_sentence) {
  BOOST_TEST(sentence([] { schedules::linear{.steps = 0}.end(); }) ==
             "schedules::linear: steps = 0 was given, expected 1 to 1000000");
  BOOST_TEST(sentence([] { schedules::linear{.beta_last = 1.5, .steps = 2}.at(1); }) ==
             "schedules::linear: beta_first = 0.0001 and beta_last = 1.5 were given, expected 0 < "
             "beta_first <= beta_last < 1");
  BOOST_TEST(sentence([] { schedules::variance_exploding{.sigma_min = 0}.at(1); }) ==
             "schedules::variance_exploding: sigma_min = 0 and sigma_max = 50 were given, expected "
             "0 < sigma_min < sigma_max");
}

BOOST_AUTO_TEST_CASE(two_schedules_of_one_type_keep_their_own_tables) {
  schedules::linear const a{.steps = 10}, b{.beta_last = 0.5, .steps = 20};
  double const first = a.at(10).alpha;
  BOOST_TEST(b.end() == 20);
  BOOST_TEST(a.at(10).alpha == first);
  BOOST_TEST(a.end() == 10);
}
