// Explicit Runge-Kutta methods on the probability-flow ODE (Song et al. 2021), dy/dw = f(y, w).
// Butcher 1964 for their form:
//
//   k_i = f(y + h sum_{j < i} a_ij k_j, w_t + c_i h),  y_s = y + h sum_i b_i k_i,  h = w_s - w_t
//
// In the angle (in_theta, the usual one): y = x / sqrt(alpha^2 + sigma^2), tan(w) = sigma / alpha,
// dy/dw = (alpha eps - sigma x0) / sqrt(alpha^2 + sigma^2), regular at both ends of every schedule.
// In noise over signal (in_rho, Karras et al. 2022, section 3): y = x / alpha, w = sigma / alpha,
// dy/dw = eps; w is infinite where alpha = 0.
//
// One evaluation and one kernel per k_i. What a tableau of samplers/tableaux.hpp has as 0 is absent
// from the kernels, an unused last slope from the step.
//
// name: midpoint = runge_kutta<tableaux::midpoint>{} | The midpoint method: a tableau is data
// name: ralston = runge_kutta<tableaux::ralston>{} | Ralston's method
// name: kutta_3 = runge_kutta<tableaux::kutta_3>{} | Kutta's method of order 3
// name: rk4 = runge_kutta<tableaux::rk4>{} | Runge-Kutta 4
#pragma once

#include <array>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <tuple>
#include <utility>

#include <tweedie/dsl/base/apply.hpp>
#include <tweedie/dsl/language/path.hpp>
#include <tweedie/dsl/language/stage.hpp>
#include <tweedie/dsl/language/statement.hpp>
#include <tweedie/samplers/tableaux.hpp>

namespace tweedie::samplers {

using namespace symbols;

/// The flow in the angle between signal and noise.
struct in_theta {
  static double variable(level t) { return t.theta(); }
  static double rho_of(double theta) { return std::tan(theta); }
  static double scale(level t) { return t.scale(); }  ///< x over y
  static auto slope(level t) { return v / t.scale(); }
};

/// The flow in noise over signal.
struct in_rho {
  static double variable(level t) { return t.rho(); }
  static double rho_of(double rho) { return rho; }
  static double scale(level t) { return t.alpha; }
  static auto slope(level) { return +eps; }
};

template <class Tableau, class Variable = in_theta> struct runge_kutta {
  using kind = kinds::sampler;
  /// Evaluations of a step.
  static constexpr int stages = [] {
    int used = Tableau::stages;
    while (Tableau::b[used - 1] == 0) --used;
    return used;
  }();

  auto step(level t, level s, path const& p) const {
    double const from = Variable::variable(t), h = Variable::variable(s) - from;
    std::array<level, stages + 1> at;
    for (int i = 0; i < stages; ++i) {
      double const c = Tableau::c[i];
      at[static_cast<std::size_t>(i)] = c == 0   ? t
                                        : c == 1 ? s
                                                 : p.at_rho(Variable::rho_of(from + c * h));
    }
    at[stages] = s;
    return [&]<int... I>(std::integer_sequence<int, I...>) {
      return tweedie::stages(evaluation<I>(t, h, at)...);
    }
    (std::make_integer_sequence<int, stages>{});
  }
  // alpha_t = 0, where the variable is infinite.
  auto first(level, level s) const requires std::same_as<Variable, in_rho> {
    return tweedie::step(x = s.alpha * x0 + s.sigma * eps);
  }
  auto last(level, level s) const { return tweedie::step(x = s.alpha * x0); }  // sigma_s = 0

 private:
  /// The weight of k_j in what stage i starts from; stage `stages` is the end of the step.
  static constexpr double weight(int i, int j) {
    return i == stages ? Tableau::b[j] : Tableau::a[i][j];
  }
  /// Whether k_j is read after the evaluation that follows its own.
  static constexpr bool is_kept(int j) {
    bool r = false;
    for (int i = j + 2; i <= stages; ++i) r = r || weight(i, j) != 0;
    return r;
  }

  // keep<0> is y, keep<1 + j> is k_j; k_i itself is the slope at t.
  template <int I, int J> static auto weighed(level t) {
    if constexpr (weight(I + 1, J) == 0) return form<>{};
    else if constexpr (J == I) return weight(I + 1, J) * Variable::slope(t);
    else return weight(I + 1, J) * keep<1 + J>;
  }

  template <int I> static auto evaluation(level t, double h, auto const& at) {
    constexpr auto i = static_cast<std::size_t>(I);
    auto const y = [&] {
      if constexpr (I == 0) return x / Variable::scale(t);
      else return +keep<0>;
    }();
    auto const kept = [&] {
      if constexpr (I == 0 && stages > 1) return std::tuple{keep<0> = y};
      else return std::tuple<>{};
    }();
    auto const kept_slope = [&] {
      if constexpr (is_kept(I)) return std::tuple{keep<1 + I> = Variable::slope(at[i])};
      else return std::tuple<>{};
    }();
    auto const slopes = [&]<int... J>(std::integer_sequence<int, J...>) {
      return (form<>{} + ... + weighed<I, J>(at[i]));
    }
    (std::make_integer_sequence<int, I + 1>{});
    auto const moved = std::tuple{x = Variable::scale(at[i + 1]) * (y + h * slopes)};
    return tweedie::detail::apply(
        [&](auto... statements) { return tweedie::at(at[i], statements...); },
        std::tuple_cat(kept, kept_slope, moved));
  }
};

}  // namespace tweedie::samplers
