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

#include <compare>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include <tweedie/dsl/language/form.hpp>

namespace tweedie {

namespace sym {

/// The words of the language, in the order in which a sum has them.
// clang-format off
enum class word : std::uint8_t {
  x, out, known, grad, mask, out_variance, memory, given_noise, per_sample, past_x0, past_eps, keep,
  thresholded, guided_raw, guided_x0, guided_eps, arrived, let, nameless, reduced, target, scratch,
  net_in, raw, x0, eps, score, v, velocity, raw_variance, branch_x0, branch_eps, noise_stream
};
// clang-format on

}  // namespace sym

/// A symbol as a value.
struct symbol_id {
  sym::word is;
  std::uint16_t index;

  constexpr symbol_id() = default;
  constexpr symbol_id(sym::word w, int k = 0) : is(w), index(static_cast<std::uint16_t>(k)) {}
  // Where a kernel finds it: in dsl/language/words.hpp, which has the table of words.
  constexpr bool is_noise() const, is_answered() const, is_reduced() const, is_node() const,
      is_scalar() const, is_broadcast() const, is_buffer() const;
  friend constexpr auto operator<=>(symbol_id const&, symbol_id const&) = default;
  friend constexpr bool operator==(symbol_id const&, symbol_id const&) = default;
};

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

template <class Self, word W, int K = 0> struct named : symbol_base {
  static constexpr symbol_id id{W, K};
};
/// A symbol that may stand on the left; `keep<0> = keep<0>` is a statement too.
template <class Self, word W, int K = 0> struct assigned : named<Self, W, K> {
  constexpr auto operator=(auto value) const { return detail::assign<Self>(value); }
};

struct x : assigned<x, word::x> {
  using assigned::operator=;
};
template <int I> struct out : named<out<I>, word::out, I> {
  static_assert(I >= 0 && I < 20, "out<k> takes 0 <= k < 20");
};
struct known : named<known, word::known> {};
struct grad : named<grad, word::grad> {};
struct mask : named<mask, word::mask> {};
struct out_variance : named<out_variance, word::out_variance> {};  // of the network's first branch
template <int K> struct memory : assigned<memory<K>, word::memory, K> {
  static_assert(K >= 0 && K < 20, "memory<k> takes 0 <= k < 20");
  using assigned<memory, word::memory, K>::operator=;
};
// noise_stream<k> where the caller draws it
template <int K> struct given_noise : named<given_noise<K>, word::given_noise, K> {
  static_assert(K >= 0 && K < 20, "noise that the caller gives is of a stream 0 <= k < 20");
};
template <int K> struct per_sample : named<per_sample<K>, word::per_sample, K> {
  static_assert(K >= 0 && K < 20, "per_sample<k> takes 0 <= k < 20");
};
template <int K> struct past_x0 : named<past_x0<K>, word::past_x0, K> {
  static_assert(K >= 0 && K < 100, "past_x0<k> takes 0 <= k < 100");
};
template <int K> struct past_eps : named<past_eps<K>, word::past_eps, K> {
  static_assert(K >= 0 && K < 100, "past_eps<k> takes 0 <= k < 100");
};
template <int K> struct keep : assigned<keep<K>, word::keep, K> {
  static_assert(K >= 0 && K < 100, "keep<k> takes 0 <= k < 100");
  using assigned<keep, word::keep, K>::operator=;
};
// Nodes that stages and expressions name.
struct thresholded : named<thresholded, word::thresholded> {};  // the x0 that left a threshold
struct guided_raw : named<guided_raw, word::guided_raw> {};
struct guided_x0 : named<guided_x0, word::guided_x0> {};
struct guided_eps : named<guided_eps, word::guided_eps> {};
// x after a statement, for what comes `then`
template <int K> struct arrived : named<arrived<K>, word::arrived, K> {
  static_assert(K >= 0 && K < 6, "at most five statements may follow x = ... by then(...)");
};
template <int K> struct let : assigned<let<K>, word::let, K> {
  static_assert(K >= 0 && K < 100, "let<k> takes 0 <= k < 100");
  using assigned<let, word::let, K>::operator=;
};
template <int K> struct nameless : named<nameless<K>, word::nameless, K> {  // in an expression
  static_assert(K >= 0 && K < 60, "an evaluation has at most 60 nodes without a name");
};
inline constexpr int most_reductions = 20;  // of an evaluation
// one number a sample, made of the whole sample
template <int K> struct reduced : named<reduced<K>, word::reduced, K> {
  static_assert(K >= 0 && K < most_reductions, "an evaluation has at most 20 reductions");
};
struct target : assigned<target, word::target> {
  using assigned::operator=;
};
template <int K> struct scratch : named<scratch<K>, word::scratch, K> {  // a reduction's argument
  static_assert(K >= 0 && K < 40, "the reductions of an evaluation run over at most 40 forms");
};
// what the network's branch K will see
template <int K> struct net_in : named<net_in<K>, word::net_in, K> {
  static_assert(K >= 0 && K < 20, "net_in<k> takes 0 <= k < 20");
};

// Answered by the stages of a pipeline, never loaded.
struct raw : named<raw, word::raw> {};
struct x0 : named<x0, word::x0> {};
struct eps : named<eps, word::eps> {};
struct score : named<score, word::score> {};
struct v : named<v, word::v> {};
struct velocity : named<velocity, word::velocity> {};
struct raw_variance : named<raw_variance, word::raw_variance> {};
template <int I> struct branch_x0 : named<branch_x0<I>, word::branch_x0, I> {
  static_assert(I >= 0 && I < 20, "branch_x0<k> takes 0 <= k < 20");
};
template <int I> struct branch_eps : named<branch_eps<I>, word::branch_eps, I> {
  static_assert(I >= 0 && I < 20, "branch_eps<k> takes 0 <= k < 20");
};
template <int K> struct noise_stream : named<noise_stream<K>, word::noise_stream, K> {
  static_assert(K >= 0 && K < 0x10000, "noise_stream<k> takes 0 <= k < 2^16");
  static constexpr unsigned stream = K;
};

}  // namespace sym

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
