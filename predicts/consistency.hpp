// Song, Dhariwal, Chen & Sutskever 2023, "Consistency Models", eq. 5 and appendix C: a network
// made to obey the boundary condition f(u, rho_min) = u.
//
//   f = c_skip u + c_out F(c_in u),  c_skip = sd^2 / ((rho - rho_min)^2 + sd^2),
//   c_out = sd (rho - rho_min) / sqrt(rho^2 + sd^2),  c_in = 1 / sqrt(rho^2 + sd^2)
//
// u = x / alpha, rho = sigma / alpha (the paper's x and t, there alpha = 1), rho_min its epsilon,
// sd = sigma_data. f is the end of the flow's path at rho_min, not the clean sample, and takes the
// place of x0; eps is (x - alpha f) / sigma, the mean slope to there. At rho_min and below f = u.
// There is no target(level): such a network is trained on its own output at another level.
#pragma once

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include <tweedie/dsl/base/error.hpp>
#include <tweedie/dsl/language/level.hpp>
#include <tweedie/dsl/language/stage.hpp>
#include <tweedie/dsl/language/symbols.hpp>

namespace tweedie::predicts {

using namespace symbols;

struct consistency {
  using kind = kinds::parameterization;
  static constexpr char const* name = "consistency";
  double sigma_data = 0.5;  ///< standard deviation of the data
  double rho_min = 0.002;   ///< sigma / alpha at the end of the path
  static constexpr auto fields = std::tuple{field{"sigma_data", &consistency::sigma_data},
                                            field{"rho_min", &consistency::rho_min}};
  void check() const {
    if (!(sigma_data > 0 && std::isfinite(sigma_data)))
      throw error(
          fmt::format("predicts::consistency: sigma_data = {} was given, expected a finite one "
                      "above 0",
                      sigma_data));
    if (!(rho_min >= 0 && std::isfinite(rho_min)))
      throw error(
          fmt::format("predicts::consistency: rho_min = {} was given, expected a finite one, 0 or "
                      "more",
                      rho_min));
  }
  auto x0_of(level t) const {  // both times alpha, so that alpha = 0 is not divided by
    return sigma_data * sigma_data * t.alpha / m(t) * x +
           sigma_data * left(t) / std::sqrt(n(t)) * raw;
  }
  auto eps_of(level t) const {
    double const share = t.sigma > 0 ? left(t) / t.sigma : 0;
    return share * left(t) / m(t) * x - t.alpha * sigma_data * share / std::sqrt(n(t)) * raw;
  }
  auto input_of(level t) const { return x / std::sqrt(n(t)); }
  /// What the authors' networks embed in place of t, 1000 ln(rho) / 4; -infinity at sigma = 0,
  /// infinity at alpha = 0.
  double noise_of(level t) const { return -250 * t.lambda(); }

 private:
  double left(level t) const { return std::max(t.sigma - t.alpha * rho_min, 0.0); }
  double m(level t) const { return left(t) * left(t) + std::pow(t.alpha * sigma_data, 2); }
  double n(level t) const { return t.sigma * t.sigma + std::pow(t.alpha * sigma_data, 2); }
};

}  // namespace tweedie::predicts
