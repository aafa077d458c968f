// Noise added at a level, the forward process at once: q(x_t | x0) = N(alpha_t x0, sigma_t^2 I).
#pragma once

#include <tweedie/dsl/language/level.hpp>
#include <tweedie/pipelines/state.hpp>

namespace tweedie {

/// Makes the samples of a state x_t of `clean`. Throws tweedie::error where the two have other
/// shapes.
void add_noise(state& s, images const& clean, level t);

/// x_t of clean samples, which give the shape; the noise is that of `seed` and ids from `first_id`
/// on.
images noised(images const& clean, level t, request r = {});

}  // namespace tweedie
