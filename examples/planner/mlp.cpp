#include "mlp.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include <tweedie/dsl/base/error.hpp>
#include <tweedie/dsl/base/math.hpp>
#include <tweedie/io/safetensors.hpp>

namespace planner {
namespace {

// y += x W for Rows rows and Columns columns, sums in registers. Each is one chain of fma over k,
// whatever the tile, so that a row has the same bits in every batch.
template <int Rows, int Columns>
void multiply_tile(float const* x, std::size_t x_pitch, float const* w, std::size_t w_pitch,
                   std::size_t inputs, float* y, std::size_t y_pitch) {
  float sum[Rows][Columns];
  for (int r = 0; r < Rows; ++r)
    for (int c = 0; c < Columns; ++c)
      sum[r][c] = y[static_cast<std::size_t>(r) * y_pitch + static_cast<std::size_t>(c)];
  for (std::size_t k = 0; k < inputs; ++k)
    for (int r = 0; r < Rows; ++r) {
      float const a = x[static_cast<std::size_t>(r) * x_pitch + k];
#pragma omp simd
      for (int c = 0; c < Columns; ++c)
        sum[r][c] = std::fma(a, w[k * w_pitch + static_cast<std::size_t>(c)], sum[r][c]);
    }
  for (int r = 0; r < Rows; ++r)
    for (int c = 0; c < Columns; ++c)
      y[static_cast<std::size_t>(r) * y_pitch + static_cast<std::size_t>(c)] = sum[r][c];
}

// y += x W, with W of `outputs` columns, a multiple of 32.
void multiply(float const* x, std::size_t x_pitch, std::vector<float> const& w, std::size_t inputs,
              std::size_t outputs, float* y, std::size_t y_pitch, std::size_t rows) {
  std::size_t row = 0;
  for (; row + 4 <= rows; row += 4)
    for (std::size_t c = 0; c < outputs; c += 16)
      multiply_tile<4, 16>(x + row * x_pitch, x_pitch, w.data() + c, outputs, inputs,
                           y + row * y_pitch + c, y_pitch);
  for (; row < rows; ++row) {
    std::size_t c = 0;
    for (; c + 64 <= outputs; c += 64)
      multiply_tile<1, 64>(x + row * x_pitch, x_pitch, w.data() + c, outputs, inputs,
                           y + row * y_pitch + c, y_pitch);
    for (; c < outputs; c += 32)
      multiply_tile<1, 32>(x + row * x_pitch, x_pitch, w.data() + c, outputs, inputs,
                           y + row * y_pitch + c, y_pitch);
  }
}

float silu(float a) { return a / (1 + tweedie::math::exp(-a)); }

}  // namespace

std::array<float, times_size> features_of(double rho) {
  std::array<float, times_size> f;
  for (std::size_t k = 0; k < times_size / 2; ++k) {
    double const angle = 0.5 * static_cast<double>(k + 1) * std::log(rho);
    f[2 * k] = static_cast<float>(std::sin(angle));
    f[2 * k + 1] = static_cast<float>(std::cos(angle));
  }
  return f;
}

mlp::mlp(weight_list weights) : weights_(std::move(weights)) {
  for (std::size_t i = 0; i < weights_.size(); ++i)
    if (weights_[i].size() != weight_shapes[i].size())
      throw tweedie::error(fmt::format("planner: {} weights were given for '{}', expected {}",
                                       weights_[i].size(), weight_shapes[i].name,
                                       weight_shapes[i].size()));
}

mlp mlp::from_file(std::filesystem::path const& file) {
  tweedie::io::safetensors_file const opened(file);
  std::vector<std::string> names;
  for (auto const& s : weight_shapes) names.push_back(s.name);
  opened.expect_names(names);
  weight_list weights;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    auto const& s = weight_shapes[i];
    auto const shape =
        s.rows ? tweedie::io::extents{s.rows, s.columns} : tweedie::io::extents{s.columns};
    weights[i] = opened.floats(s.name, shape);
  }
  return mlp(std::move(weights));
}

void mlp::write(std::filesystem::path const& file, weight_list const& weights,
                std::string const& how) {
  tweedie::io::tensor_file to;
  to.metadata["trained"] = how;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    auto const& s = weight_shapes[i];
    auto const shape =
        s.rows ? tweedie::io::extents{s.rows, s.columns} : tweedie::io::extents{s.columns};
    to.tensors.push_back(
        tweedie::io::make_tensor(s.name, shape, std::span<float const>(weights[i])));
  }
  tweedie::io::write_safetensors(file, to);
}

void mlp::see_field(std::span<float const, field_size> field, float* out) const {
  std::ranges::copy(weights_[3], out);
  multiply(field.data(), field_size, weights_[2], field_size, hidden, out, hidden, 1);
}

void mlp::operator()(float const* x, float const* const* scenes, double rho, std::size_t rows,
                     float* out, std::size_t pitch) const {
  std::array<float, hidden> level{};
  auto const times = features_of(rho);
  multiply(times.data(), times_size, weights_[1], times_size, hidden, level.data(), hidden, 1);

  constexpr std::size_t most = 64;  // rows at once: what they are in between stays in the L1 cache
  alignas(64) thread_local std::array<float, most * hidden> h, next;
  for (std::size_t first = 0; first < rows; first += most) {
    std::size_t const count = std::min(most, rows - first);
    for (std::size_t r = 0; r < count; ++r)
      for (std::size_t i = 0; i < hidden; ++i) h[r * hidden + i] = level[i] + scenes[first + r][i];
    multiply(x + first * pitch, pitch, weights_[0], path_size, hidden, h.data(), hidden, count);
#pragma omp simd
    for (std::size_t i = 0; i < count * hidden; ++i) h[i] = silu(h[i]);
    for (std::size_t layer : {4u, 6u}) {
      for (std::size_t r = 0; r < count; ++r)
        std::ranges::copy(weights_[layer + 1], next.begin() + static_cast<long>(r * hidden));
      multiply(h.data(), hidden, weights_[layer], hidden, hidden, next.data(), hidden, count);
#pragma omp simd
      for (std::size_t i = 0; i < count * hidden; ++i) h[i] += silu(next[i]);
    }
    float* const to = out + first * pitch;
    for (std::size_t r = 0; r < count; ++r) std::ranges::copy(weights_[9], to + r * pitch);
    multiply(h.data(), hidden, weights_[8], hidden, path_size, to, pitch, count);
  }
}

}  // namespace planner
