// Thresholds: what happens to the predicted x0 before a sampler sees it.
#pragma once

#include <cmath>

#include <fmt/format.h>

#include <tweedie/dsl/error.hpp>
#include <tweedie/dsl/stage.hpp>
#include <tweedie/dsl/statement.hpp>

namespace tweedie::thresholds {

using namespace symbols;

namespace detail {
inline void check_limit(double limit) {
  if (!(limit > 0 && std::isfinite(limit)))
    throw error(
        fmt::format("thresholds: a limit of {} was given, expected a finite one above 0", limit));
}
}  // namespace detail

/// x0 clipped to [-limit, limit], eps re-derived from the clipped x0, as the authors of DDPM and
/// DDIM do.
struct clip {
  using kind = kinds::threshold;
  double limit = 1;
  void check() const { detail::check_limit(limit); }
  auto x0_of(level) const { return clamp(x0, -limit, limit); }
  auto eps_of(level t) const { return (x - t.alpha * x0) / t.sigma; }  // x0 is the clipped one
};

/// x0 clipped to [-limit, limit], eps left as the network gave it.
struct clip_x0_only {
  using kind = kinds::threshold;
  double limit = 1;
  void check() const { detail::check_limit(limit); }
  auto x0_of(level) const { return clamp(x0, -limit, limit); }
  auto eps_of(level) const { return +eps; }
};

}  // namespace tweedie::thresholds
