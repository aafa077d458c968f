// Song, Dhariwal, Chen & Sutskever 2023, "Consistency Models", Algorithm 1: to the end of the path,
// and back to the next level by fresh noise.
//
//   u_s = f(x_t, t) + sqrt(rho_s^2 - rho_min^2) noise,  u = x / alpha,  rho = sigma / alpha
//
// f, which predicts::consistency puts in the place of x0, has the noise rho_min already. One step
// from the noisy end to the clean one is one-step sampling: the last step is x = alpha f. With
// rho_min = 0 and an ordinary network it is the noisy sample of the predicted x0.
#pragma once

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include <tweedie/dsl/base/error.hpp>
#include <tweedie/dsl/language/stage.hpp>
#include <tweedie/dsl/language/statement.hpp>

namespace tweedie::samplers {

using namespace symbols;

struct consistency {
  using kind = kinds::sampler;
  static constexpr char const* name = "samplers::consistency";
  double rho_min = 0.002;  ///< that of predicts::consistency
  static constexpr auto fields = std::tuple{field{"rho_min", &consistency::rho_min}};
  void check() const {
    if (!(rho_min >= 0 && std::isfinite(rho_min)))
      throw error(fmt::format(
          "samplers::consistency: rho_min = {} was given, expected a finite one, 0 or more",
          rho_min));
  }
  auto step(level, level s) const {
    double const fresh = std::max(s.sigma * s.sigma - std::pow(s.alpha * rho_min, 2), 0.0);
    return tweedie::step(x = s.alpha * x0 + std::sqrt(fresh) * noise);
  }
};

}  // namespace tweedie::samplers
