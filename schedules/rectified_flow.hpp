// alpha = 1 - t, sigma = t on [0, 1]. Liu et al. 2022 (Rectified flow), eq. 1; Lipman et al. 2022
// (Flow matching), eq. 20 with sigma_min = 0 and time reversed: here t = 0 is data.
#pragma once

#include <limits>

#include <tweedie/schedules/schedule.hpp>

namespace tweedie::schedules {

struct rectified_flow {
  using kind = kinds::schedule;
  static constexpr auto name = "schedules::rectified_flow";

  level at(double t) const {
    check_time(name, t, 1);
    return {t, 1 - t, t, -1, 1};
  }
  double end() const { return 1; }
  int table_steps() const { return 0; }
  double t_of_rho(double rho) const {
    rho = checked_rho(name, rho, 0, std::numeric_limits<double>::infinity());
    return rho > 1 ? 1 / (1 + 1 / rho) : rho / (1 + rho);
  }
  level clean() const { return at(0); }
};

}  // namespace tweedie::schedules
