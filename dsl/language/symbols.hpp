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
#include <string>
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

/// Where a kernel finds a symbol's value.
enum class found : std::uint8_t {
  in_a_buffer,       ///< an element a time
  through_a_period,  ///< one picture for all channels, or for all samples
  once_a_row,        ///< one number a sample
  drawn,             ///< normals
  in_a_node,         ///< a named expression, an element a time
  in_a_reduction,    ///< a named expression, one a sample
  by_a_stage         ///< never: a stage answers it
};

/// What is said of a word.
struct about {
  word is;
  char const *name, *latex;  ///< as in code and as in a paper; {} is the index
  found how;
  int count = 1;               ///< of the family: 1 of a word without an index
  char const* zero = nullptr;  ///< what the one of index 0 is called, if otherwise
  char const* latex_zero = nullptr;
};

inline constexpr about words[] = {
    {word::x, "x", "x", found::in_a_buffer},
    {word::out, "out<{}>", "F_{{{}}}", found::in_a_buffer, 20},
    {word::known, "known", "y", found::in_a_buffer},
    {word::grad, "grad", "g", found::in_a_buffer},
    {word::mask, "mask", "M", found::through_a_period},
    {word::out_variance, "out_variance", "v_\\theta", found::in_a_buffer},
    {word::memory, "memory<{}>", "m_{{{}}}", found::in_a_buffer, 20},
    {word::given_noise, "noise_stream<{}>", "z_{{{}}}", found::in_a_buffer, 20, "noise", "z"},
    {word::per_sample, "per_sample<{}>", "s_{{{}}}", found::once_a_row, 20},
    {word::past_x0, "past_x0<{}>", "\\hat{{x}}_0^{{(-{})}}", found::in_a_buffer, 100, nullptr,
     "\\hat{x}_0"},
    {word::past_eps, "past_eps<{}>", "\\epsilon^{{(-{})}}", found::in_a_buffer, 100, nullptr,
     "\\epsilon"},
    {word::keep, "keep<{}>", "k_{{{}}}", found::in_a_buffer, 100},
    {word::thresholded, "x0", "\\bar{{x}}_0", found::in_a_node},
    {word::guided_raw, "raw", "\\tilde{{F}}", found::in_a_node},
    {word::guided_x0, "guided x0", "\\tilde{{x}}_0", found::in_a_node},
    {word::guided_eps, "guided eps", "\\tilde{{\\epsilon}}", found::in_a_node},
    {word::arrived, "x'<{}>", "x'_{{{}}}", found::in_a_node, 6, "x'", "x'"},
    {word::let, "let<{}>", "l_{{{}}}", found::in_a_node, 100},
    {word::nameless, "node<{}>", "n_{{{}}}", found::in_a_node, 60},
    {word::reduced, "reduced<{}>", "r_{{{}}}", found::in_a_reduction, 20},
    {word::target, "target", "y", found::in_a_buffer},
    {word::scratch, "scratch<{}>", "b_{{{}}}", found::in_a_buffer, 40},
    {word::net_in, "net_in<{}>", "i_{{{}}}", found::in_a_buffer, 20},
    {word::raw, "raw", "F", found::by_a_stage},
    {word::x0, "x0", "\\hat{{x}}_0", found::by_a_stage},
    {word::eps, "eps", "\\epsilon", found::by_a_stage},
    {word::score, "score", "\\nabla \\log p_t(x)", found::by_a_stage},
    {word::v, "v", "v", found::by_a_stage},
    {word::velocity, "velocity", "u", found::by_a_stage},
    {word::raw_variance, "raw_variance", "v_\\theta", found::by_a_stage},
    {word::branch_x0, "branch_x0<{}>", "\\hat{{x}}_0^{{({})}}", found::by_a_stage, 20},
    {word::branch_eps, "branch_eps<{}>", "\\epsilon^{{({})}}", found::by_a_stage, 20},
    {word::noise_stream, "noise_stream<{}>", "z_{{{}}}", found::drawn, 0x10000, "noise", "z"},
};
constexpr about const& about_word(word w) { return words[static_cast<std::size_t>(w)]; }
static_assert(
    [] {
      std::size_t i = 0;
      for (about const& one : words)
        if (static_cast<std::size_t>(one.is) != i++) return false;
      return i == static_cast<std::size_t>(word::noise_stream) + 1;
    }(),
    "the table of words has a row for each, in their order");

}  // namespace sym

/// A symbol as a value.
struct symbol_id {
  sym::word is;
  std::uint16_t index;

  constexpr symbol_id() = default;
  constexpr symbol_id(sym::word w, int k = 0) : is(w), index(static_cast<std::uint16_t>(k)) {}
  constexpr sym::found how() const { return sym::about_word(is).how; }
  constexpr bool is_noise() const { return how() == sym::found::drawn; }
  constexpr bool is_answered() const { return how() == sym::found::by_a_stage; }
  constexpr bool is_reduced() const { return how() == sym::found::in_a_reduction; }
  constexpr bool is_node() const { return how() == sym::found::in_a_node || is_reduced(); }
  constexpr bool is_scalar() const { return how() == sym::found::once_a_row || is_reduced(); }
  constexpr bool is_broadcast() const { return how() == sym::found::through_a_period; }
  constexpr bool is_buffer() const { return how() == sym::found::in_a_buffer; }
  friend constexpr auto operator<=>(symbol_id const&, symbol_id const&) = default;
  friend constexpr bool operator==(symbol_id const&, symbol_id const&) = default;
};

/// The name of a symbol as in code and as in a paper: "past_x0<1>", "\\hat{x}_0^{(-1)}".
std::string name_of(symbol_id s);
std::string latex_of(symbol_id s);

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

template <symbol S> inline constexpr bool is_noise = S::id.is_noise();
template <symbol S> inline constexpr bool is_answered = S::id.is_answered();
/// The value of a named expression, an element a time or (of a reduction) one a sample.
template <symbol S> inline constexpr bool is_node = S::id.is_node();
/// Read through a period: one picture for all channels, or for all samples.
template <symbol S> inline constexpr bool is_broadcast = S::id.is_broadcast();
/// Read or written an element a time.
template <symbol S> inline constexpr bool is_buffer = S::id.is_buffer();

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
