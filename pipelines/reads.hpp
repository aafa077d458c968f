// What a stage's formulas may read, by the ranks of the symbols: for typed stages and for those
// whose types are forgotten.
#pragma once

#include <initializer_list>

#include <tweedie/dsl/symbols.hpp>

namespace tweedie::detail {

constexpr bool is_any_of(int rank, std::initializer_list<int> ranks) {
  for (int one : ranks)
    if (rank == one) return true;
  return false;
}
/// What a parameterization is a form over.
constexpr bool of_x_and_raw(int rank) { return is_any_of(rank, {sym::x::rank, sym::raw::rank}); }
/// What x0 and eps, and what follows from them.
constexpr bool of_x0_and_eps(int rank) {
  return is_any_of(
      rank, {sym::x0::rank, sym::eps::rank, sym::score::rank, sym::v::rank, sym::velocity::rank});
}
constexpr bool read_by_threshold(int rank) { return of_x_and_raw(rank) || of_x0_and_eps(rank); }

/// What is there for a guidance: `outputs` of which the first `branches` are the network's, and
/// what it remembers.
struct guidance_reads {
  int branches = 1, outputs = 1, memories = 0;

  static constexpr bool within(int rank, int first, int count) {
    return rank >= first && rank < first + count;
  }
  static constexpr bool is_output(int rank) {
    return within(rank, sym::out<0>::rank, 20) || within(rank, sym::branch_x0<0>::rank, 20) ||
           within(rank, sym::branch_eps<0>::rank, 20) || rank == sym::grad::rank;
  }
  static constexpr bool is_memory(int rank) { return within(rank, sym::memory<0>::rank, 20); }

  constexpr bool output(int rank) const {
    return within(rank, sym::out<0>::rank, outputs) ||
           within(rank, sym::branch_x0<0>::rank, outputs) ||
           within(rank, sym::branch_eps<0>::rank, outputs) ||
           (rank == sym::grad::rank && outputs > branches);
  }
  constexpr bool memory(int rank) const { return within(rank, sym::memory<0>::rank, memories); }
  /// Before x0 and eps are made of what the guidance gives for raw, and after.
  constexpr bool early(int rank) const {
    return rank == sym::x::rank || output(rank) || memory(rank);
  }
  constexpr bool late(int rank) const {
    return early(rank) || rank == sym::raw::rank || of_x0_and_eps(rank);
  }
};

}  // namespace tweedie::detail
