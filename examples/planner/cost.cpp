#include "cost.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace planner {

void cost_gradient(float const* points, std::span<disc const> obstacles, float* gradient) {
  constexpr std::size_t legs = waypoints - 1;
  std::array<float, waypoints> x, y, gx{}, gy{};
  for (std::size_t i = 0; i < waypoints; ++i) x[i] = points[2 * i], y[i] = points[2 * i + 1];
  x[0] = -1, x[legs] = 1, y[0] = y[legs] = 0;
  std::array<float, legs> dx, dy, inverse;
  for (std::size_t i = 0; i < legs; ++i) {
    dx[i] = x[i + 1] - x[i], dy[i] = y[i + 1] - y[i];
    inverse[i] = 1 / std::max(dx[i] * dx[i] + dy[i] * dy[i], 1e-12f);
  }
  for (disc const& d : obstacles) {
    std::array<float, legs> ax, ay, bx, by;
#pragma omp simd
    for (std::size_t i = 0; i < legs; ++i) {
      float const along = ((d.x - x[i]) * dx[i] + (d.y - y[i]) * dy[i]) * inverse[i];
      float const where = std::min(std::max(along, 0.0f), 1.0f);
      float const ox = x[i] + where * dx[i] - d.x, oy = y[i] + where * dy[i] - d.y;
      float const distance = std::sqrt(std::max(ox * ox + oy * oy, 1e-12f));
      float const push = -std::max(d.r - distance, 0.0f) / distance;
      bx[i] = where * push * ox, by[i] = where * push * oy;
      ax[i] = push * ox - bx[i], ay[i] = push * oy - by[i];
    }
    for (std::size_t i = 0; i < legs; ++i) gx[i] += ax[i], gy[i] += ay[i];
    for (std::size_t i = 0; i < legs; ++i) gx[i + 1] += bx[i], gy[i + 1] += by[i];
  }
  gx[0] = gy[0] = gx[legs] = gy[legs] = 0;
  for (std::size_t i = 0; i < waypoints; ++i) gradient[2 * i] = gx[i], gradient[2 * i + 1] = gy[i];
}

}  // namespace planner
