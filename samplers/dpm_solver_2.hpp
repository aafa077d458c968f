// Lu et al. 2022, "DPM-Solver: A Fast ODE Solver for Diffusion Probabilistic Model Sampling in
// Around 10 Steps", DPM-Solver-2 (Algorithm 1, r = 1/2).
//
//   x_m = (alpha_m / alpha_t) x_t - sigma_m (e^(h/2) - 1) eps(x_t, t),  lambda_m = lambda_t + h / 2
//   x_s = (alpha_s / alpha_t) x_t - sigma_s (e^h - 1) eps(x_m, m)
//
// h = lambda_s - lambda_t, lambda = ln(alpha / sigma).
//
// name: dpm_solver_2 = dpm_solver_2{} | DPM-Solver-2 (Lu et al. 2022, DPM-Solver, Algorithm 1)
#pragma once

#include <cmath>

#include <tweedie/dsl/language/path.hpp>
#include <tweedie/dsl/language/stage.hpp>
#include <tweedie/dsl/language/statement.hpp>
#include <tweedie/samplers/step_length.hpp>

namespace tweedie::samplers {

using namespace symbols;

struct dpm_solver_2 {
  using kind = kinds::sampler;
  static constexpr char const* name = "samplers::dpm_solver_2";
  auto step(level t, level s, path const& p) const {
    detail::check_step_in_rho(name, t, s);
    double const h = s.lambda() - t.lambda();
    // sigma_t = 0: lambda is infinite, and halfway to it too; what is left is ddim.
    level const m = t.sigma == 0 ? t : p.at_rho(std::exp(-(t.lambda() + h / 2)));
    return stages(
        at(t, keep<0> = x / t.alpha, x = m.alpha / t.alpha * x - m.sigma * std::expm1(h / 2) * eps),
        at(m, x = s.alpha * keep<0> - s.sigma * std::expm1(h) * eps));
  }
  auto first(level, level s) const {  // alpha_t = 0: lambda is infinite
    return tweedie::step(x = s.alpha * x0 + s.sigma * eps);
  }
  auto last(level, level s) const { return tweedie::step(x = s.alpha * x0); }  // sigma_s = 0
};

}  // namespace tweedie::samplers
