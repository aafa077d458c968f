// The levels at times of one's own, from noisy to clean; time 0 is the clean level. The last time
// need not be 0: a run may end, or begin, inside.
#pragma once

#include <cstddef>

#include <tweedie/schedules/grids/grid.hpp>

namespace tweedie::grids {

struct custom {
  using kind = kinds::grid;
  static constexpr auto name = "grids::custom";
  std::vector<double> times;

  int evaluations() const { return static_cast<int>(times.size()) - 1; }

  /// `evaluations` is the number of times less one, or 0 for "as many as there are".
  template <schedule S> std::vector<level> levels(S const& schedule, int evaluations) const {
    if (times.size() < 2)
      throw error(fmt::format("{}: {} times were given, expected two or more", name, times.size()));
    if (evaluations != 0 && evaluations != this->evaluations())
      throw error(fmt::format("{}: {} steps were asked for, its {} times make {}", name,
                              evaluations, times.size(), this->evaluations()));
    std::vector<level> levels;
    for (std::size_t k = 0; k < times.size(); ++k) {
      double const t = times[k];
      if (!(t >= 0 && t <= schedule.end()))
        throw error(
            fmt::format("{}: time {} is {}, expected 0 <= t <= {}", name, k, t, schedule.end()));
      if (k > 0 && !(t < times[k - 1]))
        throw error(fmt::format("{}: time {} is {} after {}, expected decreasing times", name, k, t,
                                times[k - 1]));
      levels.push_back(t == 0 ? schedule.clean() : schedule.at(t));
    }
    return levels;
  }
};

}  // namespace tweedie::grids
