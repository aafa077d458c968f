// The log-likelihood by the probability-flow ODE, against the mixture's exact density.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <tweedie/pipelines/likelihood.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/samplers/dpm_solver_2.hpp>
#include <tweedie/samplers/dpmpp_2m.hpp>
#include <tweedie/samplers/euler.hpp>
#include <tweedie/samplers/heun.hpp>
#include <tweedie/samplers/lms_3.hpp>
#include <tweedie/samplers/runge_kutta.hpp>
#include <tweedie/samplers/unipc_2.hpp>
#include <tweedie/schedules/edm.hpp>
#include <tweedie/schedules/grids/exponential.hpp>
#include <tweedie/schedules/grids/karras.hpp>
#include <tweedie/schedules/sub_variance_preserving.hpp>

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
// start, not that of the noised data, p_T, and no error of the ODE: with p_T in its place every
// schedule is within 1e-3, by the start alone those that preserve the variance and end far out.
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
                     exact(prior, x_t[i], {.alpha = last.prior_deviation(), .sigma = 0});

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
      BOOST_TEST(error < 2e-3, s.called << " " << error);
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
  level const t = s.at(0.5);
  auto const guided = s | predicts::v{} | guidance::classifier_free{.w = 1} | samplers::heun{} |
                      network_of(predicts::v{});
  grids::custom const one_step{{0.5, 0.499}};
  auto const nats = log_likelihood(guided, x, one_step, 1, label{1});
  level const from = s.at(0.499);
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

// N(0, I) is its own prior wherever a flow begins: at sigma_max = 10 too, where alpha^2 + sigma^2
// is 0.83.
BOOST_AUTO_TEST_CASE(prior_of_a_flow_that_begins_inside) {
  for (std::size_t d : {1u, 2u, 3u}) {
    auto const data = centred(1, d);
    auto const pipeline = any_schedule(schedules::rectified_flow{}) | predicts::v{} |
                          samplers::heun{} | any_exact(data.predicting<predicts::v>());
    images x{{3, d}, {}};
    for (double a : {0.0, 1.0, -2.5}) x.data.resize(x.data.size() + d, static_cast<float>(a));
    for (double sigma_max : {5.0, 10.0, 80.0}) {
      grids::karras const grid{.sigma_min = 0.01, .sigma_max = sigma_max};
      auto const nats = log_likelihood(pipeline, x, grid, 200);
      for (std::size_t i = 0; i < 3; ++i) {
        double const truth = exact(data, x[i], {.alpha = 1, .sigma = 0.01});
        BOOST_TEST(std::abs(nats[i] - truth) < 2e-3, d << " dimensions, sigma_max " << sigma_max
                                                       << ": " << nats[i] << ", not " << truth);
      }
    }
  }
}

namespace {

/// The density at the levels' clean end of what the flow makes of its start, for one Gaussian: the
/// flow is linear.
double of_model(gaussian_mixture const& one, std::span<float const> u, level const& first,
                level const& last) {
  auto const& c = one.components[0];
  auto const deviation = [&](level const& t) {
    return std::hypot(t.alpha * std::sqrt(c.variance), t.sigma);
  };
  double const spread = deviation(last) / deviation(first), start = last.prior_deviation();
  double r = 0;
  for (std::size_t i = 0; i < u.size(); ++i) {
    double const x =
        last.alpha * c.mean[i] + spread * first.alpha * (static_cast<double>(u[i]) - c.mean[i]);
    r += -x * x / (2 * start * start) - std::log(start) - std::log(2 * 3.14159265358979) / 2 +
         std::log(spread * first.alpha);
  }
  return r;
}

std::vector<any_schedule> every_schedule() {
  auto r = all_schedules();
  r.emplace_back(schedules::continuous::scaled_linear{});
  r.emplace_back(schedules::edm{});
  r.emplace_back(schedules::sub_variance_preserving{});
  return r;
}

using rk4 = samplers::runge_kutta<tableaux::rk4>;

}  // namespace

// By default calls, in 1 to 3 dimensions, within the tolerance: of one Gaussian the density of what
// sampling from the same start gives, of two modes about 0 the data's own.
BOOST_AUTO_TEST_CASE(is_the_exact_density_by_default) {
  int most = 0;
  for (any_schedule const& s : every_schedule())
    for (std::size_t d : {1u, 2u, 3u}) {
      gaussian_mixture const one{{{.mean = std::vector<double>(d, 0.4), .variance = 0.25}}};
      gaussian_mixture const two{{{.mean = std::vector<double>(d, 0.6), .variance = 0.16},
                                  {.mean = std::vector<double>(d, -0.6), .variance = 0.16}}};
      images x{{4, d}, {}};
      for (double a : {0.4, 0.9, -0.3, -1.1})
        for (std::size_t j = 0; j < d; ++j)
          x.data.push_back(static_cast<float>(a + 0.2 * static_cast<double>(j)));
      for (auto const* data : {&one, &two}) {
        auto const pipeline =
            s | predicts::v{} | rk4{} | any_exact(data->predicting<predicts::v>());
        auto const e = log_likelihood(pipeline, x);
        auto const levels = tweedie::detail::likelihood_levels(
            tweedie::detail::even_in_asinh(s, e.steps, {}), false);
        most = std::max(most, e.steps);
        for (std::size_t i = 0; i < x.count(); ++i) {
          double const truth = data == &one
                                   ? of_model(one, x[i], levels.front(), levels.back())
                                   : exact(two, x[i], {.alpha = 1, .sigma = levels.front().rho()});
          double const bits = (e.nats[i] - truth) / (std::numbers::ln2 * static_cast<double>(d));
          BOOST_TEST(std::abs(bits) < 0.01, s.called << ", " << data->components.size()
                                                     << " modes, " << d << " dimensions: " << bits);
          record_largest("likelihood_default", "bits per dimension from the exact one, at most",
                         std::abs(bits));
        }
      }
    }
  BOOST_TEST_MESSAGE("steps, at most: " << most);
  BOOST_TEST(most <= 80);
}

// What is said of the steps holds the truth, by few of them and by samplers of low order.
BOOST_AUTO_TEST_CASE(what_the_steps_leave_is_said) {
  images const x = samples_of(mixture, 8);
  auto const check = [&](any_schedule const& s, auto sampler) {
    auto const pipeline = s | predicts::v{} | sampler | network_of(predicts::v{});
    for (int n : {4, 5, 10, 20, 40}) {
      auto const e = log_likelihood(pipeline, x, {.exactly = n});
      BOOST_TEST(e.steps == n);
      auto const levels =
          tweedie::detail::likelihood_levels(tweedie::detail::even_in_asinh(s, n, {}), false);
      double said = 0, off = 0;
      for (std::size_t i = 0; i < x.count(); ++i) {
        double const truth = exact(mixture, x[i], {.alpha = 1, .sigma = levels.front().rho()});
        off = std::max(off, std::abs(e.nats[i] - truth));
        said = std::max(said, e.of_steps[i]);
      }
      BOOST_TEST(off < said + 0.05, s.called << " by " << n << ": " << off << ", said " << said);
    }
  };
  check(schedules::continuous::linear{}, rk4{});
  check(schedules::continuous::linear{}, samplers::heun{});
  check(schedules::rectified_flow{}, samplers::euler{});
  check(schedules::edm{}, samplers::ddim{});
}

// The trace is integrated whatever the formula that moves the samples.
BOOST_AUTO_TEST_CASE(by_any_deterministic_sampler) {
  images const x = samples_of(mixture, 4);
  auto const check = [&](char const* name, double most, auto sampler) {
    for (any_schedule const& s : {any_schedule(schedules::continuous::linear{}),
                                  any_schedule(schedules::rectified_flow{})}) {
      auto const pipeline = s | predicts::v{} | sampler | network_of(predicts::v{});
      grids::exponential const grid{.sigma_min = 0.01, .sigma_max = 100};
      auto const of = [&](int n) {
        return largest_error(log_likelihood(pipeline, x, grid, n), mixture, x, 0.01);
      };
      double const coarse = of(50), fine = of(200);
      BOOST_TEST_MESSAGE(name << ", " << s.called << ": " << coarse << " by 50 steps, " << fine
                              << " by 200");
      BOOST_TEST(fine < most, name << " " << s.called << " " << fine);
      BOOST_TEST(fine < coarse / 2 + 1e-3);
    }
  };
  check("ddim", 0.06, samplers::ddim{});
  check("euler", 0.06, samplers::euler{});
  check("heun", 1e-3, samplers::heun{});
  check("dpmpp_2m", 2e-3, samplers::dpmpp_2m{});
  check("dpm_solver_2", 2e-3, samplers::dpm_solver_2{});
  check("lms_3", 2e-3, samplers::lms_3{});
  check("unipc_2", 2e-3, samplers::unipc_2{});
  check("rk4", 1e-3, rk4{});
}

// x + (u - 1 / 2) 2 / 255: within the bin, of mean 0 and variance (2 / 255)^2 / 12, a function of
// seed, id and draw alone.
BOOST_AUTO_TEST_CASE(dequantization_is_uniform) {
  images x{{500, 3, 5}, {}};
  for (std::size_t i = 0; i < 500 * 15; ++i)
    x.data.push_back(static_cast<float>(-1 + 2 * static_cast<double>(i * 7 % 256) / 255));
  BOOST_TEST(is_quantized(x));
  auto const y = dequantized(x, {.seed = 4, .first_id = 20});
  double sum = 0, squares = 0;
  for (std::size_t i = 0; i < x.data.size(); ++i) {
    double const d = (static_cast<double>(y.data[i]) - static_cast<double>(x.data[i])) * 127.5;
    BOOST_TEST(std::abs(d) < 0.5 + 1e-4);
    sum += d / static_cast<double>(x.data.size());
    squares += d * d / static_cast<double>(x.data.size());
  }
  BOOST_TEST(std::abs(sum) < 4 * std::sqrt(1.0 / 12 / 7500));
  BOOST_TEST(std::abs(squares - 1.0 / 12) < 4 * std::sqrt(1.0 / 180 / 7500));
  BOOST_TEST(!is_quantized(y));
  images const third{{1, 3, 5}, {x[2].begin(), x[2].end()}};
  BOOST_TEST(largest_difference(dequantized(third, {.seed = 4, .first_id = 22}).data, y[2]) == 0);
  BOOST_TEST(largest_difference(dequantized(x, {.seed = 5, .first_id = 20}).data, y.data) > 0.001);
  BOOST_TEST(largest_difference(dequantized(x, {.seed = 4, .first_id = 20, .draw = 1}).data,
                                y.data) > 0.001);
}

// The standard error by a sample's probes is the spread of its estimates.
BOOST_AUTO_TEST_CASE(what_the_probes_leave_is_said) {
  auto const pipeline = any_schedule(schedules::continuous::linear{}) | predicts::v{} |
                        samplers::heun{} | network_of(predicts::v{});
  images const one = samples_of(mixture, 1);
  images x{{2000, dimension}, {}};
  for (std::size_t i = 0; i < 2000; ++i)
    x.data.insert(x.data.end(), one.data.begin(), one.data.end());
  auto const e = log_likelihood(pipeline, x, {.exactly = 20}, label{no_label},
                                divergence::hutchinson{.count = 4});
  double mean = 0, variance = 0, said = 0;
  for (double a : e.nats) mean += a / 2000;
  for (double a : e.nats) variance += (a - mean) * (a - mean) / 1999;
  for (double a : e.of_probes) said += a * a / 2000;
  BOOST_TEST_MESSAGE("variance " << variance << ", said " << said);
  BOOST_TEST(std::abs(said / variance - 1) < 0.2);
  BOOST_TEST(std::isnan(
      log_likelihood(pipeline, one, {.exactly = 4}, label{no_label}, divergence::hutchinson{})
          .of_probes[0]));
  BOOST_TEST(log_likelihood(pipeline, one, {.exactly = 4}).of_probes[0] == 0);
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
  std::vector<double> variances;
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
      variances.push_back(variance);
    }
  BOOST_TEST(std::abs(4 * variances[1] / variances[0] - 1) < 0.2);
  BOOST_TEST(std::abs(4 * variances[3] / variances[2] - 1) < 0.2);
  BOOST_TEST(variances[0] < variances[2]);  // signs have the smaller one
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
  // Evenly spread over the 256 bins around -1, -1 + 2 / 255, ..., 1: 8 bits.
  BOOST_TEST(std::abs(bits_per_dimension(3 * std::log(255.0 / 512), 3) - 8) < 1e-12);
}

BOOST_AUTO_TEST_CASE(sentences) {
  auto const pipeline = any_schedule(schedules::continuous::linear{}) | predicts::v{} |
                        samplers::heun{} | network_of(predicts::v{});
  images const x = samples_of(mixture, 2);
  grids::uniform const grid{};
  BOOST_TEST(contains(sentence([&] { (void)log_likelihood(pipeline, x, grid, 1); }),
                      "expected two or more"));
  auto const by = [&](likelihood_steps const& steps) {
    return sentence([&] { (void)log_likelihood(pipeline, x, steps); });
  };
  BOOST_TEST(contains(by({.tolerance = 0}), "a tolerance of 0 bits per dimension was given"));
  BOOST_TEST(contains(by({.tolerance = NAN}), "a tolerance of nan bits per dimension was given"));
  BOOST_TEST(contains(by({.tolerance = 1e-9, .most = 64}), "40 steps may leave "));
  BOOST_TEST(contains(by({.exactly = 1}), "1 steps were asked for, expected four or more"));
  BOOST_TEST(contains(by({.exactly = -3}), "-3 steps were asked for"));
  BOOST_TEST(contains(by({.first = 8, .most = 15}), "from 8 to 15 steps"));
  BOOST_TEST(contains(by({.sigma_min = 5, .sigma_max = 1}), "expected 0 < sigma_min < sigma_max"));
  BOOST_TEST(
      contains(by({.sigma_max = 1}), "a likelihood's normal distribution of noise was asked for"));
  auto const short_of_noise = any_schedule(schedules::linear{.steps = 100}) | predicts::v{} |
                              samplers::heun{} | network_of(predicts::v{});
  BOOST_TEST(contains(sentence([&] { (void)log_likelihood(short_of_noise, x, grid, 50); }),
                      "where data are still seen"));
  std::vector<level> const back{pipeline.stage_set().schedule.at(0.2),
                                pipeline.stage_set().schedule.at(0.3)};
  BOOST_TEST(contains(sentence([&] { (void)log_likelihood(pipeline, x, grids::given{back}, 1); }),
                      "where there is no more noise"));
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
