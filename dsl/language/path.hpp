// The levels between two levels: what a sampler asks whose stages lie inside a step.
#pragma once

#include <functional>
#include <limits>

#include <tweedie/dsl/language/level.hpp>

namespace tweedie {

/// A schedule whose type is forgotten. A sampler that needs levels of its own takes it as the last
/// argument of `step`: `step(level t, level s, path const& p)`.
struct path {
  std::function<level(double)> at;      ///< the level at a time
  std::function<level(double)> at_rho;  ///< the level with a given rho = sigma / alpha
  double noisiest = std::numeric_limits<double>::infinity();  ///< rho at the schedule's end
};

}  // namespace tweedie
