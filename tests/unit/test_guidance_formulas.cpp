// Guidances against their papers' formulas in double, written here a second time, on outputs that
// are given: one kernel (or two, around reductions) and nothing else.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include "guidance_common.hpp"
#include "numbers.hpp"

using namespace laws;

namespace {

using row = std::vector<double>;

double dot_of(row const& a, row const& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}
double std_of(row const& a) {
  double mean = 0, squares = 0;
  for (double v : a) mean += v / static_cast<double>(a.size());
  for (double v : a) squares += (v - mean) * (v - mean);
  return std::sqrt(squares / (static_cast<double>(a.size()) - 1));
}
row sum_of(double p, row const& a, double q, row const& b) {
  row r(a.size());
  for (std::size_t i = 0; i < a.size(); ++i) r[i] = p * a[i] + q * b[i];
  return r;
}

/// x0 and eps.
struct prediction {
  row x0, eps;
};
prediction of_v(level const& t, row const& x, row const& v) {
  double const n = t.alpha * t.alpha + t.sigma * t.sigma;
  return {sum_of(t.alpha / n, x, -t.sigma / n, v), sum_of(t.sigma / n, x, t.alpha / n, v)};
}
prediction of_epsilon(level const& t, row const& x, row const& eps) {
  return {sum_of(1 / t.alpha, x, -t.sigma / t.alpha, eps), eps};
}
row eps_from(level const& t, row const& x, row const& x0) {
  return sum_of(1 / t.sigma, x, -t.alpha / t.sigma, x0);
}

row outputs(std::size_t branch, std::size_t sample, std::size_t n, double t) {
  row r(n);
  for (std::size_t i = 0; i < n; ++i) r[i] = static_cast<double>(output(branch, sample, i, t));
  return r;
}

constexpr double times[] = {800, 600, 400, 200};

struct seen {
  double x0 = 0, eps = 0;  ///< largest differences
};

/// The kernel's x0 and eps beside `reference(sample, level, x, {output of branch 0, 1, ...})` of
/// three evaluations, at which x stays the same.
template <class Guidance, class Reference>
void compare(char const* name, Guidance g, std::size_t samples, std::vector<std::size_t> shape,
             Reference reference) {
  auto const plan =
      (any_schedule(schedules::linear{}) | predicts::v{} | g | probe{} | made_up_network())
          .plan(grids::custom{{times[0], times[1], times[2], times[3]}}, 0);
  using code = typename decltype(plan)::code;
  shape.insert(shape.begin(), samples);
  labels const one{1};
  state s = plan.start({.shape = shape, .seed = 5},
                       code::conditions == 2 ? conditions{one, one} : conditions{one});
  seen worst;
  for (std::size_t k = 0; k < 3; ++k) {
    plan.advance(s);
    level const t = plan.levels()[k];
    for (std::size_t i = 0; i < samples; ++i) {
      auto const xs = row_of(s, s.x, i);
      row const x(xs.begin(), xs.end());
      std::vector<row> out;
      for (int b = 0; b < code::branches + code::extras; ++b)
        out.push_back(outputs(static_cast<std::size_t>(b), i, x.size(), t.t));
      prediction const expected = reference(i, t, x, out);
      for (std::size_t j = 0; j < x.size(); ++j) {
        auto const off = [&](std::size_t which, row const& e) {
          double const d = std::abs(static_cast<double>(row_of(s, s.keep[which], i)[j]) - e[j]) /
                           std::max(1.0, std::abs(e[j]));
          return d < infinity ? d : infinity;
        };
        worst.x0 = std::max(worst.x0, off(0, expected.x0));
        worst.eps = std::max(worst.eps, off(1, expected.eps));
      }
    }
  }
  BOOST_TEST_MESSAGE(name << ", " << samples << " of " << s.elements << ": x0 within " << worst.x0
                          << ", eps within " << worst.eps);
  record_largest(name, "from the formula in double, at most", std::max(worst.x0, worst.eps));
  BOOST_TEST(worst.x0 < 1e-5, name << ": x0 differs by " << worst.x0);
  BOOST_TEST(worst.eps < 1e-5, name << ": eps differs by " << worst.eps);
}

/// Few elements and padding, one picture, several pictures.
template <class Guidance, class Make> void compare(char const* name, Guidance g, Make reference) {
  compare(name, g, 4, {5}, reference());
  compare(name, g, 1, {28, 28}, reference());
  compare(name, g, 3, {3, 64, 64}, reference());
}

}  // namespace

// Lin et al. 2023, eqs. 14-16.
BOOST_AUTO_TEST_CASE(rescaled_is_its_formula) {
  for (double phi : {0.0, 0.7, 1.0})
    for (double s : {1.0, 7.5})
      compare("rescaled", guidance::rescaled{.s = s, .phi = phi}, [=] {
        return [=](std::size_t, level const& t, row const& x, std::vector<row> const& out) {
          row const cfg = sum_of(1, out[1], s, sum_of(1, out[0], -1, out[1]));
          double const ratio = std_of(out[0]) / std_of(cfg);
          return of_v(t, x, sum_of(phi * ratio, cfg, 1 - phi, cfg));
        };
      });
}

// Sadat et al. 2024, Algorithm 1, the running average over three evaluations.
BOOST_AUTO_TEST_CASE(apg_is_its_algorithm) {
  struct values {
    double s, r, eta, beta;
  };
  for (values const& v : {values{4, 1.5, 0, -0.75}, values{10, 30, 0.3, -0.5},
                          values{3, infinity, 0.5, 0.4}, values{2, 0.2, 1, 0}})
    compare("apg", guidance::apg{.s = v.s, .r = v.r, .eta = v.eta, .beta = v.beta}, [=] {
      return [v, average = std::map<std::size_t, row>{}](std::size_t sample, level const& t,
                                                         row const& x,
                                                         std::vector<row> const& out) mutable {
        row const c = of_v(t, x, out[0]).x0, u = of_v(t, x, out[1]).x0;
        row& running = average[sample];
        if (running.empty()) running.assign(x.size(), 0);
        for (std::size_t i = 0; i < x.size(); ++i) running[i] = c[i] - u[i] + v.beta * running[i];
        row diff = running;
        double const factor = std::min(1.0, v.r / std::sqrt(dot_of(diff, diff)));
        for (double& a : diff) a *= factor;
        row const unit = sum_of(1 / std::sqrt(dot_of(c, c)), c, 0, c);
        row const parallel = sum_of(dot_of(diff, unit), unit, 0, unit);
        row const update = sum_of(1, sum_of(1, diff, -1, parallel), v.eta, parallel);
        row const x0 = sum_of(1, c, v.s - 1, update);
        return prediction{x0, eps_from(t, x, x0)};
      };
    });
}

// Without its parts it is classifier-free guidance.
BOOST_AUTO_TEST_CASE(apg_without_limit_and_projection) {
  compare("apg without its parts", guidance::apg{.s = 3, .r = infinity, .eta = 1, .beta = 0}, [] {
    return [](std::size_t, level const& t, row const& x, std::vector<row> const& out) {
      return of_v(t, x, sum_of(3, out[0], -2, out[1]));
    };
  });
}

// Fan et al. 2025, Algorithm 1; zero-init above t = 700, the first of the three levels.
BOOST_AUTO_TEST_CASE(cfg_zero_star_is_its_algorithm) {
  for (double zero_above : {infinity, 700.0, 800.0})
    compare("cfg_zero_star", guidance::cfg_zero_star{.s = 4, .zero_above = zero_above}, [=] {
      return [=](std::size_t, level const& t, row const& x, std::vector<row> const& out) {
        double const star = dot_of(out[0], out[1]) / dot_of(out[1], out[1]);
        row const raw = sum_of((1 - 4) * star, out[1], 4, out[0]);
        return of_v(t, x, t.t > zero_above ? row(x.size(), 0.0) : raw);
      };
    });
}

// Chung et al. 2024, Algorithm 2: the guided epsilon's x0, the unconditional one's noise.
BOOST_AUTO_TEST_CASE(cfg_plus_plus_is_its_algorithm) {
  for (double lambda : {0.0, 0.6, 1.0})
    compare("cfg_plus_plus", guidance::cfg_plus_plus{lambda}, [=] {
      return [=](std::size_t, level const& t, row const& x, std::vector<row> const& out) {
        row const c = of_v(t, x, out[0]).eps, u = of_v(t, x, out[1]).eps;
        row const guided = sum_of(1, u, lambda, sum_of(1, c, -1, u));
        return prediction{of_epsilon(t, x, guided).x0, u};
      };
    });
}

// Liu et al. 2022, eq. 11.
BOOST_AUTO_TEST_CASE(two_conditions_are_their_formula) {
  compare("two_conditions", guidance::two_conditions{.s1 = 2.5, .s2 = -0.75}, [] {
    return [](std::size_t, level const& t, row const& x, std::vector<row> const& out) {
      row raw = out[2];
      for (std::size_t i = 0; i < raw.size(); ++i)
        raw[i] += 2.5 * (out[0][i] - out[2][i]) - 0.75 * (out[1][i] - out[2][i]);
      return of_v(t, x, raw);
    };
  });
}

// Karras et al. 2024, eq. 3, a v network guided by a weaker one that predicts epsilon.
BOOST_AUTO_TEST_CASE(autoguidance_is_its_formula) {
  compare(
      "autoguidance", guidance::autoguidance{2.25, made_up_network(1), predicts::epsilon{}}, [] {
        return [](std::size_t, level const& t, row const& x, std::vector<row> const& out) {
          row const x0 = sum_of(2.25, of_v(t, x, out[0]).x0, 1 - 2.25, of_epsilon(t, x, out[1]).x0);
          return prediction{x0, eps_from(t, x, x0)};
        };
      });
}

// Dhariwal & Nichol 2021, Algorithm 2, the gradient in the place of a second network's output.
BOOST_AUTO_TEST_CASE(classifier_is_its_formula) {
  compare("classifier_formula", guidance::classifier{3.0, made_up_network(1)}, [] {
    return [](std::size_t, level const& t, row const& x, std::vector<row> const& out) {
      row const eps = sum_of(1, of_v(t, x, out[0]).eps, -3 * t.sigma, out[1]);
      return prediction{of_epsilon(t, x, eps).x0, eps};
    };
  });
}

// What the formulas divide by may be 0: outputs of zeros, and of one element.
BOOST_AUTO_TEST_CASE(nothing_to_divide_by) {
  auto const finite = [](auto g, network_function const& network, std::size_t elements) {
    auto const plan = (any_schedule(schedules::linear{}) | predicts::x0{} | g | probe{} | network)
                          .plan(grids::custom{{600, 300}}, 0);
    state s = plan.start({.shape = {2, elements}, .seed = 1}, label{0});
    plan.advance(s);
    bool all = true;
    for (std::size_t i = 0; i < 2; ++i)
      for (float a : row_of(s, s.keep[0], i)) all = all && std::isfinite(a);
    return all;
  };
  network_function const zeros = [](batch const& b) {
    std::fill_n(b.out, b.rows() * b.pitch, 0.0f);
  };
  for (std::size_t n : {std::size_t{1}, std::size_t{6}}) {
    BOOST_TEST(finite(guidance::rescaled{}, zeros, n));
    BOOST_TEST(finite(guidance::apg{}, zeros, n));
    BOOST_TEST(finite(guidance::cfg_zero_star{}, zeros, n));
  }
  BOOST_TEST(finite(guidance::rescaled{}, made_up_network(), 1));
}
