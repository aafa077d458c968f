// What the judge asks LibTorch for, behind plain pointers: a small classifier of 28x28 gray
// pictures, and the distance to the nearest of many pictures. C++17, as networks/unet.hpp is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <tweedie/dsl/base/error.hpp>

namespace tweedie::tool {

/// A named piece of the flat parameters, row-major.
struct classifier_tensor {
  std::string name;
  std::vector<std::int64_t> shape;
  std::size_t offset = 0;  ///< in floats, from the start of `classifier::parameters()`
  std::size_t count = 0;   ///< the product of the shape
};

/// Three convolutions with batch normalization (Ioffe & Szegedy 2015), each followed by the maximum
/// over 2x2, and two linear layers with dropout between them. Mirrored pictures in training did not
/// pay within three minutes.
class classifier {
 public:
  static constexpr std::size_t classes = 10;
  static constexpr std::size_t elements = 28 * 28;  ///< floats of a picture, in [-1, 1]

  /// Weights drawn from `seed`, the same on every machine.
  explicit classifier(std::uint64_t seed = 0);
  classifier(classifier&&) noexcept;
  ~classifier();

  /// Writes the class that is most probable for each of `rows` pictures, without dropout.
  void classify(float const* pictures, std::size_t rows, std::uint8_t* labels) const;

  /// One step of Adam on the cross entropy, which is returned as it was before the step.
  /// `dropout_seed` alone decides the dropout. Throws tweedie::error where the loss is not finite.
  double train_step(float const* pictures, std::uint8_t const* labels, std::size_t rows,
                    double rate, std::uint64_t dropout_seed);

  /// All that is learned, the mean and variance of the normalizations too: `size()` floats in the
  /// order of `tensors()`.
  float* parameters();
  float const* parameters() const;
  std::size_t size() const;
  std::vector<classifier_tensor> const& tensors() const;

 private:
  struct body;
  std::unique_ptr<body> body_;
};

/// For each of `count` pictures of `elements` floats, its L2 distance to the nearest of `others`.
void nearest_distances(float const* pictures, std::size_t count, float const* others,
                       std::size_t other_count, std::size_t elements, double* distances);

/// Threads of LibTorch and its BLAS inside one call, for the whole process.
void set_torch_threads(int threads);

}  // namespace tweedie::tool
