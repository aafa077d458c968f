// A linear form over symbols: c_0 S_0 + c_1 S_1 + ..., the symbols in the type, the coefficients in
// double.
//
// Adding forms writes one after the other; nothing is sorted or merged here (dsl/collapse.hpp does
// it once a formula).
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <type_traits>
#include <utility>

namespace tweedie {

/// What every symbol derives from: an empty type with a value, and a rank that orders the sum and
/// names the symbol.
struct symbol_base {};

template <class S>
concept symbol = std::is_base_of_v<symbol_base, S>;

template <symbol... S> struct form { std::array<double, sizeof...(S)> c{}; };

namespace detail {
template <class T> inline constexpr bool is_form = false;
template <class... S> inline constexpr bool is_form<form<S...>> = true;
template <class...> inline constexpr bool never = false;
}  // namespace detail

template <class T>
concept linear = symbol<T> || detail::is_form<T>;

template <class T>
concept number = std::is_arithmetic_v<T>;

template <symbol S> constexpr form<S> lift(S) { return {{1.0}}; }
template <symbol... S> constexpr form<S...> lift(form<S...> f) { return f; }

namespace detail {

template <class... A, class... B> constexpr form<A..., B...> join(form<A...> a, form<B...> b) {
  form<A..., B...> r;
  std::copy(b.c.begin(), b.c.end(), std::copy(a.c.begin(), a.c.end(), r.c.begin()));
  return r;
}

template <class... S> constexpr form<S...> scaled(double k, form<S...> f) {
  for (double& c : f.c) c *= k;
  return f;
}

}  // namespace detail

template <linear A, linear B> constexpr auto operator+(A a, B b) {
  return detail::join(lift(a), lift(b));
}
template <linear A, linear B> constexpr auto operator-(A a, B b) {
  return detail::join(lift(a), detail::scaled(-1, lift(b)));
}
template <linear A> constexpr auto operator-(A a) { return detail::scaled(-1, lift(a)); }
template <linear A> constexpr auto operator+(A a) { return lift(a); }
template <number K, linear A> constexpr auto operator*(K k, A a) {
  return detail::scaled(static_cast<double>(k), lift(a));
}
template <linear A, number K> constexpr auto operator*(A a, K k) {
  return detail::scaled(static_cast<double>(k), lift(a));
}
template <linear A, number K> constexpr auto operator/(A a, K k) {
  form r = lift(a);
  for (double& c : r.c) c /= static_cast<double>(k);
  return r;
}

// What a form can't be. Each returns a valid form, so that the sentence is the only error.

template <linear A, linear B> constexpr auto operator*(A a, B) {
  static_assert(
      detail::never<A, B>,
      "a form is linear: a symbol times a symbol is not one; write a pointwise node such as "
      "let<0> = clamp(a, low, high) and use let<0>");
  return lift(a);
}
template <linear A, linear B> constexpr auto operator/(A a, B) {
  static_assert(detail::never<A, B>, "a form is linear: a symbol divided by a symbol is not one");
  return lift(a);
}
template <number K, linear A> constexpr auto operator/(K, A a) {
  static_assert(detail::never<A>, "a form is linear: a number divided by a symbol is not one");
  return lift(a);
}
template <linear A, number K> constexpr auto operator+(A a, K) {
  static_assert(detail::never<A>,
                "a form has no constant term: every term is a number times a symbol");
  return lift(a);
}
template <number K, linear A> constexpr auto operator+(K, A a) {
  static_assert(detail::never<A>,
                "a form has no constant term: every term is a number times a symbol");
  return lift(a);
}
template <linear A, number K> constexpr auto operator-(A a, K) {
  static_assert(detail::never<A>,
                "a form has no constant term: every term is a number times a symbol");
  return lift(a);
}
template <number K, linear A> constexpr auto operator-(K, A a) {
  static_assert(detail::never<A>,
                "a form has no constant term: every term is a number times a symbol");
  return lift(a);
}

}  // namespace tweedie
