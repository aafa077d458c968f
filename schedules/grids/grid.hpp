// A grid chooses the levels a sampler stops at: n + 1 of them for n evaluations, from noisy to
// clean.
//
// `levels(schedule, n)` is strictly decreasing in noise and ends at the clean level. On a table the
// times are rounded to its levels; in continuous time they are not. A schedule whose smallest sigma
// is above 0 (VE) has the clean level below its time 0, so its n noisy times reach down to 0.
#pragma once

#include <concepts>
#include <string>
#include <string_view>
#include <vector>

#include <tweedie/dsl/language/hooks.hpp>
#include <tweedie/schedules/schedule.hpp>

namespace tweedie {

namespace grids {

/// The least a schedule is, to ask a type whether it is a grid.
struct any_schedule {
  using kind = kinds::schedule;
  level at(double) const { return {}; }
  double end() const { return 1; }
  int table_steps() const { return 0; }
  double t_of_rho(double) const { return 0; }
  level clean() const { return {}; }
};

}  // namespace grids

template <class G>
concept grid = requires(G const g, grids::any_schedule s, int evaluations) {
  { g.levels(s, evaluations) } -> std::same_as<std::vector<level>>;
};

namespace grids {

inline constexpr int most_evaluations = 1'000'000;

/// Throws a sentence unless 1 <= evaluations, and <= `most` where the schedule is a table of
/// `table_steps`.
inline void check_evaluations(std::string_view name, int evaluations, int table_steps, int most) {
  if (evaluations < 1)
    throw error(
        fmt::format("{}: {} steps were asked for, expected one or more", name, evaluations));
  if (evaluations > most_evaluations)
    throw error(fmt::format("{}: {} steps were asked for, expected at most {}", name, evaluations,
                            most_evaluations));
  if (table_steps == 0 || evaluations <= most) return;
  if (most == table_steps)
    throw error(fmt::format("{}: {} steps were asked for, the schedule has {}", name, evaluations,
                            table_steps));
  throw error(fmt::format("{}: {} steps were asked for, at most {} fit on the schedule's {}", name,
                          evaluations, most, table_steps));
}

/// Throws a sentence for a single evaluation, where a grid's formula would put it at its clean end.
inline void check_two(std::string_view name, int evaluations) {
  if (evaluations < 2)
    throw error(fmt::format("{}: {} step was asked for, expected two or more", name, evaluations));
}

/// Whether sigma(0) = 0, so that the clean level is a time of the schedule.
template <schedule S> bool reaches_clean(S const& schedule) { return schedule.at(0).sigma == 0; }

/// num / den to the nearest integer, halves up; num >= 0, den > 0.
constexpr long long round_half_up(long long num, long long den) {
  return (2 * num + den) / (2 * den);
}

/// num / den to the nearest integer, halves to even as numpy's round does; num >= 0, den > 0.
constexpr long long round_half_even(long long num, long long den) {
  long long const down = num / den, twice = 2 * (num % den);
  return down + (twice > den || (twice == den && down % 2 == 1));
}

/// Where a grid is defined by the peers' timesteps 0 .. T - 1: T, or 1000 in continuous time (more
/// for longer grids).
template <schedule S> int timesteps_of(S const& schedule, int evaluations) {
  return schedule.table_steps() ? schedule.table_steps() : evaluations > 1000 ? evaluations : 1000;
}

/// The time of a timestep, perhaps fractional: level i + 1 of a table, and the same share of
/// continuous time.
template <schedule S> double time_of_timestep(S const& schedule, double i, int timesteps) {
  if (schedule.table_steps()) return i + 1;
  double const share = reaches_clean(schedule) ? (i + 1) / timesteps : i / (timesteps - 1);
  return schedule.end() * share;
}

/// A grid's levels for so many evaluations: one more of them. 0 asks for as many as a grid with
/// levels of its own has.
template <class Grid, schedule S>
std::vector<level> levels_of(Grid const& grid, S const& schedule, int evaluations) {
  std::string name = "the grid";
  if constexpr (requires { std::string(grid.name); }) name = grid.name;
  tweedie::detail::call_check(grid);
  if (evaluations < 0)
    throw error(
        fmt::format("{}: {} steps were asked for, expected one or more", name, evaluations));
  auto levels = grid.levels(schedule, evaluations);
  if (evaluations != 0 && levels.size() != static_cast<std::size_t>(evaluations) + 1) {
    throw error(
        fmt::format("{}: {} steps were asked for and it gave {} level(s), expected {}: one before "
                    "each step and "
                    "the last, which is clean unless the run ends inside",
                    name, evaluations, levels.size(), evaluations + 1LL));
  }
  return levels;
}

/// The levels at the noisy times, which decrease, and the clean level below them.
template <schedule S>
std::vector<level> down_to_clean(S const& schedule, std::vector<double> const& times) {
  std::vector<level> levels;
  levels.reserve(times.size() + 1);
  for (double t : times) levels.push_back(schedule.at(t));
  levels.push_back(schedule.clean());
  return levels;
}

}  // namespace grids
}  // namespace tweedie
