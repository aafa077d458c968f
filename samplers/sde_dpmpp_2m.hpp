// SDE-DPM-Solver++(2M): Lu et al. 2022, "DPM-Solver++: Fast Solver for Guided Sampling of Diffusion
// Probabilistic Models", version 2, appendix; eta as in k-diffusion (Crowson).
//
//   x_s = (sigma_s / sigma_t) e^(-eta h) x_t + alpha_s (1 - e^(-(1 + eta) h)) D
//         + sigma_s sqrt(1 - e^(-2 eta h)) noise
//   D = (1 + q) x0 - q (x0 of the evaluation before)
//   h = lambda_s - lambda_t,  q = h / (2 (lambda_t - lambda_r)),  lambda = ln(alpha / sigma)
//
// r is the level before t; q is bounded as dpmpp_2m's. eta = 1 is the reverse SDE, the paper's; eta
// = 0 is dpmpp_2m (which, as a type, draws no noise).
//
// name: sde_dpmpp_2m = sde_dpmpp_2m{} | SDE-DPM-Solver++ 2M (Lu et al. 2022)
#pragma once

#include <cmath>

#include <fmt/format.h>

#include <tweedie/dsl/base/error.hpp>
#include <tweedie/dsl/language/stage.hpp>
#include <tweedie/dsl/language/statement.hpp>
#include <tweedie/samplers/step_length.hpp>

namespace tweedie::samplers {

using namespace symbols;

struct sde_dpmpp_2m {
  using kind = kinds::sampler;
  static constexpr char const* name = "samplers::sde_dpmpp_2m";
  double eta = 1;
  static constexpr auto fields = std::tuple{field{"eta", &sde_dpmpp_2m::eta}};

 private:
  auto stepped(level t, level s, auto d) const {
    double const h = s.lambda() - t.lambda();
    double const forgotten = eta == 0 ? 0 : eta * h;  // h is infinite from alpha_t = 0
    return tweedie::step(x = s.sigma / t.sigma * std::exp(-forgotten) * x -
                             s.alpha * std::expm1(-(h + forgotten)) * d +
                             s.sigma * std::sqrt(-std::expm1(-2 * forgotten)) * noise);
  }

 public:
  auto step(level t, level s) const {  // warm-up: order 1
    return stepped(t, s, +x0);
  }
  auto step(level r, level t, level s) const {
    double const before = t.lambda() - r.lambda();
    double const q = detail::followed(s.lambda() - t.lambda(), before) / (2 * before);
    return stepped(t, s, (1 + q) * x0 - q * past_x0<1>);
  }
  void check() const {
    if (!(eta >= 0 && std::isfinite(eta)))
      throw error(fmt::format("sde_dpmpp_2m: eta = {} was given, expected 0 or more", eta));
  }
};

}  // namespace tweedie::samplers
