#include <tweedie/schedules/check.hpp>

#include <algorithm>
#include <cmath>
#include <vector>

namespace tweedie::schedules::detail {
namespace {

/// How far a derivative may be from the differences: what a kink near by leaves, or float32.
constexpr double slack = 1e-2;
/// How far an inverse or a level may be off, relative to what it should be.
constexpr double level_slack = 1e-3;

double size_of(level const& l) { return std::hypot(l.alpha, l.sigma); }

/// Times between the ends, none of them a knot of a table: a table may have a kink there.
std::vector<double> probes(asked_schedule const& s) {
  constexpr int most = 12;
  std::vector<double> r;
  if (int const steps = s.table_steps; steps > 0) {
    int const n = std::min(most, steps);
    for (int i = 0; i < n; ++i)
      r.push_back(std::floor(static_cast<double>(i) / std::max(1, n - 1) * (steps - 1)) + 0.5);
  } else {
    for (double share : {0.001, 0.01, 0.98, 0.999}) r.push_back(share * s.end);
    for (int i = 0; i < most - 4; ++i) r.push_back((i + 0.618) / (most - 4) * s.end);
    std::ranges::sort(r);
  }
  return r;
}

/// A level that is one: at the time that was asked for, alpha and sigma numbers of 0 or more.
level asked_at(asked_schedule const& s, double t) {
  level const l = s.at(t);
  if (!(std::abs(l.t - t) <= 1e-9 * s.end))
    throw error(
        fmt::format("{}: at({}) gives a level whose t is {}, expected {}", s.name, t, l.t, t));
  if (!(std::isfinite(l.alpha) && std::isfinite(l.sigma) && l.alpha >= 0 && l.sigma >= 0))
    throw error(fmt::format(
        "{}: at t = {} alpha = {} and sigma = {} were given, expected finite ones, 0 or more",
        s.name, t, l.alpha, l.sigma));
  return l;
}

void check_ends(asked_schedule const& s) {
  if (!(s.end > 0 && std::isfinite(s.end)))
    throw error(fmt::format("{}: end() is {}, expected a finite time above 0", s.name, s.end));
  if (s.table_steps < 0 || (s.table_steps > 0 && s.end != s.table_steps))
    throw error(fmt::format(
        "{}: table_steps() is {} and end() is {}, expected the same of a table, and 0 steps of a "
        "schedule in continuous time",
        s.name, s.table_steps, s.end));
  if (s.clean.alpha != 1 || s.clean.sigma != 0)
    throw error(
        fmt::format("{}: clean() has alpha = {} and sigma = {}, expected alpha = 1 and sigma = 0",
                    s.name, s.clean.alpha, s.clean.sigma));
  level const first = asked_at(s, 0), last = asked_at(s, s.end);
  if (first.alpha == 0 || (first.sigma == 0 && first.alpha != 1))
    throw error(
        fmt::format("{}: at t = 0 alpha = {} and sigma = {} were given, expected data there: alpha "
                    "above 0, and "
                    "1 where sigma = 0",
                    s.name, first.alpha, first.sigma));
  if (last.sigma == 0)
    throw error(fmt::format(
        "{}: sigma = 0 was given at t = {}, the noisy end; expected noise there", s.name, s.end));
}

void check_rises(asked_schedule const& s, std::vector<double> const& times) {
  level before = s.at(0);
  auto const next = [&](level const& l) {
    if (!(l.sigma * before.alpha > before.sigma * l.alpha))  // of rho, without the division
      throw error(
          fmt::format("{}: from t = {} to t = {} rho = sigma / alpha goes from {} to {}, expected "
                      "that it rises "
                      "with t: data lies at 0",
                      s.name, before.t, l.t, before.rho(), l.rho()));
    before = l;
  };
  for (double t : times) {
    level const l = asked_at(s, t);
    if (l.alpha == 0 || l.sigma == 0)
      throw error(fmt::format(
          "{}: at t = {} alpha = {} and sigma = {} were given, expected both above 0 between the "
          "ends",
          s.name, t, l.alpha, l.sigma));
    next(l);
  }
  next(s.at(s.end));
}

void check_derivatives(asked_schedule const& s, double t) {
  double const near = std::min(t, s.end - t), h = s.table_steps ? 0.01 : 1e-3 * near;
  level const at = s.at(t), below = s.at(t - h), above = s.at(t + h);
  auto const check = [&](char const* of, double given, double low, double high) {
    double const differences = (high - low) / (2 * h);
    if (std::abs(given - differences) <=
        slack * std::max(std::abs(given), std::abs(differences)) + 1e-3 * size_of(at) / near)
      return;
    throw error(
        fmt::format("{}: at t = {} the derivative of {} is given as {}, where its differences say "
                    "{:.6g}; expected "
                    "the derivative in t, as level{{t, alpha, sigma, dalpha, dsigma}} has it",
                    s.name, t, of, given, differences));
  };
  check("alpha", at.dalpha, below.alpha, above.alpha);
  check("sigma", at.dsigma, below.sigma, above.sigma);
}

void check_inverse(asked_schedule const& s, double t) {
  double const rho = s.at(t).rho(), back = s.t_of_rho(rho);
  bool const inside = back >= 0 && back <= s.end;
  if (inside &&
      (std::abs(back - t) <= 1e-4 * s.end || std::abs(s.at(back).rho() - rho) <= level_slack * rho))
    return;
  throw error(fmt::format(
      "{}: t_of_rho({}) is {}, {}; expected {}, where rho = sigma / alpha is that", s.name, rho,
      back, inside ? fmt::format("where rho is {}", s.at(back).rho()) : "which is no time of it",
      t));
}

}  // namespace

void check(asked_schedule const& s) {
  check_ends(s);
  auto const times = probes(s);
  check_rises(s, times);
  for (double t : times) {
    check_derivatives(s, t);
    check_inverse(s, t);
  }
}

void check_levels(asked_schedule const& s, std::span<level const> levels) {
  for (std::size_t k = 0; k < levels.size(); ++k) {
    level const& l = levels[k];
    if (l.alpha == 1 && l.sigma == 0) continue;
    auto const refuse = [&](std::string const& expected) {
      throw error(fmt::format(
          "level {} of the grid is t = {} (alpha = {}, sigma = {}, alpha' = {}, sigma' = {}), "
          "expected a level of {}: {}",
          k, l.t, l.alpha, l.sigma, l.dalpha, l.dsigma, s.name, expected));
    };
    if (!(l.t >= 0 && l.t <= s.end)) refuse(fmt::format("0 <= t <= {}", s.end));
    level const own = asked_at(s, l.t);
    double const size = size_of(own);
    auto const is_near = [](double a, double b, double relative, double absolute) {
      return a == b || std::abs(a - b) <= relative * std::max(std::abs(a), std::abs(b)) + absolute;
    };
    if (!(is_near(l.alpha, own.alpha, level_slack, 1e-6 * size) &&
          is_near(l.sigma, own.sigma, level_slack, 1e-6 * size) &&
          is_near(l.dalpha, own.dalpha, slack, 1e-3 * size / s.end) &&
          is_near(l.dsigma, own.dsigma, slack, 1e-3 * size / s.end)))
      refuse(fmt::format("alpha = {}, sigma = {}, alpha' = {}, sigma' = {} there", own.alpha,
                         own.sigma, own.dalpha, own.dsigma));
  }
}

void check_rho(std::string const& schedule, double rho, double least, double most) {
  // A last bit beyond an end is the end.
  if (rho < least * (1 - 1e-9) || rho > most * (1 + 1e-9))
    throw error(fmt::format(
        "the sampler asks the network between two levels, at rho = sigma / alpha = {:.6g}, where "
        "{} has none: its own go from {:.6g} to {:.6g}; expected a sampler that asks at the grid's "
        "levels alone, such as ddim, or a grid that ends within them",
        rho, schedule, least, most));
}

}  // namespace tweedie::schedules::detail
