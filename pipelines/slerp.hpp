// Spherical interpolation between noisy samples (Shoemake 1985, section 3.3; for encoded pictures
// Song et al. 2021, DDIM, appendix D.5).
//
//   slerp(a, b; w) = sin((1 - w) theta) / sin(theta) a + sin(w theta) / sin(theta) b
//   cos(theta) = <a, b> / (|a| |b|)
//
// N(0, I) in many dimensions lies near a sphere, which a straight line leaves: at w = 1/2 its norm
// is smaller by sqrt(1/2). Where a and b are nearly parallel, or point in opposite directions, so
// that no great circle is chosen, the interpolation is the straight line.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <tweedie/dsl/error.hpp>
#include <tweedie/pipelines/state.hpp>

namespace tweedie {

namespace detail {

/// One sample, all sums in double; `to` may be one of the two.
inline void slerp_sample(std::span<float const> a, std::span<float const> b, double w, float* to) {
  double dot = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    double const p = a[i], q = b[i];
    dot += p * q;
    aa += p * p;
    bb += q * q;
  }
  double const theta = std::acos(std::clamp(dot / std::sqrt(aa * bb), -1.0, 1.0));
  double u = 1 - w, v = w;
  // Below this angle the two differ by less than a float's last bit; a zero has no angle.
  if (std::sin(theta) > 1e-4) {
    u = std::sin((1 - w) * theta) / std::sin(theta);
    v = std::sin(w * theta) / std::sin(theta);
  }
  for (std::size_t i = 0; i < a.size(); ++i) to[i] = static_cast<float>(u * a[i] + v * b[i]);
}

inline void check_weight(double w) {
  if (!std::isfinite(w))
    throw error(fmt::format("slerp: a weight of {} was given, expected a finite one", w));
}

}  // namespace detail

/// Sample by sample, a at w = 0, b at w = 1. Throws tweedie::error where the shapes differ.
inline images slerp(images const& a, images const& b, double w) {
  detail::check_weight(w);
  std::size_t const n = detail::product_of(a.shape);
  if (a.shape != b.shape || a.shape.empty() || a.data.size() != n || b.data.size() != n)
    throw error(fmt::format(
        "slerp: samples of shape {{{}}} with {} values and of shape {{{}}} with {} values were "
        "given, expected two of one shape",
        fmt::join(a.shape, ", "), a.data.size(), fmt::join(b.shape, ", "), b.data.size()));
  images r = a;
  for (std::size_t i = 0; i < a.count(); ++i)
    detail::slerp_sample(a[i], b[i], w, r.data.data() + i * a[i].size());
  return r;
}

/// Between the x of two states; the keys, labels and histories are those of a.
inline state slerp(state const& a, state const& b, double w) {
  detail::check_weight(w);
  if (a.shape != b.shape || a.samples != b.samples || a.x.size() != b.x.size())
    throw error(fmt::format(
        "slerp: states of {} samples of shape {{{}}} and of {} samples of shape {{{}}} were "
        "given, expected two of one shape",
        a.samples, fmt::join(a.shape, ", "), b.samples, fmt::join(b.shape, ", ")));
  state r = a;
  for (std::size_t i = 0; i < a.samples; ++i)
    detail::slerp_sample({a.x.data() + i * a.pitch, a.elements},
                         {b.x.data() + i * b.pitch, b.elements}, w, r.x.data() + i * r.pitch);
  return r;
}

}  // namespace tweedie
