// sqrt(beta_i) from sqrt(beta_first) to sqrt(beta_last) in T equal steps. Rombach et al. 2022
// (Latent diffusion), the authors' code, `make_beta_schedule("linear")`; the defaults are those of
// Stable Diffusion.
//
// In continuous time sqrt(beta) = a + d t, and B = ((a + d t)^3 - a^3) / (3 d).
#pragma once

#include <algorithm>
#include <cmath>

#include <tweedie/schedules/table.hpp>

namespace tweedie::schedules {

struct scaled_linear {
  using kind = kinds::schedule;
  static constexpr auto name = "schedules::scaled_linear";
  double beta_first = 0.00085, beta_last = 0.012;
  int steps = 1000;
  static constexpr auto fields = std::tuple{field{"beta_first", &scaled_linear::beta_first},
                                            field{"beta_last", &scaled_linear::beta_last},
                                            field{"steps", &scaled_linear::steps}};

  void check() const {
    check_steps(name, steps);
    check_range(name, "beta_first", beta_first, "beta_last", beta_last, 1);
  }
  /// Nearly the same noise in T steps in place of 1000, for T well above 12.
  static scaled_linear in_steps(int T) { return same_noise_in<scaled_linear>(T); }
  double beta(int i) const {
    if (steps == 1) return beta_first;
    double const first = std::sqrt(beta_first), last = std::sqrt(beta_last);
    double const root = first + (last - first) * (i - 1) / (steps - 1);
    return root * root;
  }

  level at(double t) const { return table_of(*this).at(t); }
  double end() const { return table_of(*this).end(); }
  int table_steps() const { return table_of(*this).table_steps(); }
  double t_of_rho(double rho) const { return table_of(*this).t_of_rho(rho); }
  level clean() const { return table_of(*this).clean(); }
  bool operator==(scaled_linear const&) const = default;
};

namespace continuous {

struct scaled_linear {
  using kind = kinds::schedule;
  static constexpr auto name = "schedules::continuous::scaled_linear";
  double beta_min = 0.85, beta_max = 12;
  static constexpr auto fields = std::tuple{field{"beta_min", &scaled_linear::beta_min},
                                            field{"beta_max", &scaled_linear::beta_max}};

  void check() const { check_range(name, "beta_min", beta_min, "beta_max", beta_max); }

  level at(double t) const {
    check();
    check_time(name, t, 1);
    double const root = a() + d() * t;
    return variance_preserving(t, integral(t), root * root);
  }
  double end() const { return 1; }
  int table_steps() const { return 0; }
  double t_of_rho(double rho) const {
    check();
    rho = checked_rho(name, rho, 0, std::sqrt(std::expm1(integral(1))));
    double const b = std::log1p(rho * rho), r = std::cbrt(a() * a() * a() + 3 * d() * b);
    return std::min(3 * b / (r * r + r * a() + a() * a()), 1.0);  // (r - a) / d
  }
  level clean() const { return at(0); }

  double integral(double t) const { return t * (a() * a() + d() * t * (a() + d() * t / 3)); }

 private:
  double a() const { return std::sqrt(beta_min); }
  double d() const { return std::sqrt(beta_max) - a(); }
};

}  // namespace continuous
}  // namespace tweedie::schedules
