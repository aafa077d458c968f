// How long a step may be: what a formula does beyond that is no approximation of anything, and is
// said before any work.
#pragma once

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include <tweedie/dsl/base/error.hpp>
#include <tweedie/dsl/language/level.hpp>

namespace tweedie::samplers::detail {

/// Throws a sentence where a method of several evaluations that is written in rho = sigma / alpha
/// steps further down than it can follow. The slope at s enters x with the factor alpha_s (rho_t -
/// rho_s), in units of x's size there: at 4 Heun's method on the exact network of a Gaussian is as
/// far off as ddim, on every grid, and its error grows with the square from there; where a step
/// takes all but e^-3 of the noise at once, at 1.
inline void check_step_in_rho(char const* sampler, level t, level s) {
  double const longest = t.rho() < 20 * s.rho() ? 4 : 1;
  double const length = s.alpha * (t.rho() - s.rho()) / s.scale();
  if (t.alpha != 0 && length > longest)
    throw error(fmt::format(
        "{}: a step from t = {} to t = {} (sigma / alpha from {:.4g} to {:.4g}) was given, which "
        "is "
        "too long for it by a factor of {:.3g}: use more steps, a grid that begins lower, such as "
        "grids::karras, or samplers::heun, which is regular at both ends",
        sampler, t.t, s.t, t.rho(), s.rho(), length / longest));
}

/// How far the slope between the last two evaluations is followed over a step of h in lambda: h,
/// but at most twice as far as the evaluations lie apart, or 1, whichever is longer. A grid whose
/// last noisy step is much longer than those before (leading and linspace end at sigma = 0.01)
/// would take x0 far outside of what it has been.
inline double followed(double h, double h_before) {
  return std::copysign(std::min(std::abs(h), std::max(2 * std::abs(h_before), 1.0)), h);
}

}  // namespace tweedie::samplers::detail
