// Levels that are there already, in their order: another program's, or those of a plan.
#pragma once

#include <utility>
#include <vector>

#include <tweedie/schedules/grids/grid.hpp>

namespace tweedie::grids {

/// Whatever the schedule. `evaluations` is the number of levels less one, or 0 for "as many as
/// there are".
struct given {
  using kind = kinds::grid;
  static constexpr auto name = "grids::given";
  std::vector<level> of;
  template <class Schedule> std::vector<level> levels(Schedule const&, int) const { return of; }
};

}  // namespace tweedie::grids
