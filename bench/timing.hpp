// Seconds of what takes turns.
#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <vector>

namespace bench {

inline double seconds_of(std::function<void()> const& f) {
  auto const from = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - from).count();
}

/// The least of several runs each, in seconds: what disturbs a run only makes it longer. They take
/// turns, so that a machine whose memory slows down for a while slows them all.
inline std::vector<double> seconds(std::vector<std::function<void()>> const& all, int runs = 25) {
  std::vector<double> best(all.size(), 1e300);
  for (int i = 0; i < runs; ++i)
    for (std::size_t k = 0; k < all.size(); ++k) best[k] = std::min(best[k], seconds_of(all[k]));
  return best;
}
inline double seconds(std::function<void()> const& f) { return seconds(std::vector{f})[0]; }

}  // namespace bench
