// Data whose network is known, written without the library's own exact network: samples of two
// numbers, the first N(0.3, 0.25), the second of two modes.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <string_view>
#include <vector>

#include <tweedie/dsl/batch.hpp>
#include <tweedie/dsl/level.hpp>

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
    for (int i = 0; i < 80; ++i) {
      double const middle = (low + high) / 2;
      (cumulative(middle) < share ? low : high) = middle;
    }
    return low;
  }
  /// E[x0 | x].
  double x0(double x, level const& t) const {
    if (t.sigma == 0) return x / t.alpha;
    std::array<double, 4> log_share{};
    double highest = -INFINITY;
    for (std::size_t k = 0; k < parts.size(); ++k) {
      double const v = variance_at(parts[k], t), d = x - t.alpha * parts[k].mean;
      log_share[k] = std::log(parts[k].weight) - d * d / (2 * v) - std::log(v) / 2;
      highest = std::max(highest, log_share[k]);
    }
    double sum = 0, r = 0;
    for (std::size_t k = 0; k < parts.size(); ++k) {
      double const share = std::exp(log_share[k] - highest);
      double const of_part = parts[k].mean + t.alpha * parts[k].sd * parts[k].sd /
                                                 variance_at(parts[k], t) *
                                                 (x - t.alpha * parts[k].mean);
      sum += share;
      r += share * of_part;
    }
    return r / sum;
  }
  /// E[eps | x], without dividing by sigma, which may be small.
  double eps(double x, level const& t) const {
    double r = 0, sum = 0, highest = -INFINITY;
    std::array<double, 4> log_share{};
    for (std::size_t k = 0; k < parts.size(); ++k) {
      double const v = variance_at(parts[k], t), d = x - t.alpha * parts[k].mean;
      log_share[k] = std::log(parts[k].weight) - d * d / (2 * v) - std::log(v) / 2;
      highest = std::max(highest, log_share[k]);
    }
    for (std::size_t k = 0; k < parts.size(); ++k) {
      double const share = std::exp(log_share[k] - highest);
      sum += share;
      r += share * t.sigma * (x - t.alpha * parts[k].mean) / variance_at(parts[k], t);
    }
    return r / sum;
  }

 private:
  static double variance_at(normal const& p, level const& t) {
    return t.alpha * t.alpha * p.sd * p.sd + t.sigma * t.sigma;
  }
};

inline std::array<distribution, 2> const data{
    distribution{{{1, 0.3, 0.5}}}, distribution{{{0.4, -0.6, 0.2}, {0.6, 0.5, 0.3}}}};

/// sd of the data that predicts::edm is told.
inline constexpr double sigma_data = 0.5;

/// What a network of that prediction answers, by the table of docs/conventions.md.
inline double raw_of(std::string_view prediction, level const& t, double x0, double eps) {
  if (prediction == "epsilon") return eps;
  if (prediction == "x0") return x0;
  if (prediction == "score") return -eps / t.sigma;
  if (prediction == "v") return t.alpha * eps - t.sigma * x0;
  if (prediction == "velocity") return t.dalpha * x0 + t.dsigma * eps;
  // edm: F = (D - c_skip u) / c_out, D = x0, u = x / alpha, times alpha over and under.
  double const n = std::hypot(t.sigma, t.alpha * sigma_data);
  return (t.sigma * x0 - sigma_data * sigma_data * t.alpha * eps) / (sigma_data * n);
}

/// The network as a plan calls it.
struct network {
  std::string_view prediction;

  void operator()(tweedie::batch const& b) const {
    for (std::size_t row = 0; row < b.rows(); ++row) {
      level const& t = b.level_of(row);
      double const scale = prediction == "edm" ? std::hypot(t.sigma, t.alpha * sigma_data) : 1;
      for (std::size_t i = 0; i < b.elements; ++i) {
        double const x = static_cast<double>(b.x_of(row)[i]) * scale;
        double const x0 = data[i].x0(x, t), eps = data[i].eps(x, t);
        b.out_of(row)[i] = static_cast<float>(raw_of(prediction, t, x0, eps));
      }
    }
  }
};

}  // namespace product
