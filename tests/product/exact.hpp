// Data whose network is known, written without the library's own exact network.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <span>
#include <string_view>
#include <vector>

#include <tweedie/dsl/language/batch.hpp>
#include <tweedie/dsl/language/level.hpp>

namespace product {

using tweedie::level;

struct normal {
  double weight, mean, sd;
};

/// A distribution of one number.
struct distribution {
  std::vector<normal> parts;

  double mean() const {
    double r = 0;
    for (normal const& p : parts) r += p.weight * p.mean;
    return r;
  }
  double sd() const {
    double r = 0;
    for (normal const& p : parts)
      r += p.weight * (p.sd * p.sd + (p.mean - mean()) * (p.mean - mean()));
    return std::sqrt(r);
  }
  double cumulative(double x) const {
    double r = 0;
    for (normal const& p : parts)
      r += p.weight * std::erfc((p.mean - x) / p.sd * std::numbers::sqrt2 / 2) / 2;
    return r;
  }
  /// Where the exact flow takes a normal z: in one dimension it keeps the order.
  double of_normal(double z) const {
    double const share = std::erfc(-z * std::numbers::sqrt2 / 2) / 2;
    double low = -20, high = 20;
    for (normal const& p : parts) low = std::min(low, -20 * p.sd), high = std::max(high, 20 * p.sd);
    for (int i = 0; i < 80; ++i) {
      double const middle = (low + high) / 2;
      (cumulative(middle) < share ? low : high) = middle;
    }
    return low;
  }
  /// That of x at a level.
  distribution noised(level const& t) const {
    distribution r = *this;
    for (normal& p : r.parts) p = {p.weight, t.alpha * p.mean, std::hypot(t.alpha * p.sd, t.sigma)};
    return r;
  }
  /// E[x0 | x].
  double x0(double x, level const& t) const {
    if (t.sigma == 0) return x / t.alpha;
    return expected(x, t, [&](normal const& p, double from_mean) {
      return p.mean + t.alpha * p.sd * p.sd * from_mean;
    });
  }
  /// E[eps | x].
  double eps(double x, level const& t) const {
    return expected(x, t, [&](normal const&, double from_mean) { return t.sigma * from_mean; });
  }

 private:
  /// The mean over the parts of of_part(part, (x - alpha mean) / variance of x), each by its share.
  template <class F> double expected(double x, level const& t, F const& of_part) const {
    std::array<double, 4> log_share{}, from_mean{};
    double highest = -INFINITY;
    for (std::size_t k = 0; k < parts.size(); ++k) {
      normal const& p = parts[k];
      double const variance = t.alpha * t.alpha * p.sd * p.sd + t.sigma * t.sigma;
      double const d = x - t.alpha * p.mean;
      from_mean[k] = d / variance;
      log_share[k] = std::log(p.weight) - (d * from_mean[k] + std::log(variance)) / 2;
      highest = std::max(highest, log_share[k]);
    }
    double sum = 0, r = 0;
    for (std::size_t k = 0; k < parts.size(); ++k) {
      double const share = std::exp(log_share[k] - highest);
      sum += share;
      r += share * of_part(parts[k], from_mean[k]);
    }
    return r / sum;
  }
};

/// sd of the data that predicts::edm is told.
inline constexpr double sigma_data = 0.5;

/// What a network of that prediction answers is p x0 + q eps, by the table of docs/conventions.md.
struct weights {
  double p, q;
};
inline weights weights_of(std::string_view prediction, level const& t) {
  if (prediction == "epsilon") return {0, 1};
  if (prediction == "x0") return {1, 0};
  if (prediction == "score") return {0, -1 / t.sigma};
  if (prediction == "v") return {-t.sigma, t.alpha};
  if (prediction == "velocity") return {t.steps * t.dalpha, t.steps * t.dsigma};
  // edm: F = (D - c_skip u) / c_out, D = x0, u = x / alpha, times alpha over and under.
  double const n = std::hypot(t.sigma, t.alpha * sigma_data);
  return {t.sigma / (sigma_data * n), -sigma_data * t.alpha / n};
}
/// What a network of that prediction sees is x over this.
inline double input_scale(std::string_view prediction, level const& t) {
  return prediction == "edm" ? std::hypot(t.sigma, t.alpha * sigma_data) : 1;
}

/// The exact network of samples whose numbers are independent, with a label and without.
struct network {
  std::string_view prediction;
  std::span<distribution const> labelled, unlabelled;

  void operator()(tweedie::batch const& b) const {
    for (std::size_t row = 0; row < b.rows(); ++row) {
      level const& t = b.level_of(row);
      auto const [p, q] = weights_of(prediction, t);
      auto const of = b.label_of(row) == tweedie::no_label ? unlabelled : labelled;
      for (std::size_t i = 0; i < b.elements; ++i) {
        double const x = static_cast<double>(b.x_of(row)[i]) * input_scale(prediction, t);
        double const x0 = of[i].x0(x, t), eps = of[i].eps(x, t);
        // At sigma = 0 the weight of eps may be infinite and eps is 0: what it is in the limit does
        // not reach a sample.
        b.out_of(row)[i] = static_cast<float>((p == 0 ? 0 : p * x0) + (eps == 0 ? 0 : q * eps));
      }
    }
  }
};

}  // namespace product
