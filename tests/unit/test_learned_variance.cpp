// The variance that a network learns: its two ends are those of ancestral sampling, and the best
// one has the better likelihood.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <numbers>
#include <stdexcept>
#include <tweedie/pipelines/noise_from.hpp>
#include <tweedie/samplers/ancestral.hpp>
#include <tweedie/samplers/ancestral_learned.hpp>

#include "laws_common.hpp"
#include "numbers.hpp"

using namespace laws;
using samplers::learned_variance;

namespace {

/// raw_variance at one element, given x.
using second_output = std::function<double(double x, level const& t)>;

network_function with_variance(gaussian_mixture const& m, second_output variance) {
  return [first = m.predicting<predicts::v>(), variance](batch const& b) {
    first(b);
    if (b.variance != nullptr)
      for (std::size_t row = 0; row < b.samples; ++row)
        for (std::size_t i = 0; i < b.elements; ++i)
          b.variance_of(row)[i] =
              static_cast<float>(variance(static_cast<double>(b.x_of(row)[i]), b.level_of(row)));
  };
}

// Ho et al. 2020, eqs. 6 and 7, between any two levels: mean = of_x0 x0 + of_x x.
struct posterior {
  double of_x0, of_x, beta, beta_tilde;
  posterior(level const& t, level const& s) {
    double const ratio = t.alpha / s.alpha, st = t.sigma * t.sigma, ss = s.sigma * s.sigma;
    beta = st - ratio * ratio * ss;
    of_x0 = s.alpha * beta / st;
    of_x = ratio * ss / st;
    beta_tilde = ss * beta / st;
  }
};

template <class Sampler>
auto plan_of(any_schedule const& schedule, Sampler sampler, network_function n, int steps) {
  return (schedule | predicts::v{} | sampler | std::move(n)).plan(steps);
}

using learned = decltype(plan_of(std::declval<any_schedule>(), samplers::ancestral_learned{},
                                 std::declval<network_function>(), 1))::code;
// One kernel, which reads x and both outputs; the last step has no noise and no variance.
static_assert(learned::facts[0].kernels == 1 && learned::facts[0].reads == 3 &&
              learned::facts[0].writes == 1 && learned::facts[0].noise_streams == 1);
static_assert(learned::facts[1].kernels == 1 && learned::facts[1].reads == 2 &&
              learned::facts[1].deterministic());

}  // namespace

// v = 0 and v = 1, step for step from the same x with the same noise, to 1e-6 of the largest |x|;
// and over the whole run, where roundings add up.
BOOST_AUTO_TEST_CASE(both_ends_are_ancestral) {
  auto const m = two_classes(3);
  double largest = 0;
  for (auto const& schedule : all_schedules())
    for (int steps : {4, 50})
      for (double raw : {-1.0, 1.0}) {
        // Of variance beta, more than x has there: refused.
        if (raw > 0 && (schedule.called == schedules::rectified_flow::name ||
                        (schedule.called == schedules::variance_exploding::name && steps == 4)))
          continue;
        auto const network = with_variance(m, [raw](double, level const&) { return raw; });
        auto const a = plan_of(schedule, samplers::ancestral_learned{}, network, steps);
        auto const b = plan_of(schedule,
                               samplers::ancestral{raw < 0 ? samplers::variance::beta_tilde
                                                           : samplers::variance::beta},
                               network, steps);
        request const r{.shape = {20, 3}, .seed = 5};
        state one = a.start(r), other = b.start(r);
        double worst = 0;
        while (!a.finished(one)) {
          double size = 1;
          for (std::size_t i = 0; i < one.x.size(); ++i) {
            other.x.data()[i] = one.x.data()[i];
            size = std::max(size, std::abs(static_cast<double>(one.x.data()[i])));
          }
          a.advance(one);
          b.advance(other);
          worst = std::max(worst, largest_difference(take(one).data, take(other).data) / size);
        }
        double const whole = largest_difference(a.sample(r).data, b.sample(r).data);
        BOOST_TEST_MESSAGE(schedule.called << ", " << steps << " steps, raw = " << raw << ": "
                                           << worst << " a step, " << whole << " in the end");
        BOOST_TEST(worst < 1e-6, schedule.called << " " << raw << " " << worst);
        BOOST_TEST(whole < 2e-6, schedule.called << " " << raw << " " << whole);
        largest = std::max(largest, worst);
      }
  record("learned_variance", "largest difference from ancestral at v = 0 and 1, a step", largest);
}

// What two runs of a step with noise 0 and with noise z differ by is z times the standard
// deviation.
namespace {

struct measured_step {
  std::vector<double> mean, std;
};

/// Steps of a plan from given x, one after the other: f(k, step k measured).
template <class Sampler, class F>
void measure(any_schedule const& schedule, Sampler sampler, network_function network, int steps,
             std::vector<double> const& points, F f) {
  static double z;
  z = 0;
  auto const noise = [](noise_request const& r) {
    std::fill(r.to, r.to + r.keys.size() * r.pitch, static_cast<float>(z));
  };
  auto const plan = (schedule | predicts::v{} | sampler | noise_from{noise} | network).plan(steps);
  request const r{.shape = {points.size(), 1}};
  state states[] = {plan.start(r), plan.start(r)};
  double const drawn[] = {0, 64};
  for (std::size_t k = 0; k + 1 < plan.steps(); ++k) {
    for (int i : {0, 1}) {
      for (std::size_t n = 0; n < points.size(); ++n)
        states[i].x.data()[n * states[i].pitch] = static_cast<float>(points[n]);
      z = drawn[i];
      plan.advance(states[i]);
    }
    measured_step step;
    for (std::size_t n = 0; n < points.size(); ++n) {
      double const without = static_cast<double>(states[0].x.data()[n * states[0].pitch]);
      double const with = static_cast<double>(states[1].x.data()[n * states[1].pitch]);
      step.mean.push_back(without);
      step.std.push_back((with - without) / drawn[1]);
    }
    f(plan.levels()[k], plan.levels()[k + 1], step);
  }
}

/// Density of x_t, and mean and variance of x0 given x_t, in one dimension.
struct conditional {
  double density = 0, mean = 0, variance = 0;
  conditional(gaussian_mixture const& m, double x, level const& t) {
    double total = 0, square = 0;
    for (auto const& c : m.components) total += c.weight;
    for (auto const& c : m.components) {
      double const s = t.alpha * t.alpha * c.variance + t.sigma * t.sigma;
      double const d = x - t.alpha * c.mean[0];
      double const p =
          c.weight / total * std::exp(-d * d / (2 * s)) / std::sqrt(2 * std::numbers::pi * s);
      double const x0 = c.mean[0] + t.alpha * c.variance / s * d;
      density += p;
      mean += p * x0;
      square += p * (x0 * x0 + c.variance * t.sigma * t.sigma / s);
    }
    mean /= density;
    variance = square / density - mean * mean;
  }
};

double best_variance(gaussian_mixture const& m, double x, level const& t, level const& s) {
  posterior const q(t, s);
  return q.beta_tilde + q.of_x0 * q.of_x0 * conditional(m, x, t).variance;
}

level next_of(std::vector<level> const& levels, level const& t) {
  for (std::size_t k = 0; k + 1 < levels.size(); ++k)
    if (levels[k].t == t.t) return levels[k + 1];
  throw std::logic_error("no such level");
}

/// raw_variance = 2 v - 1 or log variance of the best one; the last step has no log beta-tilde.
second_output best(gaussian_mixture const& m, std::vector<level> levels, learned_variance kind) {
  return [=](double x, level const& t) {
    level const s = next_of(levels, t);
    if (s.sigma == 0) return 0.0;
    posterior const q(t, s);
    double const log_best = std::log(best_variance(m, x, t, s));
    if (kind == learned_variance::logarithm) return log_best;
    double const low = std::log(q.beta_tilde), high = std::log(q.beta);
    return 2 * (log_best - low) / (high - low) - 1;
  };
}

std::vector<double> evenly(double from, double to, int n) {
  std::vector<double> r;
  for (int i = 0; i <= n; ++i) r.push_back(from + (to - from) * i / n);
  return r;
}

/// Bits per dimension of the bound's terms L_{t-1}, t >= 2: E KL(q(x_s | x_t, x0) || p(x_s | x_t)),
/// over x0 in closed form and over x_t by the trapezoid rule, with the mean and the standard
/// deviation that the plan's steps have.
template <class Sampler>
double bits(any_schedule const& schedule, gaussian_mixture const& m, Sampler sampler,
            network_function network, int steps) {
  auto const points = evenly(-7, 7, 500);
  double sum = 0;
  measure(schedule, sampler, network, steps, points,
          [&](level const& t, level const& s, measured_step const& p) {
            posterior const q(t, s);
            for (std::size_t n = 0; n < points.size(); ++n) {
              conditional const c(m, points[n], t);
              double const v = p.std[n] * p.std[n];
              double const bias = q.of_x0 * c.mean + q.of_x * points[n] - p.mean[n];
              double const spread = q.of_x0 * q.of_x0 * c.variance + bias * bias;
              double const kl = (std::log(v / q.beta_tilde) + (q.beta_tilde + spread) / v - 1) / 2;
              sum += c.density * kl * (points[1] - points[0]);
            }
          });
  return sum / std::log(2);
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_steps_have_the_variance_asked_for) {
  gaussian_mixture const m{{{.mean = {0.8}, .variance = 0.04, .weight = 1},
                            {.mean = {-0.5}, .variance = 0.09, .weight = 2}}};
  auto const points = evenly(-2, 2, 40);
  for (auto const& schedule :
       {any_schedule(schedules::linear{}), any_schedule(schedules::rectified_flow{}),
        any_schedule(schedules::variance_exploding{})})
    for (auto kind : {learned_variance::range, learned_variance::logarithm}) {
      auto const levels = grids::uniform{}.levels(schedule, 12);
      double worst = 0;
      measure(schedule, samplers::ancestral_learned{kind}, with_variance(m, best(m, levels, kind)),
              12, points, [&](level const& t, level const& s, measured_step const& p) {
                for (std::size_t n = 0; n < points.size(); ++n) {
                  double const v =
                      best_variance(m, static_cast<double>(static_cast<float>(points[n])), t, s);
                  double const d = std::abs(p.std[n] / std::sqrt(v) - 1);
                  worst = d <= worst ? worst : d;
                }
              });
      BOOST_TEST_MESSAGE(schedule.called << ": standard deviations within " << worst);
      BOOST_TEST(worst < 1e-5, schedule.called << " " << worst);
    }
}

// Of N(0, 1), beta is the best variance on every step: what is left is log(beta / beta-tilde) / 2
// = log(sigma_t / sigma_s), which adds up to the ratio of the ends. beta-tilde costs 0.67 bits
// more (1000 steps of the linear table).
BOOST_AUTO_TEST_CASE(likelihood_of_one_gaussian) {
  auto const m = centred(1);
  any_schedule const schedule(schedules::linear{});
  auto const network = with_variance(m, [](double, level const&) { return 1.0; });
  double const large =
      bits(schedule, m, samplers::ancestral{samplers::variance::beta}, network, 1000);
  double const small =
      bits(schedule, m, samplers::ancestral{samplers::variance::beta_tilde}, network, 1000);
  double const learned = bits(schedule, m, samplers::ancestral_learned{}, network, 1000);
  BOOST_TEST_MESSAGE("N(0, 1): beta " << large << ", beta-tilde " << small << ", learned "
                                      << learned << " bits");
  double const least = std::log2(schedule.at(1000).sigma / schedule.at(1).sigma);
  BOOST_TEST(std::abs(small - least - 0.67) < 0.005);
  BOOST_TEST(std::abs(large - least) < 1e-4);
  BOOST_TEST(std::abs(learned - least) < 1e-4);
}

BOOST_AUTO_TEST_CASE(the_best_variance_beats_both) {
  gaussian_mixture const m{{{.mean = {0.8}, .variance = 0.04, .weight = 1},
                            {.mean = {-0.5}, .variance = 0.09, .weight = 2}}};
  for (auto const& schedule :
       {any_schedule(schedules::linear{}), any_schedule(schedules::cosine{})})
    for (int steps : {10, 50}) {
      auto const levels = grids::uniform{}.levels(schedule, steps);
      auto const network = with_variance(m, best(m, levels, learned_variance::range));
      double const large =
          bits(schedule, m, samplers::ancestral{samplers::variance::beta}, network, steps);
      double const small =
          bits(schedule, m, samplers::ancestral{samplers::variance::beta_tilde}, network, steps);
      double const learned = bits(schedule, m, samplers::ancestral_learned{}, network, steps);
      BOOST_TEST_MESSAGE(schedule.called << ", " << steps << " steps: beta " << large
                                         << ", beta-tilde " << small << ", learned " << learned
                                         << " bits per dimension");
      BOOST_TEST(learned < small - 1e-3);
      BOOST_TEST(learned < large - 1e-3);
      BOOST_TEST(learned > 0);
    }
}
