// Lin et al. 2023, "Common Diffusion Noise Schedules and Sample Steps are Flawed", eqs. 14 to 16.
//
//   g = u + s (c - u)
//   raw = phi (std(c) / std(g)) g + (1 - phi) g
//
// c and u are the network's conditional and unconditional outputs, std is taken over a sample.
#pragma once

#include <tweedie/guidances/guidance.hpp>

#include <tweedie/dsl/language/expression.hpp>

namespace tweedie::guidance {

namespace detail {

struct rescaling {
  static constexpr std::size_t parameters = 2;
  static constexpr char const* name = "rescaling";
  TWEEDIE_HD static float apply(float const* p, float const* a) {
    return a[1] == 0 ? 1.0f : std::fma(p[0], a[0] / a[1], p[1]);
  }
};

}  // namespace detail

/// Guidance whose output varies as much as the conditional one. An output that does not vary at
/// all, such as one of a single element, is not rescaled. Two kernels.
struct rescaled {
  using kind = kinds::guidance;
  static constexpr char const* name = "guidance::rescaled";
  static constexpr int branches = 2;
  double s = 2;      ///< 1 is the conditional network
  double phi = 0.7;  ///< 0 rescales nothing, 1 all: the paper's default
  static constexpr auto fields = std::tuple{field{"s", &rescaled::s}, field{"phi", &rescaled::phi}};
  void check() const {
    detail::check_weight("rescaled", "s", s);
    detail::check_share("rescaled", "phi", phi);
  }
  auto raw_of(level) const {
    auto const guided = out<1> + s * (out<0> - out<1>);
    auto const factor = tweedie::detail::pointwise_of<detail::rescaling>(
        {phi, 1 - phi}, deviation(out<0>), deviation(guided));
    return product(guided, factor);
  }
};

}  // namespace tweedie::guidance
