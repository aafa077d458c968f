// abar = f(t) / f(0), f(t) = cos^2(theta), theta = (t / T + s) / (1 + s) pi / 2, beta <= beta_cap.
// Nichol & Dhariwal 2021 (Improved DDPM), eq. 17 and section 3.2.
//
// In continuous time without the cap: alpha = cos(theta) / cos(theta_0), exactly 0 at t = 1.
// Differences of squared cosines are written as products, cos^2 a - cos^2 b = sin(b - a) sin(b +
// a), which do not cancel.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include <tweedie/schedules/table.hpp>

namespace tweedie::schedules {

namespace detail {
/// Of a larger s the whole of alpha lies in the last digits of theta.
inline void check_offset(std::string_view name, double s) {
  if (!(s >= 0 && s <= 100))
    throw error(fmt::format("{}: s = {} was given, expected 0 to 100", name, s));
}
}  // namespace detail

struct cosine {
  using kind = kinds::schedule;
  static constexpr auto name = "schedules::cosine";
  double s = 0.008, beta_cap = 0.999;
  int steps = 1000;
  static constexpr auto fields = std::tuple{
      field{"s", &cosine::s}, field{"beta_cap", &cosine::beta_cap}, field{"steps", &cosine::steps}};

  void check() const {
    check_steps(name, steps);
    detail::check_offset(name, s);
    if (!(beta_cap > 0 && beta_cap < 1))
      throw error(
          fmt::format("{}: beta_cap = {} was given, expected 0 < beta_cap < 1", name, beta_cap));
  }
  double beta(int i) const {
    double const before = theta(i - 1), here = theta(i), c = std::cos(before);
    return std::min(std::sin(here - before) * std::sin(here + before) / (c * c), beta_cap);
  }
  double theta(int i) const {
    return (static_cast<double>(i) / steps + s) / (1 + s) * std::numbers::pi / 2;
  }

  level at(double t) const { return table_of(*this).at(t); }
  double end() const { return table_of(*this).end(); }
  int table_steps() const { return table_of(*this).table_steps(); }
  double t_of_rho(double rho) const { return table_of(*this).t_of_rho(rho); }
  level clean() const { return table_of(*this).clean(); }
  bool operator==(cosine const&) const = default;
};

namespace continuous {

struct cosine {
  using kind = kinds::schedule;
  static constexpr auto name = "schedules::continuous::cosine";
  double s = 0.008;
  static constexpr auto fields = std::tuple{field{"s", &cosine::s}};

  void check() const { detail::check_offset(name, s); }

  /// sigma' is infinite at t = 0, where sigma grows like sqrt(t); with s = 0 it grows like t.
  level at(double t) const {
    check();
    check_time(name, t, 1);
    double const theta = theta_0() + t * rate(), c0 = std::cos(theta_0());
    double const alpha = std::sin((1 - t) * rate()) / c0;  // cos(theta), exact at the noisy end
    double const sigma = std::sqrt(std::sin(t * rate()) * std::sin(theta + theta_0())) / c0;
    if (t == 1) return {1, 0, 1, -rate() / c0, 0};
    double const slope = std::sin(theta) * rate() / c0;  // -alpha'; sigma sigma' = -alpha alpha'
    if (t == 0) return {0, 1, 0, -slope, s == 0 ? rate() : std::numeric_limits<double>::infinity()};
    return {t, alpha, sigma, -slope, alpha * slope / sigma};
  }
  double end() const { return 1; }
  int table_steps() const { return 0; }

  double t_of_rho(double rho) const {
    check();
    rho = checked_rho(name, rho, 0, std::numeric_limits<double>::infinity());
    if (rho == 0) return 0;
    double const c = std::cos(theta_0()) / std::hypot(1, rho);  // cos(theta)
    if (c < std::numbers::sqrt2 / 2) return 1 - std::asin(c) / rate();
    double const ratio = rho * c;  // sigma cos(theta_0)
    double const theta = std::asin(std::hypot(std::sin(theta_0()), ratio));
    return std::asin(ratio * ratio / std::sin(theta + theta_0())) / rate();
  }
  level clean() const { return at(0); }

 private:
  double rate() const { return std::numbers::pi / 2 / (1 + s); }
  double theta_0() const { return s * rate(); }
};

}  // namespace continuous
}  // namespace tweedie::schedules
