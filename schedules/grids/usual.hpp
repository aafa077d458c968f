// What a plan takes where no grid is given: the one that the schedule names, `using usual_grid =
// grids::karras`, and uniform for all others.
#pragma once

#include <tweedie/schedules/grids/uniform.hpp>

namespace tweedie::grids {

struct usual {
  using kind = kinds::grid;
  static constexpr auto name = "grids::usual";

  template <schedule S> std::vector<level> levels(S const& schedule, int evaluations) const {
    if constexpr (requires { typename S::usual_grid; })
      return typename S::usual_grid{}.levels(schedule, evaluations);
    else return uniform{}.levels(schedule, evaluations);
  }
};

}  // namespace tweedie::grids
