// A linear form over symbols: c_0 S_0 + c_1 S_1 + ..., the symbols in the type, the coefficients in
// double.
//
// Adding forms writes one after the other; nothing is sorted or merged here (dsl/lowering/lower.hpp
// does it once a formula).
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <type_traits>
#include <utility>

#include <tweedie/dsl/base/error.hpp>

namespace tweedie {

namespace detail {
/// What std::exp and its like make of a symbol. No formula takes a long double, so that whatever it
/// is used for stops at a sentence.
[[noreturn]] inline long double no_number() {
  throw error(
      "a symbol was given where a number is expected: std::exp and its like take numbers; write "
      "exp(a), sqrt(a) or pointwise(f, a)");
}
}  // namespace detail

/// What every symbol derives from: an empty type with a value, and an id that orders the sum and
/// names the symbol.
struct symbol_base {
  operator long double() const { return detail::no_number(); }
};

template <class S>
concept symbol = std::is_base_of_v<symbol_base, S>;

template <symbol... S> struct form {
  std::array<double, sizeof...(S)> c{};
  operator long double() const { return detail::no_number(); }
};

namespace detail {
template <class T> inline constexpr bool is_form = false;
template <class... S> inline constexpr bool is_form<form<S...>> = true;
template <class...> inline constexpr bool never = false;
}  // namespace detail

template <class T>
concept linear = symbol<T> || detail::is_form<T>;

template <class T>
concept any_number = std::is_arithmetic_v<T>;
template <class T>
concept number = any_number<T> && !std::same_as<T, long double>;

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

/// The factor of S in a form, 0 if it is not there.
template <symbol S, symbol... T> constexpr double coefficient(form<T...> const& f) {
  double r = 0;
  std::size_t i = 0;
  ((r += std::is_same_v<S, T> ? f.c[i] : 0.0, ++i), ...);
  return r;
}

// What a form can't be. Each returns a valid form, so that the sentence is the only error.

template <linear A, linear B> constexpr auto operator*(A a, B) {
  static_assert(
      detail::never<A, B>,
      "a form is linear: a symbol times a symbol is not one; write let<0> = product(a, b) and use "
      "let<0>");
  return lift(a);
}
template <linear A, linear B> constexpr auto operator/(A a, B) {
  static_assert(detail::never<A, B>, "a form is linear: a symbol divided by a symbol is not one");
  return lift(a);
}
template <any_number K, linear A> constexpr auto operator/(K, A a) {
  static_assert(detail::never<A>, "a form is linear: a number divided by a symbol is not one");
  return lift(a);
}
template <linear A, any_number K> constexpr auto operator+(A a, K) {
  static_assert(
      detail::never<A>,
      "a form has no constant term: every term is a number times a symbol; std::exp and its "
      "like take numbers, write exp(a)");
  return lift(a);
}
template <any_number K, linear A> constexpr auto operator+(K, A a) {
  static_assert(
      detail::never<A>,
      "a form has no constant term: every term is a number times a symbol; std::exp and its "
      "like take numbers, write exp(a)");
  return lift(a);
}
template <linear A, any_number K> constexpr auto operator-(A a, K) {
  static_assert(
      detail::never<A>,
      "a form has no constant term: every term is a number times a symbol; std::exp and its "
      "like take numbers, write exp(a)");
  return lift(a);
}
template <any_number K, linear A> constexpr auto operator-(K, A a) {
  static_assert(
      detail::never<A>,
      "a form has no constant term: every term is a number times a symbol; std::exp and its "
      "like take numbers, write exp(a)");
  return lift(a);
}

template <std::same_as<long double> K, linear A> constexpr auto operator*(K, A a) {
  static_assert(detail::never<A>,
                "a form's numbers are double, this one is a long double, as std::exp and its like "
                "make of a symbol: write let<0> = exp(a) and use let<0>");
  return lift(a);
}
template <linear A, std::same_as<long double> K> constexpr auto operator*(A a, K k) {
  return k * a;
}
template <linear A, std::same_as<long double> K> constexpr auto operator/(A a, K k) {
  return k * a;
}

}  // namespace tweedie
