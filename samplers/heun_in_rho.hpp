// Karras et al. 2022, "Elucidating the Design Space of Diffusion-Based Generative Models",
// Algorithm 1.
//
// In u = x / alpha and rho = sigma / alpha, their x and sigma, the probability-flow ODE is du/drho
// = eps, whatever the schedule. These are k-diffusion's and diffusers' numbers. rho has no bound
// where alpha goes to 0: samplers/heun.hpp is the same method in a variable that has.
//
// name: heun_in_rho = heun_in_rho{} | Heun's method in rho (Karras et al. 2022, Algorithm 1)
#pragma once

#include <tweedie/dsl/language/stage.hpp>
#include <tweedie/dsl/language/statement.hpp>
#include <tweedie/samplers/step_length.hpp>

namespace tweedie::samplers {

using namespace symbols;

struct heun_in_rho {
  using kind = kinds::sampler;
  static constexpr char const* name = "samplers::heun_in_rho";
  auto step(level t, level s) const {
    detail::check_step_in_rho(name, t, s);
    double const h = s.rho() - t.rho();
    return stages(
        at(t, keep<0> = x / t.alpha, keep<1> = eps, x = s.alpha * (x / t.alpha + h * eps)),
        at(s, x = s.alpha * (keep<0> + h / 2 * (keep<1> + eps))));
  }
  auto first(level, level s) const {  // alpha_t = 0: rho is infinite
    return tweedie::step(x = s.alpha * x0 + s.sigma * eps);
  }
  auto last(level, level s) const {
    return tweedie::step(x = s.alpha * x0);
  }  // sigma_s = 0: no second slope
};

}  // namespace tweedie::samplers
