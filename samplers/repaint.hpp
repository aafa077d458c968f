// Lugmayr et al. 2022, "RePaint: Inpainting using Denoising Diffusion Probabilistic Models",
// Algorithm 1: replacement, each step several times over.
//
//   x_s = m (alpha_s known + sigma_s noise) + (1 - m) (a step of the inner sampler)      eq. 8
//   x_t = alpha_ts x_s + sqrt(beta_ts) noise, and the step again,                        eq. 1
//   alpha_ts = alpha_t / alpha_s,  beta_ts = sigma_t^2 - alpha_ts^2 sigma_s^2
#pragma once

#include <cmath>
#include <tuple>

#include <fmt/format.h>

#include <tweedie/dsl/base/apply.hpp>
#include <tweedie/dsl/base/error.hpp>
#include <tweedie/dsl/language/path.hpp>
#include <tweedie/samplers/replacement.hpp>

namespace tweedie::samplers {

/// Each step `resamplings` times, as many evaluations: 1 is `replacement`. From alpha = 0 and into
/// sigma = 0 a step is done once, since doing it again would change nothing. A multistep sampler
/// takes its first step always: the x_t that it remembers is no longer there. The
/// ends, and what comes before a step, are the replacement's.
template <class Sampler> struct repaint : replacement<Sampler> {
  static constexpr char const* name = "samplers::repaint";
  static constexpr bool keeps_across_steps = false;  // what was kept is of another draw
  int resamplings = 10;                              ///< U of Algorithm 1
  static constexpr auto fields =
      std::tuple{field{"inner", &repaint::inner}, field{"resamplings", &repaint::resamplings}};
  void check() const {
    if (resamplings < 1)
      throw error(fmt::format("samplers::repaint: {} resamplings were given, expected 1 or more",
                              resamplings));
    replacement<Sampler>::check();
  }
  auto step(level t, level s, path const& p) const requires requires(Sampler const& i) {
    i.step(t, s);
  } || requires(Sampler const& i) {
    i.step(t, s, p);
  }
  {
    auto const once = detail::replaced(tweedie::detail::step_of_sampler(this->inner, p, t, s), s);
    double const alpha = t.alpha / s.alpha;
    double const beta = t.sigma * t.sigma - alpha * alpha * s.sigma * s.sigma;
    auto const back =
        tweedie::detail::step_then(once, x = alpha * x + std::sqrt(beta) * noise_stream<19>);
    return stages(repeat(resamplings - 1, entered(back, t, s, p)), repeat(1, once));
  }

 private:
  // What the inner sampler does to x before a step it does before each.
  template <class Step> auto entered(Step const& back, level t, level s, path const& p) const {
    if constexpr (tweedie::detail::has_enter<Sampler>)
      return tweedie::detail::apply(
          [&](auto... statements) { return tweedie::detail::step_then(back, statements...); },
          std::get<0>(tweedie::detail::enter_of_sampler(this->inner, t, s, p).evaluations)
              .statements);
    else return back;
  }
};
template <class Sampler> repaint(Sampler, int) -> repaint<Sampler>;

}  // namespace tweedie::samplers
