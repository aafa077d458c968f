// Chung et al. 2024, "CFG++: Manifold-constrained Classifier Free Guidance for Diffusion Models",
// Algorithm 2.
//
//   x0 = (x - sigma (eps_u + lambda (eps_c - eps_u))) / alpha
//   eps = eps_u
//
// The first is x0_u + lambda (x0_c - x0_u), which divides by no alpha.
#pragma once

#include <tweedie/guidances/guidance.hpp>

namespace tweedie::guidance {

/// x0 is guided, the noise that is added back is not, so that x = alpha x0 + sigma eps does not
/// hold of them. For samplers whose steps go to alpha x0 + sigma eps, as ddim: one in x and eps
/// (euler) would see no guidance, one in x and x0 (dpmpp_2m) plain guidance of scale lambda, and
/// one along v (heun) another flow. They are refused.
struct cfg_plus_plus {
  using kind = kinds::guidance;
  static constexpr char const* name = "guidance::cfg_plus_plus";
  static constexpr int branches = 2;
  double lambda = 0.6;  ///< 0 to 1: an interpolation
  static constexpr auto fields = std::tuple{field{"lambda", &cfg_plus_plus::lambda}};
  void check() const { detail::check_share("cfg_plus_plus", "lambda", lambda); }
  auto x0_of(level) const { return branch_x0<1> + lambda * (branch_x0<0> - branch_x0<1>); }
  auto eps_of(level) const { return +branch_eps<1>; }
};

}  // namespace tweedie::guidance
