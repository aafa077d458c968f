// What a plan is steered down: how deep it goes into obstacles.
#pragma once

#include <span>

#include "scene.hpp"

namespace planner {

/// grad J of J = 1/2 sum over legs and obstacles of depth^2, in a scene's frame. The depth is that
/// of the point of a leg that is next to the obstacle's centre, so that nothing slips through
/// between two waypoints; it is shared by the leg's ends as they are near. `points` are 16 pairs
/// and `gradient` as many; the first and the last are taken to be at (-1, 0) and (1, 0) and do not
/// move.
void cost_gradient(float const* points, std::span<disc const> obstacles, float* gradient);

}  // namespace planner
