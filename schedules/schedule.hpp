// A schedule says how much signal and how much noise there is at a time: alpha(t) and sigma(t).
//
// It is a value with public parameters. Time runs from 0, the clean end, to end(): the number of
// steps of a table, 1 in continuous time.
#pragma once

#include <cmath>
#include <concepts>
#include <limits>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include <tweedie/dsl/base/error.hpp>
#include <tweedie/dsl/language/level.hpp>
#include <tweedie/dsl/language/stage.hpp>

namespace tweedie {

template <class S>
concept schedule = std::same_as<typename S::kind, kinds::schedule> &&
    requires(S const s, double d) {
  { s.at(d) } -> std::same_as<level>;         // throws tweedie::error outside [0, end()]
  { s.end() } -> std::same_as<double>;        // the largest time
  { s.table_steps() } -> std::same_as<int>;   // 0 in continuous time
  { s.t_of_rho(d) } -> std::same_as<double>;  // inverse of rho(t) = sigma / alpha, fractional
  { s.clean() } -> std::same_as<level>;       // alpha = 1, sigma = 0
};

namespace schedules {

/// Throws a sentence unless 0 <= t <= end; a NaN is outside as well.
inline void check_time(std::string_view name, double t, double end) {
  if (!(t >= 0 && t <= end))
    throw error(fmt::format("{}: t = {} was given, expected 0 <= t <= {}", name, t, end));
}

/// Throws a sentence unless 0 < low <= high < most, of two parameters and their names.
inline void check_range(std::string_view name, char const* of_low, double low, char const* of_high,
                        double high, double most = std::numeric_limits<double>::infinity()) {
  if (!(low > 0 && low <= high && high < most))
    throw error(
        fmt::format("{}: {} = {} and {} = {} were given, expected 0 < {} <= {}{}", name, of_low,
                    low, of_high, high, of_low, of_high,
                    std::isinf(most) ? std::string(", finite") : fmt::format(" < {}", most)));
}
/// Throws a sentence unless a table's number of steps is one.
inline void check_steps(std::string_view name, int steps) {
  constexpr int most = 1'000'000;
  if (!(steps >= 1 && steps <= most))
    throw error(fmt::format("{}: steps = {} was given, expected 1 to {}", name, steps, most));
}

/// A noise-to-signal ratio within [low, high], where it lies outside by no more than rounding;
/// throws a sentence else.
inline double checked_rho(std::string_view name, double rho, double low, double high) {
  constexpr double slack = 1e-12;  // what a power and its root leave
  if (!(rho >= low * (1 - slack) && rho <= high * (1 + slack)))
    throw error(fmt::format("{}: rho = sigma / alpha = {} was given, expected {} <= rho <= {}",
                            name, rho, low, high));
  return rho < low ? low : rho > high ? high : rho;
}

/// alpha = exp(-B / 2), sigma^2 = 1 - exp(-B) and their derivatives, from B and B' = beta. sigma'
/// is infinite at B = 0.
inline level variance_preserving(double t, double b, double beta) {
  double const alpha = std::exp(-b / 2), sigma = std::sqrt(-std::expm1(-b));
  return {t, alpha, sigma, -beta / 2 * alpha, beta * std::exp(-b) / (2 * sigma)};
}

}  // namespace schedules
}  // namespace tweedie
