// The linear multistep method of order 3 on du/drho = eps, u = x / alpha, rho = sigma / alpha: the
// three-step Adams-Bashforth method for steps of any length ("LMS" in Karras et al. 2022's
// comparison and in k-diffusion; Hairer, Norsett & Wanner, Solving ODEs I, III.5).
//
//   u_s = u_t + sum_i eps_i integral from rho_t to rho_s of l_i(rho) drho
//
// l_i are Lagrange's polynomials through the last slopes' rho. Where a step is more than twice as
// long as the one before, as in few steps from the clean end on, it is Euler's: the polynomials
// would grow with the square of how far they are followed.
//
// name: lms_3 = lms_3{} | Linear multistep of order 3 (LMS)
#pragma once

#include <array>
#include <cmath>
#include <cstddef>

#include <tweedie/dsl/language/stage.hpp>
#include <tweedie/dsl/language/statement.hpp>

namespace tweedie::samplers {

using namespace symbols;

struct lms_3 {
  using kind = kinds::sampler;
  static constexpr char const* name = "samplers::lms_3";
  auto step(level t, level s) const {  // warm-up: orders 1 and 2
    return tweedie::step(x = s.alpha * (x / t.alpha + (s.rho() - t.rho()) * eps));
  }
  auto step(level r, level t, level s) const {
    auto const w = weights<2>({t.rho(), r.rho()}, s.rho());
    return tweedie::step(x = s.alpha * (x / t.alpha + w[0] * eps + w[1] * past_eps<1>));
  }
  auto step(level q, level r, level t, level s) const {
    auto const w = weights<3>({t.rho(), r.rho(), q.rho()}, s.rho());
    return tweedie::step(x = s.alpha *
                             (x / t.alpha + w[0] * eps + w[1] * past_eps<1> + w[2] * past_eps<2>));
  }
  auto first(level, level s) const {  // alpha_t = 0: rho is infinite
    return tweedie::step(x = s.alpha * x0 + s.sigma * eps);
  }

 private:
  /// The integrals from at[0] to `end`, each of a polynomial of degree N - 1 < 3: Simpson's rule is
  /// exact for it.
  template <std::size_t N>
  static std::array<double, N> weights(std::array<double, N> const& at, double end) {
    std::array<double, N> w{};
    if (std::abs(end - at[0]) > 2 * std::abs(at[0] - at[1])) {
      w[0] = end - at[0];
      return w;
    }
    for (std::size_t i = 0; i < N; ++i) {
      if (std::isinf(at[i])) continue;  // after a first step from alpha = 0: a slope less
      auto const lagrange = [&](double rho) {
        double r = 1;
        for (std::size_t j = 0; j < N; ++j)
          if (j != i && !std::isinf(at[j])) r *= (rho - at[j]) / (at[i] - at[j]);
        return r;
      };
      w[i] =
          (end - at[0]) / 6 * (lagrange(at[0]) + 4 * lagrange((at[0] + end) / 2) + lagrange(end));
    }
    return w;
  }
};

}  // namespace tweedie::samplers
