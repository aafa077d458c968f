// The reverse-time SDE by the Euler-Maruyama method: Song et al. 2021, "Score-Based Generative
// Modeling through Stochastic Differential Equations", eq. 6 and appendix G.
//
//   dx = (f x - g^2 score) dt + g dw
//   x_s = x_t + (f x_t - g^2 score) (s - t) + g sqrt(t - s) noise
//
// f = alpha' / alpha and g^2 = 2 sigma (sigma' - f sigma) of the level t: time is the schedule's
// own, so any schedule's SDE is meant. The last step is x = alpha x0.
//
// name: euler_maruyama = euler_maruyama{} | The reverse SDE by Euler-Maruyama (Song et al. 2021)
#pragma once

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include <tweedie/dsl/base/error.hpp>
#include <tweedie/dsl/language/stage.hpp>
#include <tweedie/dsl/language/statement.hpp>

namespace tweedie::samplers {

using namespace symbols;

struct euler_maruyama {
  using kind = kinds::sampler;
  static constexpr char const* name = "samplers::euler_maruyama";
  auto step(level t, level s) const {
    double const dt = s.t - t.t;
    check_direction(t, s);
    check_length(t, s);
    return tweedie::step(x = x + dt * (t.f() * x - t.g2() * score) +
                             std::sqrt(t.g2() * -dt) * noise);
  }
  // alpha_t = 0: f is infinite, x_t is forgotten at once.
  auto first(level t, level s) const {
    check_direction(t, s);
    return tweedie::step(x = s.alpha * x0 + s.sigma * noise);
  }

 private:
  static void check_direction(level t, level s) {
    if (!(s.t < t.t))
      throw error(
          fmt::format("{}: a step from t = {} to t = {} was given, expected one to less noise; "
                      "encode with samplers::ddim, or another that draws no noise",
                      name, t.t, s.t));
  }
  /// Of the noise that is there a step takes g^2 |dt| / sigma^2, and f shrinks x by itself. An
  /// explicit method that takes more than what is there turns its sign, and swings further out each
  /// time from twice on; with 1.25 times at each step a law remains some 40 % too wide on EDM's
  /// schedule. And it leaves what it added where that is much more than all that x should have at
  /// s.
  static void check_length(level t, level s) {
    double const dt = t.t - s.t, added = t.g2() * dt;
    double const of_noise = (added / (t.sigma * t.sigma) + t.f() * dt) / 1.25;
    double const of_x = added / (s.scale() * s.scale()) / 16;
    if (double const length = std::max(of_noise, of_x); length > 1)
      throw error(fmt::format(
          "{}: a step from t = {} to t = {} was given, which adds noise of variance {:.3g}, and is "
          "too "
          "long for it by a factor of {:.3g}: use more steps, a grid that begins lower, such as "
          "grids::karras, or samplers::sde_dpmpp_2m, which takes long ones",
          name, t.t, s.t, added, length));
  }
};

}  // namespace tweedie::samplers
