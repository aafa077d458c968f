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

#include <fmt/format.h>

#include <tweedie/dsl/error.hpp>
#include <tweedie/dsl/stage.hpp>
#include <tweedie/dsl/statement.hpp>

namespace tweedie::samplers {

using namespace symbols;

struct euler_maruyama {
  using kind = kinds::sampler;
  static constexpr char const* name = "samplers::euler_maruyama";
  auto step(level t, level s) const {
    double const dt = s.t - t.t;
    check_step(t, s);
    return tweedie::step(x = x + dt * (t.f() * x - t.g2() * score) +
                             std::sqrt(t.g2() * -dt) * noise);
  }
  // alpha_t = 0: f is infinite, x_t is forgotten at once.
  auto first(level, level s) const { return tweedie::step(x = s.alpha * x0 + s.sigma * noise); }

 private:
  /// The noise of a step beyond which an explicit method swings further out each time.
  static void check_step(level t, level s) {
    constexpr double most = 3;
    double const length = t.g2() * (t.t - s.t) / (t.sigma * t.sigma);
    if (length > most)
      throw error(fmt::format(
          "{}: a step from t = {} to t = {} was given, which adds {:.3g} times the noise that is "
          "there (g^2 dt / sigma^2), expected {} times at most: use more steps, the uniform grid, "
          "or "
          "samplers::sde_dpmpp_2m, which takes long ones",
          name, t.t, s.t, length, most));
  }
};

}  // namespace tweedie::samplers
