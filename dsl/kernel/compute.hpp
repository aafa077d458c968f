// What one element of a program is: its nodes in order, then the sums that are stored.
//
// A sum is c_0 v_0, then one fma for each further term, in the order of the type: the same bits on
// every machine and at every width.
#pragma once

#include <cmath>
#include <cstddef>

#include <tweedie/dsl/base/config.hpp>
#include <tweedie/dsl/kernel/functions.hpp>
#include <tweedie/dsl/lowering/program.hpp>

namespace tweedie::detail {

template <class Program, class... T>
TWEEDIE_HD float add(list<T...>, float const* c, float const* v) {
  static_assert(((Program::template slot<T> < Program::values) && ...),
                "a formula reads a let<k> that no statement before it names");
  float r = 0;
  int i = 0;
  ((r = i == 0 ? c[0] * v[Program::template slot<T>]
               : std::fma(c[i], v[Program::template slot<T>], r),
    ++i),
   ...);
  return r;
}

/// The value of a sum; `c` moves past its coefficients.
template <class Program, class Sum> TWEEDIE_HD float next_sum(float const*& c, float const* v) {
  float const* mine = c;
  c += Sum::coefficients;
  return add<Program>(typename Sum::terms{}, mine, v);
}

template <class Program, class T, class F, class... Sums>
TWEEDIE_HD void compute(node<T, F, Sums...>, float const*& c, float* v) {
  float const* parameters = c;
  c += F::parameters;
  float const arguments[] = {next_sum<Program, Sums>(c, v)...};  // braces: in this order
  v[Program::template slot<T>] = functions::apply(F{}, parameters, arguments);
}
template <class Program, class... Node>
TWEEDIE_HD void compute_all(list<Node...>, [[maybe_unused]] float const*& c,
                            [[maybe_unused]] float* v) {
  (compute<Program>(Node{}, c, v), ...);
}
template <class Program, class... Sum>
TWEEDIE_HD void store_all(list<Sum...>, float const*& c, float const* v, float* w) {
  int i = 0;
  ((w[i++] = next_sum<Program, Sum>(c, v)), ...);
}

/// Once a row: the nodes that depend on no element. `v` holds the row's numbers in their slots.
template <class Program> TWEEDIE_HD void compute_row(float const* c, float* v) {
  compute_all<Program>(typename Program::uniform_list{}, c, v);
}

/// One element: `v` holds the loaded values, the noise and what compute_row() made, `w` receives
/// the sums.
template <class Program> TWEEDIE_HD void compute_element(float const* c, float* v, float* w) {
  c += Program::uniform_coefficients;
  compute_all<Program>(typename Program::node_list{}, c, v);
  store_all<Program>(typename Program::write_list{}, c, v, w);
}

}  // namespace tweedie::detail
