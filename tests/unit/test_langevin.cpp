// Langevin dynamics: a corrector's step by its formula, and the modes' weights that annealed
// Langevin and predictor-corrector sampling find.
//
// Data has independent elements, each from 0.3 N(0.5, 1/16) + 0.7 N(-0.5, 1/16). A sample of many
// elements is then many samples of one: only the norms of the corrector's step size join them.
#define BOOST_TEST_DYN_LINK
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <numbers>
#include <tweedie/dsl/kernel/noise.hpp>
#include <tweedie/samplers/ancestral.hpp>
#include <tweedie/samplers/annealed_langevin.hpp>
#include <tweedie/samplers/euler_maruyama.hpp>
#include <tweedie/samplers/predictor_corrector.hpp>
#include <tweedie/schedules/grids/karras.hpp>
#include <tweedie/schedules/sub_variance_preserving.hpp>

#include "laws_common.hpp"
#include "numbers.hpp"

using namespace laws;

namespace {

double const mode = 0.5, variance = 1.0 / 16, weight = 0.3;

/// E[x0 | x] of one element.
double exact_x0(double x, level const& t) {
  double const s = t.alpha * t.alpha * variance + t.sigma * t.sigma;
  double const log_odds = std::log(weight / (1 - weight)) + 2 * x * t.alpha * mode / s;
  double const mean = mode * std::tanh(log_odds / 2);
  return mean + t.alpha * variance / s * (x - t.alpha * mean);
}
network_function const network = [](batch const& b) {
  for (std::size_t row = 0; row < b.rows(); ++row)
    for (std::size_t i = 0; i < b.elements; ++i)
      b.out_of(row)[i] =
          static_cast<float>(exact_x0(static_cast<double>(b.x_of(row)[i]), b.level_of(row)));
};

double below(double x) {  // the distribution function of one element
  auto const phi = [](double z) { return std::erfc(-z / std::numbers::sqrt2) / 2; };
  return weight * phi((x - mode) / std::sqrt(variance)) +
         (1 - weight) * phi((x + mode) / std::sqrt(variance));
}
double const positive = 1 - below(0);  // 0.3091: a little of each mode lies beyond 0

double share_above_0(images const& samples) {
  auto const above = std::ranges::count_if(samples.data, [](float x) { return x > 0; });
  return static_cast<double>(above) / static_cast<double>(samples.data.size());
}
/// The Wasserstein distance to the exact distribution: the integral of |F_n - F|.
double distance(images samples) {
  std::ranges::sort(samples.data);
  double r = 0;
  std::size_t k = 0;
  for (double x = -4; x < 4; x += 0.002) {
    while (k < samples.data.size() && static_cast<double>(samples.data[k]) < x) ++k;
    r += 0.002 *
         std::abs(static_cast<double>(k) / static_cast<double>(samples.data.size()) - below(x));
  }
  return r;
}

std::vector<any_schedule> vp_ve_and_sub_vp() {
  std::vector<any_schedule> r;
  r.emplace_back(schedules::continuous::linear{});
  r.emplace_back(schedules::variance_exploding{});
  r.emplace_back(schedules::sub_variance_preserving{});
  return r;
}

template <class Sampler> auto pipeline_of(any_schedule const& schedule, Sampler sampler) {
  return schedule | predicts::x0{} | sampler | network;
}
template <class Sampler>
using code_of =
    typename decltype(pipeline_of(std::declval<any_schedule>(), Sampler{}).plan(1))::code;
using corrected = samplers::predictor_corrector<samplers::ancestral>;

using corrected_by_norms = samplers::predictor_corrector<samplers::ancestral, samplers::by_norms>;

// A predictor's step is one kernel, and so is a corrector's; two where norms lie between them.
static_assert(code_of<corrected>::facts.size() == 3);
static_assert(code_of<corrected>::facts[0].kernels == 1);
static_assert(code_of<corrected>::facts[1].kernels == 1);
static_assert(code_of<corrected_by_norms>::facts[1].kernels == 2);
static_assert(code_of<corrected>::facts[2].kernels == 1 &&
              code_of<corrected>::facts[2].deterministic());
// A Langevin step; that of the last level, and what takes its noise off.
static_assert(code_of<samplers::annealed_langevin>::facts.size() == 3);
static_assert(code_of<samplers::annealed_langevin>::facts[0].kernels == 1 &&
              code_of<samplers::annealed_langevin>::facts[0].noise_streams == 1);
static_assert(code_of<samplers::annealed_langevin>::facts[2].deterministic());

/// The noise of an evaluation.
std::vector<double> normals(sample_key key, std::size_t n) {
  std::vector<float> z((n + 3) / 4 * 4);
  fill_normals(z.data(), 0, z.size() / 4, key, 0);
  return {z.begin(), z.begin() + static_cast<std::ptrdiff_t>(n)};
}
double norm_of(std::vector<double> const& a) {
  double r = 0;
  for (double v : a) r += v * v;
  return std::sqrt(r);
}

/// A sampler that only rescales: what is left is the corrector.
struct stay {
  auto step(level t, level s) const {
    using namespace symbols;
    return tweedie::step(x = s.alpha / t.alpha * x);
  }
};

}  // namespace

// Song et al. 2021, Algorithms 2 to 5, in double: one predictor's step that only rescales, then
// three corrector's steps.
BOOST_AUTO_TEST_CASE(a_correctors_steps_by_their_formula) {
  std::size_t const n = 37;
  double const r = 0.2;
  for (auto const& schedule : vp_ve_and_sub_vp()) {
    for (bool by_norms : {false, true}) {
      grids::custom const one_step{{0.8, 0.5}};
      auto const corrector_plan = [&](auto length) {
        return any_plan(pipeline_of(schedule, samplers::predictor_corrector{stay{}, 3, r, length})
                            .plan(one_step, 1));
      };
      any_plan const plan =
          by_norms ? corrector_plan(samplers::by_norms{}) : corrector_plan(samplers::by_level{});
      BOOST_TEST(plan.network_evaluations() == 4u);
      level const t = plan.levels()[0], s = plan.levels()[1];
      state const start = plan.start({.shape = {5, n}, .seed = 6, .first_id = 40});
      auto const samples = plan.run(start);
      double worst = 0;
      for (std::size_t k = 0; k < 5; ++k) {
        std::vector<double> x(start.x.data() + k * start.pitch,
                              start.x.data() + k * start.pitch + n);
        for (double& v : x) v *= s.alpha / t.alpha;
        for (std::uint64_t step = 1; step <= 3; ++step) {
          sample_key key{.seed = 6, .id = 40 + k};
          key.step = static_cast<decltype(key.step)>(step);
          auto const z = normals(key, n);
          std::vector<double> g;
          for (double v : x) g.push_back((s.alpha * exact_x0(v, s) - v) / (s.sigma * s.sigma));
          double const ratio = by_norms ? norm_of(z) / norm_of(g) : s.sigma;
          double const e = std::min(2 * std::pow(r * ratio, 2), std::pow(s.sigma / 2, 2));
          for (std::size_t i = 0; i < n; ++i) x[i] += e * g[i] + std::sqrt(2 * e) * z[i];
        }
        for (std::size_t i = 0; i < n; ++i) {
          double const d =
              std::abs(static_cast<double>(samples[k][i]) - x[i]) / (1 + std::abs(x[i]));
          worst = d <= worst ? worst : d;
        }
      }
      BOOST_TEST_MESSAGE(schedule.called << ": " << worst);
      BOOST_TEST(worst < 1e-5, schedule.called << " " << worst);
    }
  }
}

// Song & Ermon 2019, Algorithm 1, two levels of two steps each and the last step's denoising.
BOOST_AUTO_TEST_CASE(annealed_langevin_by_its_formula) {
  std::size_t const n = 9;
  samplers::annealed_langevin const sampler{.n = 2, .epsilon = 0.03, .sigma_last = 0.4};
  for (auto const& schedule : vp_ve_and_sub_vp()) {
    auto const plan = pipeline_of(schedule, sampler).plan(grids::custom{{0.8, 0.5, 0}}, 2);
    BOOST_TEST(plan.network_evaluations() == 5u);
    state const start = plan.start({.shape = {1, n}, .seed = 6});
    auto const samples = plan.run(start);
    std::vector<double> x(start.x.data(), start.x.data() + n);
    sample_key key{.seed = 6};
    for (int k : {0, 0, 1, 1}) {
      level const t = plan.levels()[static_cast<std::size_t>(k)];
      double const a = 0.03 * t.sigma * t.sigma / (0.4 * 0.4);
      auto const z = normals(key, n);
      for (std::size_t i = 0; i < n; ++i)
        x[i] += a / 2 * (t.alpha * exact_x0(x[i], t) - x[i]) / (t.sigma * t.sigma) +
                std::sqrt(a) * z[i];
      ++key.step;
    }
    for (std::size_t i = 0; i < n; ++i) {
      double const expected = exact_x0(x[i], plan.levels()[1]);
      BOOST_TEST(std::abs(static_cast<double>(samples.data[i]) - expected) < 1e-5, schedule.called);
    }
  }
}

// 4096 elements, 3 standard errors of sqrt(w (1 - w) / 4096) = 0.0072 each. 10 levels from rho = 2
// to 0.1 with 100 steps of epsilon / sigma_last^2 = 0.4: the chain of these steps itself, its
// transition density multiplied up on a grid, has 0.3119 above 0, 0.4 standard errors from 0.3091;
// with 50 steps it would be 0.9.
BOOST_AUTO_TEST_CASE(annealed_langevin_finds_the_weights) {
  double largest = 0;
  samplers::annealed_langevin const sampler{.n = 100, .epsilon = 0.4, .sigma_last = 1};
  grids::karras const grid{.sigma_min = 0.1, .sigma_max = 3};
  for (auto const& schedule : vp_ve_and_sub_vp()) {
    auto const samples =
        pipeline_of(schedule, sampler).plan(grid, 10).sample({.shape = {4, 1024}, .seed = 1});
    double const error = std::sqrt(positive * (1 - positive) / 4096);
    double const d = (share_above_0(samples) - positive) / error;
    BOOST_TEST_MESSAGE(schedule.called << ": " << d << " standard errors");
    BOOST_TEST(std::abs(d) < 3, schedule.called << ": " << d << " standard errors");
    largest = std::max(largest, std::abs(d));
  }
  record("annealed_langevin", "standard errors of the modes' weights, at most", largest);
}

// The same with the corrector's steps, 1024 elements a sample: with the predictor that only
// rescales, 100 steps of r = 0.3 a level; with the ancestral one 30, with Euler-Maruyama 10.
BOOST_AUTO_TEST_CASE(predictor_corrector_finds_the_weights) {
  double largest = 0;
  grids::karras const grid{.sigma_min = 0.1, .sigma_max = 3};
  for (auto const& schedule : vp_ve_and_sub_vp()) {
    auto const check = [&](char const* called, auto sampler) {
      auto const samples =
          pipeline_of(schedule, sampler).plan(grid, 10).sample({.shape = {4, 1024}, .seed = 2});
      double const error = std::sqrt(positive * (1 - positive) / 4096);
      double const d = (share_above_0(samples) - positive) / error;
      BOOST_TEST_MESSAGE(schedule.called << ", " << called << ": " << d << " standard errors, "
                                         << distance(samples));
      BOOST_TEST(std::abs(d) < 3, schedule.called << ", " << called << ": " << d);
      largest = std::max(largest, std::abs(d));
    };
    check("Langevin alone", samplers::predictor_corrector{stay{}, 100, 0.3});
    check("ancestral", samplers::predictor_corrector{samplers::ancestral{}, 30, 0.3});
    check("Euler-Maruyama", samplers::predictor_corrector{samplers::euler_maruyama{}, 10, 0.3});
  }
  record("predictor_corrector", "standard errors of the modes' weights, at most", largest);
}

// At as few predictor's steps, end to end: the distance to the data's distribution, of 65,536
// elements. (Of as many evaluations, ancestral steps alone make more on VP and sub-VP: 0.077 at
// 20, against 0.107 at 10 with 2 corrections each.)
BOOST_AUTO_TEST_CASE(a_corrector_improves_on_its_predictor) {
  for (auto const& schedule : vp_ve_and_sub_vp())
    for (int steps : {10, 20}) {
      request const r{.shape = {16, 4096}, .seed = 3};
      auto const of = [&](auto sampler) {
        return distance(pipeline_of(schedule, sampler).plan(steps).sample(r));
      };
      double const alone = of(samplers::ancestral{});
      double const with = of(samplers::predictor_corrector{samplers::ancestral{}, 2, 0.3});
      BOOST_TEST_MESSAGE(schedule.called << ", " << steps << " steps: ancestral " << alone
                                         << ", with a corrector " << with);
      BOOST_TEST(with < 0.9 * alone, schedule.called << " " << steps);
    }
}

// The norms are a sample's own: it has the bits that it has alone.
BOOST_AUTO_TEST_CASE(a_sample_does_not_know_its_neighbours) {
  auto const plan = pipeline_of(schedules::continuous::linear{}, corrected{{}, 2, 0.16}).plan(5);
  auto const all = plan.sample({.shape = {6, 50}, .seed = 4});
  auto const one = plan.sample({.shape = {1, 50}, .seed = 4, .first_id = 3});
  BOOST_TEST(largest_difference(all[3], one.data) == 0);
}

BOOST_AUTO_TEST_CASE(what_they_refuse) {
  any_schedule const schedule = schedules::variance_exploding{};
  double const nan = NAN, infinity = INFINITY;
  auto const said = [&](auto sampler) {
    return sentence([&] { pipeline_of(schedule, sampler).plan(3); });
  };
  BOOST_TEST(said(corrected{}) == "nothing was thrown");
  for (int n : {0, -1})
    BOOST_TEST(said(corrected{.predictor = {}, .n = n}) ==
               fmt::format("samplers::predictor_corrector: n = {} was given, expected 1 corrector "
                           "step or more",
                           n));
  for (double r : {0.0, -0.1, nan, infinity})
    BOOST_TEST(contains(said(corrected{.predictor = {}, .n = 1, .r = r}),
                        "samplers::predictor_corrector: r = "));
  using annealed = samplers::annealed_langevin;
  BOOST_TEST(said(annealed{}) == "nothing was thrown");
  for (int n : {0, -1})
    BOOST_TEST(contains(said(annealed{.n = n}), "samplers::annealed_langevin: n = "));
  for (double bad : {0.0, -0.1, nan, infinity}) {
    BOOST_TEST(contains(said(annealed{.epsilon = bad}), "samplers::annealed_langevin: epsilon = "));
    BOOST_TEST(
        contains(said(annealed{.sigma_last = bad}), "samplers::annealed_langevin: epsilon = "));
  }
}
