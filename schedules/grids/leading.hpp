// Timesteps k (T div N) + offset, k = N - 1 .. 0: "leading" of the peers, which leaves out the
// noisiest levels. leading_solver is the variant of the DPM-Solver family: k (T div (N + 1)) +
// offset, k = N .. 1.
//
// In continuous time T / N is not rounded.
#pragma once

#include <string_view>

#include <tweedie/schedules/grids/grid.hpp>

namespace tweedie::grids {

template <schedule S>
std::vector<level> every(std::string_view name, S const& schedule, int n, int parts, int offset) {
  int const steps = schedule.table_steps(), total = timesteps_of(schedule, parts);
  check_evaluations(name, n, steps, steps - (parts - n));
  double const stride = steps ? steps / parts : static_cast<double>(total) / parts;
  double const noisiest = stride * (parts - 1) + offset;
  if (offset < 0 || noisiest > total - 1)
    throw error(fmt::format("{}: offset = {} was given, expected 0 to {}", name, offset,
                            total - 1 - stride * (parts - 1)));
  std::vector<double> times;
  for (int k = parts - 1; k >= parts - n; --k)
    times.push_back(time_of_timestep(schedule, stride * k + offset, total));
  return down_to_clean(schedule, times);
}

struct leading {
  using kind = kinds::grid;
  static constexpr auto name = "grids::leading";
  int offset = 0;  ///< timesteps; 1 in Stable Diffusion
  static constexpr auto fields = std::tuple{field{"offset", &leading::offset}};

  template <schedule S> std::vector<level> levels(S const& schedule, int evaluations) const {
    return every(name, schedule, evaluations, evaluations, offset);
  }
};

struct leading_solver {
  using kind = kinds::grid;
  static constexpr auto name = "grids::leading_solver";
  int offset = 0;  ///< timesteps; 1 in Stable Diffusion
  static constexpr auto fields = std::tuple{field{"offset", &leading_solver::offset}};

  template <schedule S> std::vector<level> levels(S const& schedule, int evaluations) const {
    return every(name, schedule, evaluations, evaluations + 1, offset);
  }
};

}  // namespace tweedie::grids
