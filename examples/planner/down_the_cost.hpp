// x0 <- x0 - s grad J(x0), where a network's second branch answers with grad J at the first one's
// x0. It is the classifier guidance of Dhariwal & Nichol 2021 (Algorithm 2) for p(y | x_t) ~
// exp(-J(x0(x_t))), with the Jacobian of x0 in x_t taken for a multiple of the identity, and in the
// units of x0: of an obstacle that is d deep, s d is pushed away at every noise level.
#pragma once

#include <cmath>
#include <tuple>

#include <fmt/format.h>

#include <tweedie/dsl/base/error.hpp>
#include <tweedie/dsl/language/level.hpp>
#include <tweedie/dsl/language/stage.hpp>
#include <tweedie/dsl/language/symbols.hpp>

namespace planner {

struct down_the_cost {
  using kind = tweedie::kinds::guidance;
  static constexpr char const* name = "down_the_cost";
  static constexpr int branches = 2;
  double s = 1;
  static constexpr auto fields = std::tuple{tweedie::field{"s", &down_the_cost::s}};
  void check() const {
    if (!(s >= 0 && std::isfinite(s)))
      throw tweedie::error(
          fmt::format("down_the_cost: s = {} was given, expected a finite one, 0 or more", s));
  }
  auto x0_of(tweedie::level) const {
    return tweedie::symbols::branch_x0<0> - s * tweedie::symbols::out<1>;
  }
};

}  // namespace planner
