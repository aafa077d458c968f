// Lu et al. 2022, "DPM-Solver++: Fast Solver for Guided Sampling of Diffusion Probabilistic
// Models", Algorithm 2.
//
//   x_s = (sigma_s / sigma_t) x_t - alpha_s (exp(-h) - 1) D
//   D = (1 + q) x0 - q (x0 of the evaluation before)
//   h = lambda_s - lambda_t,  q = h / (2 (lambda_t - lambda_r)),  lambda = ln(alpha / sigma)
//
// r is the level before t. q is that of the step that the slope is followed for, which is h unless
// h is much longer than the step before (samplers/step_length.hpp).
//
// name: dpmpp_2m = dpmpp_2m{} | DPM-Solver++ 2M (Lu et al. 2022)
#pragma once

#include <cmath>

#include <tweedie/dsl/language/stage.hpp>
#include <tweedie/dsl/language/statement.hpp>
#include <tweedie/samplers/step_length.hpp>

namespace tweedie::samplers {

using namespace symbols;

struct dpmpp_2m {
  using kind = kinds::sampler;
  static constexpr char const* name = "samplers::dpmpp_2m";
  auto step(level t, level s) const {  // warm-up: order 1
    double const h = s.lambda() - t.lambda();
    return tweedie::step(x = s.sigma / t.sigma * x - s.alpha * std::expm1(-h) * x0);
  }
  auto step(level r, level t, level s) const {
    double const h = s.lambda() - t.lambda(), before = t.lambda() - r.lambda();
    double const q = detail::followed(h, before) / (2 * before);
    return tweedie::step(x = s.sigma / t.sigma * x -
                             s.alpha * std::expm1(-h) * ((1 + q) * x0 - q * past_x0<1>));
  }
};

}  // namespace tweedie::samplers
