// A schedule held against itself, before a plan computes with it: its derivatives against
// differences of alpha and sigma, its inverse against the forward map, rho = sigma / alpha that
// rises, a clean end; and the levels of a grid against the schedule's. It asks for some ninety
// levels: microseconds.
#pragma once

#include <functional>
#include <span>
#include <string>

#include <tweedie/dsl/language/hooks.hpp>
#include <tweedie/dsl/language/path.hpp>
#include <tweedie/schedules/schedule.hpp>

namespace tweedie::schedules {

namespace detail {

/// A schedule without its type.
struct asked_schedule {
  std::string name;
  double end;
  int table_steps;
  level clean;
  std::function<level(double)> at;
  std::function<double(double)> t_of_rho;
};
void check(asked_schedule const& s);
void check_levels(asked_schedule const& s, std::span<level const> levels);
/// Throws if a sampler asks, between two levels of its grid, for a rho beyond the schedule's.
void check_rho(std::string const& schedule, double rho, double least, double most);

template <schedule S> std::string name_of(S const& s) {
  if constexpr (requires { std::string(s.name); }) return s.name;
  else return "the schedule";
}
template <schedule S> asked_schedule forget(S const& s) {
  return {name_of(s),
          s.end(),
          s.table_steps(),
          s.clean(),
          [&s](double t) { return s.at(t); },
          [&s](double rho) { return s.t_of_rho(rho); }};
}

}  // namespace detail

/// Throws a sentence where a schedule's parameters make none, or what it answers does not fit
/// together.
template <schedule S> void check(S const& s) {
  tweedie::detail::call_check(s);
  detail::check(detail::forget(s));
}

/// Throws a sentence where a level is not the schedule's.
template <schedule S> void check_levels(S const& s, std::span<level const> levels) {
  detail::check_levels(detail::forget(s), levels);
}

/// The levels between those of a grid, as samplers ask for them.
template <schedule S> path path_along(S const& s) {
  double const least = s.at(0).rho(), most = s.at(s.end()).rho();
  return {.at = [s](double t) { return s.at(t); },
          .at_rho =
              [s, least, most](double rho) {
                detail::check_rho(detail::name_of(s), rho, least, most);
                return s.at(s.t_of_rho(rho));
              },
          .noisiest = most};
}

}  // namespace tweedie::schedules
