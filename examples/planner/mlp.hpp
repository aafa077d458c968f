// The network of the planner, 101,984 weights: two residual layers of 192 units between a first one
// that sees the noisy path, the noise level and the scene's field, and a last one.
//
//   h = silu(x A + times(rho) T + field F + b)
//   h = h + silu(h W + b), twice
//   out = h O + b
//
// x are 16 points; the field is the clearance at 8 x 8 places, so that it takes any number of
// obstacles of any shape. What the scene adds to the first layer is made once a plan.
#pragma once

#include <array>
#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace planner {

inline constexpr std::size_t path_size = 32, times_size = 16, field_size = 64, hidden = 192;

/// A matrix of the weights' file, row-major, [inputs, outputs], or a bias, [outputs].
struct weight_shape {
  char const* name;
  std::size_t rows, columns;  ///< rows = 0: a bias
  std::size_t size() const { return (rows ? rows : 1) * columns; }
};
inline constexpr std::array<weight_shape, 10> weight_shapes{{{"path", path_size, hidden},
                                                             {"times", times_size, hidden},
                                                             {"field", field_size, hidden},
                                                             {"first.bias", 0, hidden},
                                                             {"second", hidden, hidden},
                                                             {"second.bias", 0, hidden},
                                                             {"third", hidden, hidden},
                                                             {"third.bias", 0, hidden},
                                                             {"last", hidden, path_size},
                                                             {"last.bias", 0, path_size}}};

using weight_list = std::array<std::vector<float>, weight_shapes.size()>;

/// sin(k/2 ln rho) and cos(k/2 ln rho), k = 1 .. 8: what the network is told of the noise level,
/// rho = sigma / alpha above 0.
std::array<float, times_size> features_of(double rho);

class mlp {
 public:
  /// Throws tweedie::error where a matrix has another size.
  explicit mlp(weight_list weights);
  /// Throws tweedie::error where the file is no sound safetensors or has other tensors.
  static mlp from_file(std::filesystem::path const& file);
  /// Writes beside the file, then renames.
  static void write(std::filesystem::path const& file, weight_list const& weights,
                    std::string const& how);

  /// What a scene's field adds to the first layer: field F + b, `hidden` floats.
  void see_field(std::span<float const, field_size> field, float* out) const;

  /// Rows of `pitch` floats from x to out, all at one noise level; `scenes[row]` are the `hidden`
  /// floats of see_field. A row's bits do not depend on the others. May be called by several
  /// threads.
  void operator()(float const* x, float const* const* scenes, double rho, std::size_t rows,
                  float* out, std::size_t pitch) const;

 private:
  weight_list weights_;
};

}  // namespace planner
