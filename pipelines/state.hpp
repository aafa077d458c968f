// A state is a value: the noisy samples, what a sampler remembers of them, and whose noise each
// sample draws.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <tweedie/dsl/batch.hpp>
#include <tweedie/dsl/buffer.hpp>
#include <tweedie/dsl/error.hpp>
#include <tweedie/dsl/noise.hpp>
#include <tweedie/dsl/symbols.hpp>

namespace tweedie {

/// A condition for each sample, or one for all.
using labels = std::vector<int>;
/// The condition of every sample: `pipeline.sample(request, label{3})`.
struct label {
  int value = no_label;
  operator labels() const { return {value}; }
};

/// What to sample: `shape` begins with the number of samples, {64, 1, 28, 28}.
struct request {
  std::vector<std::size_t> shape = {};  ///< start_from takes it from the images it is given
  int steps = 50;
  std::uint64_t seed = 0;
  std::uint64_t first_id = 0;  ///< sample i has the id first_id + i, below 2^48
  /// Called after every step with the steps done and the steps in all. What it throws ends the
  /// sampling.
  std::function<void(std::size_t, std::size_t)> progress = {};
};

/// Finished samples, row-major without padding.
struct images {
  std::vector<std::size_t> shape;
  std::vector<float> data;

  std::size_t count() const { return shape.empty() ? 0 : shape[0]; }
  std::span<float const> operator[](std::size_t i) const {
    std::size_t const n = data.size() / shape[0];
    return {data.data() + i * n, n};
  }
};

/// The state of a loop between two steps. Each sample has its own seed, id and step (in `keys`) and
/// its own label.
struct state {
  std::vector<std::size_t> shape;  ///< of one sample
  std::size_t samples = 0;
  std::size_t elements = 0;  ///< of one sample
  std::size_t pitch = 0;     ///< floats from one sample to the next
  buffer x;
  buffer out;  ///< the branches of the network, one after the other
  std::vector<buffer> keep, past_x0, past_eps;
  std::size_t evaluated = 0;  ///< evaluations so far: turns the rings past_x0 and past_eps
  std::vector<sample_key> keys;
  std::vector<int> labels;

  float* pointer(sym::x) { return x.data(); }
  template <int I> float* pointer(sym::out<I>) { return out.data() + I * samples * pitch; }
  template <int K> float* pointer(sym::keep<K>) { return keep[K].data(); }
  // A ring of k buffers holds the last k values; the current one overwrites the oldest, element by
  // element after it was read.
  template <int K> float* pointer(sym::past_x0<K>) {
    return past_x0[(evaluated + past_x0.size() - K) % past_x0.size()].data();
  }
  template <int K> float* pointer(sym::past_eps<K>) {
    return past_eps[(evaluated + past_eps.size() - K) % past_eps.size()].data();
  }
};

/// The samples of a state without their padding.
inline images take(state const& s) {
  images result{{s.samples}, std::vector<float>(s.samples * s.elements)};
  result.shape.insert(result.shape.end(), s.shape.begin(), s.shape.end());
  for (std::size_t i = 0; i < s.samples; ++i)
    std::copy_n(s.x.data() + i * s.pitch, s.elements, result.data.data() + i * s.elements);
  return result;
}

namespace detail {

/// Checks a request and lays out its samples; nothing is drawn.
inline state make_state(request const& r, labels const& conditions) {
  if (r.shape.size() < 2)
    throw error(fmt::format(
        "shape = {} was given, expected the number of samples and at least one more extent, "
        "such as {{64, 1, 28, 28}}",
        fmt::format("{{{}}}", fmt::join(r.shape, ", "))));
  for (std::size_t extent : r.shape)
    if (extent == 0)
      throw error(fmt::format("shape = {{{}}} was given, expected extents of 1 or more",
                              fmt::join(r.shape, ", ")));
  state s;
  s.samples = r.shape[0];
  s.shape.assign(r.shape.begin() + 1, r.shape.end());
  s.elements = 1;
  for (std::size_t extent : r.shape) {
    constexpr std::size_t most = std::size_t{1} << 40;  // floats of all samples: 4 TiB
    if (extent > most / s.elements)
      throw error(fmt::format("shape = {{{}}} was given, expected fewer than 2^40 values",
                              fmt::join(r.shape, ", ")));
    s.elements *= extent;
  }
  s.elements /= s.samples;
  s.pitch = pitch_of(s.elements);
  constexpr std::uint64_t ids = std::uint64_t{1} << 48;
  if (r.first_id > ids - s.samples)
    throw error(fmt::format("first_id = {} was given for {} samples, expected ids below 2^48",
                            r.first_id, s.samples));
  if (conditions.size() != 1 && conditions.size() != s.samples)
    throw error(fmt::format("{} labels were given for {} samples, expected one for each",
                            conditions.size(), s.samples));
  for (std::size_t i = 0; i < s.samples; ++i) {
    s.keys.push_back({.seed = r.seed, .id = r.first_id + i, .step = 0});
    s.labels.push_back(conditions[conditions.size() == 1 ? 0 : i]);
  }
  s.x = buffer(s.samples * s.pitch);
  return s;
}

}  // namespace detail

}  // namespace tweedie
