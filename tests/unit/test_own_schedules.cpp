// A schedule of one's own is held against itself before a plan computes with it, and so are a
// grid's levels and the parameters of the library's schedules.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <functional>
#include <limits>
#include <tweedie/pipelines/objective.hpp>
#include <tweedie/samplers/adaptive.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/samplers/euler_maruyama.hpp>
#include <tweedie/schedules/edm.hpp>
#include <tweedie/schedules/grids/given.hpp>
#include <tweedie/schedules/grids/karras.hpp>
#include <tweedie/schedules/sub_variance_preserving.hpp>
#include <tweedie/schedules/tabulated.hpp>

#include "laws_common.hpp"

using namespace laws;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double nan_value = std::numeric_limits<double>::quiet_NaN();

/// x_t = cos(theta) x0 + sin(theta) eps, theta = t pi / 2: right as it is, and one part of it
/// changed.
struct trigonometric {
  using kind = kinds::schedule;
  static constexpr auto name = "trigonometric";
  std::function<void(level&)> changed = [](level&) {};
  std::function<double(double)> inverse = [](double rho) { return std::atan(rho) / rate; };
  double last = 1;
  int steps = 0;
  level at_clean = {};
  static constexpr double rate = 1.5707963267948966;

  level at(double t) const {
    double const theta = t * rate;
    level l{t, t == 1 ? 0 : std::cos(theta), std::sin(theta), -rate * std::sin(theta),
            rate * std::cos(theta)};
    changed(l);
    return l;
  }
  double end() const { return last; }
  int table_steps() const { return steps; }
  double t_of_rho(double rho) const { return inverse(rho); }
  level clean() const { return at_clean; }
};

std::string told(trigonometric const& s) {
  return sentence([&] { (s | predicts::v{} | samplers::ddim{} | silent).plan(5); });
}
std::string told_with(std::function<void(level&)> changed) {
  return told({.changed = std::move(changed)});
}

}  // namespace

BOOST_AUTO_TEST_CASE(one_that_is_right_passes) {
  says(told({}), {"nothing was thrown"});
  // To three digits, as float32 or a table that is interpolated would have it.
  says(told_with([](level& l) {
         l.alpha = static_cast<float>(l.alpha), l.sigma = static_cast<float>(l.sigma);
       }),
       {"nothing was thrown"});
  says(told({.inverse = [](double rho) { return 1.00002 * std::atan(rho) / trigonometric::rate; }}),
       {"nothing was thrown"});
}

BOOST_AUTO_TEST_CASE(derivatives_that_are_none) {
  says(told_with([](level& l) { l.dalpha = l.dsigma = 0; }),
       {"trigonometric: at t = ", "derivative of sigma is given as 0", "differences say 1.57"});
  says(told_with([](level& l) { l.dalpha = 0; }),
       {"derivative of alpha is given as 0", "differences say -"});
  says(told_with([](level& l) { l.dsigma = 0; }),
       {"derivative of sigma is given as 0", "differences say 1."});
  says(told_with([](level& l) { l.dalpha = -l.dalpha; }), {"derivative of alpha"});
  says(told_with([](level& l) { l.dalpha /= 1000, l.dsigma /= 1000; }), {"derivative of sigma"});
  says(told_with([](level& l) { l.dsigma = nan_value; }), {"derivative of sigma", "nan"});
}

BOOST_AUTO_TEST_CASE(an_inverse_that_is_none) {
  says(told({.inverse = [](double rho) { return rho; }}),
       {"t_of_rho(", "expected", "where rho is"});
  says(told({.inverse = [](double) { return 0.0; }}), {"t_of_rho("});
  says(told({.inverse = [](double) { return -3.0; }}), {"t_of_rho(", "no time of it"});
  says(told({.inverse = [](double) { return nan_value; }}), {"t_of_rho("});
}

BOOST_AUTO_TEST_CASE(levels_that_are_none) {
  says(told_with([](level& l) { l.sigma = -l.sigma; }), {"sigma = -", "0 or more"});
  says(told_with([](level& l) { l.alpha = nan_value; }), {"alpha = nan", "finite"});
  says(told_with([](level& l) { l.t = 1000 * l.t; }), {"at(1) gives a level whose t is 1000"});
  says(told_with([](level& l) { l.t = 0; }), {"whose t is 0"});
  // Noise at 0 and data at 1: the other way round.
  says(told_with([](level& l) { std::swap(l.alpha, l.sigma), std::swap(l.dalpha, l.dsigma); }),
       {"at t = 0", "expected data there"});
  says(told_with([](level& l) {
         if (l.t < 1 && l.t > 0) l.sigma = 0.5, l.alpha = 0.5;
       }),
       {"rho = sigma / alpha goes from 1 to 1", "rises"});
  says(told_with([](level& l) {
         if (l.t > 0.5 && l.t < 1) l.alpha = 0;
       }),
       {"both above 0 between the ends"});
}

BOOST_AUTO_TEST_CASE(ends_that_are_none) {
  says(told({.at_clean = {0, 1, 0.01}}), {"clean() has alpha = 1 and sigma = 0.01"});
  says(told({.at_clean = {0, 0.9, 0}}), {"clean() has alpha = 0.9 and sigma = 0"});
  for (double end : {0.0, -1.0, infinity, nan_value})
    says(told({.last = end}), {"end() is ", "a finite time above 0"});
  says(told({.steps = 10}), {"table_steps() is 10 and end() is 1"});
  says(told({.steps = -1}), {"table_steps() is -1"});
}

BOOST_AUTO_TEST_CASE(adaptive_steps_ask_it_too) {
  samplers::adaptive<tableaux::bogacki_shampine> const adaptive{};
  trigonometric const right, wrong{.inverse = [](double rho) { return rho; }};
  auto const drawn = [&](trigonometric const& s, network_function const& net) {
    return sentence([&] { (s | predicts::v{} | adaptive | net).sample({.shape = {1, 2}}); });
  };
  network_function const zero = [](batch const& b) {
    std::fill_n(b.out, b.rows() * b.pitch, 0.0f);
  };
  says(drawn(right, zero), {"nothing was thrown"});
  says(drawn(wrong, zero), {"t_of_rho("});
  says(drawn(right, {}), {"an empty network"});
}

BOOST_AUTO_TEST_CASE(a_table_of_abar_is_the_schedule_that_it_was_made_of) {
  schedules::linear const linear{};
  std::vector<double> abar;
  for (int t = 1; t <= 1000; ++t) abar.push_back(linear.at(t).alpha * linear.at(t).alpha);
  schedules::tabulated const table{abar};
  schedules::check(table);
  BOOST_TEST(table.end() == 1000);
  auto const near = boost::test_tools::tolerance(1e-9);
  for (double t : {0.5, 1.0, 17.0, 500.25, 1000.0}) {
    BOOST_TEST(table.at(t).alpha == linear.at(t).alpha, near);
    BOOST_TEST(table.at(t).sigma == linear.at(t).sigma, near);
    BOOST_TEST(table.t_of_rho(linear.at(t).rho()) == t, near);
  }
  BOOST_TEST((table == schedules::tabulated{abar}));
  BOOST_TEST(!(table == schedules::tabulated{{0.5}}));
  auto const said = [](std::vector<double> const& of) {
    return sentence([&] { schedules::tabulated{of}; });
  };
  says(said({}), {"no steps were given"});
  says(said({0.9, 0.9}), {"abar = 0.9 was given at t = 2, after 0.9"});
  says(said({1.0}), {"abar = 1 was given at t = 1, after 1"});
  says(said({0.5, nan_value}), {"abar = nan"});
  says(sentence([] { schedules::tabulated{}.at(1); }), {"no table was given"});
}

BOOST_AUTO_TEST_CASE(every_schedule_of_the_library_passes) {
  std::vector<any_schedule> all = all_schedules();
  all.emplace_back(schedules::sub_variance_preserving{});
  all.emplace_back(schedules::edm{});
  for (int steps : {1, 2, 3, 10, 13, 999, 1000, 4000}) {
    all.emplace_back(schedules::cosine{.steps = steps});
    all.emplace_back(schedules::cosine{.s = 0.1, .beta_cap = 0.9999, .steps = steps});
    all.emplace_back(schedules::cosine{.s = 0, .steps = steps});
    all.emplace_back(schedules::linear{.steps = steps});
    all.emplace_back(schedules::linear{.beta_last = 0.5, .steps = std::min(steps, 100)});
    all.emplace_back(schedules::scaled_linear{.steps = steps});
  }
  for (double s : {0.0, 1e-4, 0.1, 1.0, 50.0})
    all.emplace_back(schedules::continuous::cosine{.s = s});
  for (double beta : {1e-3, 1.0, 40.0}) {
    all.emplace_back(schedules::continuous::linear{.beta_min = 1e-3, .beta_max = beta});
    all.emplace_back(schedules::continuous::scaled_linear{.beta_min = 1e-3, .beta_max = beta});
    all.emplace_back(schedules::sub_variance_preserving{.beta_min = 1e-3, .beta_max = beta});
  }
  for (double sigma : {1.0, 1348.0, 1e6}) {
    all.emplace_back(schedules::variance_exploding{.sigma_max = sigma});
    all.emplace_back(schedules::edm{.sigma_max = sigma});
  }
  for (any_schedule const& s : all)
    BOOST_TEST(sentence([&] { schedules::check(s); }) == "nothing was thrown",
               s.called << " of " << s.steps << " steps");
}

BOOST_AUTO_TEST_CASE(parameters_that_make_none) {
  auto const refused = [](auto s, std::initializer_list<char const*> parts) {
    says(sentence([&] { (s | predicts::v{} | samplers::ddim{} | silent).plan(1); }), parts);
    says(sentence([&] { s.at(0); }), parts);
  };
  for (int steps : {0, -3, 2'000'000'000}) {
    std::string const given = fmt::format("steps = {} was given, expected 1 to 1000000", steps);
    refused(schedules::cosine{.steps = steps}, {"schedules::cosine: ", given.c_str()});
    refused(schedules::linear{.steps = steps}, {"schedules::linear: ", given.c_str()});
    refused(schedules::scaled_linear{.steps = steps}, {given.c_str()});
  }
  for (double s : {-0.008, -1.0, nan_value, infinity}) {
    refused(schedules::cosine{.s = s}, {"schedules::cosine: s = ", "0 to 100"});
    refused(schedules::continuous::cosine{.s = s}, {"continuous::cosine: s = ", "0 to 100"});
  }
  for (double cap : {0.0, 1.0, -0.5, nan_value})
    refused(schedules::cosine{.beta_cap = cap}, {"beta_cap = ", "0 < beta_cap < 1"});
  refused(schedules::linear{.beta_first = 0.02, .beta_last = 1e-4},
          {"beta_first = 0.02 and beta_last = 0.0001", "0 < beta_first <= beta_last < 1"});
  refused(schedules::scaled_linear{.beta_first = -1}, {"beta_first = -1"});
  refused(schedules::scaled_linear{.beta_last = nan_value}, {"beta_last = nan"});
  refused(schedules::continuous::linear{.beta_min = 20, .beta_max = 0.1},
          {"continuous::linear: beta_min = 20 and beta_max = 0.1 were given"});
  refused(schedules::continuous::linear{.beta_min = 0}, {"0 < beta_min"});
  refused(schedules::continuous::scaled_linear{.beta_max = infinity}, {"beta_max = inf"});
  refused(schedules::sub_variance_preserving{.beta_min = -1}, {"beta_min = -1"});
  refused(schedules::edm{.sigma_max = -1},
          {"schedules::edm: sigma_min = 0.002 and sigma_max = -1"});
  refused(schedules::edm{.sigma_min = 90}, {"0 < sigma_min <= sigma_max"});
  refused(schedules::variance_exploding{.sigma_min = 50}, {"0 < sigma_min < sigma_max"});
}

BOOST_AUTO_TEST_CASE(more_steps_than_there_can_be) {
  auto const p = schedules::rectified_flow{} | predicts::v{} | samplers::ddim{} | silent;
  std::initializer_list<char const*> const parts{"2000000000 steps", "at most 1000000"};
  says(sentence([&] { p.plan(2'000'000'000); }), parts);
  says(sentence([&] { p.plan(grids::karras{.sigma_max = 80}, 2'000'000'000); }), parts);
  says(sentence([&] { p.sample({.shape = {1, 2}, .steps = 2'000'000'000}); }), parts);
}

BOOST_AUTO_TEST_CASE(a_schedule_whose_derivative_at_0_is_none_else) {
  level const start = schedules::continuous::cosine{.s = 0}.at(0);
  BOOST_TEST(start.dsigma == std::acos(-1.0) / 2, boost::test_tools::tolerance(1e-14));
  BOOST_TEST(schedules::continuous::cosine{.s = 0}.t_of_rho(0) == 0);
}

BOOST_AUTO_TEST_CASE(levels_of_another_schedule_or_in_another_order) {
  schedules::linear const linear;
  auto const given = [&](std::vector<level> levels) {
    return sentence([&] {
      (linear | predicts::v{} | samplers::euler_maruyama{} | silent).plan(grids::given{levels}, 0);
    });
  };
  level const high = linear.at(900), low = linear.at(800), clean = linear.clean();
  says(given({high, low, clean}), {"nothing was thrown"});
  says(given({low, high, clean}), {"level 1 of a grid, t = 900", "does not lie below", "t = 800"});
  says(given({high, high, clean}), {"level 1 of a grid", "does not lie below"});
  says(given({clean, high, low}), {"level 2 of a grid", "does not lie above"});
  says(given({high, clean, clean}), {"level 2 of a grid"});
  says(given({high}), {"1 level(s)"});
  says(given({schedules::cosine{}.at(900), low, clean}),
       {"level 0 of the grid is t = 900", "expected a level of schedules::linear"});
  says(given({{1500, high.alpha, high.sigma, high.dalpha, high.dsigma}, low, clean}),
       {"t = 1500", "0 <= t <= 1000"});
  // euler_maruyama reads them.
  says(given({{high.t, high.alpha, high.sigma}, low, clean}),
       {"alpha' = 0", "expected a level of"});
  says(given({{high.t, high.alpha, nan_value}, low, clean}), {"level 0 of the grid", "nan"});
}

// Training asks it too.
BOOST_AUTO_TEST_CASE(an_objective_checks_its_schedule) {
  auto const told_by_training = [](trigonometric const& s) {
    std::vector<sample_key> const keys{{.seed = 1}};
    std::vector<float> const clean(4);
    std::vector<float> noisy(4), target(4);
    return sentence([&] {
      objective{s, predicts::v{}}(keys, clean.data(), noisy.data(), target.data(), 4);
    });
  };
  says(told_by_training({}), {"nothing was thrown"});
  says(told_by_training({.changed = [](level& l) { l.dalpha = l.dsigma = 0; }}),
       {"trigonometric: at t = ", "derivative of sigma is given as 0"});
}
