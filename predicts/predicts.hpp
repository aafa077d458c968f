// What a network predicts, as the x0 and eps that follow from it; the rest of the language is made
// of these two.
//
// x0_of(t) and eps_of(t) are forms over x and raw, the network's output after guidance. target(t),
// what the network is trained on, is a form over x0 and eps.
#pragma once

#include <tweedie/dsl/language/level.hpp>
#include <tweedie/dsl/language/stage.hpp>
#include <tweedie/dsl/language/symbols.hpp>

namespace tweedie::predicts {

using namespace symbols;

/// raw = eps (Ho et al. 2020). Undefined at alpha = 0.
struct epsilon {
  using kind = kinds::parameterization;
  static constexpr char const* name = "epsilon";
  auto x0_of(level t) const { return (x - t.sigma * raw) / t.alpha; }
  auto eps_of(level) const { return +raw; }
  auto target(level) const { return +eps; }
};

/// raw = x0. Its eps is 0 / 0 at sigma = 0, where it is taken as 0: the flow leaves the clean end
/// with u = x / alpha unchanged.
struct x0 {
  using kind = kinds::parameterization;
  static constexpr char const* name = "x0";
  auto x0_of(level) const { return +raw; }
  auto eps_of(level t) const { return (x - t.alpha * raw) / t.sigma_below(); }
  auto target(level) const { return +symbols::x0; }
};

/// raw = grad log p_t(x) = -eps / sigma (Song et al. 2021, score SDE). Undefined at alpha = 0 and,
/// as a target, at sigma = 0. x0 = (x + sigma^2 score) / alpha is Tweedie's formula.
struct score {
  using kind = kinds::parameterization;
  static constexpr char const* name = "score";
  auto x0_of(level t) const { return (x + t.sigma * t.sigma * raw) / t.alpha; }
  auto eps_of(level t) const { return -t.sigma * raw; }
  auto target(level t) const { return eps / -t.sigma; }
};

/// raw = alpha eps - sigma x0 (Salimans & Ho 2022, "v-prediction"), at any alpha^2 + sigma^2.
struct v {
  using kind = kinds::parameterization;
  static constexpr char const* name = "v";
  auto x0_of(level t) const { return (t.alpha * x - t.sigma * raw) / norm(t); }
  auto eps_of(level t) const { return (t.sigma * x + t.alpha * raw) / norm(t); }
  auto target(level t) const { return t.alpha * eps - t.sigma * symbols::x0; }

 private:
  static double norm(level t) { return t.alpha * t.alpha + t.sigma * t.sigma; }
};

/// raw = alpha' x0 + sigma' eps, the velocity dx/dt of the probability flow (Lipman et al. 2022;
/// Liu et al. 2022). For rectified flow it is eps - x0. On a table t is a share of its T steps, so
/// that the velocity is that of the continuous schedule and not T times smaller.
struct velocity {
  using kind = kinds::parameterization;
  static constexpr char const* name = "velocity";
  auto x0_of(level t) const { return (dsigma(t) * x - t.sigma * raw) / determinant(t); }
  auto eps_of(level t) const { return (t.alpha * raw - dalpha(t) * x) / determinant(t); }
  auto target(level t) const { return dalpha(t) * symbols::x0 + dsigma(t) * eps; }

 private:
  static double dalpha(level t) { return t.steps * t.dalpha; }
  static double dsigma(level t) { return t.steps * t.dsigma; }
  static double determinant(level t) { return t.alpha * dsigma(t) - t.sigma * dalpha(t); }
};

}  // namespace tweedie::predicts
