// Forms and what becomes of them: values of the algebra, substitution, statements, nodes, values
// kept, histories. Whole loops are held to the papers' listings, written out here in double.
#define BOOST_TEST_DYN_LINK
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <tweedie/dsl/language/form.hpp>
#include <tweedie/samplers/ancestral.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/samplers/dpmpp_2m.hpp>
#include <tweedie/samplers/heun_in_rho.hpp>

#include "laws_common.hpp"

using namespace laws;

namespace {

level const here{.t = 3, .alpha = 0.8, .sigma = 0.5, .dalpha = -0.7, .dsigma = 0.9};

/// The numbers of x, out<0> and out<1> in a form once x, raw, x0 and eps are answered.
template <class P, class F> std::array<double, 3> answered(F f) {
  using namespace symbols;
  stage_set<schedules::cosine, P, guidance::classifier_free, no_threshold, samplers::ddim> const s{
      {}, {}, {.w = 2}, {}, {}};
  // keep<0> is stored as it is written.
  auto const r = tweedie::detail::fuse_evaluation<true>(
      s, here, std::tuple{keep<0> = 0.0 * x + 0.0 * out<0> + 0.0 * out<1> + f});
  return {r.c[0], r.c[1], r.c[2]};
}

void close(double value, double expected, double tolerance = 1e-12) {
  BOOST_TEST(std::abs(value - expected) <= tolerance * (1 + std::abs(expected)),
             value << " is not " << expected);
}

/// What a form over x and the branches comes to.
double value(std::array<double, 3> const& c, double x, double out0, double out1) {
  return c[0] * x + c[1] * out0 + c[2] * out1;
}

}  // namespace

BOOST_AUTO_TEST_CASE(arithmetic) {
  using namespace symbols;
  auto const f = (x + 2 * eps) / 4 - 3 * (noise - x * 0.5) + -eps;
  BOOST_TEST(coefficient<sym::x>(f) == 0.25 + 1.5);
  BOOST_TEST(coefficient<sym::eps>(f) == 0.5 - 1);
  BOOST_TEST(coefficient<sym::noise_stream<0>>(f) == -3);
  BOOST_TEST(coefficient<sym::known>(f) == 0);
  BOOST_TEST(coefficient<sym::x>(x - x) == 0);
  BOOST_TEST(coefficient<sym::x>(lift(+x)) == 1);
  BOOST_TEST(coefficient<sym::x>(2 * x + 3 * x) == 5, "integers are numbers");
}

// Whatever a network predicts: from the true x0 and eps of both branches, x0, eps, score, v and
// velocity of the guided answer come back.
BOOST_AUTO_TEST_CASE(substitution_gives_what_each_symbol_means) {
  using namespace symbols;
  double const x_here = 1.3, x0s[] = {0.4, -0.9};
  double eps_of[2];
  for (int b : {0, 1}) eps_of[b] = (x_here - here.alpha * x0s[b]) / here.sigma;
  double const true_x0 = 3 * x0s[0] - 2 * x0s[1], true_eps = 3 * eps_of[0] - 2 * eps_of[1];
  auto const check = [&]<class P>(P, auto target_of) {
    double const a = target_of(x0s[0], eps_of[0]), b = target_of(x0s[1], eps_of[1]);
    auto const is = [&](auto f, double expected) {
      close(value(answered<P>(f), x_here, a, b), expected);
    };
    is(x0, true_x0);
    is(eps, true_eps);
    is(score, -true_eps / here.sigma);
    is(v, here.alpha * true_eps - here.sigma * true_x0);
    is(velocity, here.dalpha * true_x0 + here.dsigma * true_eps);
    is(raw, target_of(true_x0, true_eps));
    is(x, x_here);
    is(2 * x0 - eps / 4 + x, 2 * true_x0 - true_eps / 4 + x_here);
  };
  check(predicts::epsilon{}, [](double, double e) { return e; });
  check(predicts::x0{}, [](double d, double) { return d; });
  check(predicts::score{}, [](double, double e) { return -e / here.sigma; });
  check(predicts::v{}, [](double d, double e) { return here.alpha * e - here.sigma * d; });
  check(predicts::velocity{}, [](double d, double e) { return here.dalpha * d + here.dsigma * e; });
}

// All right-hand sides read the values from before the evaluation: written in either order, x and
// keep are swapped.
BOOST_AUTO_TEST_CASE(statements_read_what_was_before) {
  using namespace symbols;
  auto const swap = [](auto one) {
    float a[4] = {1, 2, 3, 4}, b[4] = {5, 6, 7, 8};
    launch(one, bindings{bind(x, a), bind(keep<0>, b)}, {.count = 1, .pitch = 4});
    for (int i = 0; i < 4; ++i) {
      BOOST_TEST(a[i] == 5 + static_cast<float>(i));
      BOOST_TEST(b[i] == 1 + static_cast<float>(i));
    }
  };
  swap(step(x = keep<0>, keep<0> = x));
  swap(step(keep<0> = x, x = keep<0>));
}

BOOST_AUTO_TEST_CASE(a_node_is_read_by_name) {
  using namespace symbols;
  float a[4] = {-3, -0.5f, 0.25f, 9}, b[4] = {2, 2, 2, 2};
  launch(step(let<0> = clamp(x + known, 0, 3), let<1> = clamp(2 * let<0>, 1, 5),
              x = let<0> - 10 * let<1> + x),
         bindings{bind(x, a), bind(known, b)}, {.count = 1, .pitch = 4});
  float const expected[4] = {0 - 10 - 3, 1.5f - 30 - 0.5f, 2.25f - 45 + 0.25f, 3 - 50 + 9};
  for (int i = 0; i < 4; ++i) BOOST_TEST(a[i] == expected[i]);
}

BOOST_AUTO_TEST_CASE(numbers_that_the_compiler_finds_are_those_of_the_lowering) {
  using namespace symbols;
  auto const both = [](auto const& statements) {
    using written = std::remove_cvref_t<decltype(statements)>;
    using formulas = lowering::predicted<lowering::no_prediction, written>;
    auto const expected = lowering::lowered<formulas>::with_numbers({nullptr, level{}, statements});
    auto const found = fuse(statements);
    static_assert(std::is_same_v<decltype(found), decltype(expected)>);
    BOOST_TEST(found.c == expected.c, boost::test_tools::per_element());
  };
  both(std::tuple{x = 0.1 * x + 0.7 * known + 0.3 * x - 0.4 * known + 1.5 * noise});
  both(std::tuple{let<0> = clamp(0.3 * x + known, -0.5, 0.25),
                  x = product(clamp(0.2 * let<0> + x, -2, 3), exp(0.5 * known - 0.1 * x)),
                  keep<0> = 3 * x});
  both(std::tuple{x = product(norm(0.25 * x + known), quantile_of_abs(known, 0.9))});
  auto const then_more = then(step(x = 0.5 * x + known), x = 2 * x - noise);
  both(std::get<0>(then_more.evaluations).statements);
}

BOOST_AUTO_TEST_CASE(a_node_nobody_reads_loads_nothing) {
  using namespace symbols;
  auto const f = fuse(std::tuple{let<0> = clamp(known, 0, 1), x = 2 * x});
  using type = decltype(f)::type;
  BOOST_TEST(type::reads == 1u);
  BOOST_TEST(type::nodes == 0u);
}

namespace {

/// A user's sampler whose formula clamps x0 itself: what `thresholds::clip` does.
struct clamping_ddim {
  auto step(level t, level s) const {
    using namespace symbols;
    return tweedie::step(let<0> = clamp(x0, -0.5, 0.5),
                         x = s.alpha * let<0> + s.sigma / t.sigma * (x - t.alpha * let<0>));
  }
  auto last(level, level s) const {
    using namespace symbols;
    return tweedie::step(let<0> = clamp(x0, -0.5, 0.5), x = s.alpha * let<0>);
  }
};

}  // namespace

BOOST_AUTO_TEST_CASE(a_users_clamp_is_the_threshold) {
  auto const m = two_classes(5);
  network_function const network = m.predicting<predicts::v>();
  request const r{.shape = {6, 5}, .steps = 12, .seed = 3};
  auto const mine =
      (schedules::cosine{} | predicts::v{} | clamping_ddim{} | network).sample(r, label{0});
  auto const theirs =
      (schedules::cosine{} | predicts::v{} | thresholds::clip{0.5} | samplers::ddim{} | network)
          .sample(r, label{0});
  BOOST_TEST(largest_difference(mine.data, theirs.data) < 2e-6);
}

// The papers' listings in double, on the table of abar alone. Noise is what the sample's key gives.
namespace {

struct listing {
  gaussian_mixture mixture = two_classes(6);
  int label = 1;
  double w = 1.5, limit = 0.7;
  std::vector<double> abar{1.0};
  int table = 0, evaluations = 0;

  listing(schedules::linear const& s) : table(s.steps) {
    for (int i = 1; i <= s.steps; ++i)
      abar.push_back(abar.back() *
                     (1 - (s.beta_first + (s.beta_last - s.beta_first) * (i - 1) / (s.steps - 1))));
  }

  /// Guided and clipped x0, and the eps that goes with it: Ho & Salimans, eq. 6, in eps.
  std::pair<double, double> predict(std::vector<double> const& x, double a, std::size_t i) const {
    level const t{.t = 0, .alpha = std::sqrt(a), .sigma = std::sqrt(1 - a)};
    double const c = mixture.given(x, t, label).eps[i], u = mixture.given(x, t).eps[i];
    double const e = (1 + w) * c - w * u;
    double const x0 = std::clamp((x[i] - std::sqrt(1 - a) * e) / std::sqrt(a), -limit, limit);
    return {x0, (x[i] - std::sqrt(a) * x0) / std::sqrt(1 - a)};
  }
  std::pair<std::vector<double>, std::vector<double>> predict(std::vector<double> const& x,
                                                              double a) const {
    std::vector<double> x0(x.size()), e(x.size());
    for (std::size_t i = 0; i < x.size(); ++i) std::tie(x0[i], e[i]) = predict(x, a, i);
    return {x0, e};
  }
  static std::vector<double> normals(sample_key key, std::size_t n) {
    std::vector<float> r((n + 3) / 4 * 4);
    fill_normals(r.data(), 0, r.size() / 4, key, 0);
    return {r.begin(), r.begin() + static_cast<std::ptrdiff_t>(n)};
  }
  int tau(int k, int n) const {  // round(k T / n), halves up
    return (2 * k * table + n) / (2 * n);
  }
};

template <class Sampler, class Reference>
void hold_to_listing(Sampler sampler, schedules::linear schedule, int steps, Reference reference) {
  listing const paper(schedule);
  auto const plan = (schedule | predicts::v{} | guidance::classifier_free{.w = paper.w} |
                     thresholds::clip{paper.limit} | sampler |
                     network_function(paper.mixture.predicting<predicts::v>()))
                        .plan(steps);
  state const start = plan.start({.shape = {5, 6}, .seed = 21, .first_id = 100}, {paper.label});
  auto const samples = plan.run(start);
  for (std::size_t i = 0; i < samples.count(); ++i) {
    std::vector<double> x(start.x.data() + i * start.pitch, start.x.data() + i * start.pitch + 6);
    reference(paper, x, sample_key{.seed = 21, .id = 100 + i, .step = 0});
    for (std::size_t j = 0; j < x.size(); ++j)
      BOOST_TEST(
          std::abs(static_cast<double>(samples[i][j]) - x[j]) < 1e-5,
          "sample " << i << ", element " << j << ": " << samples[i][j] << " is not " << x[j]);
  }
}

}  // namespace

// Ho et al. 2020, Algorithm 2 with the clipped x0 of eqs. 6 and 7 and variance beta-tilde, T steps.
BOOST_AUTO_TEST_CASE(ddpm_by_its_listing) {
  schedules::linear const schedule{.beta_first = 0.01, .beta_last = 0.4, .steps = 15};
  for (auto choice : {samplers::variance::beta, samplers::variance::beta_tilde})
    hold_to_listing(samplers::ancestral{choice}, schedule, 15,
                    [&](listing const& p, std::vector<double>& x, sample_key key) {
                      for (int t = 15; t >= 1; --t, ++key.step) {
                        double const a = p.abar[static_cast<std::size_t>(t)],
                                     before = p.abar[static_cast<std::size_t>(t - 1)];
                        double const beta = 1 - a / before;
                        double const tilde = (1 - before) / (1 - a) * beta;
                        double const v = choice == samplers::variance::beta ? beta : tilde;
                        auto const [x0, e] = p.predict(x, a);
                        auto const z = listing::normals(key, x.size());
                        for (std::size_t i = 0; i < x.size(); ++i)
                          x[i] = std::sqrt(before) * beta / (1 - a) * x0[i] +
                                 std::sqrt(1 - beta) * (1 - before) / (1 - a) * x[i] +
                                 (t > 1 ? std::sqrt(v) * z[i] : 0);
                      }
                    });
}

// Song et al. 2021, eqs. 12 and 16; their alpha is abar.
BOOST_AUTO_TEST_CASE(ddim_by_its_listing) {
  auto const paper = [](double eta) {
    return [eta](listing const& p, std::vector<double>& x, sample_key key) {
      int const n = 20;
      for (int k = n; k >= 1; --k, ++key.step) {
        double const a = p.abar[static_cast<std::size_t>(p.tau(k, n))],
                     before = p.abar[static_cast<std::size_t>(p.tau(k - 1, n))];
        double const s = eta * std::sqrt((1 - before) / (1 - a)) * std::sqrt(1 - a / before);
        auto const [x0, e] = p.predict(x, a);
        auto const z = listing::normals(key, x.size());
        for (std::size_t i = 0; i < x.size(); ++i)
          x[i] = std::sqrt(before) * x0[i] + std::sqrt(std::max(0.0, 1 - before - s * s)) * e[i] +
                 s * z[i];
      }
    };
  };
  hold_to_listing(samplers::ddim{}, {}, 20, paper(0));
  hold_to_listing(samplers::ddim_eta{0.4}, {}, 20, paper(0.4));
}

// Karras et al. 2022, Algorithm 1, in u = x / alpha and their sigma = rho; D is the clipped x0.
BOOST_AUTO_TEST_CASE(heun_in_rho_by_its_listing) {
  hold_to_listing(samplers::heun_in_rho{}, {}, 12,
                  [](listing const& p, std::vector<double>& x, sample_key) {
                    int const n = 12;
                    for (int k = n; k >= 1; --k) {
                      double const a = p.abar[static_cast<std::size_t>(p.tau(k, n))],
                                   b = p.abar[static_cast<std::size_t>(p.tau(k - 1, n))];
                      double const from = std::sqrt((1 - a) / a), to = std::sqrt((1 - b) / b);
                      auto const denoised = p.predict(x, a).first;
                      std::vector<double> u(x.size()), slope(x.size()), next(x.size());
                      for (std::size_t i = 0; i < x.size(); ++i) {
                        u[i] = x[i] / std::sqrt(a);
                        slope[i] = (u[i] - denoised[i]) / from;
                        next[i] = std::sqrt(b) * (u[i] + (to - from) * slope[i]);
                      }
                      if (to > 0) {
                        auto const again = p.predict(next, b).first;
                        for (std::size_t i = 0; i < x.size(); ++i) {
                          double const second = (next[i] / std::sqrt(b) - again[i]) / to;
                          next[i] = std::sqrt(b) * (u[i] + (to - from) * (slope[i] + second) / 2);
                        }
                      }
                      x = next;
                    }
                  });
}

// Lu et al. 2022, Algorithm 2: the first step is of order 1, and so is the one to sigma = 0.
BOOST_AUTO_TEST_CASE(dpmpp_2m_by_its_listing) {
  hold_to_listing(
      samplers::dpmpp_2m{}, {}, 15, [](listing const& p, std::vector<double>& x, sample_key) {
        int const n = 15;
        std::vector<double> before;
        double h_before = 0;
        for (int k = n; k >= 1; --k) {
          double const a = p.abar[static_cast<std::size_t>(p.tau(k, n))],
                       b = p.abar[static_cast<std::size_t>(p.tau(k - 1, n))];
          auto const x0 = p.predict(x, a).first;
          double const h = std::log(b / (1 - b)) / 2 - std::log(a / (1 - a)) / 2;
          for (std::size_t i = 0; i < x.size(); ++i) {
            if (k == 1) {
              x[i] = x0[i];
              continue;
            }
            double const r = h_before / h;
            double const d = k == n ? x0[i] : (1 + 1 / (2 * r)) * x0[i] - before[i] / (2 * r);
            x[i] = std::sqrt((1 - b) / (1 - a)) * x[i] - std::sqrt(b) * (std::exp(-h) - 1) * d;
          }
          before = x0;
          h_before = h;
        }
      });
}

namespace {

/// Third-order Adams-Bashforth in rho: reads two slopes back, through both warm-up orders.
struct adams_bashforth_3 {
  auto step(level t, level s) const {
    using namespace symbols;
    return tweedie::step(x = s.alpha * (x / t.alpha + (s.rho() - t.rho()) * eps));
  }
  auto step(level, level t, level s) const {
    using namespace symbols;
    double const h = s.rho() - t.rho();
    return tweedie::step(x = s.alpha * (x / t.alpha + h * (1.5 * eps - 0.5 * past_eps<1>)));
  }
  auto step(level, level, level t, level s) const {
    using namespace symbols;
    double const h = (s.rho() - t.rho()) / 12;
    return tweedie::step(x = s.alpha *
                             (x / t.alpha + h * (23 * eps - 16 * past_eps<1> + 5 * past_eps<2>)));
  }
};

}  // namespace

// A ring of two slopes against slopes kept in a list.
BOOST_AUTO_TEST_CASE(histories_reach_two_back) {
  hold_to_listing(adams_bashforth_3{}, {}, 15,
                  [](listing const& p, std::vector<double>& x, sample_key) {
                    int const n = 15;
                    std::vector<std::vector<double>> slopes;
                    for (int k = n; k >= 1; --k) {
                      double const a = p.abar[static_cast<std::size_t>(p.tau(k, n))],
                                   b = p.abar[static_cast<std::size_t>(p.tau(k - 1, n))];
                      double const h = std::sqrt((1 - b) / b) - std::sqrt((1 - a) / a);
                      auto const [x0, e] = p.predict(x, a);
                      slopes.push_back(e);
                      std::size_t const m = slopes.size();
                      for (std::size_t i = 0; i < x.size(); ++i) {
                        double d = e[i];
                        if (m == 2) d = 1.5 * e[i] - 0.5 * slopes[0][i];
                        if (m > 2)
                          d = (23 * e[i] - 16 * slopes[m - 2][i] + 5 * slopes[m - 3][i]) / 12;
                        x[i] = k == 1 ? x0[i] : std::sqrt(b) * (x[i] / std::sqrt(a) + h * d);
                      }
                    }
                  });
}
