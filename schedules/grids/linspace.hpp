// Timesteps round(linspace(0, T - 1, N)), halves to even: "linspace" of the peers. linspace_solver
// is the variant of the DPM-Solver family: N + 1 points without the cleanest.
//
// In continuous time without rounding. A single point of linspace would be timestep 0, so it needs
// two.
#pragma once

#include <tweedie/schedules/grids/grid.hpp>

namespace tweedie::grids {

template <schedule S> std::vector<level> evenly(S const& schedule, int points, int skipped) {
  int const steps = schedule.table_steps(), total = timesteps_of(schedule, points);
  std::vector<double> times;
  for (int k = points - 1; k >= skipped; --k) {
    double const i = steps ? static_cast<double>(round_half_even(1LL * k * (steps - 1), points - 1))
                           : static_cast<double>(total - 1) * k / (points - 1);
    times.push_back(time_of_timestep(schedule, i, total));
  }
  return down_to_clean(schedule, times);
}

struct linspace {
  using kind = kinds::grid;
  static constexpr auto name = "grids::linspace";

  template <schedule S> std::vector<level> levels(S const& schedule, int evaluations) const {
    check_evaluations(name, evaluations, schedule.table_steps(), schedule.table_steps());
    check_two(name, evaluations);
    return evenly(schedule, evaluations, 0);
  }
};

struct linspace_solver {
  using kind = kinds::grid;
  static constexpr auto name = "grids::linspace_solver";

  template <schedule S> std::vector<level> levels(S const& schedule, int evaluations) const {
    check_evaluations(name, evaluations, schedule.table_steps(), schedule.table_steps() - 1);
    return evenly(schedule, evaluations + 1, 1);
  }
};

}  // namespace tweedie::grids
