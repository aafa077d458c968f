// What the stages of a pipeline say at a level, put into an ir: by the same functions for the types
// of a constant expression and for the numbers of a plan.
#pragma once

#include <tuple>
#include <type_traits>
#include <utility>

#include <tweedie/dsl/lowering/typed.hpp>
#include <tweedie/pipelines/evaluation.hpp>
#include <tweedie/pipelines/structure.hpp>

namespace tweedie::lowering {

/// What a stage answers. In a constant expression, where stages are not constexpr, a value of the
/// same type: its numbers are 0, and `stage` may be null.
template <class Stage, class Ask> constexpr auto said(Stage const* stage, Ask ask) {
  if (std::is_constant_evaluated()) return std::remove_cvref_t<decltype(ask(*stage))>{};
  else return ask(*stage);
}

/// A level at which nothing is divided by 0, for constant expressions.
inline constexpr level any_level{.t = 1, .sigma = 1, .dalpha = 1, .dsigma = 1};

template <class Statements> constexpr void put_all(ir& p, Statements const& from, statements& to) {
  [&]<std::size_t... I>(std::index_sequence<I...>) { (to.add(put(p, std::get<I>(from))), ...); }
  (std::make_index_sequence<std::tuple_size_v<Statements>>{});
}

template <class P> constexpr prediction_formulas put_prediction(ir& p, P const* stage, level t) {
  range const x0 = put(p, said(stage, [&](P const& s) { return s.x0_of(t); }));
  range const eps = put(p, said(stage, [&](P const& s) { return s.eps_of(t); }));
  return {x0, eps};
}

/// What each branch predicts, if a guidance says that they differ.
template <class G, class P>
constexpr void put_branches(ir& p, G const* guidance, P const* predicts, level t,
                            stage_formulas& to) {
  if constexpr (requires { guidance->template predicts_of<0>(*predicts); })
    [&]<int... I>(std::integer_sequence<int, I...>) {
      auto const one = [&]<int B>(std::integral_constant<int, B>) {
        using branch = std::remove_cvref_t<decltype(guidance->template predicts_of<B>(*predicts))>;
        if (std::is_constant_evaluated())
          return put_prediction(p, static_cast<branch const*>(nullptr), t);
        branch const made = guidance->template predicts_of<B>(*predicts);
        return put_prediction(p, &made, t);
      };
      (to.predicts.add(one(std::integral_constant<int, I>{})), ...);
    }
  (std::make_integer_sequence<int, G::branches + detail::extras_of<G>()>{});
}

template <class G> constexpr void put_guidance(ir& p, G const* stage, level t, stage_formulas& to) {
  if constexpr (detail::remembers<G>) {
    auto const kept =
        said(stage, [&](G const& g) { return std::get<0>(g.remember(t).evaluations).statements; });
    put_all(p, kept, to.remember);
  }
  if constexpr (detail::guides_raw<G>)
    to.guided_raw = put_expression(p, said(stage, [&](G const& g) { return g.raw_of(t); }));
  if constexpr (detail::guides_x0<G>)
    to.guided_x0 = put_expression(p, said(stage, [&](G const& g) { return g.x0_of(t); }));
  if constexpr (detail::guides_eps<G>)
    to.guided_eps = put_expression(p, said(stage, [&](G const& g) { return g.eps_of(t); }));
}

template <class T>
constexpr void put_threshold(ir& p, T const* stage, level t, stage_formulas& to) {
  if constexpr (!std::is_same_v<T, no_threshold>) {
    to.threshold_x0 = put_expression(p, said(stage, [&](T const& h) { return h.x0_of(t); }));
    to.threshold_eps = put(p, said(stage, [&](T const& h) { return h.eps_of(t); }));
  }
}

template <bool Guided, class Stages>
constexpr stage_formulas put_stages(ir& p, Stages const* s, level t) {
  stage_formulas to;
  to.t = t;
  to.noise_given = !std::is_same_v<decltype(Stages::noise), drawn_noise>;
  auto const part = [&](auto Stages::*member) {
    return std::is_constant_evaluated() ? nullptr : &(s->*member);
  };
  to.predicts.add(put_prediction(p, part(&Stages::predicts), t));
  put_branches(p, part(&Stages::guidance), part(&Stages::predicts), t, to);
  if constexpr (Guided) put_guidance(p, part(&Stages::guidance), t, to);
  put_threshold(p, part(&Stages::threshold), t, to);
  return to;
}

}  // namespace tweedie::lowering
