// Song et al. 2021, "Score-Based Generative Modeling through Stochastic Differential Equations",
// Algorithms 2 to 5: after a predictor's step from t to s, Langevin steps at s.
//
//   x = x + e score(x) + sqrt(2 e) noise,  n times
//   by_level   e = 2 (r sigma_s)^2
//   by_norms   e = 2 (r |noise| / |score|)^2, at most sigma_s^2 / 4
//
// The paper's is the second, with means of the norms over a batch and a factor of 1 - beta_i, 0.98
// to 1, which is left out here. |noise| / |score| is sigma_s where a sample has many elements and
// its score is that of the noise alone; by_level takes this for granted, needs no norm, and is the
// same in any dimension. The norm of a few elements may be near 0 by chance: a step beyond
// sigma_s^2 would go too far whatever the data, since no score falls faster than -x / sigma_s^2.
// The last step is the predictor's, which takes the noise off.
#pragma once

#include <cmath>
#include <numbers>

#include <fmt/format.h>

#include <tweedie/dsl/base/config.hpp>
#include <tweedie/dsl/base/error.hpp>
#include <tweedie/dsl/language/expression.hpp>
#include <tweedie/dsl/language/hooks.hpp>
#include <tweedie/dsl/language/stage.hpp>
#include <tweedie/dsl/language/statement.hpp>

namespace tweedie::samplers {

using namespace symbols;

namespace detail {
// |noise| / |score|, at most a limit. No step where the score is 0: no direction is better.
struct bounded_ratio {
  static constexpr std::size_t parameters = 1;
  static constexpr char const* name = "bounded ratio";
  TWEEDIE_HD static float apply(float const* limit, float const* a) {
    if (a[1] == 0) return 0.0f;
    float const ratio = a[0] / a[1];
    return ratio > limit[0] ? limit[0] : ratio;
  }
};
}  // namespace detail

/// A corrector step of a length that the level alone says: one kernel.
struct by_level {
  static auto langevin(level s, double r) {
    double const e = 2 * std::pow(r * s.sigma, 2);
    return at(s, x = x + e * score + std::sqrt(2 * e) * noise);
  }
};

/// The paper's, whose length is found from two norms of the sample: two kernels.
struct by_norms {
  static auto langevin(level s, double r) {
    double const longest = s.sigma / (r * 2 * std::numbers::sqrt2);
    return at(s,
              let<0> = tweedie::detail::pointwise_of<detail::bounded_ratio>({longest}, norm(noise),
                                                                            norm(score)),
              let<1> = product(product(let<0>, let<0>), score), let<2> = product(let<0>, noise),
              x = x + 2 * r * r * let<1> + 2 * r * let<2>);
  }
};

/// Predictor: a sampler with one evaluation a step, such as ancestral. The paper's lengths:
/// `predictor_corrector{samplers::ancestral{}, 1, 0.16, samplers::by_norms{}}`.
template <class Predictor, class Length = by_level> struct predictor_corrector {
  using kind = kinds::sampler;
  static constexpr char const* name = "samplers::predictor_corrector";
  Predictor predictor;
  int n = 1;           ///< corrector steps
  double r = 0.16;     ///< signal-to-noise ratio of a corrector step
  Length length = {};  ///< of a corrector step
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
    tweedie::detail::call_check(predictor);
  }
  auto step(level t, level s) const { return corrected(predictor.step(t, s), t, s); }
  auto first(level t, level s) const requires(requires(Predictor const& p) { p.first(t, s); }) {
    return corrected(predictor.first(t, s), t, s);
  }
  auto last(level t, level s) const { return tweedie::detail::last_of_sampler(predictor, t, s); }

 private:
  template <class... Evaluation>
  auto corrected(step_of<Evaluation...> const& predicted, level t, level s) const {
    constexpr bool one = sizeof...(Evaluation) == 1;
    constexpr bool looks_back = requires(Predictor const& p) { p.step(t, t, s); };
    static_assert(one && !looks_back,
                  "a predictor is a sampler of one evaluation that looks at no level before: "
                  "write predictor_corrector{samplers::euler_maruyama{}}, or ancestral, ddim");
    return stages(std::get<0>(predicted.evaluations), repeat(n, Length::langevin(s, r)));
  }
};
template <class P> predictor_corrector(P) -> predictor_corrector<P>;
template <class P> predictor_corrector(P, int) -> predictor_corrector<P>;
template <class P> predictor_corrector(P, int, double) -> predictor_corrector<P>;
template <class P, class L> predictor_corrector(P, int, double, L) -> predictor_corrector<P, L>;

}  // namespace tweedie::samplers
