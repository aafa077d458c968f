// Liu et al. 2022, "Compositional Visual Generation with Composable Diffusion Models", eq. 11, of
// two conditions.
//
//   raw = u + s1 (c1 - u) + s2 (c2 - u)
#pragma once

#include <tweedie/guidances/guidance.hpp>

namespace tweedie::guidance {

/// Both conditions at once, given as `conditions{labels{3}, labels{8}}`: three branches, the
/// unconditional one last. s1 = 1 and s2 = 0 are the network with the first condition.
struct two_conditions {
  using kind = kinds::guidance;
  static constexpr char const* name = "guidance::two_conditions";
  static constexpr int branches = 3, conditions = 2;
  double s1 = 1;
  double s2 = 1;
  static constexpr auto fields =
      std::tuple{field{"s1", &two_conditions::s1}, field{"s2", &two_conditions::s2}};
  void check() const {
    detail::check_weight("two_conditions", "s1", s1);
    detail::check_weight("two_conditions", "s2", s2);
  }
  auto raw_of(level) const {
    auto const first = s1 * (out<0> - out<2>);
    auto const second = s2 * (out<1> - out<2>);
    return out<2> + first + second;
  }
};

}  // namespace tweedie::guidance
