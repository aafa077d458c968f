// Formulas whose types are forgotten: what a stage says, for pipelines that are put together at run
// time.
#pragma once

#include <optional>
#include <tuple>
#include <vector>

#include <tweedie/dsl/any_program.hpp>
#include <tweedie/dsl/level.hpp>
#include <tweedie/dsl/statement.hpp>

namespace tweedie {

struct any_term {
  double c;
  any_symbol symbol;
};
/// c_0 S_0 + c_1 S_1 + ..., as written.
using any_form = std::vector<any_term>;

/// A form, or a function or a reduction of several expressions.
struct any_expression {
  any_form form = {};  ///< where there is neither function nor reduction
  any_function const* function = nullptr;
  any_reduction const* reduction = nullptr;
  std::vector<double> parameters = {};
  std::vector<any_expression> arguments = {};
  bool is_form() const { return !function && !reduction; }
};

struct any_statement {
  any_symbol target;
  any_expression value;
};

struct any_evaluation {
  std::optional<level> where;
  std::vector<any_statement> statements;
};

struct any_step {
  std::vector<any_evaluation> evaluations;
  std::vector<repetition> repetitions;
};

// The same formulas without their types.

template <symbol... S> any_form forget(form<S...> const& f) {
  any_form r;
  std::size_t i = 0;
  (r.push_back({f.c[i++], {S::rank}}), ...);
  return r;
}
template <symbol S> any_form forget(S s) { return forget(lift(s)); }

namespace detail {

template <symbol... S> any_expression expression_of(form<S...> const& f) {
  return {.form = forget(f)};
}
template <symbol S> any_expression expression_of(S s) { return {.form = forget(s)}; }
// Declared before either is defined: an argument may be a node itself.
template <class F, class... A> any_expression expression_of(pointwise_node<F, A...> const& n);
template <class R, class... A> any_expression expression_of(reduction_node<R, A...> const& n);
template <class... A>
std::vector<any_expression> expressions_of(std::tuple<A...> const& arguments) {
  return std::apply(
      [](auto const&... a) { return std::vector<any_expression>{expression_of(a)...}; }, arguments);
}
template <class F, class... A> any_expression expression_of(pointwise_node<F, A...> const& n) {
  return {.function = &function_of<F, sizeof...(A)>,
          .parameters = {n.parameters.begin(), n.parameters.end()},
          .arguments = expressions_of(n.arguments)};
}
template <class R, class... A> any_expression expression_of(reduction_node<R, A...> const& n) {
  return {.reduction = &reduction_of_type<R>,
          .parameters = {n.parameters.begin(), n.parameters.end()},
          .arguments = expressions_of(n.arguments)};
}

}  // namespace detail

template <class... S> std::vector<any_statement> forget(std::tuple<S...> const& statements) {
  auto const one = []<class Target, class V>(assignment<Target, V> const& a) {
    return any_statement{{Target::rank}, detail::expression_of(a.value)};
  };
  return std::apply([&](auto const&... s) { return std::vector<any_statement>{one(s)...}; },
                    statements);
}
template <class... E> any_step forget(step_of<E...> const& step) {
  auto const one = [](auto const& e) { return any_evaluation{e.where, forget(e.statements)}; };
  return {std::apply([&](auto const&... e) { return std::vector<any_evaluation>{one(e)...}; },
                     step.evaluations),
          step.repetitions};
}

/// The statements with more after them that read the x they arrive at: `then`.
std::vector<any_statement> statements_then(std::vector<any_statement> statements,
                                           std::vector<any_statement> after);

}  // namespace tweedie
