// Karras et al. 2022, "Elucidating the Design Space of Diffusion-Based Generative Models",
// Algorithm 2, on any schedule: their sigma is rho = sigma / alpha, their x is u = x / alpha.
//
//   rho_hat = (1 + gamma) rho_t,  gamma = min(S_churn / N, sqrt(2) - 1) within [S_tmin, S_tmax]
//   u_hat = u + sqrt(rho_hat^2 - rho_t^2) S_noise noise
//   then heun's step from rho_hat to rho_s
//
// Noise is added by the kernel before, both evaluations are heun's. gamma = 0 is heun, but for
// noise that is drawn and not used.
//
// name: edm_stochastic = edm_stochastic{}
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include <fmt/format.h>

#include <tweedie/dsl/base/error.hpp>
#include <tweedie/dsl/language/path.hpp>
#include <tweedie/dsl/language/stage.hpp>
#include <tweedie/dsl/language/statement.hpp>
#include <tweedie/samplers/step_length.hpp>

namespace tweedie::samplers {

using namespace symbols;

/// `edm_stochastic{.gamma = edm_stochastic::churn(40, 256), .s_tmin = 0.05, .s_tmax = 50, .s_noise
/// = 1.003}`. A level is raised as far as the schedule goes at most.
struct edm_stochastic {
  using kind = kinds::sampler;
  static constexpr char const* name = "samplers::edm_stochastic";
  double gamma = 0;                                         ///< how far a level is raised
  double s_tmin = 0;                                        ///< in rho
  double s_tmax = std::numeric_limits<double>::infinity();  ///< in rho
  double s_noise = 1;                                       ///< standard deviation of the noise
  static constexpr auto fields = std::tuple{
      field{"gamma", &edm_stochastic::gamma}, field{"s_tmin", &edm_stochastic::s_tmin},
      field{"s_tmax", &edm_stochastic::s_tmax}, field{"s_noise", &edm_stochastic::s_noise}};

  /// gamma of Algorithm 2 from S_churn and the number of steps.
  static double churn(double s_churn, int steps) {
    return std::min(s_churn / steps, std::numbers::sqrt2 - 1);
  }

  auto enter(level t, level, path const& p) const {
    level const hat = raised(t, p);
    // At the schedule's end a level is raised by nothing, or by less than rounding.
    double const added = std::sqrt(std::max(0.0, hat.rho() * hat.rho() - t.rho() * t.rho()));
    double const kept = hat.t == t.t ? 1 : hat.alpha / t.alpha;
    return tweedie::step(x = kept * x + hat.alpha * added * s_noise * noise);
  }
  auto step(level t, level s, path const& p) const {
    level const hat = raised(t, p);
    detail::check_step_in_rho(name, hat, s);
    double const h = s.rho() - hat.rho();
    return stages(
        at(hat, keep<0> = x / hat.alpha, keep<1> = eps, x = s.alpha * (x / hat.alpha + h * eps)),
        at(s, x = s.alpha * (keep<0> + h / 2 * (keep<1> + eps))));
  }
  auto first(level, level s) const {  // alpha_t = 0: there is no higher level
    return tweedie::step(x = s.alpha * x0 + s.sigma * eps);
  }
  auto last(level t, level s, path const& p) const {
    return stages(at(raised(t, p), x = s.alpha * x0));
  }

  void check() const {
    if (!(gamma >= 0 && gamma <= std::numbers::sqrt2 - 1))
      throw error(fmt::format(
          "edm_stochastic: gamma = {} was given, expected 0 <= gamma <= sqrt(2) - 1", gamma));
    if (!(s_tmin >= 0 && s_tmin <= s_tmax))
      throw error(fmt::format(
          "edm_stochastic: s_tmin = {} and s_tmax = {} were given, expected 0 <= s_tmin <= s_tmax",
          s_tmin, s_tmax));
    if (!(s_noise >= 0 && std::isfinite(s_noise)))
      throw error(
          fmt::format("edm_stochastic: s_noise = {} was given, expected 0 or more", s_noise));
  }

 private:
  level raised(level t, path const& p) const {
    if (gamma == 0 || t.alpha == 0 || t.rho() < s_tmin || t.rho() > s_tmax) return t;
    return p.at_rho(std::min((1 + gamma) * t.rho(), p.noisiest));
  }
};

}  // namespace tweedie::samplers
