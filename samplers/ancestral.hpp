// Ho, Jain & Abbeel 2020, "Denoising Diffusion Probabilistic Models", Algorithm 2 and eqs. 6 and 7,
// between any two levels.
//
//   mean = (alpha_s beta_ts / sigma_t^2) x0 + (alpha_ts sigma_s^2 / sigma_t^2) x_t
//   variance: beta_ts, or beta-tilde = sigma_s^2 beta_ts / sigma_t^2
//   alpha_ts = alpha_t / alpha_s,  beta_ts = sigma_t^2 - alpha_ts^2 sigma_s^2
//
// name: ancestral = ancestral{} | Ancestral sampling (Ho et al. 2020, Algorithm 2)
#pragma once

#include <cmath>

#include <fmt/format.h>

#include <tweedie/dsl/base/error.hpp>
#include <tweedie/dsl/language/stage.hpp>
#include <tweedie/dsl/language/statement.hpp>

namespace tweedie::samplers {

using namespace symbols;

enum class variance { beta, beta_tilde };

struct ancestral {
  using kind = kinds::sampler;
  static constexpr char const* name = "samplers::ancestral";
  tweedie::samplers::variance variance = samplers::variance::beta_tilde;
  static constexpr auto fields = std::tuple{field{"variance", &ancestral::variance}};
  auto step(level t, level s) const {
    double const alpha = t.alpha / s.alpha;
    double const beta = t.sigma * t.sigma - alpha * alpha * s.sigma * s.sigma;
    double const shrink = s.sigma * s.sigma / (t.sigma * t.sigma);
    double const v = variance == samplers::variance::beta ? beta : shrink * beta;
    // On a schedule that preserves variance beta is at most 1 for any step.
    if (double const all = s.scale() * s.scale(); v > all * (1 + 1e-9))
      throw error(fmt::format(
          "{}: a step from t = {} to t = {} with variance beta = {:.3g} was given, more than x has "
          "there ({:.3g}): use variance beta_tilde, or more steps",
          name, t.t, s.t, v, all));
    return tweedie::step(x = s.alpha * beta / (t.sigma * t.sigma) * x0 + alpha * shrink * x +
                             std::sqrt(v) * noise);
  }
};

}  // namespace tweedie::samplers

template <> struct tweedie::names_of<tweedie::samplers::variance> {
  static constexpr char const* values[] = {"beta", "beta_tilde"};
};
