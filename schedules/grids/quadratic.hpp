// tau_k = max(k, round(T (k / N)^2)), k = N .. 0: steps grow with the noise, and none is empty.
// Song et al. 2021 (DDIM), appendix D.2, up to T; the variant of the authors' code is
// grids::quadratic_ddim.
#pragma once

#include <algorithm>

#include <tweedie/schedules/grids/grid.hpp>

namespace tweedie::grids {

struct quadratic {
  using kind = kinds::grid;
  static constexpr auto name = "grids::quadratic";

  template <schedule S> std::vector<level> levels(S const& schedule, int evaluations) const {
    long long const n = evaluations, steps = schedule.table_steps();
    check_evaluations(name, evaluations, schedule.table_steps(), schedule.table_steps());
    bool const to_zero = reaches_clean(schedule);
    std::vector<double> times;
    for (long long k = n; k >= 1; --k)
      if (steps) {
        times.push_back(static_cast<double>(std::max(k, round_half_up(steps * k * k, n * n))));
      } else {
        double const share = to_zero  ? static_cast<double>(k) / static_cast<double>(n)
                             : n == 1 ? 1
                                      : static_cast<double>(k - 1) / static_cast<double>(n - 1);
        times.push_back(schedule.end() * share * share);
      }
    return down_to_clean(schedule, times);
  }
};

}  // namespace tweedie::grids
