// Inpainting by any sampler: after each step what is known is put back, noised to the level where
// the step arrives.
//
// Song et al. 2021, "Score-Based Generative Modeling through Stochastic Differential Equations",
// appendix I.2 (replacement), and Lugmayr et al. 2022, "RePaint", Algorithm 1 (resampling):
//   x_s = m (alpha_s known + sigma_s noise) + (1 - m) (a step of the inner sampler)      eq. 8
//   x_t = alpha_ts x_s + sqrt(beta_ts) noise, and the step again,                        eq. 1
//   alpha_ts = alpha_t / alpha_s,  beta_ts = sigma_t^2 - alpha_ts^2 sigma_s^2
//
// The known part is a fresh draw at each level, so replacement alone tells the unknown part too
// late what it has to fit: a bias that resampling takes away.
#pragma once

#include <cmath>
#include <concepts>
#include <tuple>

#include <fmt/format.h>

#include <tweedie/dsl/error.hpp>
#include <tweedie/dsl/path.hpp>
#include <tweedie/dsl/stage.hpp>
#include <tweedie/dsl/statement.hpp>

namespace tweedie::samplers {

using namespace symbols;

namespace detail {

template <class Step> auto replaced(Step const& step, level s) {
  return then(step, x = blend(mask, s.alpha * known + s.sigma * noise_stream<18>, x));
}
// At the clean end what is known is put back as it is: no noise is drawn.
template <class Sampler> auto replaced_last(Sampler const& inner, level t, level s) {
  if constexpr (requires { inner.last(t, s); })
    return then(inner.last(t, s), x = blend(mask, s.alpha * known, x));
  else return then(tweedie::step(x = s.alpha * x0), x = blend(mask, s.alpha * known, x));
}

// The level that step(..., level t, level s), with a path or without one, arrives at.
inline level arrival(level, level s) { return s; }
inline level arrival(level, level s, path const&) { return s; }
template <class... More> level arrival(level, level t, level s, More const&... more) {
  return arrival(t, s, more...);
}

template <class Sampler> constexpr bool keeps() {
  if constexpr (requires { Sampler::keeps_across_steps; }) return Sampler::keeps_across_steps;
  else return false;
}

}  // namespace detail

/// Whatever `inner` is: its levels, its kernels, its evaluations of the network.
template <class Sampler> struct replacement {
  using kind = kinds::sampler;
  static constexpr char const* name = "samplers::replacement";
  static constexpr bool keeps_across_steps = detail::keeps<Sampler>();
  Sampler inner;
  static constexpr auto fields = std::tuple{field{"inner", &replacement::inner}};
  void check() const {
    if constexpr (requires { inner.check(); }) inner.check();
  }
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

/// Each step `resamplings` times, as many evaluations: 1 is `replacement`. From alpha = 0 and into
/// sigma = 0 a step is done once, since doing it again would change nothing. A multistep sampler
/// takes its first step always: the x_t that it remembers is no longer there.
template <class Sampler> struct repaint {
  using kind = kinds::sampler;
  static constexpr char const* name = "samplers::repaint";
  Sampler inner;
  int resamplings = 10;  ///< U of Algorithm 1
  static constexpr auto fields =
      std::tuple{field{"inner", &repaint::inner}, field{"resamplings", &repaint::resamplings}};
  void check() const {
    if (resamplings < 1)
      throw error(fmt::format("samplers::repaint: {} resamplings were given, expected 1 or more",
                              resamplings));
    if constexpr (requires { inner.check(); }) inner.check();
  }
  auto step(level t, level s, path const& p) const requires requires(Sampler const& i) {
    i.step(t, s);
  } || requires(Sampler const& i) {
    i.step(t, s, p);
  }
  {
    auto const once = detail::replaced(inner_step(t, s, p), s);
    double const alpha = t.alpha / s.alpha;
    double const beta = t.sigma * t.sigma - alpha * alpha * s.sigma * s.sigma;
    auto const back = then(once, x = alpha * x + std::sqrt(beta) * noise_stream<19>);
    return stages(repeat(resamplings - 1, entered(back, t, s, p)), repeat(1, once));
  }
  auto first(level t, level s) const requires requires(Sampler const& i) { i.first(t, s); }
  { return detail::replaced(inner.first(t, s), s); }
  auto last(level t, level s) const { return detail::replaced_last(inner, t, s); }
  template <class... Path>
  auto enter(level t, level s, Path const&... p) const requires requires(Sampler const& i) {
    i.enter(t, s, p...);
  }
  { return inner.enter(t, s, p...); }

 private:
  auto inner_step(level t, level s, path const& p) const {
    if constexpr (requires { inner.step(t, s, p); }) return inner.step(t, s, p);
    else return inner.step(t, s);
  }
  // What the inner sampler does to x before a step it does before each.
  template <class Step> auto entered(Step const& back, level t, level s, path const& p) const {
    auto const after = [&](auto const& enter) {
      return std::apply([&](auto... statements) { return then(back, statements...); },
                        std::get<0>(enter.evaluations).statements);
    };
    if constexpr (requires { inner.enter(t, s, p); }) return after(inner.enter(t, s, p));
    else if constexpr (requires { inner.enter(t, s); }) return after(inner.enter(t, s));
    else return back;
  }
};
template <class Sampler> repaint(Sampler, int) -> repaint<Sampler>;

}  // namespace tweedie::samplers
