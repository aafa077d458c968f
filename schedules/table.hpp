// A table of T betas: abar_k = prod_{i <= k} (1 - beta_i), alpha = sqrt(abar), sigma = sqrt(1 -
// abar) at t = k.
//
// Ho et al. 2020, eq. 4. Between the levels 1 and T, lambda = ln(alpha / sigma) is linear in t;
// between 0 and 1, where lambda is infinite, sigma^2 is. ln abar is summed by log1p, so sigma keeps
// its full precision near the clean end.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include <tweedie/schedules/schedule.hpp>

namespace tweedie::schedules {

class table {
 public:
  /// `betas` holds beta_1 .. beta_T; `name` is what error messages call the schedule. Throws unless
  /// 0 < beta < 1.
  table(std::string_view name, std::vector<double> const& betas) : table(name) {
    expect_steps(betas.size());
    for (double beta : betas) {
      if (!(beta > 0 && beta < 1))
        throw error(fmt::format("{}: beta_{} = {} was given, expected 0 < beta < 1", name,
                                log_abar_.size(), beta));
      add(log_abar_.back() + std::log1p(-beta));
    }
  }

  /// Of abar_1 .. abar_T themselves. Throws unless they fall from below 1 and stay above 0.
  static table of_alpha_bar(std::string_view name, std::vector<double> const& alpha_bar) {
    table r(name);
    r.expect_steps(alpha_bar.size());
    double before = 1;
    for (double one : alpha_bar) {
      if (!(one > 0 && one < before))
        throw error(
            fmt::format("{}: abar = {} was given at t = {}, after {}, expected numbers below 1 "
                        "that fall with t and stay above 0",
                        name, one, r.log_abar_.size(), before));
      r.add(std::log(before = one));
    }
    return r;
  }

  int table_steps() const { return static_cast<int>(log_abar_.size()) - 1; }
  double end() const { return table_steps(); }
  level clean() const { return at(0); }

  level at(double t) const {
    check_time(name_, t, end());
    if (t < 1) {
      double const slope = -std::expm1(log_abar_[1]), sigma = std::sqrt(slope * t);
      double const alpha = std::sqrt(1 - slope * t);
      return {t, alpha, sigma, -slope / (2 * alpha), slope / (2 * sigma), end()};
    }
    auto const k = static_cast<std::size_t>(t);
    if (double const part = t - static_cast<double>(k); part > 0) {
      double const lambda = lambda_[k] + part * slope_after(k);
      return with_slope(t, 1 / std::sqrt(1 + std::exp(-2 * lambda)),
                        1 / std::sqrt(1 + std::exp(2 * lambda)), slope_after(k));
    }
    return with_slope(t, std::exp(log_abar_[k] / 2), std::sqrt(-std::expm1(log_abar_[k])),
                      slope_at(k));
  }

  double t_of_rho(double rho) const {
    rho = checked_rho(name_, rho, 0, std::exp(-lambda_.back()));
    double const lambda = -std::log(rho);
    if (lambda >= lambda_[1]) {
      double const t = rho * rho / (1 + rho * rho) / -std::expm1(log_abar_[1]);
      return std::min(t, 1.0);
    }
    auto const above = std::lower_bound(lambda_.begin() + 2, lambda_.end() - 1, lambda,
                                        [](double knot, double value) { return knot > value; });
    auto const k = static_cast<std::size_t>(above - lambda_.begin()) - 1;
    return static_cast<double>(k) + std::min((lambda - lambda_[k]) / slope_after(k), 1.0);
  }

 private:
  explicit table(std::string_view name)
      : name_(name), log_abar_{0}, lambda_{std::numeric_limits<double>::infinity()} {}

  void expect_steps(std::size_t count) const {
    if (count == 0)
      throw error(fmt::format("{}: no steps were given, expected one or more", name_));
  }
  void add(double log_abar) {
    log_abar_.push_back(log_abar);
    lambda_.push_back((log_abar - std::log(-std::expm1(log_abar))) / 2);
  }

  double slope_after(std::size_t k) const { return lambda_[k + 1] - lambda_[k]; }

  /// At a knot the interpolation has two slopes: their mean, which is right to second order; one at
  /// either end.
  double slope_at(std::size_t k) const {
    std::size_t const last = log_abar_.size() - 1;
    if (last == 1) return -1 / (2 * std::exp(log_abar_[1]));  // of sigma^2 linear in t
    if (k == 1) return slope_after(1);
    return k == last ? slope_after(k - 1) : (slope_after(k - 1) + slope_after(k)) / 2;
  }

  /// alpha' = alpha sigma^2 lambda' and sigma' = -alpha^2 sigma lambda', from alpha^2 + sigma^2
  /// = 1.
  level with_slope(double t, double alpha, double sigma, double dlambda) const {
    return {t,    alpha, sigma, alpha * sigma * sigma * dlambda, -alpha * alpha * sigma * dlambda,
            end()};
  }

  std::string_view name_;
  std::vector<double> log_abar_, lambda_;  // at 0 .. T
};

/// The table of a schedule that is given by `int steps` and `double beta(int i)`, i = 1 .. steps,
/// and refuses its parameters in `check()`.
///
/// It is a function of the parameters alone. It is kept, per thread, for as long as they are the
/// same, so that such a schedule stays a small value which is cheap to copy and cheap to ask. The
/// reference holds until a schedule of the same type with other parameters is asked.
template <class Betas> table const& table_of(Betas const& schedule) {
  thread_local std::optional<std::pair<Betas, table>> kept;
  if (!kept || !(kept->first == schedule)) {
    schedule.check();  // before anything is laid out
    std::vector<double> betas;
    for (int i = 1; i <= schedule.steps; ++i) betas.push_back(schedule.beta(i));
    kept.emplace(schedule, table(Betas::name, betas));
  }
  return kept->second;
}

/// About the noise of S{} in T steps in place of its own: betas grow with 1000 / T (Nichol &
/// Dhariwal 2021, the authors' code). Without that, fewer steps end where data are still seen.
/// Throws where T is not 1 or more; the schedule itself where a beta would be 1 or more, which no
/// few steps can do.
template <class S> S same_noise_in(int T) {
  S const usual;
  check_steps(S::name, T);
  return {usual.beta_first * usual.steps / T, usual.beta_last * usual.steps / T, T};
}

}  // namespace tweedie::schedules
