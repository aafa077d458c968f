// Lu et al. 2022, "DPM-Solver++: Fast Solver for Guided Sampling of Diffusion Probabilistic
// Models", the multistep method of order 3: eq. 9 with x0 expanded to its second derivative.
//
//   x_s = (sigma_s / sigma_t) x_t - alpha_s (phi_1 x0 - phi_2 D_1 + phi_3 D_2)
//   phi_1 = e^-h - 1,  phi_2 = phi_1 / h + 1,  phi_3 = phi_2 / h - 1/2
//
// h = lambda_s - lambda_t, lambda = ln(alpha / sigma). D_1 and D_2 are h and h^2 times the
// derivatives at t, in lambda, of the parabola through x0 of this and the last two evaluations. The
// published code has half of D_2, the divided difference itself, which is of order 2.
#pragma once

#include <cmath>

#include <tweedie/samplers/dpmpp_2m.hpp>

namespace tweedie::samplers {

struct dpmpp_3m {
  using kind = kinds::sampler;
  static constexpr char const* name = "samplers::dpmpp_3m";
  auto step(level t, level s) const { return dpmpp_2m{}.step(t, s); }  // warm-up: orders 1 and 2
  auto step(level r, level t, level s) const { return dpmpp_2m{}.step(r, t, s); }
  auto step(level q, level r, level t, level s) const {
    double const h = s.lambda() - t.lambda();
    double const near = (t.lambda() - r.lambda()) / h, far = (r.lambda() - q.lambda()) / h;
    auto const slope = (x0 - past_x0<1>) / near;
    auto const slope_before = (past_x0<1> - past_x0<2>) / far;
    auto const d2 = 2 / (near + far) * (slope - slope_before);
    auto const d1 = slope + near / 2 * d2;
    return tweedie::step(x = s.sigma / t.sigma * x -
                             s.alpha * (std::expm1(-h) * x0 - phi(2, h) * d1 + phi(3, h) * d2));
  }

 private:
  /// phi_k = sum over n >= k of (-h)^n / (n! h^(k - 1)): summed where subtracting would cancel.
  static double phi(int k, double h) {
    if (std::abs(h) > 1) {
      double const phi2 = std::expm1(-h) / h + 1;
      return k == 2 ? phi2 : phi2 / h - 0.5;
    }
    double term = std::pow(h, 1 - k), sum = 0;
    for (int n = 1; n < 24; ++n) {
      term *= -h / n;
      if (n >= k) sum += term;
    }
    return sum;
  }
};

}  // namespace tweedie::samplers
