// alpha = 1, sigma = t. Karras et al. 2022 (Elucidating the design space), table 1, column "Ours".
#pragma once

#include <tweedie/schedules/grids/karras.hpp>
#include <tweedie/schedules/schedule.hpp>

namespace tweedie::schedules {

struct edm {
  using kind = kinds::schedule;
  using usual_grid = grids::karras;  ///< even steps in sigma would leave one for all below 80 / N
  static constexpr auto name = "schedules::edm";
  double sigma_min = 0.002, sigma_max = 80;  ///< of grids in rho; times reach down to 0
  static constexpr auto fields =
      std::tuple{field{"sigma_min", &edm::sigma_min}, field{"sigma_max", &edm::sigma_max}};

  void check() const { check_range(name, "sigma_min", sigma_min, "sigma_max", sigma_max); }

  level at(double t) const {
    check();
    check_time(name, t, sigma_max);
    return {t, 1, t, 0, 1};
  }
  double end() const { return sigma_max; }
  int table_steps() const { return 0; }
  double t_of_rho(double rho) const {
    check();
    return checked_rho(name, rho, 0, sigma_max);
  }
  level clean() const { return at(0); }
};

}  // namespace tweedie::schedules
