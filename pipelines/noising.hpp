// Noise added at a level, the forward process at once: q(x_t | x0) = N(alpha_t x0, sigma_t^2 I).
#pragma once

#include <algorithm>

#include <fmt/format.h>

#include <tweedie/dsl/launch.hpp>
#include <tweedie/pipelines/state.hpp>

namespace tweedie {

/// Makes the samples of a state x_t of `clean`. Throws tweedie::error where the two have other
/// shapes.
inline void add_noise(state& s, images const& clean, level t) {
  using namespace symbols;
  std::vector<std::size_t> expected{s.samples};
  expected.insert(expected.end(), s.shape.begin(), s.shape.end());
  if (clean.shape != expected || clean.data.size() != s.samples * s.elements)
    throw error(fmt::format(
        "clean samples of {} values were given for a state of {} samples of {} elements",
        clean.data.size(), s.samples, s.elements));
  buffer rows(s.x.size());
  for (std::size_t i = 0; i < s.samples; ++i)
    std::ranges::copy(clean[i], rows.data() + i * s.pitch);
  launch(step(x = t.alpha * known + t.sigma * noise_stream<noising_stream>),
         bindings{bind(x, s.x.data()), bind(known, rows.data())},
         {.count = s.samples, .pitch = s.pitch, .keys = s.keys.data()});
}

/// x_t of clean samples, which give the shape; the noise is that of `seed` and ids from `first_id`
/// on.
inline images noised(images const& clean, level t, request r = {}) {
  r.shape = clean.shape;
  state s = detail::make_state(r, label{});
  add_noise(s, clean, t);
  return take(s);
}

}  // namespace tweedie
