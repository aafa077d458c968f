// One evaluation of the network as one fused program: what the stages answer at its level, then the
// sampler's statements.
#pragma once

#include <concepts>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

#include <tweedie/dsl/kernel/bodies.hpp>
#include <tweedie/dsl/kernel/noise.hpp>
#include <tweedie/dsl/language/composition.hpp>
#include <tweedie/dsl/language/hooks.hpp>
#include <tweedie/dsl/lowering/typed.hpp>
#include <tweedie/pipelines/steps.hpp>

namespace tweedie {

/// No threshold.
struct no_threshold {};
/// Noise is drawn by Philox inside the kernels.
struct drawn_noise {};

/// How a network reads and writes: what its buffers hold, and whether each branch has an input of
/// its own.
template <class Input, class Output, bool Duplicates> struct network_buffers {
  using input = Input;
  using output = Output;
  static constexpr bool duplicates = Duplicates;
  static constexpr bool plain =
      std::is_same_v<Input, float> && std::is_same_v<Output, float> && !Duplicates;
  /// What a symbol's buffer holds.
  template <class S>
  using of = std::conditional_t<S::id.is == sym::word::net_in, Input,
                                std::conditional_t<S::id.is == sym::word::out, Output, float>>;
};

namespace detail {

template <class Network> constexpr auto buffers_of() {
  auto const input = [] {
    if constexpr (requires { typename Network::input; }) return typename Network::input{};
    else return float{};
  }();
  auto const output = [] {
    if constexpr (requires { typename Network::output; }) return typename Network::output{};
    else return float{};
  }();
  constexpr bool duplicates = requires { requires Network::input_per_branch; };
  return network_buffers<std::remove_const_t<decltype(input)>,
                         std::remove_const_t<decltype(output)>, duplicates>{};
}

}  // namespace detail

/// The stages of a complete pipeline, each in its place.
template <class Schedule, class Predicts, class Guidance, class Threshold, class Sampler,
          class Noise = drawn_noise, class Buffers = network_buffers<float, float, false>>
struct stage_set {
  using buffers = Buffers;
  Schedule schedule;
  Predicts predicts;
  Guidance guidance;
  Threshold threshold;
  Sampler sampler;
  Noise noise = {};
};

namespace detail {

/// What the kernel after an evaluation has to know of what comes next.
struct upcoming {
  level where;  ///< the level the network sees next
  level t, s;   ///< the next step's
};

template <class Sampler> auto entering(Sampler const& s, level t, level next, path const& p) {
  return std::get<0>(enter_of_sampler(s, t, next, p).evaluations).statements;
}
template <class G> auto remembered(G const& guidance, level t) {
  return std::get<0>(guidance.remember(t).evaluations).statements;
}

}  // namespace detail

// What the stages say at a level: of their types alone in a constant expression.
namespace lowering {

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
        auto const put_it = [&](auto const& made) { return put_prediction(p, &made, t); };
        return put_it(guidance->template predicts_of<B>(*predicts));
      };
      (to.predicts.add(one(std::integral_constant<int, I>{})), ...);
    }
  (std::make_integer_sequence<int, G::branches + detail::extras_of<G>()>{});
}

template <class G> constexpr void put_guidance(ir& p, G const* stage, level t, stage_formulas& to) {
  if constexpr (detail::remembers<G>)
    put_all(p, answer_of(stage, [&](G const& g) { return detail::remembered(g, t); }), to.remember);
  if constexpr (detail::guides_raw<G>)
    to.guided_raw = put_expression(p, answer_of(stage, [&](G const& g) { return g.raw_of(t); }));
  if constexpr (detail::guides_x0<G>)
    to.guided_x0 = put_expression(p, answer_of(stage, [&](G const& g) { return g.x0_of(t); }));
  if constexpr (detail::guides_eps<G>)
    to.guided_eps = put_expression(p, answer_of(stage, [&](G const& g) { return g.eps_of(t); }));
}

template <class T>
constexpr void put_threshold(ir& p, T const* stage, level t, stage_formulas& to) {
  if constexpr (!std::is_same_v<T, no_threshold>) {
    to.threshold_x0 = put_expression(p, answer_of(stage, [&](T const& h) { return h.x0_of(t); }));
    to.threshold_eps = put(p, answer_of(stage, [&](T const& h) { return h.eps_of(t); }));
  }
}

/// The stage of a set, null where there is no set.
template <class Stages, class Stage>
constexpr Stage const* part(Stages const* s, Stage Stages::*member) {
  if (std::is_constant_evaluated()) return nullptr;
  return &(s->*member);
}

/// What a set of stages says, by their types; in a constant expression both may be null.
template <class Stages> struct said_by_types {
  Stages const* s = nullptr;
  path const* between = nullptr;

  constexpr stage_formulas formulas(ir& p, level t, bool guided) const {
    stage_formulas to;
    to.t = t;
    to.noise_given = !std::is_same_v<decltype(Stages::noise), drawn_noise>;
    to.predicts.add(put_prediction(p, part(s, &Stages::predicts), t));
    put_branches(p, part(s, &Stages::guidance), part(s, &Stages::predicts), t, to);
    if (guided) put_guidance(p, part(s, &Stages::guidance), t, to);
    put_threshold(p, part(s, &Stages::threshold), t, to);
    return to;
  }
  /// What the sampler does to x before the step from t to its next level.
  constexpr void enter(ir& p, level t, level next, statements& to) const {
    using sampler = decltype(Stages::sampler);
    if constexpr (detail::has_enter<sampler>)
      put_all(
          p,
          answer_of(part(s, &Stages::sampler),
                    [&](sampler const& one) { return detail::entering(one, t, next, *between); }),
          to);
  }
  /// What the network sees.
  constexpr range input(ir& p, level t) const {
    using predicts = decltype(Stages::predicts);
    if constexpr (detail::scales_input<predicts>)
      return put(p, answer_of(part(s, &Stages::predicts),
                              [&](predicts const& one) { return one.input_of(t); }));
    else return put(p, sym::x{});
  }
};

/// What an evaluation stores for later ones.
struct stored_for_later {
  bool enters = false;  ///< the sampler does something to x before a step
  int inputs = 0;       ///< buffers that the network sees instead of x
  bool past_x0 = false, past_eps = false;
};

/// Adds what comes between the last statement of a step and the network's next evaluation.
template <class Said>
constexpr void put_next(ir& p, Said const& said, stored_for_later later, bool step_ends,
                        detail::upcoming const& next, statements& all) {
  if (later.enters && step_ends) {
    statements after;
    said.enter(p, next.t, next.s, after);
    then(p, all, after);
  }
  if (later.inputs > 0) {
    statements after;
    for (int b = 0; b < later.inputs; ++b)
      after.add(
          {{sym::word::net_in, b}, p.expressions.add({said.input(p, next.where), {}, {}, {}})});
    then(p, all, after);
  }
}

/// An evaluation among the others of a step: `step_ends` after it, and the run goes on or not.
template <class Said>
constexpr void lower_among(ir& p, Said const& said, stored_for_later later, level t, bool guided,
                           statements all, bool step_ends, bool goes_on,
                           detail::upcoming const& next) {
  auto const formulas = said.formulas(p, t, guided);
  if (goes_on) {
    put_next(p, said, later, step_ends, next, all);
    if (later.past_x0) all.add(copy_of(p, sym::past_x0<0>::id, sym::x0::id));
    if (later.past_eps) all.add(copy_of(p, sym::past_eps<0>::id, sym::eps::id));
  }
  lower_evaluation(p, formulas, all);
}

/// A start: x of noise of a deviation, or as it is, and what comes before the first evaluation.
template <class Said>
constexpr void lower_start(ir& p, Said const& said, stored_for_later later,
                           std::optional<double> deviation, bool noise_given, bool first_step,
                           detail::upcoming const& next) {
  stage_formulas none;
  none.t = next.where;
  none.noise_given = noise_given;
  statements all;
  if (deviation)
    all.add(copy_of(p, sym::x::id, noise_given ? sym::x::id : sym::noise_stream<start_stream>::id,
                    *deviation));
  if (first_step) put_next(p, said, later, true, next, all);
  lower_evaluation(p, none, all);
}

/// The functions of statements, of what a set of stages says, and of what comes after.
template <bool Guided, class Stages, class Statements, class... After> auto functions_among() {
  using G = decltype(Stages::guidance);
  using T = decltype(Stages::threshold);
  auto const of_guidance = [] {
    auto const kept = [] {
      if constexpr (detail::remembers<G>)
        return functions_of<decltype(detail::remembered(std::declval<G const&>(), level{}))>{};
      else return list<>{};
    };
    auto const raw = [] {
      if constexpr (detail::guides_raw<G>)
        return functions_of<decltype(std::declval<G const&>().raw_of(level{}))>{};
      else return list<>{};
    };
    auto const x0 = [] {
      if constexpr (detail::guides_x0<G>)
        return functions_of<decltype(std::declval<G const&>().x0_of(level{}))>{};
      else return list<>{};
    };
    auto const eps = [] {
      if constexpr (detail::guides_eps<G>)
        return functions_of<decltype(std::declval<G const&>().eps_of(level{}))>{};
      else return list<>{};
    };
    if constexpr (Guided) return detail::concat(kept(), raw(), x0(), eps());
    else return list<>{};
  };
  auto const of_threshold = [] {
    if constexpr (!std::is_same_v<T, no_threshold>)
      return functions_of<decltype(std::declval<T const&>().x0_of(level{}))>{};
    else return list<>{};
  };
  return detail::concat(functions_of<Statements>{}, of_guidance(), of_threshold(),
                        functions_of<After>{}...);
}

/// Statements among stages, as they stand.
template <bool Guided, class Stages, class Statements> struct among {
  Stages const* stages = nullptr;
  level t = any_level;
  Statements from = {};
  using functions = decltype(functions_among<Guided, Stages, Statements>());
  constexpr void lower(ir& p) const {
    statements all;
    put_all(p, from, all);
    auto const formulas = said_by_types<Stages>{stages}.formulas(p, t, Guided);
    lower_evaluation(p, formulas, all);
  }
};

}  // namespace lowering

namespace detail {

/// One evaluation fused: the stages' answers at its level, then its statements.
template <bool Guided, class Stages, class Statements>
auto fuse_evaluation(Stages const& stages, level t, Statements const& statements) {
  return lowering::lowered<lowering::among<Guided, Stages, Statements>>::with_numbers(
      {&stages, t, statements});
}

}  // namespace detail

}  // namespace tweedie
