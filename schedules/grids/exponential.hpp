// ln rho in equal steps from sigma_max to sigma_min, and then the clean level: uniform in lambda,
// as in DPM-Solver. Lu et al. 2022 (DPM-Solver), section 3.3. rho = sigma / alpha; times stay
// fractional.
#pragma once

#include <cmath>
#include <optional>

#include <tweedie/schedules/grids/in_rho.hpp>

namespace tweedie::grids {

struct exponential {
  using kind = kinds::grid;
  static constexpr auto name = "grids::exponential";
  std::optional<double> sigma_min = {}, sigma_max = {};  ///< in rho; by default the schedule's
  static constexpr auto fields = std::tuple{field{"sigma_min", &exponential::sigma_min},
                                            field{"sigma_max", &exponential::sigma_max}};

  template <schedule S> std::vector<level> levels(S const& schedule, int evaluations) const {
    check_evaluations(name, evaluations, 0, 0);
    auto const [low, high] = range_of_rho(name, schedule, sigma_min, sigma_max);
    return in_rho(schedule, evaluations, low, high, [low = low, high = high](double share) {
      return high * std::pow(low / high, share);
    });
  }
};

}  // namespace tweedie::grids
