// Song & Ermon 2019, "Generative Modeling by Estimating Gradients of the Data Distribution",
// Algorithm 1: Langevin dynamics at one noise level after the other.
//
//   x = x + (a / 2) score(x) + sqrt(a) noise,  a = epsilon sigma_t^2 / sigma_L^2,  n times a level
//
// sigma_L is the grid's smallest sigma above 0. x goes from level to level as it is, as in the
// paper, where alpha = 1; on other schedules the dynamics bring alpha along. After the last level
// one evaluation more takes its noise off, x = alpha x0 (Jolicoeur-Martineau et al. 2021,
// "Adversarial score matching and improved sampling for image generation"), which Algorithm 1
// leaves in.
#pragma once

#include <cmath>

#include <fmt/format.h>

#include <tweedie/dsl/base/error.hpp>
#include <tweedie/dsl/language/stage.hpp>
#include <tweedie/dsl/language/statement.hpp>

namespace tweedie::samplers {

using namespace symbols;

struct annealed_langevin {
  using kind = kinds::sampler;
  static constexpr char const* name = "samplers::annealed_langevin";
  int n = 100;               ///< Langevin steps at each level
  double epsilon = 2e-5;     ///< step size at sigma_last
  double sigma_last = 0.01;  ///< sigma_L; only epsilon / sigma_last^2 matters
  static constexpr auto fields =
      std::tuple{field{"n", &annealed_langevin::n}, field{"epsilon", &annealed_langevin::epsilon},
                 field{"sigma_last", &annealed_langevin::sigma_last}};
  void check() const {
    if (n < 1)
      throw error(fmt::format(
          "samplers::annealed_langevin: n = {} was given, expected 1 step a level or more", n));
    if (!(epsilon > 0 && std::isfinite(epsilon) && sigma_last > 0 && std::isfinite(sigma_last)))
      throw error(
          fmt::format("samplers::annealed_langevin: epsilon = {} and sigma_last = {} were given, "
                      "expected finite ones above 0",
                      epsilon, sigma_last));
  }
  auto langevin(level t) const {
    double const a = epsilon * std::pow(t.sigma / sigma_last, 2);
    return at(t, x = x + a / 2 * score + std::sqrt(a) * noise);
  }
  auto step(level t, level) const { return stages(repeat(n, langevin(t))); }
  auto last(level t, level s) const {
    return stages(repeat(n, langevin(t)), at(t, x = s.alpha * x0));
  }
};

}  // namespace tweedie::samplers
