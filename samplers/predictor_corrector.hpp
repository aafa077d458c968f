// Song et al. 2021, "Score-Based Generative Modeling through Stochastic Differential Equations",
// Algorithms 2 to 5: after a predictor's step from t to s, Langevin steps at s.
//
//   x = x + e score(x) + sqrt(2 e) noise,  e = 2 a (r |noise| / |score|)^2,  n times
//
// The norms are those of one sample (the authors' code takes their means over the batch, which
// would make a sample depend on its neighbours). a = 1 where alpha = 1; on VP the paper's is 1 -
// beta_i of the level arrived at; here it is (alpha_t / alpha_s)^2 of the step just taken, one index
// off, since a step knows no level after s. The last step is the predictor's,
// which takes the noise off.
#pragma once

#include <cmath>

#include <fmt/format.h>

#include <tweedie/dsl/config.hpp>
#include <tweedie/dsl/error.hpp>
#include <tweedie/dsl/stage.hpp>
#include <tweedie/dsl/statement.hpp>

namespace tweedie::samplers {

using namespace symbols;

namespace detail {
// No step where the score is 0: no direction is better, and the quotient is none.
struct ratio {
  TWEEDIE_HD float operator()(float a, float b) const { return b == 0 ? 0.0f : a / b; }
};
}  // namespace detail

/// Predictor: a sampler with one evaluation a step, such as ancestral.
template <class Predictor> struct predictor_corrector {
  using kind = kinds::sampler;
  static constexpr char const* name = "samplers::predictor_corrector";
  Predictor predictor;
  int n = 1;        ///< corrector steps
  double r = 0.16;  ///< signal-to-noise ratio of a corrector step
  static constexpr auto fields =
      std::tuple{field{"predictor", &predictor_corrector::predictor},
                 field{"n", &predictor_corrector::n}, field{"r", &predictor_corrector::r}};
  void check() const {
    if (n < 1)
      throw error(fmt::format(
          "samplers::predictor_corrector: n = {} was given, expected 1 corrector step or more", n));
    if (!(r > 0 && std::isfinite(r)))
      throw error(fmt::format(
          "samplers::predictor_corrector: r = {} was given, expected a finite one above 0", r));
    if constexpr (requires { predictor.check(); }) predictor.check();
  }
  auto step(level t, level s) const { return corrected(predictor.step(t, s), t, s); }
  auto first(level t, level s) const requires(requires(Predictor const& p) { p.first(t, s); }) {
    return corrected(predictor.first(t, s), t, s);
  }
  auto last(level t, level s) const {
    if constexpr (requires { predictor.last(t, s); }) return predictor.last(t, s);
    else return tweedie::step(x = s.alpha * x0);
  }

 private:
  template <class... Evaluation>
  auto corrected(step_of<Evaluation...> const& predicted, level t, level s) const {
    constexpr bool one = sizeof...(Evaluation) == 1;
    constexpr bool looks_back = requires(Predictor const& p) { p.step(t, t, s); };
    static_assert(one && !looks_back,
                  "a predictor is a sampler of one evaluation that looks at no level before: "
                  "write predictor_corrector{samplers::euler_maruyama{}}, or ancestral, ddim");
    double const a = std::pow(t.alpha / s.alpha, 2);
    auto const langevin =
        at(s, let<0> = pointwise(detail::ratio{}, norm(noise), norm(score)),
           let<1> = product(product(let<0>, let<0>), score), let<2> = product(let<0>, noise),
           x = x + 2 * a * r * r * let<1> + 2 * std::sqrt(a) * r * let<2>);
    return stages(std::get<0>(predicted.evaluations), repeat(n, langevin));
  }
};
template <class P> predictor_corrector(P) -> predictor_corrector<P>;
template <class P> predictor_corrector(P, int) -> predictor_corrector<P>;
template <class P> predictor_corrector(P, int, double) -> predictor_corrector<P>;

}  // namespace tweedie::samplers
