// Both ends of every schedule, by defaults: what a user types, on exact networks.
//
// Data N(0, v) in one dimension: every deterministic sampler is then a factor, and what becomes of
// one standard deviation at the start is the standard deviation of the samples, without a draw.
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <string>

#include <fmt/format.h>

#include <tweedie/networks/gaussian_mixture.hpp>
#include <tweedie/pipelines/ready/recipe.hpp>
#include <tweedie/samplers/ancestral.hpp>
#include <tweedie/samplers/predictor_corrector.hpp>
#include <tweedie/tweedie.hpp>

#include "common.hpp"

using common::says, common::sentence;
using namespace tweedie;

namespace {

networks::gaussian_mixture centred(double variance, std::size_t dimension = 1) {
  return {{{.mean = std::vector<double>(dimension), .variance = variance}}};
}

/// A recipe of names.
struct asked {
  std::string schedule = "cosine", predicts = "v", sampler = "ddim", grid = "usual";
  int steps = 10;
  std::string more = {};  ///< other lines of the recipe
};

any_plan plan_of(asked const& a, networks::gaussian_mixture const& data) {
  auto const recipe = ready::parse_recipe(
      fmt::format("sampler = {}\ngrid = {}\nsteps = {}\n{}\n",
                  a.sampler[0] == '{' ? a.sampler : '"' + a.sampler + '"',
                  a.grid[0] == '{' ? a.grid : '"' + a.grid + '"', a.steps, a.more),
      ready::recipe_format::toml, "recipe");
  auto const schedule = ready::choose("schedule", a.schedule, ready::schedules);
  auto const predicts = ready::choose("predicts", a.predicts, ready::predictions);
  auto const with = [&](auto network) {
    return any_plan(ready::make_plan(recipe, schedule, predicts, forget_network(network)));
  };
  if (a.predicts == "epsilon") return with(data.predicting<predicts::epsilon>());
  return with(data.predicting<predicts::v>());
}

/// The standard deviation of the samples of a deterministic plan.
double deviation_of(any_plan const& plan) {
  auto const deviation = static_cast<float>(plan.levels()[0].prior_deviation());
  return plan.run(plan.start_at({{1, 1}, {deviation}}, {})).data[0];
}
double deviation_of(asked const& a, double variance) {
  return deviation_of(plan_of(a, centred(variance)));
}

/// The same from a fresh start, with the error of so many draws.
double drawn_deviation(any_plan const& plan, std::size_t n = 40'000) {
  auto const x = plan.sample({.shape = {n, 1}, .seed = 1}).data;
  double sum = 0;
  for (float v : x) sum += double{v} * double{v};
  return std::sqrt(sum / static_cast<double>(n));
}

bool has(std::string const& text, std::string const& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

// The cosine table ends at alpha = 0.00005, where rho = sigma / alpha is 20,291: a Runge-Kutta
// method in rho makes 5.2 of 0.5 there in 10 steps.
BOOST_AUTO_TEST_CASE(solvers_of_higher_order_are_no_worse_than_ddim) {
  for (auto const* schedule : {"cosine", "linear", "scaled_linear", "continuous_cosine",
                               "continuous_linear", "continuous_scaled_linear", "rectified_flow",
                               "variance_exploding", "sub_variance_preserving", "edm"})
    for (double variance : {0.25, 1.0, 4.0}) {
      double const truth = std::sqrt(variance);
      double const ddim = std::abs(deviation_of({.schedule = schedule}, variance) - truth);
      for (auto const* sampler : {"heun", "midpoint", "ralston", "kutta_3", "rk4", "dpmpp_2m",
                                  "dpmpp_3m", "dpmpp_3m_published", "unipc_2", "lms_3"}) {
        double const e =
            std::abs(deviation_of({.schedule = schedule, .sampler = sampler}, variance) - truth);
        // Ten steps of Karras's grid are up to 2 long in lambda: nothing of third order helps
        // there.
        bool const third = schedule == std::string("edm") && has(sampler, "dpmpp_3m");
        BOOST_TEST(e <= (third ? 1.15 : 1) * ddim + 0.002 * truth,
                   sampler << " on " << schedule << ", variance " << variance << ": " << e
                           << ", ddim " << ddim);
      }
    }
}

BOOST_AUTO_TEST_CASE(a_grid_in_rho_starts_where_data_cannot_be_told_from_noise) {
  for (auto const* grid : {"karras", "exponential"})
    for (auto const* schedule :
         {"cosine", "linear", "continuous_cosine", "rectified_flow", "edm"}) {
      auto const plan = plan_of({.schedule = schedule, .grid = grid}, centred(0.25));
      BOOST_TEST(std::abs(plan.levels()[0].rho() - 80) < 1e-6, schedule << " on " << grid);
      double const deviation =
          deviation_of({.schedule = schedule, .sampler = "heun", .grid = grid, .steps = 50}, 0.25);
      BOOST_TEST(std::abs(deviation - 0.5) < 0.005,
                 schedule << " on " << grid << ": " << deviation);
    }
  // A schedule that says where it ends is taken at its word.
  BOOST_TEST(
      plan_of({.schedule = "variance_exploding", .grid = "karras"}, centred(1)).levels()[0].rho() ==
      50);
}

// N(0, (alpha^2 + sigma^2) I), for data of unit variance, wherever a plan begins.
BOOST_AUTO_TEST_CASE(a_start_inside_has_the_variance_of_its_level) {
  auto const check = [&](asked const& a, double within) {
    double const deviation = drawn_deviation(plan_of(a, centred(1)));
    BOOST_TEST(std::abs(deviation - 1) < within,
               a.sampler << " on " << a.grid << ": " << deviation);
  };
  for (double sigma_max : {80., 20., 10.})
    check({.schedule = "rectified_flow",
           .sampler = "heun",
           .grid = fmt::format("{{ name = \"karras\", sigma_max = {:.1f} }}", sigma_max),
           .steps = 100},
          0.011);  // three standard errors of 40,000 draws
  check(
      {.schedule = "rectified_flow", .sampler = "dpmpp_2m", .grid = "leading_solver", .steps = 15},
      0.025);
}

BOOST_AUTO_TEST_CASE(a_start_that_is_not_noise_is_said) {
  auto const plan_on = [](auto schedule) {
    return (schedule | predicts::v{} | samplers::ddim{} | centred(1).predicting<predicts::v>())
        .plan(10);
  };
  request const r{.shape = {1, 1}};
  auto const text = sentence([&] { plan_on(schedules::linear{.steps = 100}).start(r); });
  says(text, "t = 100 (alpha = 0.60");
  says(text, "in_steps(100)");
  // Samples that are there already may enter anywhere.
  BOOST_CHECK_NO_THROW(plan_on(schedules::linear{.steps = 100}).start_from({{1, 1}, {0.5f}}, {}));
  for (int T : {50, 100, 250, 4000}) {
    auto const schedule = schedules::linear::in_steps(T);
    BOOST_CHECK_NO_THROW(plan_on(schedule).start(r));
    // The same alpha at the same share of the way, to the order of 1 / T.
    double const a = schedule.at(T / 2.).alpha, b = schedules::linear{}.at(500).alpha;
    BOOST_TEST(std::abs(a / b - 1) < 4. / std::min(T, 1000), T << " steps: " << a << ", " << b);
    BOOST_CHECK_NO_THROW(plan_on(schedules::scaled_linear::in_steps(T)).start(r));
  }
}

// What epsilon says of x0 at alpha = 0.00005 is multiplied by 20,291, and so is its error.
BOOST_AUTO_TEST_CASE(what_would_multiply_the_networks_errors_is_refused) {
  auto const text = sentence(
      [] { plan_of({.predicts = "epsilon", .sampler = "ddim", .steps = 50}, centred(1)); });
  says(text, "predicts::epsilon says next to nothing of x0 there");
  says(text, "t = 1000");
  BOOST_CHECK_NO_THROW(
      plan_of({.predicts = "epsilon", .more = "threshold = \"clip\""}, centred(1)));
  BOOST_CHECK_NO_THROW(plan_of({.predicts = "epsilon", .grid = "karras"}, centred(1)));
  // A thousand steps go a little way each.
  BOOST_CHECK_NO_THROW(plan_of({.predicts = "epsilon", .steps = 1000}, centred(1)));
  // The linear table ends at rho = 157, with which most of the field's networks live.
  for (int steps : {1, 2, 10, 1000})
    BOOST_CHECK_NO_THROW(
        plan_of({.schedule = "linear", .predicts = "epsilon", .steps = steps}, centred(1)));
  // The sampler's own step: Karras's form has no bound there.
  auto const in_rho = sentence([] { plan_of({.sampler = "heun_in_rho"}, centred(1)); });
  says(in_rho, "too long for it");
  BOOST_CHECK_NO_THROW(plan_of({.sampler = "heun_in_rho", .grid = "karras"}, centred(1)));
}

BOOST_AUTO_TEST_CASE(from_alpha_0_exactly) {
  for (auto const* schedule : {"rectified_flow", "continuous_cosine"}) {
    auto const of = [&](std::string const& sampler, int steps) {
      return drawn_deviation(
          plan_of({.schedule = schedule, .sampler = sampler, .steps = steps}, centred(0.25)), 64);
    };
    for (int steps : {1, 2, 3, 10}) {
      // Without noise it is the deterministic method.
      double const sde = of("{ name = \"sde_dpmpp_2m\", eta = 0.0 }", steps);
      double const ode = of("dpmpp_2m", steps);
      BOOST_TEST(std::abs(sde - ode) < 1e-5, schedule << ", " << steps << " steps");
      // Both choices of B(h) agree where a step is infinitely long, and are near later.
      double const bh1 = of("{ name = \"unipc_2\", b = \"h\" }", steps), bh2 = of("unipc_2", steps);
      BOOST_TEST(std::abs(bh1 - bh2) < (steps < 3 ? 1e-6 : 0.06),
                 schedule << ", " << steps << " steps: " << bh1 << ", " << bh2);
    }
  }
}

// The corrector moves samples towards their law whatever level the predictor left.
BOOST_AUTO_TEST_CASE(a_corrector_works_from_alpha_0_on_and_in_one_dimension) {
  for (std::size_t dimension : {std::size_t{1}, std::size_t{2}, std::size_t{64}})
    for (auto length : {0, 1}) {
      auto const data = centred(0.25, dimension);
      auto const of = [&](auto corrector) {
        return (schedules::continuous::cosine{} | predicts::v{} | corrector |
                data.predicting<predicts::v>())
            .plan(20)
            .sample({.shape = {32'768 / dimension, dimension}, .seed = 3});
      };
      auto const x = length ? of(samplers::predictor_corrector{samplers::ancestral{}, 2, 0.16,
                                                               samplers::by_norms{}})
                            : of(samplers::predictor_corrector{samplers::ancestral{}, 2});
      double sum = 0;
      for (float v : x.data) sum += double{v} * double{v};
      double const deviation = std::sqrt(sum / static_cast<double>(x.data.size()));
      // By the norms of one or two numbers a step has any length up to its bound.
      BOOST_TEST(
          std::abs(deviation - 0.5) < (length && dimension < 3 ? 0.13 : 0.07),
          dimension << " dimensions, " << (length ? "by norms: " : "by level: ") << deviation);
    }
}
