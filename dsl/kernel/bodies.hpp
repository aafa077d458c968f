// The compiled bodies behind any_function::apply and any_reduction::of, which the interpreter
// calls.
#pragma once

#include <cstddef>
#include <cstdint>

#include <tweedie/dsl/kernel/functions.hpp>
#include <tweedie/dsl/kernel/reduce.hpp>
#include <tweedie/dsl/lowering/any_program.hpp>

namespace tweedie::detail {

template <class F, std::size_t Arguments>
void apply_function(float const* parameters, float const* const* arguments, float* to,
                    std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) {
    float a[Arguments > 0 ? Arguments : 1];
    for (std::size_t k = 0; k < Arguments; ++k) a[k] = arguments[k][i];
    to[i] = functions::apply(F{}, parameters, a);
  }
}

template <class R>
float reduce_row(float const* parameters, float const* const* rows, std::uint64_t elements) {
  return reductions::of<R>(parameters, rows, elements);
}

}  // namespace tweedie::detail
