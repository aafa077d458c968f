// What a formula may be besides linear: functions of an element, and numbers made of a whole
// sample.
//
//   clamp(x0, -1, 1)   product(norm(x), eps)   pointwise(f, x, exp(2 * x0))
//
// Expressions nest, and stand on any right-hand side; a form, which is linear, cannot hold one as a
// term: let<k> names it.
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>
#include <tuple>
#include <type_traits>
#include <utility>

#include <tweedie/dsl/base/apply.hpp>
#include <tweedie/dsl/base/config.hpp>  // for a function of one's own
#include <tweedie/dsl/base/error.hpp>
#include <tweedie/dsl/language/reductions.hpp>
#include <tweedie/dsl/language/symbols.hpp>

namespace tweedie {

namespace detail {

/// What a node can't be: a term of a form.
template <class... T>
concept with_a_node = (is_expression<T> || ...);

struct no_term {
  template <class A, class B>
  requires with_a_node<A, B>
  friend constexpr auto operator+(A, B) { return refused<A, B>(); }
  template <class A, class B>
  requires with_a_node<A, B>
  friend constexpr auto operator-(A, B) { return refused<A, B>(); }
  template <class A, class B>
  requires with_a_node<A, B>
  friend constexpr auto operator*(A, B) { return refused<A, B>(); }
  template <class A, class B>
  requires with_a_node<A, B>
  friend constexpr auto operator/(A, B) { return refused<A, B>(); }
  template <class A>
  requires with_a_node<A>
  friend constexpr auto operator-(A) { return refused<A>(); }
  operator long double() const { return no_number(); }

 private:
  template <class... A> static constexpr form<sym::x> refused() {
    static_assert(never<A...>,
                  "a form is linear: clamp(...), exp(...), product(...) and their like cannot be a "
                  "term of it; write let<0> = clamp(a, low, high) and use let<0>");
    return {};
  }
};

}  // namespace detail

/// A pointwise node: a function of one element of several forms or nodes. `parameters` are its
/// numbers, in double until they enter the kernel as its coefficients do.
template <class Function, class... Arguments> struct pointwise_node : detail::no_term {
  std::array<double, Function::parameters> parameters = {};
  std::tuple<Arguments...> arguments;
};

/// One number a sample, made of all its elements: Reduction is one of
/// dsl/language/reductions.hpp. It ends a kernel: what reads it is computed by the next one.
template <class Reduction, class... Arguments> struct reduction_node : detail::no_term {
  std::array<double, Reduction::parameters> parameters = {};
  std::tuple<Arguments...> arguments;
};

namespace detail {

template <class Function, class... Arguments>
inline constexpr bool is_expression<pointwise_node<Function, Arguments...>> = true;
template <class Reduction, class... Arguments>
inline constexpr bool is_expression<reduction_node<Reduction, Arguments...>> = true;

/// A symbol becomes a form, a form or a node stays what it is.
template <assignable T> constexpr auto argument(T t) {
  if constexpr (linear<T>) return lift(t);
  else return t;
}

template <class Function, class... T>
constexpr auto pointwise_of(std::array<double, Function::parameters> const& parameters, T... a) {
  return pointwise_node<Function, decltype(argument(a))...>{{}, parameters, {argument(a)...}};
}
template <class Reduction, class... T>
constexpr auto reduction_of(std::array<double, Reduction::parameters> const& parameters, T... a) {
  return reduction_node<Reduction, decltype(argument(a))...>{{}, parameters, {argument(a)...}};
}

}  // namespace detail

// What a function of one element is; what it computes is in dsl/kernel/functions.hpp.
namespace functions {

template <std::size_t Parameters> struct function {
  static constexpr std::size_t parameters = Parameters;
};
struct clamp : function<2> {
  static constexpr char const* name = "clamp";
};
/// A form under a name.
struct same : function<0> {
  static constexpr char const* name = "";
};
struct exp : function<0> {
  static constexpr char const* name = "exp";
};
struct sqrt : function<0> {
  static constexpr char const* name = "sqrt";
};
struct product : function<0> {
  static constexpr char const* name = "product";
};
struct blend : function<0> {
  static constexpr char const* name = "blend";
};

/// Whether F is a user's own function with numbers, as `pointwise<F>({numbers}, ...)` takes it.
template <class F>
inline constexpr bool is_whole =
    std::is_empty_v<F>&& std::default_initializable<F>&& requires(float const* p) {
  { F::parameters } -> std::convertible_to<std::size_t>;
  { F::name } -> std::convertible_to<char const*>;
  { F::apply(p, p) } -> std::same_as<float>;
};

/// A user's function of N values. Its bytes travel with the coefficients: 16 bits in each, which a
/// float holds exactly.
template <class F, std::size_t N>
struct users : function<std::is_empty_v<F> ? 0 : (sizeof(F) + 1) / 2> {
  static constexpr bool opaque = true;  // its parameters mean nothing to a reader
  static constexpr char const* name = "pointwise";

  static std::array<double, users::parameters> packed(F const& f) {
    std::array<double, users::parameters> r{};
    if constexpr (users::parameters > 0) {
      std::uint16_t words[users::parameters] = {};
      std::memcpy(words, &f, sizeof(F));
      std::copy(words, words + users::parameters, r.begin());
    }
    return r;
  }
};

}  // namespace functions

namespace detail {
// Of numbers, a float's range is asked: they enter the kernel as floats.
inline constexpr double largest_bound = std::numeric_limits<float>::max();
[[noreturn]] inline void refuse_bounds(double low, double high) {
  char sentence[160];
  std::snprintf(sentence, sizeof sentence,
                "clamp: low = %g and high = %g were given, expected low <= high, both finite in "
                "float32",
                low, high);
  throw error(sentence);
}
[[noreturn]] inline void refuse_quantile(double p) {
  char sentence[80];
  std::snprintf(sentence, sizeof sentence, "quantile_of_abs: p = %g was given, expected 0 < p <= 1",
                p);
  throw error(sentence);
}
template <class F, class... A>
inline constexpr bool is_of_floats =
    sizeof...(A) > 0 &&
    std::is_invocable_r_v<float, F const&, std::conditional_t<true, float, A>...>;
}  // namespace detail

/// min(max(a, low), high), element by element. Throws a sentence unless low <= high, both finite.
template <assignable A> constexpr auto clamp(A a, double low, double high) {
  if (!(-detail::largest_bound <= low && low <= high && high <= detail::largest_bound))
    detail::refuse_bounds(low, high);
  return detail::pointwise_of<functions::clamp>({low, high}, a);
}
/// e^a by the library's own polynomial: the same bits everywhere.
template <assignable A> constexpr auto exp(A a) {
  return detail::pointwise_of<functions::exp>({}, a);
}
template <assignable A> constexpr auto sqrt(A a) {
  return detail::pointwise_of<functions::sqrt>({}, a);
}
/// a b, element by element: what a form, which is linear, cannot say.
template <assignable A, assignable B> constexpr auto product(A a, B b) {
  return detail::pointwise_of<functions::product>({}, a, b);
}
/// m a + (1 - m) b; exactly a where m is 1, b where it is 0.
template <assignable M, assignable A, assignable B> constexpr auto blend(M m, A a, B b) {
  return detail::pointwise_of<functions::blend>({}, m, a, b);
}
/// F(numbers; a, ...), element by element, for a function of your own whose numbers are told by
/// `explain` and may change from step to step without another kernel:
///
///   struct softened {
///     static constexpr std::size_t parameters = 1;
///     static constexpr char const* name = "softened";
///     TWEEDIE_HD static float apply(float const* p, float const* a) { return a[0] / (p[0] + 1); }
///   };
///   x = pointwise<softened>({0.5}, x0)
///
/// `apply` reads no more numbers and arguments than are given. The same bits on every machine only
/// if it calls no libm.
template <class F, std::size_t N, assignable... A>
constexpr auto pointwise(double const (&numbers)[N], A... a) {
  constexpr bool whole = functions::is_whole<F> && sizeof...(A) > 0;
  static_assert(
      whole,
      "pointwise<F>({numbers}, a, ...) needs of F static constexpr std::size_t "
      "parameters, static constexpr char const* name, and static float apply(float const* "
      "p, float const* a), p its numbers and a one element of each argument; F is an "
      "empty struct");
  if constexpr (whole) {
    constexpr bool enough = N == F::parameters;
    static_assert(enough,
                  "pointwise<F>({numbers}, a, ...) takes as many numbers as F::parameters says");
    if constexpr (enough) {
      std::array<double, N> of{};
      std::copy(numbers, numbers + N, of.begin());
      return detail::pointwise_of<F>(of, a...);
    } else return detail::pointwise_of<functions::same>({}, a...);
  } else return form<sym::x>{};
}
/// f(a, ...) of one element each, f your own: floats in, a float out, trivially copyable. The same
/// bits on every machine only if f calls no libm.
template <class F, assignable... A> auto pointwise(F f, A... a) {
  static_assert(
      std::is_trivially_copyable_v<F>,
      "a pointwise function must be trivially copyable, since it travels to the kernel as "
      "bytes: capture numbers, not containers or references");
  constexpr bool called = detail::is_of_floats<F, A...>;
  static_assert(called,
                "a pointwise function takes a float for each of the values that follow it, returns "
                "a float and is const: pointwise([](float a, float b) { return a * b; }, x0, eps)");
  if constexpr (std::is_trivially_copyable_v<F> && called) {
    using function = functions::users<F, sizeof...(A)>;
    return detail::pointwise_of<function>(function::packed(f), a...);
  } else return detail::pointwise_of<functions::same>({}, a...);
}

/// Sum of a b over the sample.
template <assignable A, assignable B> constexpr auto dot(A a, B b) {
  return detail::reduction_of<reductions::dot>({}, a, b);
}
/// Root of the sum of squares over the sample.
template <assignable A> constexpr auto norm(A a) {
  return detail::reduction_of<reductions::norm>({}, a);
}
/// Mean over the sample.
template <assignable A> constexpr auto mean(A a) {
  return detail::reduction_of<reductions::mean>({}, a);
}
/// Standard deviation over the sample, with n - 1 below the sum.
template <assignable A> constexpr auto deviation(A a) {
  return detail::reduction_of<reductions::deviation>({}, a);
}
/// The p-quantile of |a| over the sample, interpolated linearly: p in (0, 1].
template <assignable A> constexpr auto quantile_of_abs(A a, double p) {
  if (!(p > 0 && p <= 1)) detail::refuse_quantile(p);
  double const rounded = static_cast<float>(p);
  return detail::reduction_of<reductions::quantile_of_abs>({rounded, p - rounded}, a);
}

}  // namespace tweedie
