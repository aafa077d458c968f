// Spherical interpolation between noisy samples (Shoemake 1985, section 3.3; for encoded pictures
// Song et al. 2021, DDIM, appendix D.5).
//
//   slerp(a, b; w) = sin((1 - w) theta) / sin(theta) a + sin(w theta) / sin(theta) b
//   cos(theta) = <a, b> / (|a| |b|)
//
// N(0, I) in many dimensions lies near a sphere, which a straight line leaves: at w = 1/2 its norm
// is smaller by sqrt(1/2). Where a and b are nearly parallel, or point in opposite directions, so
// that no great circle is chosen, the interpolation is the straight line.
#pragma once

#include <tweedie/pipelines/state.hpp>

namespace tweedie {

/// Sample by sample, a at w = 0, b at w = 1. Throws tweedie::error where the shapes differ.
images slerp(images const& a, images const& b, double w);

/// Between the x of two states; the keys, labels and histories are those of a. Throws where they
/// are of two plans, or not at one level.
state slerp(state const& a, state const& b, double w);

}  // namespace tweedie
