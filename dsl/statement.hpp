// A step of a sampler: what it computes from one or more evaluations of the network.
//
//   step(x = s.alpha * x0 + s.sigma * eps)                  one, at the level it starts from
//   stages(at(t, keep<0> = eps, x = ...), at(s, x = ...))   two, at the levels named
//
// All right-hand sides of one evaluation read the values from before it, except that of let<k>,
// which names a value for the statements after it.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <tweedie/dsl/config.hpp>
#include <tweedie/dsl/level.hpp>
#include <tweedie/dsl/math.hpp>
#include <tweedie/dsl/reduce.hpp>
#include <tweedie/dsl/symbols.hpp>

namespace tweedie {

/// A pointwise node: a function of one element of several forms or nodes. `parameters` are its
/// numbers, in double until they enter the kernel as its coefficients do.
template <class Function, class... Arguments> struct pointwise_node {
  std::array<double, Function::parameters> parameters;
  std::tuple<Arguments...> arguments;
};

/// One number a sample, made of all its elements: Reduction is one of dsl/reduce.hpp. It ends a
/// kernel: what reads it is computed by the next one.
template <class Reduction, class... Arguments> struct reduction_node {
  std::array<double, Reduction::parameters> parameters;
  std::tuple<Arguments...> arguments;
};

namespace detail {

template <class T> inline constexpr bool is_pointwise = false;
template <class Function, class... Arguments>
inline constexpr bool is_pointwise<pointwise_node<Function, Arguments...>> = true;
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
  return pointwise_node<Function, decltype(argument(a))...>{parameters, {argument(a)...}};
}
template <class Reduction, class... T>
constexpr auto reduction_of(std::array<double, Reduction::parameters> const& parameters, T... a) {
  return reduction_node<Reduction, decltype(argument(a))...>{parameters, {argument(a)...}};
}

// A NaN stays a NaN: both comparisons are false.
struct clamp_function {
  static constexpr std::size_t parameters = 2;
  static constexpr char const* name = "clamp";
  TWEEDIE_HD static float apply(float const* p, float const* a) {
    float const low = a[0] < p[0] ? p[0] : a[0];
    return low > p[1] ? p[1] : low;
  }
};

/// A form under a name.
struct same_function {
  static constexpr std::size_t parameters = 0;
  static constexpr char const* name = "";
  TWEEDIE_HD static float apply(float const*, float const* a) { return a[0]; }
};

struct exp_function {
  static constexpr std::size_t parameters = 0;
  static constexpr char const* name = "exp";
  TWEEDIE_HD static float apply(float const*, float const* a) { return math::exp(a[0]); }
};

struct sqrt_function {
  static constexpr std::size_t parameters = 0;
  static constexpr char const* name = "sqrt";
  TWEEDIE_HD static float apply(float const*, float const* a) { return std::sqrt(a[0]); }
};

struct product_function {
  static constexpr std::size_t parameters = 0;
  static constexpr char const* name = "product";
  TWEEDIE_HD static float apply(float const*, float const* a) { return a[0] * a[1]; }
};

// Where the mask is 0 or 1 the other value does not enter, not even as a NaN.
struct blend_function {
  static constexpr std::size_t parameters = 0;
  static constexpr char const* name = "blend";
  TWEEDIE_HD static float apply(float const*, float const* a) {
    float const mixed = std::fma(a[0], a[1] - a[2], a[2]);
    return a[0] == 1 ? a[1] : a[0] == 0 ? a[2] : mixed;
  }
};

/// A user's function. Its bytes travel with the coefficients: 16 bits in each, which a float holds
/// exactly.
template <class F> struct users_function {
  static constexpr std::size_t halves = std::is_empty_v<F> ? 0 : (sizeof(F) + 1) / 2;
  static constexpr std::size_t parameters = halves;
  static constexpr bool opaque = true;  // its parameters mean nothing to a reader
  static constexpr char const* name = "pointwise";

  static std::array<double, parameters> packed(F const& f) {
    std::array<double, parameters> r{};
    if constexpr (halves > 0) {
      std::uint16_t words[halves] = {};
      std::memcpy(words, &f, sizeof(F));
      std::copy(words, words + halves, r.begin());
    }
    return r;
  }
  template <std::size_t N> TWEEDIE_HD static float apply_to(float const* p, float const* a) {
    union storage {
      std::uint16_t words[halves > 0 ? halves : 1];
      F function;
      TWEEDIE_HD storage() : words{} {}
    } f;
    for (std::size_t i = 0; i < halves; ++i) f.words[i] = static_cast<std::uint16_t>(p[i]);
    return call(f.function, a, std::make_index_sequence<N>{});
  }

 private:
  template <std::size_t... I>
  TWEEDIE_HD static float call(F const& f, float const* a, std::index_sequence<I...>) {
    return f(a[I]...);
  }
};

template <class F, std::size_t N> struct users_function_of : users_function<F> {
  TWEEDIE_HD static float apply(float const* p, float const* a) {
    return users_function<F>::template apply_to<N>(p, a);
  }
};

}  // namespace detail

/// min(max(a, low), high), element by element.
template <assignable A> constexpr auto clamp(A a, double low, double high) {
  return detail::pointwise_of<detail::clamp_function>({low, high}, a);
}
/// e^a by the library's own polynomial: the same bits everywhere.
template <assignable A> constexpr auto exp(A a) {
  return detail::pointwise_of<detail::exp_function>({}, a);
}
template <assignable A> constexpr auto sqrt(A a) {
  return detail::pointwise_of<detail::sqrt_function>({}, a);
}
/// a b, element by element: what a form, which is linear, cannot say.
template <assignable A, assignable B> constexpr auto product(A a, B b) {
  return detail::pointwise_of<detail::product_function>({}, a, b);
}
/// m a + (1 - m) b; exactly a where m is 1, b where it is 0.
template <assignable M, assignable A, assignable B> constexpr auto blend(M m, A a, B b) {
  return detail::pointwise_of<detail::blend_function>({}, m, a, b);
}
/// f(a, ...) of one element each, f your own: floats in, a float out, trivially copyable. The same
/// bits on every machine only if f calls no libm.
template <class F, assignable... A> auto pointwise(F f, A... a) {
  static_assert(
      std::is_trivially_copyable_v<F>,
      "a pointwise function must be trivially copyable, since it travels to the kernel as "
      "bytes: capture numbers, not containers or references");
  if constexpr (std::is_trivially_copyable_v<F>)
    return detail::pointwise_of<detail::users_function_of<F, sizeof...(A)>>(
        detail::users_function<F>::packed(f), a...);
  else return detail::pointwise_of<detail::same_function>({}, a...);
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
  double const rounded = static_cast<float>(p);
  return detail::reduction_of<reductions::quantile_of_abs>({rounded, p - rounded}, a);
}

/// One evaluation of the network and the statements that read it. Without a level it is the one the
/// step starts from.
template <class... Statements> struct evaluation {
  std::optional<level> where;
  std::tuple<Statements...> statements;
};

/// The evaluations from `to` up to and with `after`, done `times` times over.
struct repetition {
  std::size_t to = 0, after = 0;
  int times = 1;
};

/// The evaluations of one step, in order.
template <class... Evaluations> struct step_of {
  std::tuple<Evaluations...> evaluations;
  std::vector<repetition> repetitions = {};
};

/// Evaluations of a step that are done `times` times over.
template <class... Evaluations> struct repeated {
  int times;
  std::tuple<Evaluations...> evaluations;
  std::vector<repetition> repetitions = {};  // inside it
};

namespace detail {
template <class T> inline constexpr bool is_statement = false;
template <class S, class V> inline constexpr bool is_statement<assignment<S, V>> = true;
}  // namespace detail

template <class... Statements> constexpr auto at(level where, Statements... statements) {
  static_assert((detail::is_statement<Statements> && ...),
                "at(level, ...) takes statements such as x = s.alpha * x0 + s.sigma * eps");
  return evaluation<Statements...>{where, {statements...}};
}

namespace detail {

template <class... S> constexpr auto evaluations_of(evaluation<S...> const& e) {
  return std::tuple{e};
}
template <class... E> constexpr auto evaluations_of(repeated<E...> const& r) {
  return r.evaluations;
}

/// The repetitions of a part that begins at evaluation `first`, those inside another before it.
template <class... S> std::vector<repetition> repetitions_of(evaluation<S...> const&, std::size_t) {
  return {};
}
template <class... E>
std::vector<repetition> repetitions_of(repeated<E...> const& r, std::size_t first) {
  std::vector<repetition> all;
  for (repetition const& one : r.repetitions)
    all.push_back({first + one.to, first + one.after, one.times});
  if (r.times != 1) all.push_back({first, first + sizeof...(E) - 1, r.times});
  return all;
}

/// The indices of `count` evaluations in the order they are done.
inline std::vector<std::size_t> unrolled(std::size_t count,
                                         std::vector<repetition> const& repetitions) {
  std::vector<std::vector<std::size_t>> blocks;
  for (std::size_t i = 0; i < count; ++i) blocks.push_back({i});
  auto const joined = [&](std::size_t from, std::size_t to) {
    std::vector<std::size_t> all;
    for (std::size_t i = from; i <= to; ++i)
      all.insert(all.end(), blocks[i].begin(), blocks[i].end());
    return all;
  };
  for (repetition const& r : repetitions) {
    auto const once = joined(r.to, r.after);
    for (std::size_t i = r.to; i <= r.after; ++i) blocks[i].clear();
    for (int n = 0; n < r.times; ++n)
      blocks[r.to].insert(blocks[r.to].end(), once.begin(), once.end());
  }
  return joined(0, count - 1);
}

template <class... E>
auto step_from(std::tuple<E...> evaluations, std::vector<repetition> repetitions) {
  return step_of<E...>{std::move(evaluations), std::move(repetitions)};
}

}  // namespace detail

/// The evaluations `at(level, ...)` of a step; `repeat(n, at(...), ...)` among them is done n times.
template <class... Parts> auto stages(Parts... parts) {
  static_assert(sizeof...(Parts) > 0, "stages(...) takes one at(level, ...) or more");
  std::vector<repetition> repetitions;
  std::size_t i = 0;
  auto const note = [&](std::vector<repetition> const& inside, std::size_t count) {
    repetitions.insert(repetitions.end(), inside.begin(), inside.end());
    i += count;
  };
  (note(detail::repetitions_of(parts, i),
        std::tuple_size_v<decltype(detail::evaluations_of(parts))>),
   ...);
  return detail::step_from(std::tuple_cat(detail::evaluations_of(parts)...),
                           std::move(repetitions));
}

/// Evaluations of a step that are done `times` times over, `times` at least 0: a value, so that it
/// compiles nothing. A step has one evaluation at least.
template <class... E> auto repeat(int times, E... evaluations) {
  return repeated<E...>{times, {evaluations...}};
}
/// A whole step, `times` times over, as part of another one.
template <class... E> auto repeat(int times, step_of<E...> const& step) {
  return repeated<E...>{times, step.evaluations, step.repetitions};
}

template <class... Statements> auto step(Statements... statements) {
  static_assert((detail::is_statement<Statements> && ...),
                "step(...) takes statements such as x = s.alpha * x0 + s.sigma * eps");
  return step_of<evaluation<Statements...>>{
      {evaluation<Statements...>{std::nullopt, {statements...}}}};
}

namespace detail {

// Every x of an expression under another name.

template <class To, class S> struct renamed_symbol { using type = S; };
template <class To> struct renamed_symbol<To, sym::x> { using type = To; };

template <class To, symbol... S>
constexpr form<typename renamed_symbol<To, S>::type...> x_renamed(form<S...> const& f) {
  return {f.c};
}
template <class To, class F, class... A>
constexpr auto x_renamed(pointwise_node<F, A...> const& n) {
  return std::apply(
      [&](auto const&... a) { return pointwise_of<F>(n.parameters, x_renamed<To>(a)...); },
      n.arguments);
}
template <class To, class R, class... A>
constexpr auto x_renamed(reduction_node<R, A...> const& n) {
  return std::apply(
      [&](auto const&... a) { return reduction_of<R>(n.parameters, x_renamed<To>(a)...); },
      n.arguments);
}

template <class S> inline constexpr bool assigns_x = false;
template <class V> inline constexpr bool assigns_x<assignment<sym::x, V>> = true;

/// How many statements came by then(...) already.
template <class S> inline constexpr int arrivals = 0;
template <int K, class V> inline constexpr int arrivals<assignment<sym::arrived<K>, V>> = 1;

/// The statements with the new x named arrived<K>, so that those of `after` may read it.
template <class... S, class... After>
constexpr auto statements_then(std::tuple<S...> const& statements,
                               std::tuple<After...> const& after) {
  constexpr int k = (arrivals<S> + ... + 0);
  using name = sym::arrived<k>;
  auto const named = [](auto const& s) {
    if constexpr (assigns_x<std::remove_cvref_t<decltype(s)>>)
      return assignment<name, decltype(s.value)>{s.value};
    else return s;
  };
  auto const moved = [](auto const& s) {
    auto const value = x_renamed<name>(s.value);
    return [&]<class Target, class V>(assignment<Target, V> const&) {
      return assignment<Target, std::remove_const_t<decltype(value)>>{value};
    }(s);
  };
  constexpr bool sets_x = (assigns_x<S> || ...);
  constexpr bool resets_x = (assigns_x<After> || ...);
  return std::apply(
      [&](auto const&... s) {
        return std::apply(
            [&](auto const&... a) {
              auto const before = [&] {
                if constexpr (sets_x) return std::tuple{named(s)...};
                else  // x stays what it is, under the name that is read
                  return std::tuple{s..., assignment<name, form<sym::x>>{{1.0}}};
              }();
              auto const kept = [&] {
                if constexpr (resets_x) return std::tuple<>{};
                else return std::tuple{assignment<sym::x, form<name>>{{1.0}}};
              }();
              return std::tuple_cat(before, kept, std::tuple{moved(a)...});
            },
            after);
      },
      statements);
}

template <class... S, class... After>
auto evaluation_then(evaluation<S...> const& e, std::tuple<After...> const& after) {
  return [&]<class... T>(std::tuple<T...> statements) {
    return evaluation<T...>{e.where, std::move(statements)};
  }(statements_then(e.statements, after));
}

}  // namespace detail

/// A step with more statements after its last evaluation's: in them x is the x that the step
/// arrives at. No kernel more, no evaluation more.
template <class... E, class... Statements>
auto then(step_of<E...> const& step, Statements... statements) {
  static_assert((detail::is_statement<Statements> && ...),
                "then(step, ...) takes statements such as x = blend(mask, known, x)");
  constexpr std::size_t last = sizeof...(E) - 1;
  return [&]<std::size_t... I>(std::index_sequence<I...>) {
    return detail::step_from(
        std::tuple_cat(std::tuple{std::get<I>(step.evaluations)}...,
                       std::tuple{detail::evaluation_then(std::get<last>(step.evaluations),
                                                          std::tuple{statements...})}),
        step.repetitions);
  }
  (std::make_index_sequence<last>{});
}

}  // namespace tweedie
