// From statements to lines: each symbol answers its definition, one substitution, one collapse a
// formula; expressions become lines of their own, with names.
#pragma once

#include <algorithm>
#include <array>
#include <tuple>

#include <tweedie/dsl/collapse.hpp>
#include <tweedie/dsl/detail/apply.hpp>
#include <tweedie/dsl/level.hpp>
#include <tweedie/dsl/program.hpp>
#include <tweedie/dsl/statement.hpp>

namespace tweedie {

/// What a parameterization makes of single branches; a fuller one is in pipelines/evaluation.hpp.
struct no_branches {};

/// What the symbols that no buffer holds stand for at a level. Forms over x, out<i>, known, noise
/// and nodes.
template <class Raw, class X0, class Eps, class Branches = no_branches> struct answers {
  level t;
  Raw raw;
  X0 x0;
  Eps eps;
  Branches branches = {};  ///< x0_of<i>() and eps_of<i>() answer branch_x0<i> and branch_eps<i>
};

template <class Raw, class X0, class Eps, class Branches = no_branches>
constexpr answers<Raw, X0, Eps, Branches> make_answers(level t, Raw raw, X0 x0, Eps eps,
                                                       Branches branches = {}) {
  return {t, raw, x0, eps, branches};
}

/// Where nothing but buffers and noise may be used.
inline constexpr answers<form<>, form<>, form<>> no_answers{};

namespace detail {

template <class A, symbol S> constexpr auto answer(A const& a, S s) {
  if constexpr (std::is_same_v<S, sym::raw>) return a.raw;
  else if constexpr (std::is_same_v<S, sym::x0>) return a.x0;
  else if constexpr (std::is_same_v<S, sym::eps>) return a.eps;
  else if constexpr (std::is_same_v<S, sym::score>) return a.eps / -a.t.sigma;
  else if constexpr (std::is_same_v<S, sym::v>) return a.t.alpha * a.eps - a.t.sigma * a.x0;
  else if constexpr (std::is_same_v<S, sym::velocity>)
    return a.t.dalpha * a.x0 + a.t.dsigma * a.eps;
  else if constexpr (std::is_same_v<S, sym::raw_variance>) return lift(sym::out_variance{});
  else if constexpr (is_family<sym::branch_x0<0>, S>) return a.branches.template x0_of<S::branch>();
  else if constexpr (is_family<sym::branch_eps<0>, S>)
    return a.branches.template eps_of<S::branch>();
  else if constexpr (is_noise<S> && requires { a.branches.noise_of(s); })
    return a.branches.noise_of(s);
  else return lift(s);
}

}  // namespace detail

/// The form with every symbol replaced by its answer; like terms are not merged.
template <class A, symbol... S> constexpr auto substitute(A const& a, form<S...> const& f) {
  return [&]<std::size_t... I>(std::index_sequence<I...>) {
    return (form<>{} + ... + detail::scaled(f.c[I], detail::answer(a, S{})));
  }
  (std::index_sequence_for<S...>{});
}
// What stands for a mistake is empty, and nvcc stumbles over an empty pack after an error.
template <class A> constexpr form<> substitute(A const&, form<> const&) { return {}; }

/// A line of a program with its numbers.
template <class Line> struct valued {
  using line = Line;
  std::array<double, Line::coefficients> c{};
};

namespace detail {

template <class Target, symbol... S> constexpr auto value_sum(form<S...> const& f) {
  return valued<sum<Target, S...>>{f.c};
}

/// A line of parameters and of sums, with their numbers one after the other.
template <template <class, class, class...> class Line, class Target, class F, class... Forms>
constexpr auto value_line(std::array<double, F::parameters> const& parameters,
                          Forms const&... arguments) {
  valued<Line<Target, F, typename decltype(value_sum<Target>(arguments))::line...>> r;
  auto to = std::copy(parameters.begin(), parameters.end(), r.c.begin());
  ((to = std::copy(arguments.c.begin(), arguments.c.end(), to)), ...);
  return r;
}

/// What an expression becomes: the lines before it, and the form that stands for it. `Nodes` and
/// `Reduced` count the names given so far in the evaluation.
template <int Nodes, int Reduced, class Lines, class Value> struct lowered {
  static constexpr int nodes = Nodes, reduced = Reduced;
  Lines lines;
  Value value;
};
template <int Nodes, int Reduced, class Lines, class Value>
constexpr lowered<Nodes, Reduced, Lines, Value> make_lowered(Lines lines, Value value) {
  return {lines, value};
}

template <int N, int R, class A, symbol... S>
constexpr auto lower_expression(A const& a, form<S...> const& f) {
  auto const value = collapse(substitute(a, f));
  return make_lowered<N, R>(std::tuple<>{}, value);
}

// Declared before either is defined: an argument may be a node itself.
template <int N, int R, class A, class F, class... Arguments>
constexpr auto lower_expression(A const& a, pointwise_node<F, Arguments...> const& n);
template <int N, int R, class A, class F, class... Arguments>
constexpr auto lower_expression(A const& a, reduction_node<F, Arguments...> const& n);

// The arguments of a node one after the other: the names of one begin where the last one's ended.
template <int N, int R, class A, class Lines, class... Values>
constexpr auto lower_arguments(A const&, Lines const& lines, std::tuple<Values...> const& values) {
  return make_lowered<N, R>(lines, values);
}
template <int N, int R, class A, class Lines, class... Values, class First, class... Rest>
constexpr auto lower_arguments(A const& a, Lines const& lines, std::tuple<Values...> const& values,
                               First const& first, Rest const&... rest) {
  auto const one = lower_expression<N, R>(a, first);
  using one_type = std::remove_const_t<decltype(one)>;
  return lower_arguments<one_type::nodes, one_type::reduced>(
      a, std::tuple_cat(lines, one.lines), std::tuple_cat(values, std::tuple{one.value}), rest...);
}

/// The line of a node or a reduction after those of its arguments.
template <int N, int R, template <class, class, class...> class Line, class Target, class A,
          template <class, class...> class Node, class F, class... Arguments>
constexpr auto lower_line(A const& a, Node<F, Arguments...> const& n) {
  auto const all = detail::apply(
      [&](auto const&... argument) {
        return lower_arguments<N, R>(a, std::tuple<>{}, std::tuple<>{}, argument...);
      },
      n.arguments);
  using all_type = std::remove_const_t<decltype(all)>;
  auto const line = detail::apply(
      [&](auto const&... f) { return value_line<Line, Target, F>(n.parameters, f...); }, all.value);
  return make_lowered<all_type::nodes, all_type::reduced>(
      std::tuple_cat(all.lines, std::tuple{line}), lift(Target{}));
}

template <int N, int R, class A, class F, class... Arguments>
constexpr auto lower_expression(A const& a, pointwise_node<F, Arguments...> const& n) {
  return lower_line<N + 1, R, node, sym::nameless<N>>(a, n);
}
template <int N, int R, class A, class F, class... Arguments>
constexpr auto lower_expression(A const& a, reduction_node<F, Arguments...> const& n) {
  return lower_line<N, R + 1, reduction, sym::reduced<R>>(a, n);
}

}  // namespace detail

/// Nothing lowered before.
inline constexpr detail::lowered<0, 0, std::tuple<>, std::tuple<>> nothing_before{};

/// A statement with its symbols answered: the lines before its value, and either the line that
/// names it (a node) or the sum that is stored.
template <int N, int R, class A, class Target, class Value>
constexpr auto lower(A const& a, assignment<Target, Value> const& s) {
  using namespace detail;
  if constexpr (is_node<Target> && is_pointwise<Value>) {
    auto const all = lower_line<N, R, node, Target>(a, s.value);
    using type = std::remove_const_t<decltype(all)>;
    return make_lowered<type::nodes, type::reduced>(all.lines, std::tuple<>{});
  } else {
    auto const all = lower_expression<N, R>(a, s.value);
    using type = std::remove_const_t<decltype(all)>;
    if constexpr (is_node<Target>)
      return make_lowered<type::nodes, type::reduced>(
          std::tuple_cat(all.lines,
                         std::tuple{value_line<node, Target, same_function>({}, all.value)}),
          std::tuple<>{});
    else
      return make_lowered<type::nodes, type::reduced>(all.lines,
                                                      std::tuple{value_sum<Target>(all.value)});
  }
}

namespace detail {

/// Statements one after the other, after the lines and stored sums that are there.
template <int N, int R, class A, class Lines, class Stored>
constexpr auto lower_all(A const&, Lines const& lines, Stored const& stored) {
  return make_lowered<N, R>(lines, stored);
}
template <int N, int R, class A, class Lines, class Stored, class First, class... Rest>
constexpr auto lower_all(A const& a, Lines const& lines, Stored const& stored, First const& first,
                         Rest const&... rest) {
  auto const one = lower<N, R>(a, first);
  using type = std::remove_const_t<decltype(one)>;
  return lower_all<type::nodes, type::reduced>(a, std::tuple_cat(lines, one.lines),
                                               std::tuple_cat(stored, one.value), rest...);
}

}  // namespace detail

}  // namespace tweedie
