// Guidance: how the branches of a network, out<0> conditional and out<1> unconditional, make one
// output.
//
// The two published conventions differ by one: eps = (1 + w) eps_c - w eps_u of Ho & Salimans 2022,
// eq. 6, and eps = eps_u + s (eps_c - eps_u) of Saharia et al. 2022 (Imagen), eq. 2 with s = 1 + w.
// Each has its own name.
#pragma once

#include <limits>

#include <fmt/format.h>

#include <tweedie/dsl/error.hpp>
#include <tweedie/dsl/stage.hpp>
#include <tweedie/dsl/symbols.hpp>

namespace tweedie::guidance {

using namespace symbols;

/// The network as it is, with the condition it is given.
struct none {
  using kind = kinds::guidance;
  static constexpr int branches = 1;
  auto raw_of(level) const { return +out<0>; }
};

/// (1 + w) conditional - w unconditional: w = 0 is the conditional network (Ho & Salimans 2022, eq.
/// 6).
struct classifier_free {
  using kind = kinds::guidance;
  static constexpr int branches = 2;
  double w = 1;
  auto raw_of(level) const { return (1 + w) * out<0> - w * out<1>; }
};

/// unconditional + s (conditional - unconditional): s = 1 is the conditional network (Imagen and
/// most tools).
struct classifier_free_scale {
  using kind = kinds::guidance;
  static constexpr int branches = 2;
  double s = 2;
  auto raw_of(level) const { return out<1> + s * (out<0> - out<1>); }
};

/// A guidance that is on where lo <= t <= hi only (Kynkaanniemi et al. 2024). Outside, the
/// unconditional branch is not evaluated: steps there are a structure of their own.
template <class Guidance> struct within {
  using kind = kinds::guidance;
  static constexpr int branches = Guidance::branches;
  Guidance guidance;
  double lo = 0;  ///< in the schedule's own time: 1 .. T on a table
  double hi = std::numeric_limits<double>::infinity();
  void check() const {
    if (!(lo <= hi))
      throw error(fmt::format(
          "guidance::within: from t = {} to t = {} was given, expected lo <= hi", lo, hi));
  }
  bool on(level t) const { return lo <= t.t && t.t <= hi; }
  auto raw_of(level t) const { return guidance.raw_of(t); }
};
template <class Guidance> within(Guidance, double, double) -> within<Guidance>;

}  // namespace tweedie::guidance
