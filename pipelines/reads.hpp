// What a stage's formulas may read: for typed stages and for those whose types are forgotten.
#pragma once

#include <initializer_list>

#include <tweedie/dsl/language/symbols.hpp>

namespace tweedie::detail {

constexpr bool is_any_of(symbol_id s, std::initializer_list<symbol_id> some) {
  for (symbol_id one : some)
    if (s == one) return true;
  return false;
}
/// What a parameterization is a form over.
constexpr bool of_x_and_raw(symbol_id s) { return is_any_of(s, {sym::x::id, sym::raw::id}); }
/// What x0 and eps, and what follows from them.
constexpr bool of_x0_and_eps(symbol_id s) {
  return is_any_of(s, {sym::x0::id, sym::eps::id, sym::score::id, sym::v::id, sym::velocity::id});
}
constexpr bool read_by_threshold(symbol_id s) { return of_x_and_raw(s) || of_x0_and_eps(s); }

/// What is there for a guidance: `outputs` of which the first `branches` are the network's, and
/// what it remembers.
struct guidance_reads {
  int branches = 1, outputs = 1, memories = 0;

  static constexpr bool is_of_branch(symbol_id s) {
    return s.is == sym::word::out || s.is == sym::word::branch_x0 || s.is == sym::word::branch_eps;
  }
  static constexpr bool is_output(symbol_id s) { return is_of_branch(s) || s == sym::grad::id; }
  static constexpr bool is_memory(symbol_id s) { return s.is == sym::word::memory; }

  constexpr bool output(symbol_id s) const {
    return (is_of_branch(s) && s.index < outputs) || (s == sym::grad::id && outputs > branches);
  }
  constexpr bool memory(symbol_id s) const { return is_memory(s) && s.index < memories; }
  /// Before x0 and eps are made of what the guidance gives for raw, and after.
  constexpr bool early(symbol_id s) const { return s == sym::x::id || output(s) || memory(s); }
  constexpr bool late(symbol_id s) const {
    return early(s) || s == sym::raw::id || of_x0_and_eps(s);
  }
};

}  // namespace tweedie::detail
