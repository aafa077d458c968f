// The words of the language: empty types in `sym`, their values in `symbols`.
//
//   x                         the noisy sample
//   x0 eps score v velocity   what is known of it, whatever the network predicts
//   raw, out<i>               what the network gives: after guidance, and of its i-th branch
//   noise, noise_stream<k>    fresh N(0, I), one stream each
//   past_x0<k>, past_eps<k>   x0 and eps of k evaluations ago, k >= 1
//   keep<k>                   a value kept from an earlier evaluation of the same step
//   let<k>                    a named pointwise node of this evaluation
//   known                     a clean sample that the caller gives: a training picture, say
//   target                    what a network is trained to predict
#pragma once

#include <string>
#include <type_traits>

#include <tweedie/dsl/form.hpp>

namespace tweedie {

/// `target = value`, one line of a step.
template <symbol Target, class Value> struct assignment { Value value; };

namespace detail {
template <class T> inline constexpr bool is_pointwise = false;
}

/// The right-hand side of an assignment: a form or a pointwise node.
template <class T>
concept assignable = linear<T> || detail::is_pointwise<T>;

namespace detail {

template <class Target, class F> constexpr auto assign(F f) {
  if constexpr (linear<F>) return assignment<Target, decltype(lift(f))>{lift(f)};
  else if constexpr (Target::rank >= 400) return assignment<Target, F>{f};
  else {
    static_assert(never<Target, F>,
                  "only let<k> names a pointwise node: write let<0> = clamp(...) and x = +let<0>");
    return assignment<Target, form<Target>>{{1.0}};
  }
}

}  // namespace detail

namespace detail {
inline std::string indexed(char const* family, int index) {
  return std::string(family).append(std::to_string(index)).append(">");
}
}  // namespace detail

namespace sym {

// A symbol that may stand on the left. The copy assignment is our own: `keep<0> = keep<0>` is a
// statement too.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wextra"
struct x : symbol_base {
  static constexpr int rank = 0;
  static std::string name() { return "x"; }
  constexpr x() = default;
  constexpr x(x const&) = default;
  constexpr auto operator=(x const& other) const { return detail::assign<x>(other); }
  constexpr auto operator=(assignable auto value) const { return detail::assign<x>(value); }
};
template <int I> struct out : symbol_base {
  static_assert(I >= 0 && I < 20, "out<k> takes 0 <= k < 20");
  static constexpr int rank = 10 + I;
  static std::string name() { return detail::indexed("out<", I); }
};
struct known : symbol_base {
  static constexpr int rank = 30;
  static std::string name() { return "known"; }
};
template <int K> struct past_x0 : symbol_base {
  static_assert(K >= 0 && K < 100, "past_x0<k> takes 0 <= k < 100");
  static constexpr int rank = 100 + K;
  static std::string name() { return detail::indexed("past_x0<", K); }
};
template <int K> struct past_eps : symbol_base {
  static_assert(K >= 0 && K < 100, "past_eps<k> takes 0 <= k < 100");
  static constexpr int rank = 200 + K;
  static std::string name() { return detail::indexed("past_eps<", K); }
};
template <int K> struct keep : symbol_base {
  static_assert(K >= 0 && K < 100, "keep<k> takes 0 <= k < 100");
  static constexpr int rank = 300 + K;
  static std::string name() { return detail::indexed("keep<", K); }
  constexpr keep() = default;
  constexpr keep(keep const&) = default;
  constexpr auto operator=(keep const& other) const { return detail::assign<keep>(other); }
  constexpr auto operator=(assignable auto value) const { return detail::assign<keep>(value); }
};
struct thresholded : symbol_base {  // the x0 that left a threshold
  static constexpr int rank = 400;
  static std::string name() { return "x0"; }
};
template <int K> struct let : symbol_base {
  static_assert(K >= 0 && K < 100, "let<k> takes 0 <= k < 100");
  static constexpr int rank = 410 + K;
  static std::string name() { return detail::indexed("let<", K); }
  constexpr let() = default;
  constexpr let(let const&) = default;
  constexpr auto operator=(let const& other) const { return detail::assign<let>(other); }
  constexpr auto operator=(assignable auto value) const { return detail::assign<let>(value); }
};
template <int K> struct noise_stream : symbol_base {
  static_assert(K >= 0 && K < 0x10000, "noise_stream<k> takes 0 <= k < 2^16");
  static constexpr int rank = 1000 + K;
  static constexpr unsigned stream = K;
  static std::string name() { return K ? detail::indexed("noise_stream<", K) : "noise"; }
};
struct target : symbol_base {
  static constexpr int rank = 600;
  static std::string name() { return "target"; }
  constexpr target() = default;
  constexpr target(target const&) = default;
  constexpr auto operator=(target const& other) const { return detail::assign<target>(other); }
  constexpr auto operator=(assignable auto value) const { return detail::assign<target>(value); }
};
#pragma GCC diagnostic pop

// Answered by the stages of a pipeline, never loaded.
struct raw : symbol_base {
  static constexpr int rank = 900;
  static std::string name() { return "raw"; }
};
struct x0 : symbol_base {
  static constexpr int rank = 901;
  static std::string name() { return "x0"; }
};
struct eps : symbol_base {
  static constexpr int rank = 902;
  static std::string name() { return "eps"; }
};
struct score : symbol_base {
  static constexpr int rank = 903;
  static std::string name() { return "score"; }
};
struct v : symbol_base {
  static constexpr int rank = 904;
  static std::string name() { return "v"; }
};
struct velocity : symbol_base {
  static constexpr int rank = 905;
  static std::string name() { return "velocity"; }
};

}  // namespace sym

// By rank: buffers, nodes, what the stages answer, noise.
template <symbol S> inline constexpr bool is_noise = S::rank >= 1000;
template <symbol S> inline constexpr bool is_answered = S::rank >= 900 && S::rank < 1000;
template <symbol S> inline constexpr bool is_node = S::rank >= 400 && S::rank < 600;
template <symbol S>
inline constexpr bool is_buffer = !is_noise<S> && !is_answered<S> && !is_node<S>;

namespace symbols {

inline constexpr sym::x x;
inline constexpr sym::x0 x0;
inline constexpr sym::eps eps;
inline constexpr sym::score score;
inline constexpr sym::v v;
inline constexpr sym::velocity velocity;
inline constexpr sym::raw raw;
inline constexpr sym::known known;
inline constexpr sym::target target;
inline constexpr sym::noise_stream<0> noise;
template <int I> inline constexpr sym::out<I> out{};
template <int K> inline constexpr sym::noise_stream<K> noise_stream{};
template <int K> inline constexpr sym::past_x0<K> past_x0{};
template <int K> inline constexpr sym::past_eps<K> past_eps{};
template <int K> inline constexpr sym::keep<K> keep{};
template <int K> inline constexpr sym::let<K> let{};

}  // namespace symbols

}  // namespace tweedie
