#include "field.hpp"

#include <algorithm>
#include <cmath>

namespace planner {

std::array<float, field_size> field_of(std::span<disc const> obstacles) {
  constexpr std::size_t side = 8;
  std::array<float, field_size> xs, ys, field;
  for (std::size_t i = 0; i < field_size; ++i) {
    xs[i] = -1.25f + 2.5f / (side - 1) * static_cast<float>(i % side);
    ys[i] = -1.1f + 2.2f / (side - 1) * static_cast<float>(i / side);
  }
  field.fill(0.7f);
  for (disc const& d : obstacles)
#pragma omp simd
    for (std::size_t i = 0; i < field_size; ++i) {
      float const x = xs[i] - d.x, y = ys[i] - d.y;
      field[i] = std::min(field[i], std::sqrt(x * x + y * y) - d.r);
    }
  for (float& a : field) a = 2 * (std::max(a, -0.3f) - 0.2f);
  return field;
}

}  // namespace planner
