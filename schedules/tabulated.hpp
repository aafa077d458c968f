// A table of abar that somebody else has made, of a network whose betas follow no formula: alpha =
// sqrt(abar), sigma = sqrt(1 - abar), Ho et al. 2020, eq. 4. Between its levels as
// schedules/table.hpp.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include <tweedie/schedules/table.hpp>

namespace tweedie::schedules {

/// `schedules::tabulated{alpha_bar}`: abar at t = 1 .. T, from the clean end on. Throws unless they
/// fall from below 1 and stay above 0. Copies share the table.
class tabulated {
 public:
  using kind = kinds::schedule;
  static constexpr auto name = "schedules::tabulated";
  /// There is none of it without numbers: no list of names has it.
  static constexpr bool needs_numbers = true;

  tabulated() = default;  ///< none, which `check` refuses
  explicit tabulated(std::vector<double> alpha_bar) {
    auto levels = table::of_alpha_bar(name, alpha_bar);
    of_ = std::make_shared<made const>(made{std::move(alpha_bar), std::move(levels)});
  }

  void check() const {
    if (!of_)
      throw error(fmt::format("{}: no table was given, expected one number for each t", name));
  }
  std::vector<double> const& alpha_bar() const { return of().given; }

  level at(double t) const { return of().levels.at(t); }
  double end() const { return of().levels.end(); }
  int table_steps() const { return of().levels.table_steps(); }
  double t_of_rho(double rho) const { return of().levels.t_of_rho(rho); }
  level clean() const { return of().levels.clean(); }

  friend bool operator==(tabulated const& a, tabulated const& b) {
    return a.of_ == b.of_ || (a.of_ && b.of_ && a.of_->given == b.of_->given);
  }

 private:
  struct made {
    std::vector<double> given;
    table levels;
  };
  made const& of() const {
    check();
    return *of_;
  }
  std::shared_ptr<made const> of_;
};

}  // namespace tweedie::schedules
