// alpha = 1, sigma = sigma_min (sigma_max / sigma_min)^t on [0, 1]. Song et al. 2021 (Score-based
// generative modeling), eqs. 30 and 31; g^2 = d sigma^2 / dt.
#pragma once

#include <algorithm>
#include <cmath>

#include <tweedie/schedules/schedule.hpp>

namespace tweedie::schedules {

struct variance_exploding {
  using kind = kinds::schedule;
  static constexpr auto name = "schedules::variance_exploding";
  double sigma_min = 0.01, sigma_max = 50;
  static constexpr auto fields = std::tuple{field{"sigma_min", &variance_exploding::sigma_min},
                                            field{"sigma_max", &variance_exploding::sigma_max}};

  void check() const {
    if (!(sigma_min > 0 && sigma_min < sigma_max && std::isfinite(sigma_max)))
      throw error(
          fmt::format("{}: sigma_min = {} and sigma_max = {} were given, expected 0 < "
                      "sigma_min < sigma_max",
                      name, sigma_min, sigma_max));
  }

  level at(double t) const {
    check();
    check_time(name, t, 1);
    double const sigma = t == 1 ? sigma_max : sigma_min * std::exp(t * rate());
    return {t, 1, sigma, 0, sigma * rate()};
  }
  double end() const { return 1; }
  int table_steps() const { return 0; }
  double t_of_rho(double rho) const {
    check();
    rho = checked_rho(name, rho, sigma_min, sigma_max);
    return std::clamp(std::log(rho / sigma_min) / rate(), 0.0, 1.0);
  }
  /// Below at(0), whose sigma is sigma_min; no time has it, so it carries 0.
  level clean() const { return {}; }

 private:
  double rate() const { return std::log(sigma_max / sigma_min); }
};

}  // namespace tweedie::schedules
