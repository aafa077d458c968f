// Sub-VP: dx = -beta x / 2 dt + sqrt(beta (1 - exp(-2 B))) dw on [0, 1], beta(t) = beta_min +
// (beta_max - beta_min) t: alpha = exp(-B / 2), sigma = 1 - exp(-B), without a root. Song et al.
// 2021 (Score-based generative modeling), eqs. 28 and 29.
#pragma once

#include <algorithm>
#include <cmath>

#include <tweedie/schedules/schedule.hpp>

namespace tweedie::schedules {

struct sub_variance_preserving {
  using kind = kinds::schedule;
  static constexpr auto name = "schedules::sub_variance_preserving";
  double beta_min = 0.1, beta_max = 20;
  static constexpr auto fields = std::tuple{field{"beta_min", &sub_variance_preserving::beta_min},
                                            field{"beta_max", &sub_variance_preserving::beta_max}};

  void check() const { check_range(name, "beta_min", beta_min, "beta_max", beta_max); }

  level at(double t) const {
    check();
    check_time(name, t, 1);
    double const b = integral(t), beta = beta_min + (beta_max - beta_min) * t;
    double const alpha = std::exp(-b / 2);
    return {t, alpha, -std::expm1(-b), -beta / 2 * alpha, beta * std::exp(-b)};
  }
  double end() const { return 1; }
  int table_steps() const { return 0; }
  double t_of_rho(double rho) const {
    check();
    rho = checked_rho(name, rho, 0, 2 * std::sinh(integral(1) / 2));  // rho = 2 sinh(B / 2)
    double const b = 2 * std::asinh(rho / 2);
    double const root = std::sqrt(beta_min * beta_min + 2 * (beta_max - beta_min) * b);
    return std::min(2 * b / (beta_min + root), 1.0);
  }
  level clean() const { return at(0); }

  double integral(double t) const { return t * (beta_min + (beta_max - beta_min) / 2 * t); }
};

}  // namespace tweedie::schedules
