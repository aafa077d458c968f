// What the functions of an expression compute: one element of each argument in `a`, the numbers of
// the function in `p`.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>

#include <tweedie/dsl/base/config.hpp>
#include <tweedie/dsl/base/math.hpp>
#include <tweedie/dsl/language/expression.hpp>

namespace tweedie::functions {

// A NaN stays a NaN: both comparisons are false.
TWEEDIE_HD float apply(clamp, float const* p, float const* a) {
  float const low = a[0] < p[0] ? p[0] : a[0];
  return low > p[1] ? p[1] : low;
}
TWEEDIE_HD float apply(same, float const*, float const* a) { return a[0]; }
TWEEDIE_HD float apply(exp, float const*, float const* a) { return math::exp(a[0]); }
TWEEDIE_HD float apply(sqrt, float const*, float const* a) { return std::sqrt(a[0]); }
TWEEDIE_HD float apply(product, float const*, float const* a) { return a[0] * a[1]; }
// Where the mask is 0 or 1 the other value does not enter, not even as a NaN.
TWEEDIE_HD float apply(blend, float const*, float const* a) {
  float const mixed = std::fma(a[0], a[1] - a[2], a[2]);
  return a[0] == 1 ? a[1] : a[0] == 0 ? a[2] : mixed;
}

namespace detail {
template <class F, std::size_t... I>
TWEEDIE_HD float call(F const& f, float const* a, std::index_sequence<I...>) {
  return f(a[I]...);
}
}  // namespace detail

template <class F, std::size_t N>
TWEEDIE_HD float apply(users<F, N>, [[maybe_unused]] float const* p, float const* a) {
  constexpr std::size_t count = users<F, N>::parameters;
  union storage {
    std::uint16_t words[count > 0 ? count : 1];
    F function;
    TWEEDIE_HD storage() : words{} {}
  } f;
  if constexpr (count > 0)  // nvcc warns of an unsigned index below a count of 0
    for (std::size_t i = 0; i < count; ++i) f.words[i] = static_cast<std::uint16_t>(p[i]);
  return detail::call(f.function, a, std::make_index_sequence<N>{});
}

/// One of a user's own with numbers, `pointwise<F>({numbers}, ...)`, says it itself.
template <class F>
requires requires(float const* p) { F::apply(p, p); }
TWEEDIE_HD float apply(F, float const* p, float const* a) { return F::apply(p, a); }

}  // namespace tweedie::functions
