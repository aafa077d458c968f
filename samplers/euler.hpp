// The probability-flow ODE by Euler's method (Song et al. 2021; Karras et al. 2022, section 3).
//
// In u = x / alpha and rho = sigma / alpha it is du/drho = eps, whatever the schedule.
//
// name: euler = euler{} | Euler's method on the probability flow
#pragma once

#include <tweedie/dsl/language/stage.hpp>
#include <tweedie/dsl/language/statement.hpp>

namespace tweedie::samplers {

using namespace symbols;

struct euler {
  using kind = kinds::sampler;
  static constexpr char const* name = "samplers::euler";
  auto step(level t, level s) const {
    return tweedie::step(x = s.alpha * (x / t.alpha + (s.rho() - t.rho()) * eps));
  }
  auto first(level, level s) const {  // alpha_t = 0: rho is infinite
    return tweedie::step(x = s.alpha * x0 + s.sigma * eps);
  }
};

}  // namespace tweedie::samplers
