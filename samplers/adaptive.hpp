// Adaptive steps by embedded Runge-Kutta pairs: Bogacki & Shampine 1989; Dormand & Prince 1980. The
// stage; pipelines/adaptive.hpp takes the steps.
#pragma once

#include <cmath>
#include <optional>
#include <tuple>

#include <fmt/format.h>

#include <tweedie/dsl/base/error.hpp>
#include <tweedie/dsl/language/stage.hpp>
#include <tweedie/samplers/tableaux.hpp>

namespace tweedie::samplers {

/// `schedules::cosine{} | predicts::v{} | adaptive<tableaux::dormand_prince>{.tolerance = 1e-4} |
/// network`, then `sample(request)`: it has no grid, and `request.steps` is not asked. `progress`
/// hears how many samples are done.
template <class Tableau> struct adaptive {
  using kind = kinds::sampler;
  using tableau = Tableau;
  static constexpr char const* name = "samplers::adaptive";
  static constexpr bool is_capturable = false;
  static constexpr bool is_pair = [] {
    if constexpr (requires { Tableau::b_low; }) return tableaux::first_same_as_last<Tableau>();
    else return false;
  }();

  double tolerance = 1e-3;  ///< of y's root mean square over a sample
  std::optional<double> sigma_min = {},
                        sigma_max = {};  ///< in rho; by default those of grids in rho
  int most_evaluations = 10000;          ///< of the network, for a sample
  static constexpr auto fields =
      std::tuple{field{"tolerance", &adaptive::tolerance}, field{"sigma_min", &adaptive::sigma_min},
                 field{"sigma_max", &adaptive::sigma_max},
                 field{"most_evaluations", &adaptive::most_evaluations}};

  void check() const {
    if (!(tolerance > 0 && std::isfinite(tolerance)))
      throw error(fmt::format(
          "adaptive steps: a tolerance of {} was given, expected a finite one above 0", tolerance));
    if (most_evaluations < 1)
      throw error(
          fmt::format("adaptive steps: at most {} evaluations were allowed, expected one or more",
                      most_evaluations));
  }
};

}  // namespace tweedie::samplers
