// Fan et al. 2025, "CFG-Zero*: Improved Classifier-Free Guidance for Flow Matching Models",
// Algorithm 1.
//
//   raw = s* u + s (c - s* u),  s* = <c, u> / |u|^2 over a sample
//   raw = 0 where t > zero_above (zero-init)
//
// c and u are the network's conditional and unconditional outputs; the paper's velocities, with
// predicts::velocity.
#pragma once

#include <tweedie/guidances/guidance.hpp>

#include <tweedie/dsl/language/expression.hpp>

namespace tweedie::guidance {

namespace detail {

struct optimized_scale {  // of no output at all there is nothing to scale
  static constexpr std::size_t parameters = 0;
  static constexpr char const* name = "optimized scale";
  TWEEDIE_HD static float apply(float const*, float const* a) {
    return a[1] == 0 ? 0.0f : a[0] / a[1] / a[1];
  }
};
struct scaled_guidance {
  static constexpr std::size_t parameters = 2;
  static constexpr char const* name = "scaled guidance";
  TWEEDIE_HD static float apply(float const* p, float const* a) {
    return std::fma(p[0], a[0], p[1] * (a[2] * a[1]));
  }
};

}  // namespace detail

/// Classifier-free guidance with the unconditional output brought to its best scale. Two kernels.
struct cfg_zero_star {
  using kind = kinds::guidance;
  static constexpr char const* name = "guidance::cfg_zero_star";
  static constexpr int branches = 2;
  double s = 2;  ///< 1 is the conditional network
  /// At levels with t above it, in the schedule's own time, the guided output of the network is 0:
  /// a velocity of 0 leaves x where it is in a step of `ddim` or `euler` on rectified flow, as the
  /// paper's first steps do; a v or an epsilon of 0 says what it says. Below and at it nothing
  /// changes. The branches are evaluated all the same.
  double zero_above = std::numeric_limits<double>::infinity();
  static constexpr auto fields =
      std::tuple{field{"s", &cfg_zero_star::s}, field{"zero_above", &cfg_zero_star::zero_above}};
  void check() const {
    detail::check_weight("cfg_zero_star", "s", s);
    if (std::isnan(zero_above))
      throw error("guidance::cfg_zero_star: zero_above = nan was given, expected a time");
  }
  auto raw_of(level t) const {
    double const on = t.t > zero_above ? 0 : 1;
    auto const scale = tweedie::detail::pointwise_of<detail::optimized_scale>(
        {}, dot(out<0>, out<1>), norm(out<1>));
    return tweedie::detail::pointwise_of<detail::scaled_guidance>({on * s, on * (1 - s)}, out<0>,
                                                                  out<1>, scale);
  }
};

}  // namespace tweedie::guidance
