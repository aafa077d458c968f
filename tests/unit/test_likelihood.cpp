// The log-likelihood by the probability-flow ODE, against the mixture's exact density.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <tweedie/pipelines/likelihood.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/samplers/heun.hpp>
#include <tweedie/samplers/runge_kutta.hpp>
#include <tweedie/schedules/grids/exponential.hpp>

#include "laws_common.hpp"
#include "numbers.hpp"

using namespace laws;

namespace {

/// An exact network of any parameterization.
struct any_exact {
  using kind = kinds::network;
  std::function<void(batch const&)> answers;
  std::function<void(batch const&, float const*, float*)> products;
  template <class N>
  any_exact(N n)
      : answers([n](batch const& b) { n(b); }),
        products([n](batch const& b, float const* p, float* r) { n.vjp(b, p, r); }) {}
  void operator()(batch const& b) const { answers(b); }
  void vjp(batch const& b, float const* p, float* r) const { products(b, p, r); }
};

constexpr std::size_t dimension = 4;

/// Samples of a mixture.
images samples_of(gaussian_mixture const& m, std::size_t count, std::uint64_t first = 0) {
  images r{{count, dimension}, {}};
  for (std::size_t i = 0; i < count; ++i) {
    float normals[dimension];
    sample_key const key{.seed = 5, .id = first + i};
    fill_normals(normals, 0, dimension / 4, key, 0);
    auto const x = m.draw(uniform(key, 1), std::vector<double>(normals, normals + dimension));
    for (double a : x) r.data.push_back(static_cast<float>(a));
  }
  return r;
}

double exact(gaussian_mixture const& m, std::span<float const> x, level const& t = {},
             int label = no_label) {
  return m.log_density(std::vector<double>(x.begin(), x.end()), t, label);
}

/// The largest difference from the density of u = x0 + rho n at u = x0, in bits a dimension.
double largest_error(std::vector<double> const& nats, gaussian_mixture const& m, images const& x,
                     double rho, int label = no_label) {
  double r = 0;
  for (std::size_t i = 0; i < nats.size(); ++i) {
    double const d =
        std::abs(bits_per_dimension(nats[i], dimension) -
                 bits_per_dimension(exact(m, x[i], {.alpha = 1, .sigma = rho}, label), dimension));
    r = d <= r ? r : d;
  }
  return r;
}

auto const mixture = two_classes(dimension);

template <class Predicts> any_exact network_of(Predicts) { return mixture.predicting<Predicts>(); }

}  // namespace

// Even in ln rho, from the data's end to the schedule's. There the model's density is that of its
// start, N(0, I), not that of the noised data, p_T, and no error of the ODE: with p_T in its place
// every schedule is within 1e-3, by the start alone those that preserve the variance and end far
// out.
BOOST_AUTO_TEST_CASE(is_the_exact_density_on_every_schedule) {
  images const x = samples_of(mixture, 12);
  auto all = tables();
  all.emplace_back(schedules::continuous::linear{});
  all.emplace_back(schedules::continuous::cosine{});
  all.emplace_back(schedules::rectified_flow{});
  all.emplace_back(schedules::variance_exploding{});
  for (any_schedule const& s : all) {
    auto const pipeline = s | predicts::v{} | samplers::heun{} | network_of(predicts::v{});
    double const rho = s.table_steps() ? s.at(1).rho() : 0.01;
    grids::exponential grid{.sigma_min = rho};
    if (s.at(s.end()).rho() > 1000) grid.sigma_max = 1000;
    auto const nats = log_likelihood(pipeline, x, grid, 400);

    auto const encoder = pipeline.encoder(grid, 400).from(1);
    level const first = encoder.levels().front(), last = encoder.levels().back();
    images start = x;
    for (float& a : start.data) a = static_cast<float>(first.alpha * a);
    auto const x_t = encoder.run(encoder.start_at(start, {}));
    gaussian_mixture const prior = centred(1, dimension);
    auto with_p_t = nats;
    for (std::size_t i = 0; i < x.count(); ++i)
      with_p_t[i] += exact(mixture, x_t[i], last) -
                     exact(prior, x_t[i], {.alpha = last.alpha == 1 ? last.sigma : 1, .sigma = 0});

    double const by_start = largest_error(nats, mixture, x, rho);
    double const by_p_t = largest_error(with_p_t, mixture, x, rho);
    double const of_data = largest_error(nats, mixture, x, 0);
    BOOST_TEST_MESSAGE(s.called << ": " << by_p_t << " bits a dimension, by the start's density "
                                << by_start << ", from the data's own " << of_data
                                << " with rho = " << rho);
    record_largest("likelihood", "bits per dimension from the exact one, at most", by_p_t);
    BOOST_TEST(by_p_t < 1e-3, s.called << " " << by_p_t);
    if (last.rho() > 100 && std::abs(std::hypot(last.alpha, last.sigma) - 1) < 1e-6)
      BOOST_TEST(by_start < 1e-3, s.called << " " << by_start);
  }
}

// To alpha = 0, and from the clean end, with another prediction, and far from the data.
BOOST_AUTO_TEST_CASE(is_the_exact_density_from_end_to_end) {
  images x = samples_of(mixture, 12);
  for (std::size_t i = 0; i < dimension; ++i) x.data[i] = 2 * x.data[i] - 1;
  auto const check = [&]<class P>(any_schedule const& s, P, auto sampler) {
    auto const pipeline = s | P{} | sampler | network_of(P{});
    for (bool from_clean : {true, false}) {
      double const rho = from_clean ? 0 : grids::uniform{}.levels(s, 400)[399].rho();
      auto const nats = log_likelihood(pipeline, x, grids::uniform{}, 400, label{no_label},
                                       divergence::exact{}, {.from_clean = from_clean});
      double const error = largest_error(nats, mixture, x, rho);
      BOOST_TEST_MESSAGE(s.called << (from_clean ? " from 0: " : " from level 1: ") << error);
      BOOST_TEST(error < 1e-3, s.called << " " << error);
    }
  };
  check(schedules::rectified_flow{}, predicts::v{}, samplers::heun{});
  check(schedules::continuous::cosine{}, predicts::v{}, samplers::heun{});
  check(schedules::continuous::linear{}, predicts::v{}, samplers::heun{});
  check(schedules::continuous::linear{}, predicts::epsilon{}, samplers::heun{});
  check(schedules::rectified_flow{}, predicts::v{}, samplers::runge_kutta<tableaux::rk4>{});
}

// The last step, to alpha = 0, from w = alpha / sigma = 1 / 4: for N(0, I) at x0 = 0 nothing else
// changes, and the exact change of the density is D / 2 ln(1 + w^2) = 0.12 nats, of which the step
// leaves one of order w^4.
BOOST_AUTO_TEST_CASE(step_to_infinite_rho) {
  auto const data = centred(1, dimension);
  auto const pipeline = any_schedule(schedules::rectified_flow{}) | predicts::v{} |
                        samplers::heun{} | any_exact(data.predicting<predicts::v>());
  images const origin{{1, dimension}, std::vector<float>(dimension)};
  double const nats = log_likelihood(pipeline, origin, grids::custom{{1, 0.8, 0.79}}, 2)[0];
  double const truth = exact(data, origin[0], {.alpha = 1, .sigma = 0.79 / 0.21});
  BOOST_TEST(std::abs(nats - truth) < 0.005);
}

// A first-order sampler gets there too, and a guidance mixes the traces as it mixes the outputs:
// with w = 0 and a label it is the density of that class.
BOOST_AUTO_TEST_CASE(ddim_and_a_guidance) {
  images const x = samples_of(mixture, 6);
  any_schedule const s = schedules::continuous::linear{};
  auto const pipeline = s | predicts::v{} | guidance::classifier_free{.w = 0} | samplers::ddim{} |
                        network_of(predicts::v{});
  auto const error = [&](int n) {
    auto const nats =
        log_likelihood(pipeline, x, grids::exponential{.sigma_min = 0.01}, n, label{1});
    return largest_error(nats, mixture, x, 0.01, 1);
  };
  double const coarse = error(200), fine = error(800);
  BOOST_TEST_MESSAGE("ddim: " << coarse << " at 200 steps, " << fine << " at 800");
  BOOST_TEST(fine < 0.03);
  BOOST_TEST(fine < coarse / 2);
  // w = 1: twice the conditional trace less the unconditional one. The reference is the divergence
  // of the guided flow by differences, along a path of its own.
  level const t = s.at(0.4);
  auto const guided = s | predicts::v{} | guidance::classifier_free{.w = 1} | samplers::heun{} |
                      network_of(predicts::v{});
  grids::custom const one_step{{0.4, 0.39}};
  auto const nats = log_likelihood(guided, x, one_step, 1, label{1});
  level const from = s.at(0.39);
  for (std::size_t k = 0; k < 6; ++k) {
    auto const eps = [&](std::vector<double> const& at, level const& l) {
      auto const c = mixture.eps(at, l, 1), u = mixture.eps(at, l);
      std::vector<double> r;
      for (std::size_t i = 0; i < c.size(); ++i) r.push_back(2 * c[i] - u[i]);
      return r;
    };
    auto const trace = [&](std::vector<double> at, level const& l) {
      double r = 0;
      for (std::size_t i = 0; i < dimension; ++i) {
        double const h = 1e-5, here = at[i];
        at[i] = here + h;
        double const up = eps(at, l)[i];
        at[i] = here - h;
        r += (up - eps(at, l)[i]) / (2 * h);
        at[i] = here;
      }
      return r;
    };
    double const h = t.rho() - from.rho();
    std::vector<double> start, end, x_t;
    for (float a : x[k]) start.push_back(from.alpha * static_cast<double>(a));
    auto const k1 = eps(start, from);
    for (std::size_t i = 0; i < dimension; ++i)
      end.push_back(t.alpha * (start[i] / from.alpha + h * k1[i]));
    auto const k2 = eps(end, t);
    double squares = 0;
    for (std::size_t i = 0; i < dimension; ++i) {
      double const z = t.alpha * (start[i] / from.alpha + h / 2 * (k1[i] + k2[i]));
      squares += z * z;
    }
    double const change = -h / 2 * (from.alpha * trace(start, from) + t.alpha * trace(end, t));
    double const of_u = -squares / 2 - 2 * std::log(2 * 3.14159265358979) + 4 * std::log(t.alpha);
    BOOST_TEST(std::abs(nats[k] - (of_u - change)) < 1e-3);
  }
}

// On the same levels Hutchinson's estimate is linear in its probes, so that its mean is the exact
// trace's result.
BOOST_AUTO_TEST_CASE(hutchinson_has_the_exact_mean) {
  auto const pipeline = any_schedule(schedules::continuous::linear{}) | predicts::v{} |
                        samplers::heun{} | network_of(predicts::v{});
  images const one = samples_of(mixture, 1);
  grids::exponential const grid{.sigma_min = 0.01};
  double const truth = log_likelihood(pipeline, one, grid, 20)[0];
  constexpr std::size_t count = 4000;
  images x{{count, dimension}, {}};
  for (std::size_t i = 0; i < count; ++i)
    x.data.insert(x.data.end(), one.data.begin(), one.data.end());
  for (auto probes : {divergence::probes::rademacher, divergence::probes::gaussian})
    for (int each : {1, 4}) {
      auto const nats =
          log_likelihood(pipeline, x, grid, 20, label{no_label},
                         divergence::hutchinson{.count = each, .probes = probes}, {.seed = 3});
      double mean = 0, variance = 0;
      for (double a : nats) mean += a / count;
      for (double a : nats) variance += (a - mean) * (a - mean) / (count - 1);
      double const standard_error = std::sqrt(variance / count);
      BOOST_TEST_MESSAGE("mean " << mean << " +- " << standard_error << ", exact trace " << truth);
      BOOST_TEST(std::abs(mean - truth) < 3 * standard_error);
      BOOST_TEST(variance > 0);
      BOOST_TEST(variance < 1 / std::sqrt(static_cast<double>(each)));
    }
}

BOOST_AUTO_TEST_CASE(a_sample_has_the_bits_it_has_alone) {
  auto const pipeline = any_schedule(schedules::continuous::linear{}) | predicts::v{} |
                        samplers::heun{} | network_of(predicts::v{});
  grids::exponential const grid{.sigma_min = 0.01};
  images const all = samples_of(mixture, 7);
  auto const check = [&](auto const& way) {
    auto const together =
        log_likelihood(pipeline, all, grid, 10, label{no_label}, way, {.seed = 1, .first_id = 40});
    for (std::size_t i = 0; i < 7; ++i) {
      auto const alone = log_likelihood(pipeline, samples_of(mixture, 1, i), grid, 10,
                                        label{no_label}, way, {.seed = 1, .first_id = 40 + i});
      BOOST_TEST(alone[0] == together[i]);
    }
  };
  check(divergence::exact{});
  check(divergence::hutchinson{.count = 3});
}

// N(0, 1) in one bin of a thousandth has the probability density times width.
BOOST_AUTO_TEST_CASE(bits) {
  double const nats = -0.5 * std::log(2 * 3.14159265358979) * 10;
  BOOST_TEST(std::abs(bits_per_dimension(nats, 10, 0.001) -
                      -std::log2(0.001 / std::sqrt(2 * 3.14159265358979))) < 1e-9);
  // Evenly spread over [-1, 1]: 8 bits.
  BOOST_TEST(std::abs(bits_per_dimension(3 * std::log(0.5), 3) - 8) < 1e-12);
}

BOOST_AUTO_TEST_CASE(sentences) {
  auto const pipeline = any_schedule(schedules::continuous::linear{}) | predicts::v{} |
                        samplers::heun{} | network_of(predicts::v{});
  images const x = samples_of(mixture, 2);
  grids::uniform const grid{};
  BOOST_TEST(contains(sentence([&] { (void)log_likelihood(pipeline, x, grid, 1); }),
                      "expected two or more"));
  BOOST_TEST(contains(sentence([&] {
                        (void)log_likelihood(pipeline, images{{2, 3}, {1}}, grid, 5);
                      }),
                      "samples of shape {2, 3} with 1 values were given"));
  BOOST_TEST(contains(sentence([&] {
                        (void)log_likelihood(pipeline, x, grid, 5, label{no_label},
                                             divergence::hutchinson{.count = 0});
                      }),
                      "0 probes were given"));
  BOOST_TEST(
      contains(sentence([&] { (void)log_likelihood(pipeline, x, grid, 5, label{7}); }), "label 7"));
}
