// What few steps cost, exactly: data N(0, 0.25), the linear table, the exact network, uniform grid,
// start N(0, 1).
//
// The exact network is linear here, raw = k(t) x, so the variance goes through the plan's own
// numbers in closed form, and the samples are held to it statistically.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <tweedie/samplers/ancestral.hpp>
#include <tweedie/samplers/ddim.hpp>

#include "laws_common.hpp"
#include "numbers.hpp"

using namespace laws;

namespace {

double const variance = 0.25;

template <class P, class Sampler> auto pipeline_of(Sampler sampler) {
  return schedules::linear{} | P{} | sampler | centred(variance).predicting<P>();
}

template <symbol S, symbol... T> double number_of(list<T...>, std::span<double const> numbers) {
  double r = 0;
  std::size_t i = 0;
  ((r += std::is_same_v<S, T> ? numbers[i] : 0.0, ++i), ...);
  return r;
}
template <class P> struct only_write;
template <class R, class Z, class N, class W> struct only_write<program<R, Z, N, list<W>>> {
  using terms = typename W::terms;
};

/// The standard deviation of the samples from a start of variance 1.
template <class P, class Plan> double exact_std(Plan const& plan) {
  double v = 1;
  for (auto const& row : plan.rows())
    plan.visit(row, [&]<class Program>(Program, auto, std::span<double const> numbers) {
      using terms = typename only_write<Program>::terms;
      double const k = answer<P>(centred(variance), std::vector{1.0}, row.where)[0];
      double const factor =
          number_of<sym::x>(terms{}, numbers) + k * number_of<sym::out<0>>(terms{}, numbers);
      double const noise = number_of<sym::noise_stream<0>>(terms{}, numbers);
      v = factor * factor * v + noise * noise;
    });
  return std::sqrt(v);
}

struct yardstick {
  int steps;
  double ddim, ancestral;
};
yardstick const yardsticks[] = {{10, 0.3700, 0.3335},
                                {20, 0.4314, 0.3915},
                                {50, 0.4714, 0.4441},
                                {100, 0.4854, 0.4682},
                                {1000, 0.4985, 0.4961}};

template <class P, class Sampler> void propagate(Sampler sampler, int steps, double expected) {
  double const std = exact_std<P>(pipeline_of<P>(sampler).plan(steps));
  BOOST_TEST_MESSAGE(P::name << ", " << steps << " steps: " << std);
  BOOST_TEST(std::abs(std - expected) <= 0.5e-4 + 1e-9, steps << " steps give " << std);
}

template <class Sampler> void sample_and_count(Sampler sampler, int steps, double expected) {
  std::size_t const n = steps > 100 ? 400 : 4000, elements = 4;
  // Four independent numbers a sample: the exact network of N(0, v I) acts on each alone.
  auto const plan = (schedules::linear{} | predicts::v{} | sampler |
                     centred(variance, elements).predicting<predicts::v>())
                        .plan(steps);
  auto const samples = plan.sample({.shape = {n, elements}, .seed = 11});
  double sum = 0, squares = 0;
  for (float x : samples.data) {
    sum += static_cast<double>(x);
    squares += static_cast<double>(x) * static_cast<double>(x);
  }
  double const count = static_cast<double>(samples.data.size());
  BOOST_TEST(std::abs(sum / count) < 3 * expected / std::sqrt(count));
  double const std = std::sqrt(squares / count), error = expected / std::sqrt(2 * count);
  BOOST_TEST(std::abs(std - expected) < 3 * error,
             steps << " steps: samples' std " << std << ", exact " << expected << " +- " << error);
}

}  // namespace

BOOST_AUTO_TEST_CASE(variance_of_ddim) {
  for (auto const& y : yardsticks) {
    propagate<predicts::v>(samplers::ddim{}, y.steps, y.ddim);
    propagate<predicts::epsilon>(samplers::ddim{}, y.steps, y.ddim);
  }
}

BOOST_AUTO_TEST_CASE(variance_of_ancestral) {
  for (auto const& y : yardsticks) {
    propagate<predicts::v>(samplers::ancestral{samplers::variance::beta_tilde}, y.steps,
                           y.ancestral);
    propagate<predicts::epsilon>(samplers::ancestral{}, y.steps, y.ancestral);
    if (y.steps == 50)
      record("ancestral", "standard deviation at 50 steps of 0.5",
             exact_std<predicts::v>(pipeline_of<predicts::v>(samplers::ancestral{}).plan(50)));
  }
}

BOOST_AUTO_TEST_CASE(samples_of_ddim) {
  for (auto const& y : yardsticks) sample_and_count(samplers::ddim{}, y.steps, y.ddim);
}

BOOST_AUTO_TEST_CASE(samples_of_ancestral) {
  for (auto const& y : yardsticks) sample_and_count(samplers::ancestral{}, y.steps, y.ancestral);
}
