// Song, Meng & Ermon 2021, "Denoising Diffusion Implicit Models", eqs. 12 and 16, on any schedule.
//
//   x_s = alpha_s x0 + sqrt(sigma_s^2 - kappa^2) eps + kappa noise
//   kappa = eta (sigma_s / sigma_t) sqrt(beta_ts)
//   beta_ts = sigma_t^2 - (alpha_t / alpha_s)^2 sigma_s^2
//
// The paper's alpha is DDPM's alpha-bar: its square root is alpha here.
//
// name: ddim = ddim{} | DDIM (Song et al. 2021)
// name: ddim_eta = ddim_eta{} | DDIM with eta, 1 by default
#pragma once

#include <cmath>

#include <fmt/format.h>

#include <tweedie/dsl/base/error.hpp>
#include <tweedie/dsl/language/stage.hpp>
#include <tweedie/dsl/language/statement.hpp>

namespace tweedie::samplers {

using namespace symbols;

/// eta = 0: deterministic as a type.
struct ddim {
  using kind = kinds::sampler;
  static constexpr char const* name = "samplers::ddim";
  auto step(level, level s) const { return tweedie::step(x = s.alpha * x0 + s.sigma * eps); }
};

/// eta as a value: 1 is ancestral sampling with variance beta-tilde. At 0 it still draws its noise;
/// use ddim.
struct ddim_eta {
  using kind = kinds::sampler;
  static constexpr char const* name = "samplers::ddim_eta";
  double eta = 1;
  static constexpr auto fields = std::tuple{field{"eta", &ddim_eta::eta}};
  void check() const {
    if (!(eta >= 0 && eta <= 1))
      throw error(fmt::format("samplers::ddim_eta: eta = {} was given, expected 0 to 1", eta));
  }
  auto step(level t, level s) const {
    double const shrink = std::pow(t.alpha / s.alpha * s.sigma / t.sigma, 2);  // 1 - beta / sigma^2
    double const kappa = eta * s.sigma * std::sqrt(1 - shrink);
    // The root of sigma_s^2 - kappa^2, written so that nothing cancels where alpha_t is small.
    double const kept = s.sigma * std::sqrt((1 - eta) * (1 + eta) + eta * eta * shrink);
    return tweedie::step(x = s.alpha * x0 + kept * eps + kappa * noise);
  }
};

}  // namespace tweedie::samplers
