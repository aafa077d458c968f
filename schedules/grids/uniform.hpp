// tau_k = round(k T / N), halves away from zero, k = N .. 0; without rounding in continuous time.
#pragma once

#include <tweedie/schedules/grids/grid.hpp>

namespace tweedie::grids {

struct uniform {
  using kind = kinds::grid;
  static constexpr auto name = "grids::uniform";

  template <schedule S> std::vector<level> levels(S const& schedule, int evaluations) const {
    int const n = evaluations, steps = schedule.table_steps();
    check_evaluations(name, n, steps, steps);
    bool const to_zero = reaches_clean(schedule);
    std::vector<double> times;
    for (int k = n; k >= 1; --k)
      if (steps) times.push_back(static_cast<double>(round_half_up(1LL * k * steps, n)));
      else if (to_zero) times.push_back(schedule.end() * k / n);
      else times.push_back(n == 1 ? schedule.end() : schedule.end() * (k - 1) / (n - 1));
    return down_to_clean(schedule, times);
  }
};

}  // namespace tweedie::grids
