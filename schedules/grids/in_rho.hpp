// Grids that are even in some function of rho = sigma / alpha: n noisy levels from the largest rho
// to the smallest, then the clean level.
#pragma once

#include <algorithm>
#include <cmath>
#include <optional>
#include <string_view>

#include <tweedie/schedules/grids/grid.hpp>

namespace tweedie::grids {

struct rho_range {
  double low, high;
};

/// Where data of unit size can no longer be told from noise: sigma_max of Karras et al. 2022, table
/// 1. A schedule may go on beyond it, the cosine table to 20,291 and a flow without end, and a grid
/// in rho would spend its first steps there.
inline constexpr double pure_noise = 80;

/// The given ends, else the schedule's: its `sigma_max`, or its noisiest level, at most pure_noise;
/// and its `sigma_min`, level 1 of a table or time 1 / 1000.
template <schedule S>
rho_range range_of_rho(std::string_view name, S const& schedule, std::optional<double> low,
                       std::optional<double> high) {
  if (!low) {
    if constexpr (requires { double{schedule.sigma_min}; }) low = schedule.sigma_min;
    else low = schedule.at(schedule.table_steps() ? 1 : schedule.end() / 1000).rho();
  }
  if (!high) {
    if constexpr (requires { double{schedule.sigma_max}; }) high = schedule.sigma_max;
    else high = std::min(schedule.at(schedule.end()).rho(), pure_noise);
  }
  if (!(*low > 0 && *low < *high))
    throw error(fmt::format(
        "{}: sigma_min = {} and sigma_max = {} were given, expected 0 < sigma_min < sigma_max",
        name, *low, *high));
  return {*low, *high};
}

/// `rho_of` maps [0, 1] to rho, from high to low; both ends are taken exactly.
template <schedule S, class F>
std::vector<level> in_rho(S const& schedule, int n, double low, double high, F rho_of) {
  std::vector<double> times;
  for (int k = 0; k < n; ++k) {
    double const rho = k == 0 ? high : k == n - 1 ? low : rho_of(static_cast<double>(k) / (n - 1));
    times.push_back(schedule.t_of_rho(rho));
  }
  return down_to_clean(schedule, times);
}

}  // namespace tweedie::grids
