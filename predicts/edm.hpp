// Karras et al. 2022, "Elucidating the Design Space of Diffusion-Based Generative Models", eq. 7
// and table 1, column "Ours": what a network sees, F(c_in u, c_noise), and what is made of it.
//
//   D = c_skip u + c_out F,  c_in = 1 / sqrt(rho^2 + sd^2),  c_noise = ln(rho) / 4
//   c_skip = sd^2 / (rho^2 + sd^2),  c_out = rho sd / sqrt(rho^2 + sd^2)
//
// u = x / alpha, rho = sigma / alpha (the paper's x and sigma, there alpha = 1), sd = sigma_data.
// Written here with n = sigma^2 + alpha^2 sd^2 = alpha^2 (rho^2 + sd^2), so that neither alpha = 0
// nor sigma = 0 is divided by: D tends to u and F to -eps where sigma is 0.
#pragma once

#include <cmath>

#include <fmt/format.h>

#include <tweedie/dsl/base/error.hpp>
#include <tweedie/dsl/language/level.hpp>
#include <tweedie/dsl/language/stage.hpp>
#include <tweedie/dsl/language/symbols.hpp>

namespace tweedie::predicts {

using namespace symbols;

struct edm {
  using kind = kinds::parameterization;
  static constexpr char const* name = "edm";
  double sigma_data = 0.5;  ///< standard deviation of the data
  static constexpr auto fields = std::tuple{field{"sigma_data", &edm::sigma_data}};
  void check() const {
    if (!(sigma_data > 0 && std::isfinite(sigma_data)))
      throw error(fmt::format(
          "predicts::edm: sigma_data = {} was given, expected a finite one above 0", sigma_data));
  }
  auto x0_of(level t) const {
    return (sigma_data * sigma_data * t.alpha * x + t.sigma * sigma_data * std::sqrt(n(t)) * raw) /
           n(t);
  }
  auto eps_of(level t) const {
    return (t.sigma * x - t.alpha * sigma_data * std::sqrt(n(t)) * raw) / n(t);
  }
  auto input_of(level t) const { return x / std::sqrt(n(t)); }
  /// What a network embeds in place of t; -infinity at sigma = 0, infinity at alpha = 0.
  double noise_of(level t) const { return -t.lambda() / 4; }
  auto target(level t) const {
    return (t.sigma * symbols::x0 - sigma_data * sigma_data * t.alpha * eps) /
           (sigma_data * std::sqrt(n(t)));
  }

 private:
  double n(level t) const {
    return t.sigma * t.sigma + t.alpha * t.alpha * sigma_data * sigma_data;
  }
};

}  // namespace tweedie::predicts
