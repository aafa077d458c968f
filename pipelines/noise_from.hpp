// The caller's own noise in place of Philox: another library's, or none at all in a test.
#pragma once

#include <concepts>
#include <cstddef>
#include <utility>

#include <tweedie/dsl/base/same.hpp>
#include <tweedie/dsl/language/composition.hpp>
#include <tweedie/pipelines/state.hpp>

namespace tweedie {

/// A stage: `f(noise_request const&)` fills the rows with N(0, I) for the start (stream
/// `start_stream`) and, before each kernel, for every stream of noise that it reads.
template <class F> struct noise_from {
  using kind = kinds::noise;
  static_assert(
      std::invocable<F const&, noise_request const&>,
      "noise_from{f} asks f for noise: it is called with a tweedie::noise_request const&, and is "
      "const");
  F f;
  friend bool operator==(noise_from const& n, std::nullptr_t) { return detail::calls_nothing(n.f); }
  constexpr device_use on_devices() const { return device_use_of(f); }
  void operator()(noise_request const& r) const {
    if constexpr (std::invocable<F const&, noise_request const&>) f(r);
  }
};
template <class F> noise_from(F) -> noise_from<F>;

}  // namespace tweedie
