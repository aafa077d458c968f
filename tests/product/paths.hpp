// The formulas of ddim and of the samplers that draw noise once more, in double and by hand: one
// number along one path, whose noise is given.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include "exact.hpp"

namespace product {

/// What a path sees: the data, the levels, the schedule between them, and noise by evaluation.
struct way {
  distribution const& of;
  std::vector<level> const& levels;
  std::function<level(double rho)> at_rho;
  std::function<double(std::size_t evaluation)> noise;
  std::size_t steps() const { return levels.size() - 1; }
};
using path_formula = std::function<double(double x, way const& w)>;

/// Song, Meng & Ermon 2021, eq. 12 with eq. 16; kappa^2 = eta^2 sigma_s^2 / sigma_t^2 beta_ts.
inline path_formula ddim_path(double eta) {
  return [eta](double x, way const& w) {
    for (std::size_t k = 0; k < w.steps(); ++k) {
      level const t = w.levels[k], s = w.levels[k + 1];
      double const x0 = w.of.x0(x, t), eps = w.of.eps(x, t);
      if (s.sigma == 0) {
        x = s.alpha * x0;
        continue;
      }
      double const a = t.alpha / s.alpha, beta = t.sigma * t.sigma - a * a * s.sigma * s.sigma;
      double const kappa2 =
          eta == 0 ? 0 : eta * eta * s.sigma * s.sigma / (t.sigma * t.sigma) * beta;
      x = s.alpha * x0 + std::sqrt(std::max(0.0, s.sigma * s.sigma - kappa2)) * eps +
          std::sqrt(kappa2) * (eta == 0 ? 0 : w.noise(k));
    }
    return x;
  };
}

/// Ho et al. 2020, eqs. 6 and 7: the posterior of x_s given x_t and x0, and noise of its variance
/// or of beta.
inline path_formula ancestral_path(bool beta_variance) {
  return [beta_variance](double x, way const& w) {
    for (std::size_t k = 0; k < w.steps(); ++k) {
      level const t = w.levels[k], s = w.levels[k + 1];
      double const x0 = w.of.x0(x, t);
      double const a = t.alpha / s.alpha, st = t.sigma * t.sigma, ss = s.sigma * s.sigma;
      double const beta = st - a * a * ss;
      double const mean = s.alpha * beta / st * x0 + a * ss / st * x;
      double const variance = ss == 0 ? 0 : beta_variance ? beta : ss / st * beta;
      x = mean + std::sqrt(variance) * w.noise(k);
    }
    return x;
  };
}

/// SDE-DPM-Solver++(2M) in lambda; from alpha = 0 its limit: x_t forgotten, D alone.
inline path_formula sde_dpmpp_path(double eta) {
  return [eta](double x, way const& w) {
    double before = 0;
    for (std::size_t k = 0; k < w.steps(); ++k) {
      level const t = w.levels[k], s = w.levels[k + 1];
      double const x0 = w.of.x0(x, t);
      if (s.sigma == 0) return s.alpha * x0;
      double const h = s.lambda() - t.lambda();
      double d = x0;
      if (k > 0 && w.levels[k - 1].alpha > 0) {
        // The slope is followed twice as far as it was measured, or 1 where that is less.
        double const h_before = t.lambda() - w.levels[k - 1].lambda();
        d += std::min(h, std::max(2 * h_before, 1.0)) / (2 * h_before) * (x0 - before);
      }
      double const keep = s.sigma / t.sigma * std::exp(-eta * h);
      x = (std::isinf(h) ? (eta == 0 ? s.sigma / t.sigma : 0) : keep) * x +
          s.alpha * (1 - std::exp(-(1 + eta) * h)) * d +
          (eta == 0 ? 0 : s.sigma * std::sqrt(1 - std::exp(-2 * eta * h)) * w.noise(k));
      before = x0;
    }
    return x;
  };
}

/// Song et al. 2021, eq. 6, by Euler and Maruyama; the last step takes the noise off, and alpha = 0
/// is left at once.
inline double euler_maruyama_path(double x, way const& w) {
  for (std::size_t k = 0; k < w.steps(); ++k) {
    level const t = w.levels[k], s = w.levels[k + 1];
    double const x0 = w.of.x0(x, t), score = -w.of.eps(x, t) / t.sigma, dt = t.t - s.t;
    if (s.sigma == 0) x = s.alpha * x0;
    else if (t.alpha == 0) x = s.alpha * x0 + s.sigma * w.noise(k);
    else {
      double const f = t.dalpha / t.alpha, g2 = 2 * t.sigma * (t.dsigma - f * t.sigma);
      x += -dt * (f * x - g2 * score) + std::sqrt(g2 * dt) * w.noise(k);
    }
  }
  return x;
}

/// Karras et al. 2022, Algorithm 2. Noise is drawn by the kernel before: that of the start has the
/// number -1.
inline path_formula edm_stochastic_path(double gamma) {
  return [gamma](double x, way const& w) {
    std::size_t evaluation = 0;
    for (std::size_t k = 0; k < w.steps(); ++k) {
      level const t = w.levels[k], s = w.levels[k + 1];
      bool const raised = gamma > 0 && t.alpha > 0;
      level const hat = raised ? w.at_rho((1 + gamma) * t.rho()) : t;
      if (raised)
        x = hat.alpha *
            (x / t.alpha + std::sqrt(std::max(0.0, hat.rho() * hat.rho() - t.rho() * t.rho())) *
                               w.noise(evaluation - 1));
      double const eps = w.of.eps(x, hat);
      if (s.sigma == 0) return s.alpha * w.of.x0(x, hat);
      if (hat.alpha == 0) {
        x = s.alpha * w.of.x0(x, hat) + s.sigma * eps;
        evaluation += 1;
        continue;
      }
      double const u = x / hat.alpha, h = s.rho() - hat.rho();
      double const there = w.of.eps(s.alpha * (u + h * eps), s);
      x = s.alpha * (u + h / 2 * (eps + there));
      evaluation += 2;
    }
    return x;
  };
}

}  // namespace product
