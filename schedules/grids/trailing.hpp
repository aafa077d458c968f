// Timesteps round(T - k T / N) - 1, k = 0 .. N - 1, halves to even: "trailing" of the peers, which
// begins at the noisiest level. Lin et al. 2023 (Common diffusion noise schedules and sample steps
// are flawed), table 2.
#pragma once

#include <tweedie/schedules/grids/grid.hpp>

namespace tweedie::grids {

struct trailing {
  using kind = kinds::grid;
  static constexpr auto name = "grids::trailing";

  template <schedule S> std::vector<level> levels(S const& schedule, int evaluations) const {
    int const n = evaluations, steps = schedule.table_steps(), total = timesteps_of(schedule, n);
    check_evaluations(name, n, steps, steps);
    std::vector<double> times;
    for (int k = n; k >= 1; --k) {
      double const i = steps ? static_cast<double>(round_half_even(1LL * steps * k, n) - 1)
                             : static_cast<double>(total) * k / n - 1;
      times.push_back(time_of_timestep(schedule, i, total));
    }
    return down_to_clean(schedule, times);
  }
};

}  // namespace tweedie::grids
