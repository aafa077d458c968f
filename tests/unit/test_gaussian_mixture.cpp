// The exact network against closed forms, finite differences and itself.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <tweedie/networks/gaussian_mixture.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/schedules/cosine.hpp>
#include <tweedie/schedules/linear.hpp>
#include <tweedie/schedules/rectified_flow.hpp>
#include <tweedie/schedules/variance_exploding.hpp>
#include <vector>

#include "common.hpp"

using common::sentence;
using namespace tweedie;
using networks::gaussian_mixture;

namespace {

gaussian_mixture const three{{{.mean = {-2, 0.5}, .variance = 0.09, .weight = 0.5, .label = 0},
                              {.mean = {1, 1}, .variance = 0.25, .weight = 1, .label = 1},
                              {.mean = {1.5, -1}, .variance = 0.04, .weight = 0.5, .label = 0}}};

std::vector<std::vector<double>> const points{{0, 0}, {-1.9, 0.6}, {0.7, -0.4}, {3, 2}};

std::vector<level> some_levels() {
  return {schedules::linear{}.at(30), schedules::linear{}.at(500),
          schedules::rectified_flow{}.at(0.4), schedules::variance_exploding{}.at(0.6)};
}

void near(double value, double expected, double tolerance) {
  BOOST_TEST(std::abs(value - expected) <= tolerance * (1 + std::abs(expected)),
             value << " is not " << expected << " within " << tolerance);
}

}  // namespace

BOOST_AUTO_TEST_CASE(score_is_the_gradient_of_the_log_density) {
  for (level const& t : some_levels())
    for (auto const& x : points)
      for (int label : {no_label, 0, 1})
        for (std::size_t i = 0; i < 2; ++i) {
          double const h = 1e-5;
          auto above = x, below = x;
          above[i] += h;
          below[i] -= h;
          double const slope =
              (three.log_density(above, t, label) - three.log_density(below, t, label)) / (2 * h);
          near(three.score(x, t, label)[i], slope, 1e-7);
        }
}

BOOST_AUTO_TEST_CASE(x0_is_tweedies_formula_and_x_is_its_parts) {
  for (level const& t : some_levels())
    for (auto const& x : points) {
      auto const p = three.given(x, t);
      for (std::size_t i = 0; i < 2; ++i) {
        near(p.x0[i], (x[i] + t.sigma * t.sigma * p.score[i]) / t.alpha, 1e-12);
        near(t.alpha * p.x0[i] + t.sigma * p.eps[i], x[i], 1e-13);
      }
    }
}

BOOST_AUTO_TEST_CASE(a_single_gaussian_is_closed_form) {
  gaussian_mixture const one{{{.mean = {0.3, -2, 1}, .variance = 0.7, .weight = 5}}};
  std::vector<double> const x{1, 2, 3};
  level const t = schedules::cosine{}.at(400);
  double const s = t.alpha * t.alpha * 0.7 + t.sigma * t.sigma;
  double squares = 0;
  for (std::size_t i = 0; i < 3; ++i) {
    double const d = x[i] - t.alpha * one.components[0].mean[i];
    squares += d * d;
    near(one.score(x, t)[i], -d / s, 1e-14);
    near(one.x0(x, t)[i], one.components[0].mean[i] + t.alpha * 0.7 / s * d, 1e-14);
  }
  near(one.log_density(x, t), -squares / (2 * s) - 1.5 * std::log(2 * std::acos(-1.0) * s), 1e-14);
}

BOOST_AUTO_TEST_CASE(density_has_integral_one) {
  gaussian_mixture const line{
      {{.mean = {-1}, .variance = 0.1, .weight = 3}, {.mean = {2}, .weight = 1}}};
  level const t = schedules::cosine{}.at(200);
  double sum = 0;
  for (int k = -2000; k <= 2000; ++k)
    sum += std::exp(line.log_density(std::vector{k * 0.01}, t)) * 0.01;
  near(sum, 1, 1e-10);
}

BOOST_AUTO_TEST_CASE(a_label_is_the_mixture_of_its_components) {
  gaussian_mixture const zero{{three.components[0], three.components[2]}};
  for (auto const& x : points) {
    level const t = schedules::linear{}.at(300);
    auto const a = three.given(x, t, 0), b = zero.given(x, t);
    BOOST_TEST(a.x0 == b.x0);
    BOOST_TEST(a.score == b.score);
    BOOST_TEST(a.log_density == b.log_density);
    // p(x) = sum over labels of p(label) p(x | label), both labels of weight 1 / 2
    near(three.log_density(x, t),
         std::log((std::exp(a.log_density) + std::exp(three.log_density(x, t, 1))) / 2), 1e-12);
  }
}

BOOST_AUTO_TEST_CASE(singular_ends_are_exact) {
  for (auto const& x : points) {
    auto const clean = three.given(x, schedules::linear{}.clean());
    BOOST_TEST(clean.x0 == x);
    BOOST_TEST((clean.eps[0] == 0 && clean.eps[1] == 0));
    BOOST_TEST(std::isfinite(clean.score[0]));
    auto const noise = three.given(x, schedules::rectified_flow{}.at(1));
    for (std::size_t i = 0; i < 2; ++i) {
      near(noise.x0[i], three.mean()[i], 1e-15);
      near(noise.eps[i], x[i], 1e-15);
    }
  }
  gaussian_mixture const point{{{.mean = {1}, .variance = 0}, {.mean = {-1}, .variance = 0}}};
  near(point.x0(std::vector{0.3}, {.alpha = 0.6, .sigma = 0.8})[0], std::tanh(0.3 * 0.6 / 0.64),
       1e-14);
  // far from both, one component takes all and nothing underflows to 0 / 0
  near(point.x0(std::vector{1e4}, {.alpha = 1, .sigma = 1e-3})[0], 1, 1e-15);
}

BOOST_AUTO_TEST_CASE(draws_have_the_mean_and_covariance_that_are_stated) {
  std::mt19937_64 bits(7);
  std::normal_distribution<double> normal;
  std::uniform_real_distribution<double> uniform;
  for (int label : {no_label, 0}) {
    int const n = 200000;
    std::vector<double> mean(2), second(4);
    for (int k = 0; k < n; ++k) {
      double const u = uniform(bits);
      std::vector<double> const normals{normal(bits), normal(bits)};
      auto const x = three.draw(u, normals, label);
      for (std::size_t i = 0; i < 2; ++i) {
        mean[i] += x[i] / n;
        for (std::size_t j = 0; j < 2; ++j) second[2 * i + j] += x[i] * x[j] / n;
      }
    }
    for (std::size_t i = 0; i < 2; ++i) {
      near(mean[i], three.mean(label)[i], 0.02);
      for (std::size_t j = 0; j < 2; ++j)
        near(second[2 * i + j] - mean[i] * mean[j], three.covariance(label)[2 * i + j], 0.02);
    }
  }
  near(three.mean()[0], 0.375, 1e-15);
  BOOST_TEST(three.draw(0.2499, std::vector{0., 0.}) == three.components[0].mean);
  BOOST_TEST(three.draw(0.2501, std::vector{0., 0.}) == three.components[1].mean);
  BOOST_TEST(three.draw(0.7501, std::vector{0., 0.}) == three.components[2].mean);
}

namespace {

/// Two branches of three samples of shape {2}, rows of four floats, a level and a label per sample.
struct asked {
  std::vector<level> levels{schedules::cosine{}.at(100), schedules::cosine{}.at(600),
                            schedules::rectified_flow{}.at(0.3)};
  std::vector<int> labels{1, 0, no_label};
  std::vector<float> x{0.5f, -1, 9, 9, 1, 1, 9, 9, -2, 0.25f, 9, 9};
  std::vector<float> out = std::vector<float>(24, 77.f);
  std::size_t shape[1] = {2};

  batch view() {
    return {.samples = 3,
            .branches = 2,
            .shape = shape,
            .elements = 2,
            .pitch = 4,
            .x = x.data(),
            .out = out.data(),
            .levels = levels.data(),
            .labels = labels.data()};
  }
};

template <class Predicts, class F> void check_target(F expected) {
  asked a;
  batch const b = a.view();
  three.predicting<Predicts>()(b);
  for (std::size_t row = 0; row < 6; ++row) {
    level const& t = a.levels[row % 3];
    std::vector<double> const x(b.x_of(row).begin(), b.x_of(row).end());
    auto const p = three.given(x, t, row < 3 ? a.labels[row] : no_label);
    for (std::size_t i = 0; i < 2; ++i)
      near(a.out[row * 4 + i], expected(t, p.x0[i], p.eps[i]), 1e-7);
    BOOST_TEST(a.out[row * 4 + 2] == 77.f);
    BOOST_TEST(a.out[row * 4 + 3] == 77.f);
  }
}

}  // namespace

BOOST_AUTO_TEST_CASE(all_targets_are_of_one_posterior) {
  check_target<predicts::epsilon>([](level const&, double, double eps) { return eps; });
  check_target<predicts::x0>([](level const&, double x0, double) { return x0; });
  check_target<predicts::score>([](level const& t, double, double eps) { return -eps / t.sigma; });
  check_target<predicts::v>(
      [](level const& t, double x0, double eps) { return t.alpha * eps - t.sigma * x0; });
  check_target<predicts::velocity>([](level const& t, double x0, double eps) {
    return t.steps * (t.dalpha * x0 + t.dsigma * eps);
  });
}

BOOST_AUTO_TEST_CASE(velocity_at_the_clean_end_is_the_limit_from_above) {
  schedules::continuous::linear const s;
  std::vector<float> const x{0.5f, -1};
  std::vector<float> at_zero(2), above(2);
  std::size_t const shape[] = {2};
  level const clean = s.clean(), near_clean = s.at(1e-9);
  auto const network = three.predicting<predicts::velocity>();
  network({.samples = 1,
           .shape = shape,
           .elements = 2,
           .pitch = 2,
           .x = x.data(),
           .out = at_zero.data(),
           .levels = &clean});
  network({.samples = 1,
           .shape = shape,
           .elements = 2,
           .pitch = 2,
           .x = x.data(),
           .out = above.data(),
           .levels = &near_clean});
  for (std::size_t i = 0; i < 2; ++i) near(at_zero[i], above[i], 1e-6);
}

BOOST_AUTO_TEST_CASE(wrong_input_is_refused_in_a_sentence) {
  level const t = schedules::linear{}.at(10);
  BOOST_TEST(sentence([&] { three.x0(std::vector{1.}, t); }) ==
             "gaussian_mixture: a sample of 1 numbers was given, expected 2");
  BOOST_TEST(sentence([&] { three.x0(points[0], t, 7); }) ==
             "gaussian_mixture: label 7 was asked for, no component has it");
  BOOST_TEST(sentence([] { gaussian_mixture{}.predicting<predicts::v>(); }) ==
             "gaussian_mixture: no component was given");
  gaussian_mixture wrong = three;
  wrong.components[1].mean = {1};
  BOOST_TEST(sentence([&] { wrong.predicting<predicts::v>(); }) ==
             "gaussian_mixture: a mean of 1 numbers was given, expected 2");
  wrong = three;
  wrong.components[1].weight = -1;
  BOOST_TEST(sentence([&] { wrong.predicting<predicts::v>(); }) ==
             "gaussian_mixture: a weight of -1 was given, expected a positive one");
  wrong = three;
  wrong.components[1].mean[0] = std::numeric_limits<double>::infinity();
  BOOST_TEST(sentence([&] { wrong.predicting<predicts::v>(); }) ==
             "gaussian_mixture: inf in a mean was given, expected a number");
  wrong = three;
  wrong.components[0].variance = std::numeric_limits<double>::quiet_NaN();
  BOOST_TEST(sentence([&] { wrong.predicting<predicts::v>(); }) ==
             "gaussian_mixture: a variance of nan was given, expected 0 or more");
  wrong.components[0].variance = 0;
  BOOST_TEST(sentence([&] { wrong.score(points[0], schedules::linear{}.clean()); }) ==
             "gaussian_mixture: the density at sigma = 0 was asked for, a component is a point");
}
