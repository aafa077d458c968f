// More statements after a step's, which read the x that it arrives at: what a sampler around
// another one does with its steps.
#pragma once

#include <cstddef>
#include <tuple>
#include <utility>

#include <tweedie/dsl/base/error.hpp>
#include <tweedie/dsl/language/statement.hpp>

namespace tweedie {

namespace detail {

template <class... S, class... After>
auto evaluation_then(evaluation<S...> const& e, After const&... after) {
  return evaluation<S..., arrival, After...>{
      e.where, std::tuple_cat(e.statements, std::tuple{arrival{}, after...})};
}

template <class... E, class... Statements>
auto evaluations_then(std::tuple<E...> const& evaluations, Statements const&... statements) {
  constexpr std::size_t last = sizeof...(E) - 1;
  return [&]<std::size_t... I>(std::index_sequence<I...>) {
    return std::tuple{std::get<I>(evaluations)...,
                      evaluation_then(std::get<last>(evaluations), statements...)};
  }
  (std::make_index_sequence<last>{});
}

/// `then` of statements that may have others after them already.
template <class Step, class... Statements>
auto step_then(Step const& step, Statements const&... statements) {
  return step_from<is_repeating_step<Step>>(evaluations_then(step.evaluations, statements...),
                                            step.repetitions);
}

}  // namespace detail

/// A step with more statements after its last evaluation's: in them x is the x that the step
/// arrives at; all else, such as x0 and eps, is what it was for the step. No kernel more, no
/// evaluation more. Throws tweedie::error if the last evaluation is repeated.
template <class Step, class... Statements> auto then(Step const& step, Statements... statements) {
  constexpr bool whole =
      detail::is_step<Step> && sizeof...(Statements) > 0 && detail::are_statements<Statements...>;
  static_assert(
      whole,
      "then(step, ...) takes a step, step(...) or stages(...), and statements such as x = "
      "blend(mask, known, x)");
  if constexpr (whole) {
    for (repetition const& r : step.repetitions)
      if (r.after + 1 == std::tuple_size_v<decltype(step.evaluations)>)
        throw error(
            "then(step, ...) was given a step that ends with repeat(n, ...), where its statements "
            "would be done in each repetition; expected a step whose last evaluation is done once");
    return detail::step_then(step, statements...);
  } else return step_of<detail::stays>{};
}

}  // namespace tweedie
