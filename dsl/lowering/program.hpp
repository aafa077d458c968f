// What is left of one evaluation of a step once it is fused: a straight-line program over plain
// packs.
//
// Per element: the buffers loaded once each, each stream of noise drawn once, the nodes in order,
// the sums stored. Types alone: dsl/kernel/compute.hpp computes what they say.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include <tweedie/dsl/base/half.hpp>
#include <tweedie/dsl/language/form.hpp>

namespace tweedie {

template <class... T> struct list { static constexpr std::size_t size = sizeof...(T); };

namespace detail {

template <class... Lists> struct concatenation { using type = list<>; };
template <class... A> struct concatenation<list<A...>> { using type = list<A...>; };
template <class... A, class... B, class... Rest>
struct concatenation<list<A...>, list<B...>, Rest...> : concatenation<list<A..., B...>, Rest...> {};

template <class... Lists> constexpr typename concatenation<Lists...>::type concat(Lists...) {
  return {};
}

}  // namespace detail

/// A symbol whose buffer holds T instead of float.
template <class S, class T> struct as : symbol_base {
  static constexpr auto id = S::id;
  using symbol = S;
  using element = T;
};

namespace detail {
template <class S> struct element { using type = float; };
template <class S, class T> struct element<as<S, T>> { using type = T; };
}  // namespace detail

/// What the buffer of a symbol holds.
template <class S> using element_of = typename detail::element<S>::type;

/// Target = c_0 S_0 + c_1 S_1 + ...
template <class Target, class... S> struct sum {
  using target = Target;
  using terms = list<S...>;
  static constexpr std::size_t coefficients = sizeof...(S);
};

/// Target = Function(parameters; sum, sum, ...), element by element.
template <class Target, class Function, class... Sums> struct node {
  using target = Target;
  static constexpr std::size_t coefficients = Function::parameters + (Sums::coefficients + ... + 0);
};

/// Target = Reduction(parameters; ...) over all elements of a sample, which lie in buffers that the
/// phase before filled.
template <class Target, class Reduction, class... Scratch> struct reduction_over {
  using target = Target;
  using function = Reduction;
  using arguments = list<Scratch...>;
  static constexpr std::size_t coefficients = Reduction::parameters;
};

/// What few programs have: masks, numbers a row, and nodes made of these alone, which are computed
/// once a row.
template <class Masks, class Scalars, class Nodes> struct besides {};
using nothing_besides = besides<list<>, list<>, list<>>;

/// A fused step: buffers read, streams of noise, nodes in order, sums written.
template <class Reads, class Noises, class Nodes, class Writes, class Besides = nothing_besides>
struct program;

template <class... R, class... Z, class... N, class... W, class... M, class... S, class... U>
struct program<list<R...>, list<Z...>, list<N...>, list<W...>,
               besides<list<M...>, list<S...>, list<U...>>> {
  static constexpr std::size_t reads = sizeof...(R);
  static constexpr std::size_t masks = sizeof...(M);
  static constexpr std::size_t noises = sizeof...(Z);
  static constexpr std::size_t scalars = sizeof...(S);
  static constexpr std::size_t uniforms = sizeof...(U);
  static constexpr std::size_t nodes = sizeof...(N);
  static constexpr std::size_t writes = sizeof...(W);
  static constexpr std::size_t streamed = reads + masks + noises;  ///< values that come by element
  static constexpr std::size_t per_row = scalars + uniforms;       ///< values that come by row
  static constexpr std::size_t values = streamed + per_row + nodes;
  static constexpr std::size_t uniform_coefficients = (U::coefficients + ... + 0);
  static constexpr std::size_t coefficients =
      uniform_coefficients + (N::coefficients + ... + 0) + (W::coefficients + ... + 0);
  static constexpr bool deterministic = noises == 0;
  /// Always 1; `phased` has more.
  static constexpr std::size_t kernels = 1;
  /// Whether a buffer holds something else than floats.
  static constexpr bool mixed = ((sizeof(element_of<R>) != sizeof(float)) || ...) ||
                                ((sizeof(element_of<typename W::target>) != sizeof(float)) || ...);
  /// Traffic with memory; a mask that all channels share counts as a whole one.
  static constexpr std::size_t bytes_per_element =
      (sizeof(element_of<R>) + ... + 0) + sizeof(float) * masks +
      (sizeof(element_of<typename W::target>) + ... + 0);

  using read_list = list<R...>;
  using mask_list = list<M...>;
  using noise_list = list<Z...>;
  using scalar_list = list<S...>;
  using uniform_list = list<U...>;
  using node_list = list<N...>;
  using write_list = list<W...>;

  /// Where a symbol's value lies among the values of an element.
  template <class T>
  static constexpr std::size_t slot = [] {
    constexpr decltype(T::id) ids[] = {R::id...,         M::id...,         Z::id..., S::id...,
                                       U::target::id..., N::target::id..., T::id};
    std::size_t i = 0;
    while (ids[i] != T::id) ++i;
    return i;
  }();
};

/// Programs with reductions between them: program 0, the reductions over what it wrote, program 1,
/// which reads their values, and so on.
template <class Programs, class Reductions> struct phased;

template <class... P, class... R> struct phased<list<P...>, list<R...>> {
  static constexpr std::size_t reads = (P::reads + ...);
  static constexpr std::size_t masks = (P::masks + ...);
  static constexpr std::size_t writes = (P::writes + ...);
  static constexpr std::size_t noises = (P::noises + ...);
  static constexpr std::size_t kernels = sizeof...(P);
  static constexpr bool deterministic = noises == 0;
  static constexpr std::size_t reduction_coefficients(list<>) { return 0; }
  template <class... One> static constexpr std::size_t reduction_coefficients(list<One...>) {
    return (One::coefficients + ...);
  }
  static constexpr std::size_t coefficients =
      (P::coefficients + ...) + (reduction_coefficients(R{}) + ...);
  /// The reductions' own reading of what the phase before wrote counts as well.
  template <class... One> static constexpr std::size_t arguments_in(list<One...>) {
    return (One::arguments::size + ...);
  }
  static constexpr std::size_t scratches = (arguments_in(R{}) + ...);
  static constexpr std::size_t bytes_per_element =
      (P::bytes_per_element + ...) + sizeof(float) * scratches;

  using program_list = list<P...>;
  using reduction_lists = list<R...>;
};

template <class P> inline constexpr bool is_phased = false;
template <class... P, class... R>
inline constexpr bool is_phased<phased<list<P...>, list<R...>>> = true;

}  // namespace tweedie
