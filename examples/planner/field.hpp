// What the network is told of a scene.
#pragma once

#include <array>
#include <span>

#include "mlp.hpp"
#include "scene.hpp"

namespace planner {

/// The clearance at 8 x 8 places of the frame, x in [-1.25, 1.25], y in [-1.1, 1.1], row by row
/// from below: the distance to the nearest disc's rim, between -0.3 and 0.7, moved and scaled to
/// [-1, 1]. The discs are those of the frame.
std::array<float, field_size> field_of(std::span<disc const> obstacles);

}  // namespace planner
