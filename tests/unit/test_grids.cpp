// Every grid on every schedule; the peers' numbers; every error sentence.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <string>
#include <tuple>
#include <tweedie/schedules/cosine.hpp>
#include <tweedie/schedules/edm.hpp>
#include <tweedie/schedules/grids.hpp>
#include <tweedie/schedules/linear.hpp>
#include <tweedie/schedules/rectified_flow.hpp>
#include <tweedie/schedules/scaled_linear.hpp>
#include <tweedie/schedules/sub_variance_preserving.hpp>
#include <tweedie/schedules/variance_exploding.hpp>
#include <vector>

#include "common.hpp"

using common::sentence;
using namespace tweedie;
namespace continuous = schedules::continuous;

namespace {

using all_schedules =
    std::tuple<schedules::linear, schedules::scaled_linear, schedules::cosine, continuous::linear,
               continuous::scaled_linear, continuous::cosine, schedules::rectified_flow,
               schedules::variance_exploding, schedules::edm, schedules::sub_variance_preserving>;
using all_grids =
    std::tuple<grids::uniform, grids::quadratic, grids::quadratic_ddim, grids::leading,
               grids::leading_solver, grids::trailing, grids::linspace, grids::linspace_solver,
               grids::karras, grids::exponential>;

static_assert(grid<grids::uniform> && grid<grids::custom> && grid<grids::karras>);
static_assert(!grid<schedules::linear>);

std::vector<double> times_of(std::vector<level> const& levels) {
  std::vector<double> times;
  for (level const& t : levels) times.push_back(t.t);
  return times;
}

void equal(std::vector<double> const& given, std::vector<double> const& expected) {
  BOOST_TEST(given == expected, boost::test_tools::per_element());
}

void close(double value, double expected, double relative) {
  BOOST_TEST(std::abs(value - expected) <= relative * std::abs(expected),
             value << " is not " << expected << " within " << relative);
}

schedules::linear const table;
continuous::linear const continuous_linear;

}  // namespace

BOOST_AUTO_TEST_CASE_TEMPLATE(grids_fall_from_noisy_to_clean, S, all_schedules) {
  S const s;
  bool const infinite = std::isinf(s.at(s.end()).rho());
  std::apply(
      [&](auto... grids) {
        auto check = [&](auto grid) {
          constexpr bool in_rho = requires { grid.sigma_max; };
          if constexpr (in_rho)
            if (infinite) grid.sigma_max = 100;
          for (int n : {2, 3, 7, 50, 399, 799}) {
            auto const levels = grid.levels(s, n);
            BOOST_TEST_CONTEXT(grid.name << " of " << n << " on " << S::name) {
              BOOST_REQUIRE(levels.size() == static_cast<std::size_t>(n) + 1);
              for (std::size_t k = 1; k < levels.size(); ++k)
                BOOST_REQUIRE(levels[k].rho() < levels[k - 1].rho());
              BOOST_TEST(levels.back().sigma == 0);
              BOOST_TEST(levels.back().alpha == 1);
              for (level const& t : levels)
                if (s.table_steps() && !in_rho) BOOST_REQUIRE(t.t == std::round(t.t));
            }
          }
        };
        (check(grids), ...);
      },
      all_grids{});
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_full_table_is_every_level, S, all_schedules) {
  S const s;
  if (!s.table_steps()) return;
  for (auto const& levels : {grids::uniform{}.levels(s, 1000), grids::trailing{}.levels(s, 1000),
                             grids::leading{}.levels(s, 1000), grids::linspace{}.levels(s, 1000),
                             grids::quadratic{}.levels(s, 1000)}) {
    BOOST_REQUIRE(levels.size() == 1001);
    for (std::size_t k = 0; k <= 1000; ++k)
      BOOST_REQUIRE(levels[k].t == static_cast<double>(1000 - k));
  }
}

BOOST_AUTO_TEST_CASE(rounding_is_each_grids_own) {
  equal(times_of(grids::uniform{}.levels(table, 3)), {1000, 667, 333, 0});
  schedules::linear const ten{.steps = 10};
  equal(times_of(grids::uniform{}.levels(ten, 4)), {10, 8, 5, 3, 0});  // 7.5 and 2.5 away from zero
  equal(times_of(grids::trailing{}.levels(ten, 4)), {10, 8, 5, 2, 0});   // to even
  equal(times_of(grids::quadratic{}.levels(ten, 4)), {10, 6, 3, 1, 0});  // 5.625, 2.5, 0.625
  equal(times_of(grids::quadratic{}.levels(ten, 8)), {10, 8, 6, 5, 4, 3, 2, 1, 0});
  equal(times_of(grids::linspace{}.levels(ten, 3)), {10, 5, 1, 0});  // timestep 4.5 to 4
}

BOOST_AUTO_TEST_CASE(peers_timesteps_are_ours_less_one) {
  equal(times_of(grids::trailing{}.levels(table, 10)),
        {1000, 900, 800, 700, 600, 500, 400, 300, 200, 100, 0});
  equal(times_of(grids::leading{}.levels(table, 10)),
        {901, 801, 701, 601, 501, 401, 301, 201, 101, 1, 0});
  equal(times_of(grids::leading{.offset = 1}.levels(table, 3)), {668, 335, 2, 0});
  equal(times_of(grids::leading_solver{}.levels(table, 10)),
        {901, 811, 721, 631, 541, 451, 361, 271, 181, 91, 0});
  equal(times_of(grids::linspace{}.levels(table, 10)),
        {1000, 889, 778, 667, 556, 445, 334, 223, 112, 1, 0});
  equal(times_of(grids::linspace_solver{}.levels(table, 10)),
        {1000, 900, 800, 700, 600, 501, 401, 301, 201, 101, 0});
  // int(linspace(0, sqrt(800), 10)^2) = 0 9 39 88 158 246 355 483 632 800
  equal(times_of(grids::quadratic_ddim{}.levels(table, 10)),
        {801, 633, 484, 356, 247, 159, 89, 40, 10, 1, 0});
}

BOOST_AUTO_TEST_CASE(continuous_time_is_not_rounded) {
  equal(times_of(grids::uniform{}.levels(continuous_linear, 4)), {1, 0.75, 0.5, 0.25, 0});
  equal(times_of(grids::quadratic{}.levels(continuous_linear, 4)), {1, 0.5625, 0.25, 0.0625, 0});
  equal(times_of(grids::trailing{}.levels(continuous_linear, 4)), {1, 0.75, 0.5, 0.25, 0});
  equal(times_of(grids::leading{}.levels(continuous_linear, 4)), {0.751, 0.501, 0.251, 0.001, 0});
  equal(times_of(grids::linspace{}.levels(continuous_linear, 3)), {1, 0.5005, 0.001, 0});
  // the peers' timesteps 999, 666, 333 of 1000
  equal(times_of(grids::linspace_solver{}.levels(continuous_linear, 3)), {1, 0.667, 0.334, 0});
  BOOST_TEST(grids::uniform{}.levels(continuous_linear, 5000).size() == 5001u);
  BOOST_TEST(grids::leading{}.levels(continuous_linear, 5000).size() == 5001u);
  // VE has the clean level below its time 0
  equal(times_of(grids::uniform{}.levels(schedules::variance_exploding{}, 3)), {1, 0.5, 0, 0});
  equal(times_of(grids::uniform{}.levels(schedules::variance_exploding{}, 1)), {1, 0});
  equal(times_of(grids::quadratic{}.levels(schedules::variance_exploding{}, 3)), {1, 0.25, 0, 0});
  equal(times_of(grids::linspace{}.levels(schedules::variance_exploding{}, 3)), {1, 0.5, 0, 0});
}

BOOST_AUTO_TEST_CASE(karras_is_equation_5) {
  auto const levels = grids::karras{}.levels(schedules::edm{}, 18);
  for (int i = 0; i < 18; ++i) {
    double const a = std::pow(80, 1 / 7.), b = std::pow(0.002, 1 / 7.);
    close(levels[static_cast<std::size_t>(i)].sigma, std::pow(a + i / 17. * (b - a), 7), 1e-13);
  }
  BOOST_TEST(levels[0].sigma == 80);
  close(levels[1].sigma, 57.586, 1e-4);
  BOOST_TEST(levels[17].sigma == 0.002);
  BOOST_TEST(levels[18].sigma == 0);

  auto const on_table = grids::karras{.rho = 3}.levels(table, 10);
  close(on_table[0].rho(), 80, 1e-12);  // not the table's 157
  close(on_table[9].t, 1, 1e-12);
  double const a = std::cbrt(80), b = std::cbrt(table.at(1).rho());
  close(on_table[4].rho(), std::pow(a + 4 / 9. * (b - a), 3), 1e-12);
  auto const given =
      grids::karras{.sigma_min = 0.1, .sigma_max = 10}.levels(schedules::rectified_flow{}, 5);
  close(given[0].rho(), 10, 1e-14);
  close(given[4].rho(), 0.1, 1e-14);
}

BOOST_AUTO_TEST_CASE(exponential_is_even_in_lambda) {
  auto const levels = grids::exponential{}.levels(schedules::cosine{}, 9);
  for (std::size_t k = 1; k < 8; ++k)
    close(levels[k + 1].lambda() - levels[k].lambda(), levels[1].lambda() - levels[0].lambda(),
          1e-9);
  auto const ve = grids::exponential{}.levels(schedules::variance_exploding{}, 5);
  close(ve[2].sigma, std::sqrt(0.5), 1e-13);
}

BOOST_AUTO_TEST_CASE(custom_times_are_taken_as_given) {
  equal(times_of(grids::custom{{950, 400.5, 50}}.levels(table, 2)), {950, 400.5, 50});
  equal(times_of(grids::custom{{1, 0.5, 0}}.levels(continuous_linear, 0)), {1, 0.5, 0});
  auto const to_clean = grids::custom{{1, 0}}.levels(schedules::variance_exploding{}, 1);
  BOOST_TEST(to_clean.back().sigma == 0);
}

BOOST_AUTO_TEST_CASE(errors_are_sentences) {
  double const nan = std::numeric_limits<double>::quiet_NaN();
  std::apply(
      [](auto... grids) {
        auto check = [](auto grid) {
          BOOST_TEST(sentence([&] { grid.levels(table, 0); }) ==
                     fmt::format("{}: 0 steps were asked for, expected one or more", grid.name));
          BOOST_TEST(sentence([&] { grid.levels(continuous_linear, -3); }) ==
                     fmt::format("{}: -3 steps were asked for, expected one or more", grid.name));
        };
        (check(grids), ...);
      },
      all_grids{});
  auto many = [](auto grid, int n) { return sentence([&] { grid.levels(table, n); }); };
  std::string const sentence_1200 = ": 1200 steps were asked for, the schedule has 1000";
  BOOST_TEST(many(grids::uniform{}, 1200) == "grids::uniform" + sentence_1200);
  BOOST_TEST(many(grids::quadratic{}, 1200) == "grids::quadratic" + sentence_1200);
  BOOST_TEST(many(grids::leading{}, 1200) == "grids::leading" + sentence_1200);
  BOOST_TEST(many(grids::trailing{}, 1200) == "grids::trailing" + sentence_1200);
  BOOST_TEST(many(grids::linspace{}, 1200) == "grids::linspace" + sentence_1200);
  BOOST_TEST(
      many(grids::linspace_solver{}, 1000) ==
      "grids::linspace_solver: 1000 steps were asked for, at most 999 fit on the schedule's 1000");
  BOOST_TEST(
      many(grids::leading_solver{}, 1000) ==
      "grids::leading_solver: 1000 steps were asked for, at most 999 fit on the schedule's 1000");
  BOOST_TEST(
      many(grids::quadratic_ddim{}, 801) ==
      "grids::quadratic_ddim: 801 steps were asked for, at most 800 fit on the schedule's 1000");
  BOOST_TEST(many(grids::linspace{}, 1) ==
             "grids::linspace: 1 step was asked for, expected two or more");
  BOOST_TEST(many(grids::quadratic_ddim{}, 1) ==
             "grids::quadratic_ddim: 1 step was asked for, expected two or more");
  BOOST_TEST(many(grids::leading{.offset = 100}, 10) ==
             "grids::leading: offset = 100 was given, expected 0 to 99");
  BOOST_TEST(many(grids::karras{.rho = -1}, 10) ==
             "grids::karras: rho = -1 was given, expected a positive exponent");
  BOOST_TEST(many(grids::karras{.sigma_min = 2, .sigma_max = 1}, 10) ==
             "grids::karras: sigma_min = 2 and sigma_max = 1 were given, expected 0 < sigma_min < "
             "sigma_max");
  BOOST_TEST(
      many(grids::karras{.sigma_max = 1000}, 10)
          .starts_with(
              "schedules::linear: rho = sigma / alpha = 1000 was given, expected 0 <= rho <= 157"));
  auto custom = [](std::vector<double> times, int n) {
    return sentence([&] { grids::custom{times}.levels(table, n); });
  };
  BOOST_TEST(custom({1}, 0) == "grids::custom: 1 times were given, expected two or more");
  BOOST_TEST(custom({5, 0}, 3) == "grids::custom: 3 steps were asked for, its 2 times make 1");
  BOOST_TEST(custom({5, 5, 0}, 2) ==
             "grids::custom: time 1 is 5 after 5, expected decreasing times");
  BOOST_TEST(custom({1001, 0}, 1) == "grids::custom: time 0 is 1001, expected 0 <= t <= 1000");
  BOOST_TEST(custom({5, nan}, 1) == "grids::custom: time 1 is nan, expected 0 <= t <= 1000");
  BOOST_TEST(custom({5, -1}, 1) == "grids::custom: time 1 is -1, expected 0 <= t <= 1000");
}
