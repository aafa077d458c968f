// Explicit Runge-Kutta methods on the probability-flow ODE du/drho = eps, u = x / alpha, rho = sigma
// / alpha (Song et al. 2021; Karras et al. 2022, section 3). Butcher 1964 for their form:
//
//   k_i = eps(u + h sum_{j < i} a_ij k_j, rho_t + c_i h),  u_s = u + h sum_i b_i k_i
//   h = rho_s - rho_t
//
// One evaluation and one kernel per k_i. What a tableau of samplers/tableaux.hpp has as 0 is absent
// from the kernels, an unused last slope from the step.
#pragma once

#include <array>
#include <cstddef>
#include <tuple>
#include <utility>

#include <tweedie/dsl/detail/apply.hpp>
#include <tweedie/dsl/stage.hpp>
#include <tweedie/dsl/statement.hpp>
#include <tweedie/samplers/tableaux.hpp>

namespace tweedie::samplers {

using namespace symbols;

template <class Tableau> struct runge_kutta {
  using kind = kinds::sampler;
  /// Evaluations of a step.
  static constexpr int stages = [] {
    int used = Tableau::stages;
    while (Tableau::b[used - 1] == 0) --used;
    return used;
  }();

  auto step(level t, level s, path const& p) const {
    double const h = s.rho() - t.rho();
    std::array<level, stages + 1> at;
    for (int i = 0; i < stages; ++i) {
      double const c = Tableau::c[i];
      at[static_cast<std::size_t>(i)] = c == 0 ? t : c == 1 ? s : p.at_rho(t.rho() + c * h);
    }
    at[stages] = s;
    return [&]<int... I>(std::integer_sequence<int, I...>) {
      return tweedie::stages(evaluation<I>(t, h, at)...);
    }
    (std::make_integer_sequence<int, stages>{});
  }
  auto first(level, level s) const {  // alpha_t = 0: rho is infinite
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

  // keep<0> is u, keep<1 + j> is k_j; k_i itself is eps.
  template <int I, int J> static auto slope() {
    if constexpr (weight(I + 1, J) == 0) return form<>{};
    else if constexpr (J == I) return weight(I + 1, J) * eps;
    else return weight(I + 1, J) * keep<1 + J>;
  }

  template <int I> static auto evaluation(level t, double h, auto const& at) {
    constexpr auto i = static_cast<std::size_t>(I);
    auto const u = [&] {
      if constexpr (I == 0) return x / t.alpha;
      else return +keep<0>;
    }();
    auto const kept = [&] {
      if constexpr (I == 0 && stages > 1) return std::tuple{keep<0> = u};
      else return std::tuple<>{};
    }();
    auto const kept_slope = [] {
      if constexpr (is_kept(I)) return std::tuple{keep<1 + I> = eps};
      else return std::tuple<>{};
    }();
    auto const slopes = [&]<int... J>(std::integer_sequence<int, J...>) {
      return (form<>{} + ... + slope<I, J>());
    }
    (std::make_integer_sequence<int, I + 1>{});
    auto const moved = std::tuple{x = at[i + 1].alpha * (u + h * slopes)};
    return tweedie::detail::apply(
        [&](auto... statements) { return tweedie::at(at[i], statements...); },
        std::tuple_cat(kept, kept_slope, moved));
  }
};

}  // namespace tweedie::samplers
