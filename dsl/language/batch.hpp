// What a network is asked: rows of noisy samples, each with its level and its condition, and where
// to write.
//
// The branches of a guidance lie one after the other: rows 0 .. samples - 1 are the conditional
// branch (with two conditions those of the first, then as many of the second), the last `samples`
// rows the unconditional one. All branches of a sample read the same x, so x is not duplicated in
// memory.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <tweedie/dsl/language/level.hpp>

namespace tweedie {

/// The label of a row without condition: an unconditional branch, or a sample that was given none.
inline constexpr int no_label = -1;

/// A condition that is no label: numbers for each sample, which the network alone reads.
struct named_array {
  std::string name;
  std::vector<std::size_t> shape;  ///< of one sample's
  std::size_t elements = 0;        ///< the product of the shape
  std::vector<float> data;         ///< samples x elements, on the host
};

struct batch {
  std::size_t samples = 0;             ///< rows of x
  std::size_t branches = 1;            ///< evaluations per sample
  std::span<std::size_t const> shape;  ///< of one sample, for example {1, 28, 28}
  std::size_t elements = 0;            ///< of one sample, the product of its shape
  std::size_t pitch = 0;               ///< floats from one row to the next, at least `elements`
  float const* x = nullptr;            ///< samples x pitch
  float* out = nullptr;                ///< (branches x samples) x pitch, written by the network
  level const* levels = nullptr;       ///< one per sample, for as long as the call lasts
  int const* labels = nullptr;         ///< conditions x samples, or null where no sample has one
  std::size_t conditions = 1;          ///< branches that have labels: the first ones
  std::span<named_array const> arrays = {};  ///< conditions besides, the same for those branches
  /// Where a network that learns its variance writes its second output, samples x pitch: what it
  /// says for the first branch. Null where nobody reads it.
  float* variance = nullptr;

  /// What a network that declares `using input = bfloat16` (or half) reads: rows of `pitch` of
  /// them, `input_rows` in all; and where one with `using output = ...` writes. x and out are null
  /// where they are not floats.
  void const* input = nullptr;
  void* output = nullptr;
  std::size_t input_rows = 0;  ///< samples, or rows() where the network wants each branch its own

  /// Whether x, out, input, output and variance lie in a device's memory: then the network enqueues
  /// what it does on `stream` and returns. The levels and the labels are the host's; the labels are
  /// on the device too.
  bool on_device = false;
  void* stream = nullptr;              ///< a cudaStream_t
  int const* device_labels = nullptr;  ///< conditions x samples

  /// The levels that the steps go to, one per sample, for networks that take two times; null where
  /// no step is taken, as in a likelihood's traces and by adaptive steps.
  level const* targets = nullptr;

  std::size_t rows() const { return samples * branches; }
  template <class T> std::span<T const> input_of(std::size_t row) const {
    return {static_cast<T const*>(input) + row % input_rows * pitch, elements};
  }
  template <class T> std::span<T> output_of(std::size_t row) const {
    return {static_cast<T*>(output) + row * pitch, elements};
  }
  std::span<float const> x_of(std::size_t row) const {
    return {x + row % samples * pitch, elements};
  }
  std::span<float> out_of(std::size_t row) const { return {out + row * pitch, elements}; }
  level const& level_of(std::size_t row) const { return levels[row % samples]; }
  /// Only where `targets` are there.
  level const& target_of(std::size_t row) const { return targets[row % samples]; }
  std::span<float> variance_of(std::size_t row) const {
    return {variance + row % samples * pitch, elements};
  }
  bool has_condition(std::size_t row) const { return row < samples * conditions; }
  /// A row's numbers of the condition of that name; empty if there is none, or if the row is of a
  /// branch without condition.
  std::span<float const> array_of(std::size_t row, std::string_view name) const {
    for (named_array const& a : arrays)
      if (a.name == name && has_condition(row))
        return {a.data.data() + row % samples * a.elements, a.elements};
    return {};
  }
  int label_of(std::size_t row) const {
    return labels && has_condition(row) ? labels[row] : no_label;
  }
};

}  // namespace tweedie
