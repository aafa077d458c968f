// The words of the language: empty types in `sym`, their values in `symbols`.
//
//   x                         the noisy sample
//   x0 eps score v velocity   what is known of it, whatever the network predicts
//   raw, out<i>               what the network gives: after guidance, and of its i-th branch
//   raw_variance              what a network that learns its variance says of it
//   branch_x0<i>, branch_eps<i>   x0 and eps that follow from the i-th branch alone
//   grad                      the gradient that a guidance asks of another network
//   noise, noise_stream<k>    fresh N(0, I), one stream each
//   past_x0<k>, past_eps<k>   x0 and eps of k evaluations ago, k >= 1
//   keep<k>                   a value kept from an earlier evaluation of the same step
//   memory<k>                 a value that a guidance keeps from one evaluation to the next, 0 at first
//   let<k>                    a named node of this evaluation
//   known, mask               a clean sample that the caller gives, and where it is known: 1, else 0
//   per_sample<k>             one number for each sample
//   target                    what a network is trained to predict
//
// A symbol is read densely, but for per_sample<k> (a number a row) and mask (a picture that may be
// one for all channels and samples).
#pragma once

#include <string>
#include <type_traits>

#include <tweedie/dsl/form.hpp>

namespace tweedie {

/// `target = value`, one line of a step.
template <symbol Target, class Value> struct assignment { Value value; };

namespace detail {
template <class T> inline constexpr bool is_expression = false;
}

/// The right-hand side of an assignment: a form, a pointwise node or a reduction.
template <class T>
concept assignable = linear<T> || detail::is_expression<T>;

namespace detail {

template <class Target, class F> constexpr auto assign(F f) {
  if constexpr (linear<F>) return assignment<Target, decltype(lift(f))>{lift(f)};
  else return assignment<Target, F>{f};
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
struct grad : symbol_base {
  static constexpr int rank = 31;
  static std::string name() { return "grad"; }
};
struct mask : symbol_base {
  static constexpr int rank = 32;
  static std::string name() { return "mask"; }
};
struct out_variance : symbol_base {  // the second output of the network's first branch
  static constexpr int rank = 33;
  static std::string name() { return "out_variance"; }
};
template <int K> struct memory : symbol_base {
  static_assert(K >= 0 && K < 20, "memory<k> takes 0 <= k < 20");
  static constexpr int rank = 40 + K;
  static std::string name() { return detail::indexed("memory<", K); }
  constexpr memory() = default;
  constexpr memory(memory const&) = default;
  constexpr auto operator=(memory const& other) const { return detail::assign<memory>(other); }
  constexpr auto operator=(assignable auto value) const { return detail::assign<memory>(value); }
};
template <int K> struct given_noise : symbol_base {  // noise_stream<k> where the caller draws it
  static_assert(K >= 0 && K < 20, "noise that the caller gives is of a stream 0 <= k < 20");
  static constexpr int rank = 60 + K;
  static std::string name() { return K ? detail::indexed("noise_stream<", K) : "noise"; }
};
template <int K> struct per_sample : symbol_base {
  static_assert(K >= 0 && K < 20, "per_sample<k> takes 0 <= k < 20");
  static constexpr int rank = 80 + K;
  static std::string name() { return detail::indexed("per_sample<", K); }
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
// Nodes that stages and expressions name.
struct thresholded : symbol_base {  // the x0 that left a threshold
  static constexpr int rank = 400;
  static std::string name() { return "x0"; }
};
struct guided_raw : symbol_base {
  static constexpr int rank = 401;
  static std::string name() { return "raw"; }
};
struct guided_x0 : symbol_base {
  static constexpr int rank = 402;
  static std::string name() { return "guided x0"; }
};
struct guided_eps : symbol_base {
  static constexpr int rank = 403;
  static std::string name() { return "guided eps"; }
};
template <int K> struct arrived : symbol_base {  // x after a statement, for what comes `then`
  static_assert(K >= 0 && K < 6, "at most five statements may follow x = ... by then(...)");
  static constexpr int rank = 404 + K;
  static std::string name() { return "x" + std::string(K + 1, '\''); }
};
template <int K> struct nameless : symbol_base {  // a node inside an expression
  static_assert(K >= 0 && K < 60, "an evaluation has at most 60 nodes without a name");
  static constexpr int rank = 520 + K;
  static std::string name() { return detail::indexed("node<", K); }
};
inline constexpr int most_reductions = 20;       // of an evaluation
template <int K> struct reduced : symbol_base {  // one number a sample, made of the whole sample
  static_assert(K >= 0 && K < most_reductions, "an evaluation has at most 20 reductions");
  static constexpr int rank = 580 + K;
  static std::string name() { return detail::indexed("reduced<", K); }
};
template <int K> struct scratch : symbol_base {  // what a reduction runs over
  static_assert(K >= 0 && K < 40, "the reductions of an evaluation run over at most 40 forms");
  static constexpr int rank = 620 + K;
  static std::string name() { return detail::indexed("scratch<", K); }
};
template <int K> struct net_in : symbol_base {  // what the network's branch K will see
  static_assert(K >= 0 && K < 20, "net_in<k> takes 0 <= k < 20");
  static constexpr int rank = 700 + K;
  static std::string name() { return detail::indexed("net_in<", K); }
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
struct raw_variance : symbol_base {
  static constexpr int rank = 906;
  static std::string name() { return "raw_variance"; }
};
template <int I> struct branch_x0 : symbol_base {
  static_assert(I >= 0 && I < 20, "branch_x0<k> takes 0 <= k < 20");
  static constexpr int rank = 910 + I;
  static constexpr int branch = I;
  static std::string name() { return detail::indexed("branch_x0<", I); }
};
template <int I> struct branch_eps : symbol_base {
  static_assert(I >= 0 && I < 20, "branch_eps<k> takes 0 <= k < 20");
  static constexpr int rank = 930 + I;
  static constexpr int branch = I;
  static std::string name() { return detail::indexed("branch_eps<", I); }
};

}  // namespace sym

// By rank: buffers, nodes, what the stages answer, noise. Ranks below 900 order a sum.
template <symbol S> inline constexpr bool is_noise = S::rank >= 1000;
template <symbol S> inline constexpr bool is_answered = S::rank >= 900 && S::rank < 1000;
template <symbol S> inline constexpr bool is_reduced = S::rank >= 580 && S::rank < 600;
/// The value of a named expression, an element a time or (of a reduction) one a sample.
template <symbol S> inline constexpr bool is_node = S::rank >= 400 && S::rank < 600;
/// Whether a symbol is of the family of 20 that First begins: out<0> those of out<k>.
template <symbol First, symbol S>
inline constexpr bool is_family = S::rank >= First::rank&& S::rank - First::rank < 20;
/// One number a row.
template <symbol S>
inline constexpr bool is_scalar = is_reduced<S> || (S::rank >= 80 && S::rank < 100);
/// Read through a period: one picture for all channels, or for all samples.
template <symbol S> inline constexpr bool is_broadcast = S::rank == sym::mask::rank;
/// Read or written an element a time.
template <symbol S>
inline constexpr bool is_buffer =
    !is_noise<S> && !is_answered<S> && !is_node<S> && !is_scalar<S> && !is_broadcast<S>;

namespace symbols {

inline constexpr sym::x x;
inline constexpr sym::x0 x0;
inline constexpr sym::eps eps;
inline constexpr sym::score score;
inline constexpr sym::v v;
inline constexpr sym::velocity velocity;
inline constexpr sym::raw raw;
inline constexpr sym::raw_variance raw_variance;
inline constexpr sym::known known;
inline constexpr sym::mask mask;
inline constexpr sym::grad grad;
inline constexpr sym::target target;
inline constexpr sym::noise_stream<0> noise;
template <int I> inline constexpr sym::out<I> out{};
template <int K> inline constexpr sym::noise_stream<K> noise_stream{};
template <int K> inline constexpr sym::past_x0<K> past_x0{};
template <int K> inline constexpr sym::past_eps<K> past_eps{};
template <int K> inline constexpr sym::keep<K> keep{};
template <int K> inline constexpr sym::memory<K> memory{};
template <int K> inline constexpr sym::per_sample<K> per_sample{};
template <int I> inline constexpr sym::branch_x0<I> branch_x0{};
template <int I> inline constexpr sym::branch_eps<I> branch_eps{};
template <int K> inline constexpr sym::let<K> let{};

}  // namespace symbols

}  // namespace tweedie
