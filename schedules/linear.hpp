// beta_i from beta_first to beta_last in T equal steps. Ho et al. 2020, section 4.
//
// In continuous time, the VP SDE: beta(t) = beta_min + (beta_max - beta_min) t, B = integral of
// beta from 0 to t, alpha = exp(-B / 2), sigma^2 = 1 - exp(-B). Song et al. 2021 (Score-based
// generative modeling), eqs. 32 and 33.
#pragma once

#include <algorithm>
#include <cmath>

#include <tweedie/schedules/table.hpp>

namespace tweedie::schedules {

struct linear {
  using kind = kinds::schedule;
  static constexpr auto name = "schedules::linear";
  double beta_first = 1e-4, beta_last = 0.02;
  int steps = 1000;
  static constexpr auto fields =
      std::tuple{field{"beta_first", &linear::beta_first}, field{"beta_last", &linear::beta_last},
                 field{"steps", &linear::steps}};

  void check() const {
    check_steps(name, steps);
    check_range(name, "beta_first", beta_first, "beta_last", beta_last, 1);
  }
  /// Nearly the same noise in T steps in place of 1000, for T well above 20.
  static linear in_steps(int T) { return same_noise_in<linear>(T); }
  double beta(int i) const {
    return steps == 1 ? beta_first : beta_first + (beta_last - beta_first) * (i - 1) / (steps - 1);
  }

  level at(double t) const { return table_of(*this).at(t); }
  double end() const { return table_of(*this).end(); }
  int table_steps() const { return table_of(*this).table_steps(); }
  double t_of_rho(double rho) const { return table_of(*this).t_of_rho(rho); }
  level clean() const { return table_of(*this).clean(); }
  bool operator==(linear const&) const = default;
};

namespace continuous {

struct linear {
  using kind = kinds::schedule;
  static constexpr auto name = "schedules::continuous::linear";
  double beta_min = 0.1, beta_max = 20;
  static constexpr auto fields =
      std::tuple{field{"beta_min", &linear::beta_min}, field{"beta_max", &linear::beta_max}};

  void check() const { check_range(name, "beta_min", beta_min, "beta_max", beta_max); }

  level at(double t) const {
    check();
    check_time(name, t, 1);
    return variance_preserving(t, integral(t), beta_min + (beta_max - beta_min) * t);
  }
  double end() const { return 1; }
  int table_steps() const { return 0; }
  double t_of_rho(double rho) const {
    check();
    rho = checked_rho(name, rho, 0, std::sqrt(std::expm1(integral(1))));
    double const b = std::log1p(rho * rho);  // and the root of a quadratic, without cancellation
    double const root = std::sqrt(beta_min * beta_min + 2 * (beta_max - beta_min) * b);
    return std::min(2 * b / (beta_min + root), 1.0);
  }
  level clean() const { return at(0); }

  double integral(double t) const { return t * (beta_min + (beta_max - beta_min) / 2 * t); }
};

}  // namespace continuous
}  // namespace tweedie::schedules
