// rho_i = (a + i / (n - 1) (b - a))^exponent, a = sigma_max^(1 / exponent), b = sigma_min^(1 /
// exponent), i = 0 .. n - 1, and then the clean level. Karras et al. 2022 (Elucidating the design
// space), eq. 5. rho = sigma / alpha, which their paper calls sigma; times are the schedule's
// inverse and stay fractional.
#pragma once

#include <cmath>
#include <optional>

#include <tweedie/schedules/grids/in_rho.hpp>

namespace tweedie::grids {

struct karras {
  using kind = kinds::grid;
  static constexpr auto name = "grids::karras";
  double rho = 7;                                        ///< the exponent, rho in the paper
  std::optional<double> sigma_min = {}, sigma_max = {};  ///< in rho; by default the schedule's
  static constexpr auto fields =
      std::tuple{field{"rho", &karras::rho}, field{"sigma_min", &karras::sigma_min},
                 field{"sigma_max", &karras::sigma_max}};

  template <schedule S> std::vector<level> levels(S const& schedule, int evaluations) const {
    check_evaluations(name, evaluations, 0, 0);
    if (!(rho > 0 && std::isfinite(rho)))
      throw error(fmt::format("{}: rho = {} was given, expected a positive exponent", name, rho));
    auto const [low, high] = range_of_rho(name, schedule, sigma_min, sigma_max);
    return in_rho(schedule, evaluations, low, high, [&, low = low, high = high](double share) {
      double const a = std::pow(high, 1 / rho), b = std::pow(low, 1 / rho);
      return std::pow(a + share * (b - a), rho);
    });
  }
};

}  // namespace tweedie::grids
