// What is left of a step once it is fused: a straight-line program over plain packs.
//
// Per element: the buffers loaded once each, each stream of noise drawn once, the nodes in order,
// the sums stored. A sum is c_0 v_0, then one fma a term, in the order of the type: the same bits
// on every machine and at every width.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include <tweedie/dsl/config.hpp>

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

/// A fused step: buffers read, streams of noise, nodes in order, sums written.
template <class Reads, class Noises, class Nodes, class Writes> struct program;

template <class... R, class... Z, class... N, class... W>
struct program<list<R...>, list<Z...>, list<N...>, list<W...>> {
  static constexpr std::size_t reads = sizeof...(R);
  static constexpr std::size_t noises = sizeof...(Z);
  static constexpr std::size_t nodes = sizeof...(N);
  static constexpr std::size_t writes = sizeof...(W);
  static constexpr std::size_t values = reads + noises + nodes;
  static constexpr std::size_t coefficients =
      (N::coefficients + ... + 0) + (W::coefficients + ... + 0);
  static constexpr bool deterministic = noises == 0;
  /// Traffic with memory, float32 buffers.
  static constexpr std::size_t bytes_per_element = sizeof(float) * (reads + writes);

  using read_list = list<R...>;
  using noise_list = list<Z...>;
  using node_list = list<N...>;
  using write_list = list<W...>;

  /// Where a symbol's value lies among the values of an element.
  template <class S>
  static constexpr std::size_t slot = [] {
    constexpr int ranks[] = {R::rank..., Z::rank..., N::target::rank..., -1};
    std::size_t i = 0;
    while (ranks[i] != S::rank) ++i;
    return i;
  }();

  template <class... S> TWEEDIE_HD static float add(list<S...>, float const* c, float const* v) {
    float r = 0;
    int i = 0;
    ((r = i == 0 ? c[0] * v[slot<S>] : std::fma(c[i], v[slot<S>], r), ++i), ...);
    return r;
  }

  template <class T, class F, class... Sums>
  TWEEDIE_HD static void compute(node<T, F, Sums...>, float const*& c, float* v) {
    float const* parameters = c;
    c += F::parameters;
    float const arguments[] = {next<Sums>(c, v)...};  // braces: in this order
    v[slot<T>] = F::apply(parameters, arguments);
  }

  template <class Sum> TWEEDIE_HD static float next(float const*& c, float const* v) {
    float const* mine = c;
    c += Sum::coefficients;
    return add(typename Sum::terms{}, mine, v);
  }

  /// One element: `v` holds the loaded values and the noise, `w` receives the sums.
  TWEEDIE_HD static void element(float const* c, float* v, float* w) {
    (compute(N{}, c, v), ...);
    int i = 0;
    ((w[i++] = next<W>(c, v)), ...);
  }
};

}  // namespace tweedie
