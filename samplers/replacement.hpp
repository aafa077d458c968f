// Inpainting by any sampler: after each step what is known is put back, noised to the level where
// the step arrives. Song et al. 2021, "Score-Based Generative Modeling through Stochastic
// Differential Equations", appendix I.2.
//
//   x_s = m (alpha_s known + sigma_s noise) + (1 - m) (a step of the inner sampler)
//
// The known part is a fresh draw at each level, so replacement alone tells the unknown part too
// late what it has to fit: a bias that resampling takes away (samplers/repaint.hpp).
#pragma once

#include <cmath>
#include <concepts>
#include <tuple>

#include <fmt/format.h>

#include <tweedie/dsl/base/error.hpp>
#include <tweedie/dsl/language/expression.hpp>
#include <tweedie/dsl/language/hooks.hpp>
#include <tweedie/dsl/language/path.hpp>
#include <tweedie/dsl/language/stage.hpp>
#include <tweedie/dsl/language/statement.hpp>
#include <tweedie/dsl/language/then.hpp>

namespace tweedie::samplers {

using namespace symbols;

namespace detail {

// Of a step that ends in repetitions each is replaced.
template <class Step> auto replaced(Step const& step, level s) {
  return tweedie::detail::step_then(
      step, x = blend(mask, s.alpha * known + s.sigma * noise_stream<18>, x));
}
// At the clean end what is known is put back as it is: no noise is drawn.
template <class Sampler> auto replaced_last(Sampler const& inner, level t, level s) {
  return tweedie::detail::step_then(tweedie::detail::last_of_sampler(inner, t, s),
                                    x = blend(mask, s.alpha * known, x));
}

// The level that step(..., level t, level s), with a path or without one, arrives at.
inline level arrival(level, level s) { return s; }
inline level arrival(level, level s, path const&) { return s; }
template <class... More> level arrival(level, level t, level s, More const&... more) {
  return arrival(t, s, more...);
}

}  // namespace detail

/// Whatever `inner` is: its levels, its kernels, its evaluations of the network.
template <class Sampler> struct replacement {
  using kind = kinds::sampler;
  static constexpr char const* name = "samplers::replacement";
  static constexpr bool keeps_across_steps = tweedie::detail::keeps_across_steps<Sampler>();
  Sampler inner;
  static constexpr auto fields = std::tuple{field{"inner", &replacement::inner}};
  void check() const { tweedie::detail::call_check(inner); }
  template <class... Levels>
  auto step(Levels const&... l) const requires requires(Sampler const& i) {
    i.step(l...);
  }
  { return detail::replaced(inner.step(l...), detail::arrival(l...)); }
  auto first(level t, level s) const requires requires(Sampler const& i) { i.first(t, s); }
  { return detail::replaced(inner.first(t, s), s); }
  auto last(level t, level s) const { return detail::replaced_last(inner, t, s); }
  template <class... Path>
  auto enter(level t, level s, Path const&... p) const requires requires(Sampler const& i) {
    i.enter(t, s, p...);
  }
  { return inner.enter(t, s, p...); }
};
template <class Sampler> replacement(Sampler) -> replacement<Sampler>;

}  // namespace tweedie::samplers
