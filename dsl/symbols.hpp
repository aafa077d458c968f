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
//   memory<k>                 a value that a guidance keeps for the next evaluation, 0 at first
//   let<k>                    a named node of this evaluation
//   known, mask               a clean sample that the caller gives, and 1 where it is known, else 0
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
  static_assert(assignable<F>,
                "the right-hand side of a statement is a form or a node: a sum of symbols with "
                "numbers as factors, or clamp(...), exp(...), pointwise(...) and their like; "
                "std::exp and its like take numbers");
  if constexpr (linear<F>) return assignment<Target, decltype(lift(f))>{lift(f)};
  else if constexpr (assignable<F>) return assignment<Target, F>{f};
  else return assignment<Target, form<>>{};
}

}  // namespace detail

namespace sym {

// A symbol that may stand on the left. The copy assignment is our own: `keep<0> = keep<0>` is a
// statement too.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wextra"
struct x : symbol_base {
  static constexpr int rank = 0;
  constexpr x() = default;
  constexpr x(x const&) = default;
  constexpr auto operator=(x const& other) const { return detail::assign<x>(other); }
  constexpr auto operator=(auto value) const { return detail::assign<x>(value); }
};
template <int I> struct out : symbol_base {
  static_assert(I >= 0 && I < 20, "out<k> takes 0 <= k < 20");
  static constexpr int rank = 10 + I;
};
struct known : symbol_base {
  static constexpr int rank = 30;
};
struct grad : symbol_base {
  static constexpr int rank = 31;
};
struct mask : symbol_base {
  static constexpr int rank = 32;
};
struct out_variance : symbol_base {  // the second output of the network's first branch
  static constexpr int rank = 33;
};
template <int K> struct memory : symbol_base {
  static_assert(K >= 0 && K < 20, "memory<k> takes 0 <= k < 20");
  static constexpr int rank = 40 + K;
  constexpr memory() = default;
  constexpr memory(memory const&) = default;
  constexpr auto operator=(memory const& other) const { return detail::assign<memory>(other); }
  constexpr auto operator=(auto value) const { return detail::assign<memory>(value); }
};
template <int K> struct given_noise : symbol_base {  // noise_stream<k> where the caller draws it
  static_assert(K >= 0 && K < 20, "noise that the caller gives is of a stream 0 <= k < 20");
  static constexpr int rank = 60 + K;
};
template <int K> struct per_sample : symbol_base {
  static_assert(K >= 0 && K < 20, "per_sample<k> takes 0 <= k < 20");
  static constexpr int rank = 80 + K;
};
template <int K> struct past_x0 : symbol_base {
  static_assert(K >= 0 && K < 100, "past_x0<k> takes 0 <= k < 100");
  static constexpr int rank = 100 + K;
};
template <int K> struct past_eps : symbol_base {
  static_assert(K >= 0 && K < 100, "past_eps<k> takes 0 <= k < 100");
  static constexpr int rank = 200 + K;
};
template <int K> struct keep : symbol_base {
  static_assert(K >= 0 && K < 100, "keep<k> takes 0 <= k < 100");
  static constexpr int rank = 300 + K;
  constexpr keep() = default;
  constexpr keep(keep const&) = default;
  constexpr auto operator=(keep const& other) const { return detail::assign<keep>(other); }
  constexpr auto operator=(auto value) const { return detail::assign<keep>(value); }
};
// Nodes that stages and expressions name.
struct thresholded : symbol_base {  // the x0 that left a threshold
  static constexpr int rank = 400;
};
struct guided_raw : symbol_base {
  static constexpr int rank = 401;
};
struct guided_x0 : symbol_base {
  static constexpr int rank = 402;
};
struct guided_eps : symbol_base {
  static constexpr int rank = 403;
};
template <int K> struct arrived : symbol_base {  // x after a statement, for what comes `then`
  static_assert(K >= 0 && K < 6, "at most five statements may follow x = ... by then(...)");
  static constexpr int rank = 404 + K;
};
template <int K> struct nameless : symbol_base {  // a node inside an expression
  static_assert(K >= 0 && K < 60, "an evaluation has at most 60 nodes without a name");
  static constexpr int rank = 520 + K;
};
inline constexpr int most_reductions = 20;       // of an evaluation
template <int K> struct reduced : symbol_base {  // one number a sample, made of the whole sample
  static_assert(K >= 0 && K < most_reductions, "an evaluation has at most 20 reductions");
  static constexpr int rank = 580 + K;
};
template <int K> struct scratch : symbol_base {  // what a reduction runs over
  static_assert(K >= 0 && K < 40, "the reductions of an evaluation run over at most 40 forms");
  static constexpr int rank = 620 + K;
};
template <int K> struct net_in : symbol_base {  // what the network's branch K will see
  static_assert(K >= 0 && K < 20, "net_in<k> takes 0 <= k < 20");
  static constexpr int rank = 700 + K;
};
template <int K> struct let : symbol_base {
  static_assert(K >= 0 && K < 100, "let<k> takes 0 <= k < 100");
  static constexpr int rank = 410 + K;
  constexpr let() = default;
  constexpr let(let const&) = default;
  constexpr auto operator=(let const& other) const { return detail::assign<let>(other); }
  constexpr auto operator=(auto value) const { return detail::assign<let>(value); }
};
template <int K> struct noise_stream : symbol_base {
  static_assert(K >= 0 && K < 0x10000, "noise_stream<k> takes 0 <= k < 2^16");
  static constexpr int rank = 1000 + K;
  static constexpr unsigned stream = K;
};
struct target : symbol_base {
  static constexpr int rank = 600;
  constexpr target() = default;
  constexpr target(target const&) = default;
  constexpr auto operator=(target const& other) const { return detail::assign<target>(other); }
  constexpr auto operator=(auto value) const { return detail::assign<target>(value); }
};
#pragma GCC diagnostic pop

// Answered by the stages of a pipeline, never loaded.
struct raw : symbol_base {
  static constexpr int rank = 900;
};
struct x0 : symbol_base {
  static constexpr int rank = 901;
};
struct eps : symbol_base {
  static constexpr int rank = 902;
};
struct score : symbol_base {
  static constexpr int rank = 903;
};
struct v : symbol_base {
  static constexpr int rank = 904;
};
struct velocity : symbol_base {
  static constexpr int rank = 905;
};
struct raw_variance : symbol_base {
  static constexpr int rank = 906;
};
template <int I> struct branch_x0 : symbol_base {
  static_assert(I >= 0 && I < 20, "branch_x0<k> takes 0 <= k < 20");
  static constexpr int rank = 910 + I;
  static constexpr int branch = I;
};
template <int I> struct branch_eps : symbol_base {
  static_assert(I >= 0 && I < 20, "branch_eps<k> takes 0 <= k < 20");
  static constexpr int rank = 930 + I;
  static constexpr int branch = I;
};

}  // namespace sym

// By rank: buffers, nodes, what the stages answer, noise. Ranks below 900 order a sum.
namespace detail {

constexpr bool ranks_noise(int rank) { return rank >= 1000; }
constexpr bool ranks_answered(int rank) { return rank >= 900 && rank < 1000; }
constexpr bool ranks_reduced(int rank) { return rank >= 580 && rank < 600; }
constexpr bool ranks_node(int rank) { return rank >= 400 && rank < 600; }
constexpr bool ranks_scalar(int rank) { return ranks_reduced(rank) || (rank >= 80 && rank < 100); }
constexpr bool ranks_broadcast(int rank) { return rank == sym::mask::rank; }
constexpr bool ranks_buffer(int rank) {
  return !ranks_noise(rank) && !ranks_answered(rank) && !ranks_node(rank) && !ranks_scalar(rank) &&
         !ranks_broadcast(rank);
}
/// Whether a rank is of the family of 20 that begins at `first`.
constexpr bool ranks_family(int first, int rank) { return rank >= first && rank - first < 20; }

}  // namespace detail

template <symbol S> inline constexpr bool is_noise = detail::ranks_noise(S::rank);
template <symbol S> inline constexpr bool is_answered = detail::ranks_answered(S::rank);
template <symbol S> inline constexpr bool is_reduced = detail::ranks_reduced(S::rank);
/// The value of a named expression, an element a time or (of a reduction) one a sample.
template <symbol S> inline constexpr bool is_node = detail::ranks_node(S::rank);
/// Whether a symbol is of the family of 20 that First begins: out<0> those of out<k>.
template <symbol First, symbol S>
inline constexpr bool is_family = detail::ranks_family(First::rank, S::rank);
/// One number a row.
template <symbol S> inline constexpr bool is_scalar = detail::ranks_scalar(S::rank);
/// Read through a period: one picture for all channels, or for all samples.
template <symbol S> inline constexpr bool is_broadcast = detail::ranks_broadcast(S::rank);
/// Read or written an element a time.
template <symbol S> inline constexpr bool is_buffer = detail::ranks_buffer(S::rank);

/// The name of the symbol of a rank, as in code and as in a paper: "past_x0<1>",
/// "\\hat{x}_0^{(-1)}".
std::string name_of(int rank);
std::string latex_of(int rank);

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
