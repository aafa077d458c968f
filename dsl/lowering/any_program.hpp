// A fused program as a value: what dsl/lowering/program.hpp says in types, for what is chosen,
// printed or compared at run time.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <tweedie/dsl/language/words.hpp>
#include <tweedie/dsl/lowering/program.hpp>

namespace tweedie {

/// What a buffer holds.
enum class element_type { float32, bfloat16, float16 };

/// A symbol with what its buffer holds.
struct any_symbol {
  symbol_id id;
  element_type element = element_type::float32;
  friend auto operator<=>(any_symbol const&, any_symbol const&) = default;
  friend bool operator==(any_symbol const&, any_symbol const&) = default;  // nvcc forgets it
};

/// A pointwise function as a value. There is one object for each: its address is its identity.
struct any_function {
  char const* name;  ///< "" for a form under a name
  std::size_t parameters;
  bool opaque;  ///< its parameters mean nothing to a reader
  /// For n elements: arguments[i] is the i-th argument's, to[0] .. to[n - 1] become the results.
  void (*apply)(float const* parameters, float const* const* arguments, float* to, std::size_t n);
};

/// A reduction as a value.
struct any_reduction {
  char const* name;
  std::size_t parameters;
  float (*of)(float const* parameters, float const* const* rows, std::uint64_t elements);
};

using any_sum = std::vector<any_symbol>;  ///< c_0 S_0 + c_1 S_1 + ..., without its numbers

/// target = the sum, function(parameters; sums) or reduction(parameters; sums).
struct any_line {
  any_symbol target;
  any_function const* function = nullptr;
  any_reduction const* reduction = nullptr;
  std::vector<any_sum> sums;

  std::size_t parameters() const {
    return function ? function->parameters : reduction ? reduction->parameters : 0;
  }
  std::size_t coefficients() const {
    std::size_t r = parameters();
    for (any_sum const& s : sums) r += s.size();
    return r;
  }
  friend bool operator==(any_line const&, any_line const&) = default;
};

/// One kernel: what it loads, draws and stores. Its numbers are those of `uniform`, `nodes`,
/// `writes` and `reductions`, line by line.
struct any_kernel {
  std::vector<any_symbol> reads, masks, noises, scalars;
  std::vector<any_line> uniform;     ///< once a row: nodes that no element enters
  std::vector<any_line> nodes;       ///< for each element, in order
  std::vector<any_line> writes;      ///< the sums stored
  std::vector<any_line> reductions;  ///< over what it wrote: they end it
  friend bool operator==(any_kernel const&, any_kernel const&) = default;
};

/// A program: a kernel, and one more after each set of reductions that the next ones wait for.
struct any_program {
  std::vector<any_kernel> kernels;

  std::size_t coefficients() const;
  std::size_t reads() const;   ///< buffers loaded, each once a kernel
  std::size_t writes() const;  ///< buffers stored
  std::size_t noises() const;  ///< normals drawn per element
  std::size_t bytes_per_element() const;
  std::size_t scratches() const;  ///< buffers that reductions run over
  friend bool operator==(any_program const&, any_program const&) = default;
};

namespace detail {

template <class T> constexpr element_type element_type_of() {
  if constexpr (std::is_same_v<T, bfloat16>) return element_type::bfloat16;
  else if constexpr (std::is_same_v<T, float16>) return element_type::float16;
  else return element_type::float32;
}

template <class F> constexpr bool is_opaque() {
  if constexpr (requires { F::opaque; }) return F::opaque;
  else return false;
}

// Defined in dsl/kernel/bodies.hpp: the lowering knows their addresses alone.
template <class F, std::size_t Arguments>
void apply_function(float const* parameters, float const* const* arguments, float* to,
                    std::size_t n);
template <class R>
float reduce_row(float const* parameters, float const* const* rows, std::uint64_t elements);

template <class F, std::size_t Arguments>
inline constexpr any_function function_of{F::name, F::parameters, is_opaque<F>(),
                                          &apply_function<F, Arguments>};
template <class R>
inline constexpr any_reduction reduction_of_type{R::name, R::parameters, &reduce_row<R>};

// What a program's types say, as values.

template <class S> constexpr any_symbol in_buffer() {
  return {S::id, element_type_of<element_of<S>>()};
}
template <class... S> std::vector<any_symbol> in_buffers(list<S...>) { return {in_buffer<S>()...}; }

template <class Target, class... S> any_line line_of(sum<Target, S...>) {
  return {in_buffer<Target>(), nullptr, nullptr, {{in_buffer<S>()...}}};
}
template <class Target, class F, class... Sums> any_line line_of(node<Target, F, Sums...>) {
  return {in_buffer<Target>(),
          &function_of<F, sizeof...(Sums)>,
          nullptr,
          {in_buffers(typename Sums::terms{})...}};
}
template <class Target, class R, class... S> any_line line_of(reduction_over<Target, R, S...>) {
  return {in_buffer<Target>(), nullptr, &reduction_of_type<R>, {{in_buffer<S>()}...}};
}
template <class... Line> std::vector<any_line> lines_of(list<Line...>) {
  return {line_of(Line{})...};
}

template <class Program, class Reductions> any_kernel kernel_of(Program, Reductions reductions) {
  return {in_buffers(typename Program::read_list{}),  in_buffers(typename Program::mask_list{}),
          in_buffers(typename Program::noise_list{}), in_buffers(typename Program::scalar_list{}),
          lines_of(typename Program::uniform_list{}), lines_of(typename Program::node_list{}),
          lines_of(typename Program::write_list{}),   lines_of(reductions)};
}
template <class Program> any_program program_of(Program p) { return {{kernel_of(p, list<>{})}}; }
template <class... P, class... R> any_program program_of(phased<list<P...>, list<R...>>) {
  return [&]<std::size_t... I>(std::index_sequence<I...>) {
    using all = std::tuple<R..., list<>>;
    return any_program{{kernel_of(P{}, std::tuple_element_t<I, all>{})...}};
  }
  (std::index_sequence_for<P...>{});
}

}  // namespace detail

namespace lowering {
struct program_value;
}
namespace detail {
/// What an evaluation was lowered to, over buffers of floats.
any_program program_of(lowering::program_value const& value);
}  // namespace detail

/// A program's types as a value, made once.
template <class Program> any_program const& describe() {
  static any_program const made = detail::program_of(Program{});
  return made;
}

}  // namespace tweedie
