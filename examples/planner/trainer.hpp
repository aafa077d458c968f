// The planner's network in LibTorch, which has its gradient: trainer.cpp, in the C++ of LibTorch's
// headers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace planner {

class trainer {
 public:
  explicit trainer(std::uint64_t seed);
  ~trainer();

  /// One step of Adam on the mean of weight (out - target)^2 over a batch: inputs of 32 floats a
  /// row, features of the level of 16, fields of 64, targets of 32. Returns the loss.
  double step(float const* inputs, float const* times, float const* fields, float const* targets,
              float const* weights, std::size_t rows, double rate);
  /// One after the other, as mlp.hpp lists them.
  std::vector<float> weights() const;

 private:
  struct body;
  std::unique_ptr<body> body_;
};

}  // namespace planner
