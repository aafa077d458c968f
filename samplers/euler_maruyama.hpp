// The reverse-time SDE by the Euler-Maruyama method: Song et al. 2021, "Score-Based Generative
// Modeling through Stochastic Differential Equations", eq. 6 and appendix G.
//
//   dx = (f x - g^2 score) dt + g dw
//   x_s = x_t + (f x_t - g^2 score) (s - t) + g sqrt(t - s) noise
//
// f = alpha' / alpha and g^2 = 2 sigma (sigma' - f sigma) of the level t: time is the schedule's
// own, so any schedule's SDE is meant. The last step is x = alpha x0.
#pragma once

#include <cmath>

#include <tweedie/dsl/stage.hpp>
#include <tweedie/dsl/statement.hpp>

namespace tweedie::samplers {

using namespace symbols;

struct euler_maruyama {
  using kind = kinds::sampler;
  static constexpr char const* name = "samplers::euler_maruyama";
  auto step(level t, level s) const {
    double const dt = s.t - t.t;
    return tweedie::step(x = x + dt * (t.f() * x - t.g2() * score) +
                             std::sqrt(t.g2() * -dt) * noise);
  }
  // alpha_t = 0: f is infinite, x_t is forgotten at once.
  auto first(level, level s) const { return tweedie::step(x = s.alpha * x0 + s.sigma * noise); }
};

}  // namespace tweedie::samplers
