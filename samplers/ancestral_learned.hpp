// Nichol & Dhariwal 2021, "Improved Denoising Diffusion Probabilistic Models", eq. 15: ancestral
// sampling (Ho et al. 2020) whose variance is the network's second output, element by element.
//
//   mean as in samplers/ancestral.hpp
//   range: log variance = v log beta + (1 - v) log beta-tilde,  v = (raw_variance + 1) / 2
//   logarithm: log variance = raw_variance
//
// Over range the standard deviation is (beta beta-tilde)^(1/4) exp(raw_variance log(beta /
// beta-tilde) / 4), and beta / beta-tilde = sigma_t^2 / sigma_s^2. At the clean end beta-tilde is
// 0: the paper takes the logarithm of the step before (beta-tilde_1 := beta-tilde_2), which is
// asked by the likelihood alone, since the last step, x = alpha x0, has no noise on any grid.
#pragma once

#include <cmath>

#include <tweedie/dsl/language/expression.hpp>
#include <tweedie/dsl/language/stage.hpp>
#include <tweedie/dsl/language/statement.hpp>

namespace tweedie::samplers {

using namespace symbols;

enum class learned_variance { range, logarithm };

struct ancestral_learned {
  using kind = kinds::sampler;
  static constexpr char const* name = "samplers::ancestral_learned";
  learned_variance variance = learned_variance::range;
  static constexpr auto fields = std::tuple{field{"variance", &ancestral_learned::variance}};
  auto step(level t, level s) const {
    double const alpha = t.alpha / s.alpha;
    double const beta = t.sigma * t.sigma - alpha * alpha * s.sigma * s.sigma;
    double const shrink = s.sigma * s.sigma / (t.sigma * t.sigma);
    bool const range = variance == learned_variance::range;
    double const middle = range ? std::sqrt(beta * s.sigma / t.sigma) : 1;
    double const rate = range ? std::log(t.sigma / s.sigma) / 2 : 0.5;
    return tweedie::step(
        let<0> = product(exp(rate * raw_variance), noise),
        x = s.alpha * beta / (t.sigma * t.sigma) * x0 + alpha * shrink * x + middle * let<0>);
  }
};

}  // namespace tweedie::samplers

template <> struct tweedie::names_of<tweedie::samplers::learned_variance> {
  static constexpr char const* values[] = {"range", "logarithm"};
};
