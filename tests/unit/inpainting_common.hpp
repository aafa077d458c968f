// What the tests of inpainting and colorization share: in each pixel a mixture of isotropic
// Gaussians over the channels, its posterior mean, and its exact distribution given the first
// channel.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <span>
#include <tweedie/dsl/language/batch.hpp>
#include <tweedie/pipelines/state.hpp>
#include <utility>
#include <vector>

namespace inpainting {

using namespace tweedie;
using three = std::array<double, 3>;

/// Known samples that no sampler would draw by chance.
inline images some_known(std::vector<std::size_t> shape) {
  images r{shape, {}};
  std::size_t n = 1;
  for (std::size_t extent : shape) n *= extent;
  for (std::size_t i = 0; i < n; ++i)
    r.data.push_back(static_cast<float>(std::sin(0.7 * static_cast<double>(i))));
  return r;
}
inline images filled(std::vector<std::size_t> shape, float value) {
  images r{shape, {}};
  std::size_t n = 1;
  for (std::size_t extent : shape) n *= extent;
  r.data.assign(n, value);
  return r;
}
inline request asked(images where) {
  return {.shape = {5, 3, 2, 2},
          .steps = 8,
          .seed = 21,
          .known = some_known({5, 3, 2, 2}),
          .mask = std::move(where)};
}

struct component {
  three mean;
  double variance, weight;
};
using mixture = std::vector<component>;

/// E[x0|x] in each pixel of {3, pixels}: a network that predicts x0. What does not depend on the
/// pixel is computed once a row.
struct pixel_network {
  mixture m;

  void operator()(batch const& b) const {
    for (std::size_t row = 0; row < b.rows(); ++row)
      answer(b.x_of(row), b.level_of(row), b.out_of(row));
  }

 private:
  struct noised {
    three mean;        ///< alpha m
    double precision;  ///< 1 / (alpha^2 v + sigma^2)
    double log_weight;
    double gain;   ///< alpha v / (alpha^2 v + sigma^2)
    three offset;  ///< m - gain alpha m
  };
  void answer(std::span<float const> x, level const& t, std::span<float> out) const {
    std::vector<noised> of;
    for (auto const& c : m) {
      double const s = t.alpha * t.alpha * c.variance + t.sigma * t.sigma;
      noised n{.mean = c.mean,
               .precision = 1 / s,
               .log_weight = std::log(c.weight) - 1.5 * std::log(s),
               .gain = t.alpha * c.variance / s,
               .offset = c.mean};
      for (std::size_t i = 0; i < 3; ++i) {
        n.mean[i] *= t.alpha;
        n.offset[i] -= n.gain * n.mean[i];
      }
      of.push_back(n);
    }
    std::size_t const pixels = x.size() / 3;
    for (std::size_t p = 0; p < pixels; ++p) {
      three const at{double{x[p]}, double{x[pixels + p]}, double{x[2 * pixels + p]}};
      three sum{};
      double total = 0;
      for (noised const& n : of) {
        double const a = at[0] - n.mean[0], b = at[1] - n.mean[1], c = at[2] - n.mean[2];
        double const r = std::exp(n.log_weight - (a * a + b * b + c * c) / 2 * n.precision);
        total += r;
        for (std::size_t i = 0; i < 3; ++i) sum[i] += r * (n.offset[i] + n.gain * at[i]);
      }
      for (std::size_t i = 0; i < 3; ++i) out[i * pixels + p] = static_cast<float>(sum[i] / total);
    }
  }
};

/// Mean and covariance of channels 1 and 2.
struct moments {
  std::array<double, 2> mean{};
  std::array<double, 3> covariance{};  ///< of 1 and 1, 1 and 2, 2 and 2

  double mean_from(moments const& o) const {
    return std::hypot(mean[0] - o.mean[0], mean[1] - o.mean[1]);
  }
  /// Frobenius norm of the difference.
  double covariance_from(moments const& o) const {
    double r = 0;
    for (std::size_t i = 0; i < 3; ++i)
      r += (i == 1 ? 2 : 1) * std::pow(covariance[i] - o.covariance[i], 2);
    return std::sqrt(r);
  }
};

/// Given channel 0: the components are weighed by what they say of it, and within each the other
/// channels are as they were.
inline moments exact_given(mixture const& m, double known) {
  double total = 0;
  std::vector<double> weights;
  for (auto const& c : m) {
    weights.push_back(c.weight / std::sqrt(c.variance) *
                      std::exp(-std::pow(known - c.mean[0], 2) / (2 * c.variance)));
    total += weights.back();
  }
  moments r;
  for (std::size_t k = 0; k < m.size(); ++k)
    for (std::size_t i = 0; i < 2; ++i) r.mean[i] += weights[k] / total * m[k].mean[i + 1];
  for (std::size_t k = 0; k < m.size(); ++k) {
    double const a = m[k].mean[1] - r.mean[0], b = m[k].mean[2] - r.mean[1];
    r.covariance[0] += weights[k] / total * (a * a + m[k].variance);
    r.covariance[1] += weights[k] / total * a * b;
    r.covariance[2] += weights[k] / total * (b * b + m[k].variance);
  }
  return r;
}

/// Of all pixels of a sample {3, pixels}.
inline moments moments_of(std::span<float const> sample) {
  std::size_t const pixels = sample.size() / 3;
  double const count = static_cast<double>(pixels);
  moments r;
  auto const at = [&](std::size_t c, std::size_t p) { return double{sample[c * pixels + p]}; };
  for (std::size_t p = 0; p < pixels; ++p)
    for (std::size_t i = 0; i < 2; ++i) r.mean[i] += at(i + 1, p) / count;
  for (std::size_t p = 0; p < pixels; ++p) {
    double const a = at(1, p) - r.mean[0], b = at(2, p) - r.mean[1];
    r.covariance[0] += a * a / count;
    r.covariance[1] += a * b / count;
    r.covariance[2] += b * b / count;
  }
  return r;
}

}  // namespace inpainting
