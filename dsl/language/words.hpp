// The table of the language's words: how each is written, and where a kernel finds its value. A
// formula needs none of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include <tweedie/dsl/language/symbols.hpp>

namespace tweedie {

namespace sym {

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

namespace detail {
constexpr sym::found how(symbol_id s) { return sym::about_word(s.is).how; }
}  // namespace detail

constexpr bool symbol_id::is_noise() const { return detail::how(*this) == sym::found::drawn; }
constexpr bool symbol_id::is_answered() const {
  return detail::how(*this) == sym::found::by_a_stage;
}
/// The value of a reduction, one a sample.
constexpr bool symbol_id::is_reduced() const {
  return detail::how(*this) == sym::found::in_a_reduction;
}
/// The value of a named expression, an element a time or (of a reduction) one a sample.
constexpr bool symbol_id::is_node() const {
  return detail::how(*this) == sym::found::in_a_node || is_reduced();
}
constexpr bool symbol_id::is_scalar() const {
  return detail::how(*this) == sym::found::once_a_row || is_reduced();
}
/// Read through a period: one picture for all channels, or for all samples.
constexpr bool symbol_id::is_broadcast() const {
  return detail::how(*this) == sym::found::through_a_period;
}
/// Read or written an element a time.
constexpr bool symbol_id::is_buffer() const {
  return detail::how(*this) == sym::found::in_a_buffer;
}

/// The name of a symbol as in code and as in a paper: "past_x0<1>", "\\hat{x}_0^{(-1)}".
std::string name_of(symbol_id s);
std::string latex_of(symbol_id s);

}  // namespace tweedie
