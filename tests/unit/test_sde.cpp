// The stochastic solvers. For one Gaussian the mean and the variance that a plan makes are exact
// (laws::propagate), so weak orders need no sampling.
#define BOOST_TEST_DYN_LINK
#include <array>
#include <boost/test/unit_test.hpp>
#include <tweedie/pipelines/plan_builder.hpp>
#include <tweedie/samplers/dpmpp_2m.hpp>
#include <tweedie/samplers/edm_stochastic.hpp>
#include <tweedie/samplers/euler_maruyama.hpp>
#include <tweedie/samplers/heun.hpp>
#include <tweedie/samplers/heun_in_rho.hpp>
#include <tweedie/samplers/sde_dpmpp_2m.hpp>
#include <tweedie/schedules/edm.hpp>
#include <tweedie/schedules/grids/karras.hpp>

#include "numbers.hpp"
#include "orders_common.hpp"

using namespace laws;

namespace {

double const mean_of_one = one.components[0].mean[0];
double const variance_of_one = one.components[0].variance;

/// The forward chain's moments for one Gaussian.
moments marginal(level const& t) {
  return {t.alpha * mean_of_one, t.alpha * t.alpha * variance_of_one + t.sigma * t.sigma};
}

struct weak_error {
  double mean = 0, variance = 0;  ///< the largest over five times, relative to the marginal's
};

/// From a start whose moments are off the marginal's, so that the mean has a way to go: the moments
/// that the sampler makes of it, against those of the exact reverse SDE with eta times its noise.
///
/// With A = sqrt(alpha^2 v + sigma^2) the probability flow takes x - alpha m to its multiple by A_s
/// / A_t; the reverse SDE takes it to its multiple by (alpha_s / alpha_t) (A_s / A_t)^2 and adds
/// what the marginal's variance lacks.
template <class Sampler>
weak_error weak_error_of(Sampler sampler, any_schedule const& schedule, int steps) {
  auto const plan =
      (schedule | predicts::v{} | sampler | silent).plan(evenly(0.95, 0.05, steps), steps);
  level const t = plan.levels().front();
  moments const first = marginal(t);
  double const off = 0.5 * std::sqrt(first.variance);
  moments const start{first.mean + off, 0.5 * first.variance};
  weak_error r;
  propagate<predicts::v>(
      plan, mean_of_one, variance_of_one, start, [&](std::size_t k, moments const& reached) {
        if ((k + 1) % (plan.steps() / 5) != 0) return;
        level const s = plan.levels()[k + 1];
        moments const there = marginal(s);
        double const factor = t.alpha / s.alpha * there.variance / first.variance;
        double const mean = there.mean + factor * off;
        double const variance =
            there.variance + factor * factor * (start.variance - first.variance);
        r.mean = std::max(r.mean, std::abs(reached.mean - mean) / std::sqrt(there.variance));
        r.variance = std::max(r.variance, std::abs(reached.variance - variance) / there.variance);
      });
  return r;
}

std::vector<int> const weak_steps{80, 160, 320, 640};

template <class Sampler, class F>
void for_each_weak_order(char const* name, Sampler sampler, F check) {
  for (auto const& schedule : continuous_ones()) {
    std::vector<double> means, variances;
    for (int n : weak_steps) {
      auto const e = weak_error_of(sampler, schedule, n);
      means.push_back(e.mean);
      variances.push_back(e.variance);
    }
    double const mean = fitted_order(weak_steps, means);
    double const variance = fitted_order(weak_steps, variances);
    BOOST_TEST_MESSAGE(schedule.called << ", " << name << ": order of the mean " << mean
                                       << ", of the variance " << variance << ", errors at 640: "
                                       << means.back() << " and " << variances.back());
    if (schedule.called == schedules::continuous::linear::name)
      record(name, "weak order", variance);
    check(schedule.called, mean, variance, means.back());
  }
}

double normal_of(sample_key key, std::uint32_t stream = 0) {
  float four[4];
  fill_normals(four, 0, 1, key, stream);
  return static_cast<double>(four[0]);
}

/// Mean and covariance of pairs of numbers, each with its standard error.
struct pair_moments {
  std::array<double, 5> value{}, error{};  ///< means of both, variances of both, covariance
};
pair_moments moments_of(std::vector<double> const& x) {
  double const n = static_cast<double>(x.size()) / 2;
  pair_moments r;
  for (std::size_t i = 0; i < x.size(); ++i) r.value[i % 2] += x[i] / n;
  std::array<double, 5> squares{};
  for (std::size_t i = 0; i < x.size(); i += 2) {
    double const a = x[i] - r.value[0], b = x[i + 1] - r.value[1];
    std::array<double, 5> const one_pair{a, b, a * a, b * b, a * b};
    for (std::size_t k = 0; k < 5; ++k) {
      squares[k] += one_pair[k] * one_pair[k] / n;
      if (k > 1) r.value[k] += one_pair[k] / n;
    }
  }
  for (std::size_t k = 0; k < 5; ++k)
    r.error[k] = std::sqrt((squares[k] - (k > 1 ? r.value[k] * r.value[k] : 0)) / n);
  return r;
}

}  // namespace

BOOST_AUTO_TEST_CASE(euler_maruyama_has_weak_order_1) {
  for_each_weak_order("euler_maruyama", samplers::euler_maruyama{},
                      [](auto const& schedule, double mean, double variance, double) {
                        BOOST_TEST(std::abs(mean - 1) < 0.2, schedule << " mean " << mean);
                        BOOST_TEST(std::abs(variance - 1) < 0.2,
                                   schedule << " variance " << variance);
                      });
}

// Along the mean of the reverse SDE of one Gaussian E[x0|x] is constant, so the mean is exact.
BOOST_AUTO_TEST_CASE(sde_dpmpp_2m_has_weak_order_2) {
  for_each_weak_order("sde_dpmpp_2m", samplers::sde_dpmpp_2m{},
                      [](auto const& schedule, double, double variance, double error_of_mean) {
                        BOOST_TEST(error_of_mean < 1e-12, schedule << " " << error_of_mean);
                        BOOST_TEST(std::abs(variance - 2) < 0.2,
                                   schedule << " variance " << variance);
                      });
}

// The noise off: order 2 by test_orders.cpp.
BOOST_AUTO_TEST_CASE(sde_dpmpp_2m_with_eta_0_is_dpmpp_2m) {
  auto const network = [](std::vector<double> const& x, level const& t, bool) {
    return answer<predicts::v>(two, x, t);
  };
  for (auto const& schedule : continuous_ones())
    for (double x : starts(two, schedule.at(0.95))) {
      auto const grid = evenly(0.95, 0.05, 20);
      auto const a =
          (schedule | predicts::v{} | samplers::sde_dpmpp_2m{.eta = 0} | silent).plan(grid, 20);
      auto const b = (schedule | predicts::v{} | samplers::dpmpp_2m{} | silent).plan(grid, 20);
      double const d =
          std::abs(run_in_double(a, {x}, network)[0] - run_in_double(b, {x}, network)[0]);
      BOOST_TEST(d < 1e-13, schedule.called << " " << d);
    }
}

// With mu = sigma / alpha and u = x / alpha, in which the paper's formula has no alpha:
// u_s = (mu_s / mu_t)^(1 + eta) u_t + (1 - (mu_s / mu_t)^(1 + eta)) D + mu_s sqrt(1 - (mu_s /
// mu_t)^(2 eta)) noise.
BOOST_AUTO_TEST_CASE(sde_dpmpp_2m_is_its_papers_formula) {
  auto const network = [](std::vector<double> const& x, level const& t, bool) {
    return answer<predicts::v>(two, x, t);
  };
  for (auto const& schedule : continuous_ones())
    for (double eta : {0.4, 1.0, 1.7}) {
      auto const plan = (schedule | predicts::v{} | samplers::sde_dpmpp_2m{eta} | silent)
                            .plan(evenly(0.9, 0.1, 9), 9);
      sample_key key{.seed = 12, .id = 3};
      double x = 0.3 * plan.levels()[0].sigma, before = 0, ratio_before = 1;
      double const start = x;
      for (std::size_t i = 0; i < plan.steps(); ++i, ++key.step) {
        level const t = plan.levels()[i], s = plan.levels()[i + 1];
        double const ratio = s.rho() / t.rho(), m = two.x0(std::vector{x}, t)[0];
        double const d =
            i == 0 ? m : m + 0.5 * std::log(ratio) / std::log(ratio_before) * (m - before);
        double const kept = std::pow(ratio, 1 + eta);
        x = s.alpha * (kept * x / t.alpha + (1 - kept) * d +
                       s.rho() * std::sqrt(1 - std::pow(ratio, 2 * eta)) * normal_of(key));
        before = m;
        ratio_before = ratio;
      }
      double const d =
          std::abs(run_in_double(plan, {start}, network, {.seed = 12, .id = 3, .step = 0})[0] - x);
      BOOST_TEST(d < 1e-12, schedule.called << ", eta = " << eta << ": " << d);
    }
  BOOST_TEST(
      contains(sentence([] {
                 (schedules::edm{} | predicts::v{} | samplers::sde_dpmpp_2m{-1} | silent).plan(10);
               }),
               "eta = -1 was given"));
}

// The VP SDE dx = -beta x / 2 dt + sqrt(beta) dw and the VE SDE dx = sqrt(d sigma^2 / dt) dw, each
// reversed by hand.
BOOST_AUTO_TEST_CASE(euler_maruyama_is_the_papers_sdes) {
  auto const check = [](any_schedule const& schedule, auto drift, auto squared_diffusion) {
    auto const network = [](std::vector<double> const& x, level const& t, bool) {
      return answer<predicts::v>(two, x, t);
    };
    auto const plan = (schedule | predicts::v{} | samplers::euler_maruyama{} | silent)
                          .plan(evenly(0.9, 0.1, 16), 16);
    sample_key key{.seed = 5, .id = 8};
    double x = 0.7;
    for (int i = 0; i < 16; ++i, ++key.step) {
      double const t = 0.9 - 0.05 * i, dt = 0.05, g2 = squared_diffusion(t);
      double const score = two.score(std::vector{x}, schedule.at(t))[0];
      x = x - (drift(t) * x - g2 * score) * dt + std::sqrt(g2 * dt) * normal_of(key);
    }
    double const d =
        std::abs(run_in_double(plan, {0.7}, network, {.seed = 5, .id = 8, .step = 0})[0] - x);
    BOOST_TEST(d < 1e-10 * std::abs(x), schedule.called << " " << d);
  };
  auto const beta = [](double t) { return 0.1 + 19.9 * t; };
  check(
      schedules::continuous::linear{}, [&](double t) { return -beta(t) / 2; }, beta);
  check(
      schedules::variance_exploding{}, [](double) { return 0.0; },
      [](double t) { return 2 * std::pow(0.01 * std::pow(5000, t), 2) * std::log(5000.0); });
}

namespace {

// Karras et al. 2022, Algorithm 2, line by line in sigma, on the float samples of the library.
void compare_with_algorithm_2(double s_churn, double s_tmin, double sigma_min) {
  int const n = 12;
  double const s_tmax = 20, s_noise = 1.003;
  samplers::edm_stochastic const sampler{samplers::edm_stochastic::churn(s_churn, n), s_tmin,
                                         s_tmax, s_noise};
  auto const plan =
      (schedules::edm{} | predicts::v{} | sampler | network_function(two.predicting<predicts::v>()))
          .plan(grids::karras{.sigma_min = sigma_min}, n);
  std::size_t const count = 8;
  auto const samples = plan.sample({.shape = {count, 1}, .seed = 21});
  auto const denoised = [](double x, double sigma) {
    return two.x0(std::vector{x}, level{.t = sigma, .alpha = 1, .sigma = sigma})[0];
  };
  for (std::size_t id = 0; id < count; ++id) {
    sample_key key{.seed = 21, .id = id};
    auto const t = plan.levels();
    double x = t[0].sigma * normal_of(key, start_stream);
    for (std::size_t i = 0; i < static_cast<std::size_t>(n); ++i) {
      double const sigma = t[i].sigma, next = t[i + 1].sigma;
      double const gamma =
          sigma >= s_tmin && sigma <= s_tmax ? std::min(s_churn / n, std::sqrt(2) - 1) : 0;
      key.step = i == 0 ? 0 : static_cast<std::uint32_t>(2 * i - 1);
      double const hat = sigma + gamma * sigma;
      double const x_hat = x + std::sqrt(hat * hat - sigma * sigma) * s_noise * normal_of(key);
      double const d = (x_hat - denoised(x_hat, hat)) / hat;
      x = x_hat + (next - hat) * d;
      if (next != 0) {
        double const d_next = (x - denoised(x, next)) / next;
        x = x_hat + (next - hat) * (d / 2 + d_next / 2);
      }
    }
    double const d = std::abs(static_cast<double>(samples.data[id]) - x);
    BOOST_TEST(d < 2e-5, "sample " << id << " differs by " << d);
  }
}

}  // namespace

BOOST_AUTO_TEST_CASE(edm_stochastic_is_algorithm_2) {
  compare_with_algorithm_2(4, 0.05, 0.002);
  compare_with_algorithm_2(4, 0, 0.5);        // the last step is raised too, and it shows
  compare_with_algorithm_2(40, 0.05, 0.002);  // more churn than a step may have: sqrt(2) - 1
}

BOOST_AUTO_TEST_CASE(edm_stochastic_without_churn_is_heun_in_rho_bit_for_bit) {
  auto const m = two_classes(3);
  network_function const network = m.predicting<predicts::v>();
  for (auto const& schedule : all_schedules()) {
    request const r{.shape = {20, 3}, .seed = 6};
    auto const of = [&](auto sampler) {
      return (schedule | predicts::v{} | sampler | network).plan(grids::karras{}, 15).sample(r);
    };
    auto const a = of(samplers::edm_stochastic{}), b = of(samplers::heun_in_rho{});
    BOOST_TEST(largest_difference(a.data, b.data) == 0, schedule.called);
    record_largest("edm_stochastic", "difference from heun_in_rho without churn",
                   largest_difference(a.data, b.data));
  }
}

// In u and rho no schedule is seen: the same u at the same rho.
BOOST_AUTO_TEST_CASE(edm_stochastic_is_the_same_on_every_schedule) {
  auto const network = [](std::vector<double> const& x, level const& t, bool) {
    return answer<predicts::v>(two, x, t);
  };
  auto const run = [&](any_schedule const& schedule) {
    auto const plan =
        (schedule | predicts::v{} | samplers::edm_stochastic{.gamma = 0.3, .s_tmin = 0.1} | silent)
            .plan(grids::karras{.sigma_min = 0.02, .sigma_max = 20}, 10);
    return run_in_double(plan, {plan.rows()[0].where.alpha * 7.5}, network,
                         {.seed = 2, .id = 1, .step = 0})[0];
  };
  double const expected = run(schedules::edm{});
  for (auto const& schedule : continuous_ones()) {
    double const d = std::abs(run(schedule) - expected);
    BOOST_TEST(d < 1e-10, schedule.called << " " << d);
  }
}

BOOST_AUTO_TEST_CASE(what_edm_stochastic_refuses) {
  auto const refusal = [](samplers::edm_stochastic sampler) {
    return sentence(
        [&] { (schedules::edm{} | predicts::v{} | sampler | silent).plan(grids::karras{}, 10); });
  };
  BOOST_TEST(contains(refusal({.gamma = 0.5}), "gamma = 0.5 was given"));
  BOOST_TEST(contains(refusal({.gamma = NAN}), "gamma"));
  BOOST_TEST(contains(refusal({.gamma = 0.1, .s_tmin = 3, .s_tmax = 2}), "s_tmin = 3"));
  BOOST_TEST(contains(refusal({.s_noise = -1}), "s_noise = -1"));
  // The first level cannot be raised beyond the schedule's end: it stays there.
  BOOST_TEST(refusal({.gamma = 0.4}) == "nothing was thrown");
}

// At five times, the forward chain's noised samples, the reverse SDE and the flow have the mean and
// the covariance of the mixture's marginal, within 4 standard errors: three components in two
// dimensions, N(0, I) at t = 1 (where alpha is 0.007).
BOOST_AUTO_TEST_CASE(forward_chain_reverse_sde_and_flow_share_mean_and_covariance) {
  gaussian_mixture const m{{{.mean = {0.8, 0.2}, .variance = 0.04, .weight = 1},
                            {.mean = {-0.5, 0.6}, .variance = 0.09, .weight = 2},
                            {.mean = {0.1, -0.9}, .variance = 0.01, .weight = 1}}};
  schedules::continuous::linear const schedule;
  network_function const network = m.predicting<predicts::v>();
  std::size_t const n = 4000;
  std::vector<double> const times{0.8, 0.6, 0.4, 0.2, 0.05};

  auto const compare = [&](char const* name, double time, std::vector<double> const& x) {
    level const t = schedule.at(time);
    auto const mean = m.mean(), c = m.covariance();
    double const a2 = t.alpha * t.alpha, s2 = t.sigma * t.sigma;
    std::array<double, 5> const exact{t.alpha * mean[0], t.alpha * mean[1], a2 * c[0] + s2,
                                      a2 * c[3] + s2, a2 * c[1]};
    auto const seen = moments_of(x);
    double worst = 0;
    for (std::size_t k = 0; k < 5; ++k)
      worst = std::max(worst, std::abs(seen.value[k] - exact[k]) / seen.error[k]);
    BOOST_TEST_MESSAGE(name << " at t = " << time << ": off by " << worst << " standard errors");
    BOOST_TEST(worst < 4, name << " at t = " << time << ": " << worst << " standard errors");
  };

  // The chain x_s -> x_t = alpha_t / alpha_s x_s + what sigma_t^2 lacks, from clean samples.
  std::vector<double> x;
  auto const normals = [&](std::uint64_t id, std::uint32_t step, float(&four)[4]) {
    fill_normals(four, 0, 1, {.seed = 31, .id = id, .step = step}, 7);
  };
  for (std::uint64_t id = 0; id < n; ++id) {
    float four[4];
    normals(id, 0, four);
    // A normal's sign and size are as good as any other uniform: its distribution function.
    double const uniform = std::erfc(-static_cast<double>(four[2]) / std::sqrt(2)) / 2;
    for (double one_x : m.draw(uniform, std::vector<double>{static_cast<double>(four[0]),
                                                            static_cast<double>(four[1])}))
      x.push_back(one_x);
  }
  level before = schedule.clean();
  for (std::uint32_t k = 1; k <= 16; ++k) {
    level const t = schedule.at(0.05 * k);
    double const ratio = t.alpha / before.alpha;
    double const added = std::sqrt(t.sigma * t.sigma - ratio * ratio * before.sigma * before.sigma);
    for (std::uint64_t id = 0; id < n; ++id) {
      float four[4];
      normals(id, k, four);
      for (std::size_t i = 0; i < 2; ++i)
        x[2 * id + i] = ratio * x[2 * id + i] + added * static_cast<double>(four[i]);
    }
    before = t;
    if (k == 1 || k % 4 == 0) compare("forward chain", 0.05 * k, x);
  }

  auto const reverse = [&](char const* name, auto sampler, int steps) {
    auto const plan = (any_schedule(schedule) | predicts::v{} | sampler | network)
                          .plan(evenly(1, 0.05, steps), steps);
    state s = plan.start({.shape = {n, 2}, .seed = 41});
    std::size_t next = 0;
    for (std::size_t k = 1; k <= plan.steps(); ++k) {
      plan.advance(s);
      if (next == times.size() || plan.levels()[k].t > times[next] + 1e-9) continue;
      auto const pictures = take(s);
      compare(name, plan.levels()[k].t, {pictures.data.begin(), pictures.data.end()});
      ++next;
    }
    BOOST_TEST(next == times.size());
  };
  reverse("reverse SDE by euler_maruyama", samplers::euler_maruyama{}, 950);
  reverse("reverse SDE by sde_dpmpp_2m", samplers::sde_dpmpp_2m{}, 95);
  reverse("flow by heun", samplers::heun{}, 95);
}

// At alpha = 0 the posterior knows nothing of x_t.
BOOST_AUTO_TEST_CASE(euler_maruyama_begins_with_fresh_noise) {
  auto const network = [](std::vector<double> const& x, level const& t, bool) {
    return answer<predicts::v>(two, x, t);
  };
  auto const plan = (any_schedule(schedules::continuous::cosine{}) | predicts::v{} |
                     samplers::euler_maruyama{} | silent)
                        .plan(evenly(1, 0.5, 1), 1);
  level const s = plan.levels()[1];
  double const expected = s.alpha * two.mean()[0] + s.sigma * normal_of({.seed = 9});
  BOOST_TEST(std::abs(run_in_double(plan, {1.3}, network, {.seed = 9})[0] - expected) < 1e-12);
}

// From alpha = 0, where f and rho are infinite, to the clean end: the data's moments.
BOOST_AUTO_TEST_CASE(from_pure_noise_to_the_data) {
  auto const check = [](any_schedule const& schedule, char const* name, auto sampler) {
    auto const error = [&](int n) {
      auto const plan = (schedule | predicts::v{} | sampler | silent).plan(n);
      moments end{};
      propagate<predicts::v>(plan, mean_of_one, variance_of_one, {0, 1},
                             [&](std::size_t, moments const& m) { end = m; });
      return std::abs(end.mean - mean_of_one) + std::abs(end.variance / variance_of_one - 1);
    };
    double const at_80 = error(80), at_320 = error(320);
    BOOST_TEST_MESSAGE(schedule.called << ", " << name << ": " << at_80 << ", " << at_320);
    BOOST_TEST(at_80 < 0.02);
    BOOST_TEST(at_320 < 0.003);
  };
  for (any_schedule const& schedule :
       {any_schedule(schedules::continuous::cosine{}), any_schedule(schedules::rectified_flow{})}) {
    check(schedule, "euler_maruyama", samplers::euler_maruyama{});
    check(schedule, "sde_dpmpp_2m", samplers::sde_dpmpp_2m{});
    check(schedule, "edm_stochastic", samplers::edm_stochastic{.gamma = 0.1});
  }
}

BOOST_AUTO_TEST_CASE(what_euler_maruyama_refuses) {
  auto const told = [](auto const& schedule, std::vector<double> const& times) {
    std::vector<level> levels;
    for (double t : times) levels.push_back(schedule.at(t));
    return sentence([&] {
      build_plan(forget_stages(
                     (schedule | predicts::v{} | samplers::euler_maruyama{} | silent).stage_set()),
                 forget_network(silent), levels, {}, {});
    });
  };
  schedules::continuous::linear const vp;
  schedules::edm const edm;
  auto const says = [](std::string const& what, char const* part) {
    BOOST_TEST(contains(what, part), what << " does not say " << part);
  };
  // Towards the noise: from the clean end in one step it would have left x as it was, or drawn
  // noise.
  says(told(vp, {0, 1}), "from t = 0 to t = 1 was given, expected one to less noise");
  says(told(schedules::continuous::cosine{}, {0, 1}),
       "from t = 0 to t = 1 was given, expected one to less noise");
  says(told(vp, {0.2, 0.4}), "from t = 0.2 to t = 0.4 was given, expected one to less noise");
  // Twice the noise that is there swings out: here 1.375 times as much is taken, then 1.2 times.
  says(told(edm, {80, 25, 0}), "too long for it by a factor of 1.1");
  says(told(edm, {80, 32, 0}), "nothing was thrown");
  // A drift that shrinks x takes from that, so that even steps of a flow are followed however few.
  for (int n : {10, 100}) {
    std::vector<double> even, on_cosine;
    for (int k = n; k >= 0; --k) even.push_back(static_cast<double>(k) / n);
    says(told(schedules::rectified_flow{}, even), "nothing was thrown");
    says(told(schedules::continuous::cosine{}, even), "nothing was thrown");
  }
}
