// Heun's method on the probability-flow ODE, Karras et al. 2022, "Elucidating the Design Space of
// Diffusion-Based Generative Models", Algorithm 1, in the angle theta in place of their sigma:
//
//   z = x / r,  r = sqrt(alpha^2 + sigma^2),  tan(theta) = sigma / alpha
//   dz / dtheta = (alpha eps - sigma x0) / r = v / r
//
// Slope and variable are bounded at both ends of every schedule. In rho = sigma / alpha, as the
// paper has it (samplers/heun_in_rho.hpp), a step from alpha = 0.00005, where the cosine table
// ends, is 20,000 long.
//
// name: heun = heun{} | Heun's method, in theta
#pragma once

#include <tweedie/dsl/language/stage.hpp>
#include <tweedie/dsl/language/statement.hpp>

namespace tweedie::samplers {

using namespace symbols;

struct heun {
  using kind = kinds::sampler;
  static constexpr char const* name = "samplers::heun";
  auto step(level t, level s) const {
    double const h = s.theta() - t.theta();
    return stages(at(t, keep<0> = x / t.scale(), keep<1> = v / t.scale(),
                     x = s.scale() * (x / t.scale() + h / t.scale() * v)),
                  at(s, x = s.scale() * (keep<0> + h / 2 * (keep<1> + v / s.scale()))));
  }
  // sigma_s = 0: no second slope, and eps does not matter.
  auto last(level, level s) const { return tweedie::step(x = s.alpha * x0); }
};

}  // namespace tweedie::samplers
