// A step of a sampler: what it computes from one or more evaluations of the network.
//
//   step(x = s.alpha * x0 + s.sigma * eps)                  one, at the level it starts from
//   stages(at(t, keep<0> = eps, x = ...), at(s, x = ...))   two, at the levels named
//
// All right-hand sides of one evaluation read the values from before it, except that of let<k>,
// which names a value for the statements after it.
#pragma once

#include <array>
#include <optional>
#include <tuple>
#include <type_traits>

#include <tweedie/dsl/config.hpp>
#include <tweedie/dsl/level.hpp>
#include <tweedie/dsl/symbols.hpp>

namespace tweedie {

/// A pointwise node: a function of one element of several forms. `parameters` are its numbers, in
/// double until they enter the kernel as its coefficients do.
template <class Function, class... Forms> struct pointwise_node {
  std::array<double, Function::parameters> parameters;
  std::tuple<Forms...> arguments;
};

namespace detail {

template <class Function, class... Forms>
inline constexpr bool is_pointwise<pointwise_node<Function, Forms...>> = true;

// A NaN stays a NaN: both comparisons are false.
struct clamp_function {
  static constexpr std::size_t parameters = 2;
  static constexpr char const* name = "clamp";
  TWEEDIE_HD static float apply(float const* p, float const* a) {
    float const low = a[0] < p[0] ? p[0] : a[0];
    return low > p[1] ? p[1] : low;
  }
};

}  // namespace detail

namespace detail {

/// A form under a name.
struct same_function {
  static constexpr std::size_t parameters = 0;
  static constexpr char const* name = "";
  TWEEDIE_HD static float apply(float const*, float const* a) { return a[0]; }
};

}  // namespace detail

/// min(max(a, low), high), element by element.
template <linear A> constexpr auto clamp(A a, double low, double high) {
  return pointwise_node<detail::clamp_function, decltype(lift(a))>{{low, high}, {lift(a)}};
}

/// One evaluation of the network and the statements that read it. Without a level it is the one the
/// step starts from.
template <class... Statements> struct evaluation {
  std::optional<level> where;
  std::tuple<Statements...> statements;
};

/// The evaluations of one step, in order.
template <class... Evaluations> struct step_of { std::tuple<Evaluations...> evaluations; };

namespace detail {
template <class T> inline constexpr bool is_statement = false;
template <class S, class V> inline constexpr bool is_statement<assignment<S, V>> = true;
}  // namespace detail

template <class... Statements> constexpr auto at(level where, Statements... statements) {
  static_assert((detail::is_statement<Statements> && ...),
                "at(level, ...) takes statements such as x = s.alpha * x0 + s.sigma * eps");
  return evaluation<Statements...>{where, {statements...}};
}

template <class... Evaluations> constexpr auto stages(Evaluations... evaluations) {
  static_assert(sizeof...(Evaluations) > 0, "stages(...) takes one at(level, ...) or more");
  return step_of<Evaluations...>{{evaluations...}};
}

template <class... Statements> constexpr auto step(Statements... statements) {
  static_assert((detail::is_statement<Statements> && ...),
                "step(...) takes statements such as x = s.alpha * x0 + s.sigma * eps");
  return step_of<evaluation<Statements...>>{
      {evaluation<Statements...>{std::nullopt, {statements...}}}};
}

}  // namespace tweedie
