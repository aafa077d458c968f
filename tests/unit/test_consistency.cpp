// Consistency models: the boundary condition, and sampling in one step and in several.
//
// For data N(m, diag(v)) the flow keeps (u - m) / sqrt(v + rho^2), element by element (u = x /
// alpha, rho = sigma / alpha). So the exact consistency function is f = m + sqrt((v + rho_min^2) /
// (v + rho^2)) (u - m), and what ends the path is N(m, v + rho_min^2).
#define BOOST_TEST_DYN_LINK
#include <array>
#include <boost/test/unit_test.hpp>
#include <tweedie/dsl/language/form.hpp>
#include <tweedie/predicts/consistency.hpp>
#include <tweedie/samplers/consistency.hpp>
#include <tweedie/schedules/edm.hpp>
#include <tweedie/schedules/grids/karras.hpp>
#include <tweedie/schedules/sub_variance_preserving.hpp>

#include "laws_common.hpp"
#include "numbers.hpp"

using namespace laws;

namespace {

constexpr std::size_t dimension = 3;
std::array<double, dimension> const means{0.4, -0.3, 0.1}, variance{0.25, 0.5, 0.04};
double const sigma_data = 0.5;

/// f at x, times alpha where alpha may be 0.
double exact(std::size_t i, double x, level const& t, double rho_min) {
  double const spread = std::sqrt(t.alpha * t.alpha * variance[i] + t.sigma * t.sigma);
  return means[i] + std::sqrt(variance[i] + rho_min * rho_min) * (x - t.alpha * means[i]) / spread;
}

/// The network inside it: F = (f - c_skip u) / c_out of what it sees, c_in u. Song et al. 2023,
/// appendix C, multiplied by alpha where rho is infinite.
network_function exact_network(double rho_min) {
  return [rho_min](batch const& b) {
    for (std::size_t row = 0; row < b.rows(); ++row) {
      level const& t = b.level_of(row);
      double const size = std::sqrt(t.sigma * t.sigma + std::pow(t.alpha * sigma_data, 2));
      double const left = t.sigma - t.alpha * rho_min;
      double const skip = std::pow(sigma_data, 2) * t.alpha /
                          (left * left + std::pow(t.alpha * sigma_data, 2));  // c_skip / alpha
      double const scale = sigma_data * left / size;                          // c_out
      for (std::size_t i = 0; i < dimension; ++i) {
        double const x = size * static_cast<double>(b.x_of(row)[i]);  // c_in u = x / size
        b.out_of(row)[i] = static_cast<float>((exact(i, x, t, rho_min) - skip * x) / scale);
      }
    }
  };
}

std::vector<any_schedule> schedules_of_this_test() {
  std::vector<any_schedule> r;
  r.emplace_back(schedules::edm{});
  r.emplace_back(schedules::continuous::cosine{});
  r.emplace_back(schedules::continuous::linear{});
  r.emplace_back(schedules::rectified_flow{});
  r.emplace_back(schedules::sub_variance_preserving{});
  return r;
}

auto plan_of(any_schedule const& schedule, double rho_min, std::vector<double> const& times) {
  return (schedule | predicts::consistency{.sigma_data = sigma_data, .rho_min = rho_min} |
          samplers::consistency{.rho_min = rho_min} | exact_network(rho_min))
      .plan(grids::custom{times}, 0);
}

}  // namespace

// c_skip(rho_min) = 1 and c_out(rho_min) = 0, and table values of Song et al., appendix C, at alpha
// = 1.
BOOST_AUTO_TEST_CASE(boundary_condition) {
  for (double rho_min : {0.0, 0.002, 0.3}) {
    predicts::consistency const p{.sigma_data = 0.7, .rho_min = rho_min};
    auto const of = [&](auto const& form, auto s) {
      return coefficient<std::remove_const_t<decltype(s)>>(lift(form));
    };
    for (double alpha : {1.0, 0.6}) {
      level const end{.t = 0, .alpha = alpha, .sigma = alpha * rho_min};
      BOOST_TEST(std::abs(alpha * of(p.x0_of(end), sym::x{}) - 1) < 1e-14);
      BOOST_TEST(of(p.x0_of(end), sym::raw{}) == 0);
      BOOST_TEST(of(p.eps_of(end), sym::x{}) == 0);
      BOOST_TEST(of(p.eps_of(end), sym::raw{}) == 0);
      for (double rho : {0.31, 1.0, 80.0}) {
        level const t{.t = 0, .alpha = alpha, .sigma = alpha * rho};
        double const skip = 0.49 / (std::pow(rho - rho_min, 2) + 0.49);
        double const scale = 0.7 * (rho - rho_min) / std::sqrt(0.49 + rho * rho);
        BOOST_TEST(std::abs(alpha * of(p.x0_of(t), sym::x{}) - skip) < 1e-14);
        BOOST_TEST(std::abs(of(p.x0_of(t), sym::raw{}) - scale) < 1e-14);
        BOOST_TEST(std::abs(alpha * of(p.input_of(t), sym::x{}) - 1 / std::hypot(rho, 0.7)) <
                   1e-14);
        BOOST_TEST(std::abs(p.noise_of(t) - 1000 * std::log(rho) / 4) < 1e-11);
        // x = alpha x0 + sigma eps
        BOOST_TEST(std::abs(alpha * of(p.x0_of(t), sym::x{}) + t.sigma * of(p.eps_of(t), sym::x{}) -
                            1) < 1e-14);
        BOOST_TEST(std::abs(alpha * of(p.x0_of(t), sym::raw{}) +
                            t.sigma * of(p.eps_of(t), sym::raw{})) < 1e-14);
      }
    }
    level const noise{.t = 1, .alpha = 0, .sigma = 1};
    BOOST_TEST(of(p.x0_of(noise), sym::x{}) == 0);
    BOOST_TEST(std::abs(of(p.x0_of(noise), sym::raw{}) - 0.7) < 1e-14);
    BOOST_TEST(of(p.eps_of(noise), sym::x{}) == 1);
    level const clean{.t = 0, .alpha = 1, .sigma = 0};
    BOOST_TEST(of(p.x0_of(clean), sym::x{}) == 1);
    BOOST_TEST(of(p.eps_of(clean), sym::x{}) == 0);
  }
}

BOOST_AUTO_TEST_CASE(one_step_is_the_exact_consistency_function) {
  double largest = 0;
  for (double rho_min : {0.002, 0.25})
    for (auto const& schedule : schedules_of_this_test())
      for (double share : {1.0, 0.9, 0.8}) {  // where no data are seen, as a start asks
        auto const plan = plan_of(schedule, rho_min, {share * schedule.end(), 0});
        BOOST_TEST(plan.network_evaluations() == 1u);
        state const s = plan.start({.shape = {200, dimension}, .seed = 3});
        auto const samples = plan.run(s);
        double worst = 0;
        for (std::size_t n = 0; n < 200; ++n)
          for (std::size_t i = 0; i < dimension; ++i) {
            double const x = static_cast<double>(s.x.data()[n * s.pitch + i]);
            double const f = exact(i, x, plan.levels()[0], rho_min);
            double const d = std::abs(static_cast<double>(samples[n][i]) - f);
            worst = d <= worst ? worst : d;
          }
        BOOST_TEST_MESSAGE(schedule.called << ", " << share << " of the end, rho_min = " << rho_min
                                           << ": " << worst);
        BOOST_TEST(worst < 1e-5, schedule.called << " " << share << " " << worst);
        largest = std::max(largest, worst);
      }
  record("consistency", "largest error of one step", largest);
}

// Means and covariances of 40,000 samples, 9 numbers, each within 3 standard errors of N(m, v +
// rho_min^2): a mean's is sqrt(c_ii / n), a covariance's sqrt((c_ii c_jj + c_ij^2) / n). All runs
// share their random numbers; with 400,000 samples the largest of the 90 is 2.1.
BOOST_AUTO_TEST_CASE(several_steps_keep_mean_and_covariance) {
  std::size_t const n = 40000;
  for (double rho_min : {0.002, 0.25})
    for (auto const& schedule : schedules_of_this_test()) {
      double const end = schedule.end();
      // rho of these times is above rho_min on every schedule; for edm they reach from 80 down.
      auto const plan = plan_of(schedule, rho_min, {end, 0.6 * end, 0.5 * end, 0.4 * end, 0});
      auto const samples = plan.sample({.shape = {n, dimension}, .seed = 1});
      double const count = static_cast<double>(n);
      std::array<double, dimension> m{};
      for (std::size_t k = 0; k < n; ++k)
        for (std::size_t i = 0; i < dimension; ++i)
          m[i] += static_cast<double>(samples[k][i]) / count;
      double worst = 0;
      auto const hold = [&](double value, double expected, double error) {
        double const d = std::abs(value - expected) / error;
        worst = d <= worst ? worst : d;
      };
      for (std::size_t i = 0; i < dimension; ++i) {
        double const vi = variance[i] + rho_min * rho_min;
        hold(m[i], means[i], std::sqrt(vi / count));
        for (std::size_t j = i; j < dimension; ++j) {
          double const vj = variance[j] + rho_min * rho_min;
          double c = 0;
          for (std::size_t k = 0; k < n; ++k)
            c += (static_cast<double>(samples[k][i]) - m[i]) *
                 (static_cast<double>(samples[k][j]) - m[j]) / count;
          hold(c, i == j ? vi : 0, std::sqrt(vi * vj * (i == j ? 2 : 1) / count));
        }
      }
      BOOST_TEST_MESSAGE(schedule.called << ", rho_min = " << rho_min << ": " << worst
                                         << " standard errors");
      BOOST_TEST(worst < 3, schedule.called << ": " << worst << " standard errors");
    }
}

// The noise that is added on the way is what is missing from rho_min to rho_s: after one step from
// the noisy end x has the exact marginal there.
BOOST_AUTO_TEST_CASE(a_step_arrives_at_the_marginal) {
  std::size_t const n = 20000;
  double const rho_min = 0.25;
  for (auto const& schedule : schedules_of_this_test()) {
    // rho near rho_min: forgetting what f has already is 50 standard errors.
    double const t = schedule.inverse(0.3);
    auto const plan = plan_of(schedule, rho_min, {schedule.end(), t});
    level const s = plan.levels()[1];
    auto const samples = plan.sample({.shape = {n, dimension}, .seed = 5});
    for (std::size_t i = 0; i < dimension; ++i) {
      double const v = s.alpha * s.alpha * variance[i] + s.sigma * s.sigma;
      double squares = 0, count = static_cast<double>(n);
      for (std::size_t k = 0; k < n; ++k)
        squares += std::pow(static_cast<double>(samples[k][i]) - s.alpha * means[i], 2) / count;
      double const d = std::abs(squares / v - 1) / std::sqrt(2 / count);
      BOOST_TEST_MESSAGE(schedule.called << ": variance off by " << d << " standard errors");
      BOOST_TEST(d < 3, schedule.called << ": " << d << " standard errors");
    }
  }
}

BOOST_AUTO_TEST_CASE(what_it_refuses) {
  auto const said = [&](double sd, double rho_min, double of_sampler) {
    return sentence([&] {
      (any_schedule(schedules::edm{}) |
       predicts::consistency{.sigma_data = sd, .rho_min = rho_min} |
       samplers::consistency{.rho_min = of_sampler} | exact_network(rho_min))
          .plan(grids::custom{{80, 1, 0}}, 2);
    });
  };
  BOOST_TEST(said(0.5, 0.002, 0.002) == "nothing was thrown");
  for (double bad : {0.0, -0.5, static_cast<double>(NAN), static_cast<double>(INFINITY)})
    BOOST_TEST(contains(said(bad, 0.002, 0.002), "predicts::consistency: sigma_data = "));
  for (double bad : {-0.1, static_cast<double>(NAN), static_cast<double>(INFINITY)}) {
    BOOST_TEST(contains(said(0.5, bad, 0.002), "predicts::consistency: rho_min = "));
    BOOST_TEST(contains(said(0.5, 0.002, bad), "samplers::consistency: rho_min = "));
  }
}
