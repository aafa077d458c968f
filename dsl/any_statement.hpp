// Formulas whose types are forgotten: what a stage says, for pipelines that are put together at run
// time.
#pragma once

#include <optional>
#include <tuple>
#include <vector>

#include <tweedie/dsl/level.hpp>
#include <tweedie/dsl/lowering/ir.hpp>
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

/// c[0] S_0 + ... + c[n - 1] S_n-1 of symbols with these ranks.
any_form form_of(double const* c, int const* ranks, std::size_t n);

template <symbol... S> any_form forget(form<S...> const& f) {
  if constexpr (sizeof...(S) == 0) return {};
  else {
    static constexpr int ranks[]{S::rank...};
    return form_of(f.c.data(), ranks, sizeof...(S));
  }
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
  std::vector<any_expression> r;
  r.reserve(sizeof...(A));
  [&]<std::size_t... I>(std::index_sequence<I...>) {
    (r.push_back(expression_of(std::get<I>(arguments))), ...);
  }
  (std::index_sequence_for<A...>{});
  return r;
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

template <class... T, class... V>
std::vector<any_statement> forget(std::tuple<assignment<T, V>...> const& statements) {
  std::vector<any_statement> r;
  r.reserve(sizeof...(T));
  [&]<std::size_t... I>(std::index_sequence<I...>) {
    (r.push_back({{T::rank}, detail::expression_of(std::get<I>(statements).value)}), ...);
  }
  (std::index_sequence_for<T...>{});
  return r;
}
template <class... E> any_step forget(step_of<E...> const& step) {
  any_step r{{}, step.repetitions};
  r.evaluations.reserve(sizeof...(E));
  [&]<std::size_t... I>(std::index_sequence<I...>) {
    (r.evaluations.push_back(
         {std::get<I>(step.evaluations).where, forget(std::get<I>(step.evaluations).statements)}),
     ...);
  }
  (std::index_sequence_for<E...>{});
  return r;
}

namespace lowering {

range put(ir& p, any_form const& f);
int put_expression(ir& p, any_expression const& e);
void put_all(ir& p, std::vector<any_statement> const& from, statements& to);

}  // namespace lowering

}  // namespace tweedie
