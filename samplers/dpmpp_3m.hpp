// Lu et al. 2022, "DPM-Solver++: Fast Solver for Guided Sampling of Diffusion Probabilistic
// Models", the multistep method of order 3: eq. 9 with x0 expanded to its second derivative.
//
//   x_s = (sigma_s / sigma_t) x_t - alpha_s (phi_1 x0 - phi_2 D_1 + phi_3 D_2)
//   phi_1 = e^-h - 1,  phi_2 = phi_1 / h + 1,  phi_3 = phi_2 / h - 1/2
//
// h = lambda_s - lambda_t, lambda = ln(alpha / sigma). D_1 and D_2 are h and h^2 times the
// derivatives at t, in lambda, of the parabola through x0 of this and the last two evaluations.
//
// dpmpp_3m_published is the authors' code, and so k-diffusion's and diffusers': it has half of D_2,
// the divided difference itself. That is of order 2.
//
// name: dpmpp_3m = dpmpp_3m{} | DPM-Solver++ 3M (Lu et al. 2022)
// name: dpmpp_3m_published = dpmpp_3m_published{} | DPM-Solver++ 3M as published in code
#pragma once

#include <cmath>

#include <tweedie/samplers/dpmpp_2m.hpp>

namespace tweedie::samplers {

namespace detail {

/// phi_k = sum over n >= k of (-h)^n / (n! h^(k - 1)): summed where subtracting would cancel.
inline double phi(int k, double h) {
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

/// The step of order 3 with `part` of D_2; of order 2 where h is too long for a parabola.
inline auto third_order(level q, level r, level t, level s, double part) {
  double const h = s.lambda() - t.lambda(), before = t.lambda() - r.lambda();
  double const near = before / h, far = (r.lambda() - q.lambda()) / h;
  auto const slope = (x0 - past_x0<1>) / near;
  auto const slope_before = (past_x0<1> - past_x0<2>) / far;
  auto const d2 = 2 / (near + far) * (slope - slope_before);
  double const reach = followed(h, before);
  bool const second = reach != h;
  double const of_slope = second ? reach / h / 2 * std::expm1(-h) : -phi(2, h);
  double const of_d2 = second ? 0 : part * phi(3, h) - near / 2 * phi(2, h);
  return tweedie::step(x = s.sigma / t.sigma * x -
                           s.alpha * (std::expm1(-h) * x0 + of_slope * slope + of_d2 * d2));
}

}  // namespace detail

struct dpmpp_3m {
  using kind = kinds::sampler;
  static constexpr char const* name = "samplers::dpmpp_3m";
  auto step(level t, level s) const { return dpmpp_2m{}.step(t, s); }  // warm-up: orders 1 and 2
  auto step(level r, level t, level s) const { return dpmpp_2m{}.step(r, t, s); }
  auto step(level q, level r, level t, level s) const { return detail::third_order(q, r, t, s, 1); }
};

struct dpmpp_3m_published {
  using kind = kinds::sampler;
  static constexpr char const* name = "samplers::dpmpp_3m_published";
  auto step(level t, level s) const { return dpmpp_2m{}.step(t, s); }
  auto step(level r, level t, level s) const { return dpmpp_2m{}.step(r, t, s); }
  auto step(level q, level r, level t, level s) const {
    return detail::third_order(q, r, t, s, 0.5);
  }
};

}  // namespace tweedie::samplers
