// A state is a value: the noisy samples, what a sampler remembers of them, and whose noise each
// sample draws.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <span>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <tweedie/dsl/batch.hpp>
#include <tweedie/dsl/buffer.hpp>
#include <tweedie/dsl/error.hpp>
#include <tweedie/dsl/kernel.hpp>
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

/// The conditions of a guidance: labels for each of its conditioned branches, in their order.
/// `conditions{labels{3}, labels{8}}` are two, a `label` or `labels` alone is one.
struct conditions {
  std::vector<labels> of;
  conditions(label one) : of{{one.value}} {}
  conditions(labels one) : of{std::move(one)} {}
  conditions(std::initializer_list<int> one) : of{labels(one)} {}
  conditions(std::initializer_list<labels> several) : of(several) {}
  /// All of them in one list.
  labels of_all() const {
    labels r;
    for (labels const& one : of) r.insert(r.end(), one.begin(), one.end());
    return r;
  }
};

/// What a noise source is asked: N(0, I) for each sample's row, `keys.size()` rows of `pitch`
/// floats of which `elements` count.
struct noise_request {
  std::span<sample_key const> keys;  ///< seed, id and evaluation of each sample
  std::uint32_t stream;              ///< k of noise_stream<k>; start_stream for the start
  std::size_t elements, pitch;
  float* to;
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

/// What to sample: `shape` begins with the number of samples, {64, 1, 28, 28}.
struct request {
  std::vector<std::size_t> shape = {};  ///< start_from takes it from the images it is given
  int steps = 50;
  std::uint64_t seed = 0;
  std::uint64_t first_id = 0;  ///< sample i has the id first_id + i, below 2^48
  /// Called after every step with the steps done and the steps in all. What it throws ends the
  /// sampling.
  std::function<void(std::size_t, std::size_t)> progress = {};
  images known = {};  ///< for a sampler that keeps what is known: clean samples of the same shape
  /// Where it is known: 1, else 0, of the shape of a sample, {1, 28, 28}, or with one channel for
  /// all, {28, 28} or {1, 28, 28}; with a first extent more, one for each sample.
  images mask = {};
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
  std::size_t branches = 1;
  std::vector<buffer> keep, past_x0, past_eps, memory, given_noise;
  buffer net_in;  ///< what the network sees, where that is not x itself
  buffer known, mask;
  std::size_t mask_period = 0, mask_stride = 0;
  std::vector<buffer> scratch;  ///< what reductions run over
  buffer reduced;               ///< and what they give, one number a sample each
  std::size_t evaluated = 0;    ///< evaluations so far: turns the rings past_x0 and past_eps
  std::vector<sample_key> keys;
  std::vector<int> labels;  ///< conditions x samples

  float* pointer(sym::x) { return x.data(); }
  template <int I> float* pointer(sym::out<I>) { return out.data() + I * samples * pitch; }
  /// What a guidance asks elsewhere lies behind the network's own branches; its first is `grad`.
  float* pointer(sym::grad) { return out.data() + branches * samples * pitch; }
  /// The last of the outputs.
  float* pointer(sym::out_variance) { return out.data() + out.size() - samples * pitch; }
  float* pointer(sym::known) { return known.data(); }
  broadcast_view view(sym::mask) const { return {mask.data(), mask_period, mask_stride}; }
  template <int K> float* pointer(sym::net_in<K>) { return net_in.data() + K * samples * pitch; }
  // A buffer of 16-bit elements: the K-th block of rows begins at half the bytes.
  template <class S, class T> float* pointer(as<S, T>) {
    constexpr bool input = is_family<sym::net_in<0>, S>;
    constexpr int k = S::rank - (input ? sym::net_in<0>::rank : sym::out<0>::rank);
    float* const first = input ? net_in.data() : out.data();
    return reinterpret_cast<float*>(reinterpret_cast<T*>(first) + k * samples * pitch);
  }
  template <int K> float* pointer(sym::memory<K>) { return memory[K].data(); }
  template <int K> float* pointer(sym::given_noise<K>) { return given_noise[K].data(); }
  template <int K> float* pointer(sym::scratch<K>) { return scratch[K].data(); }
  template <int K> float* pointer(sym::reduced<K>) { return reduced.data() + K * samples; }
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
inline state make_state(request const& r, conditions const& given, std::size_t expected = 1) {
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
  if (given.of.size() != expected)
    throw error(fmt::format("{} condition(s) were given, the guidance takes {}", given.of.size(),
                            expected));
  for (labels const& one : given.of) {
    if (one.size() != 1 && one.size() != s.samples)
      throw error(fmt::format("{} labels were given for {} samples, expected one for each",
                              one.size(), s.samples));
    for (std::size_t i = 0; i < s.samples; ++i) s.labels.push_back(one[one.size() == 1 ? 0 : i]);
  }
  for (std::size_t i = 0; i < s.samples; ++i)
    s.keys.push_back({.seed = r.seed, .id = r.first_id + i, .step = 0});
  s.x = buffer(s.samples * s.pitch);
  return s;
}

inline std::size_t product_of(std::vector<std::size_t> const& shape) {
  std::size_t r = 1;
  for (std::size_t extent : shape) r *= extent;
  return r;
}

/// Rows of `elements` floats at a pitch.
inline buffer padded(std::vector<float> const& data, std::size_t elements) {
  std::size_t const rows = data.size() / elements, pitch = pitch_of(elements);
  buffer r(rows * pitch);
  for (std::size_t i = 0; i < rows; ++i)
    std::copy_n(data.data() + i * elements, elements, r.data() + i * pitch);
  return r;
}

inline void check_finite(std::vector<float> const& data, char const* what) {
  auto const bad = std::ranges::find_if(data, [](float a) { return !std::isfinite(a); });
  if (bad != data.end())
    throw error(
        fmt::format("{}: value {} is {}, expected finite ones", what, bad - data.begin(), *bad));
}

inline void take_known(state& s, request const& r, bool used) {
  if (!used) {
    if (!r.known.shape.empty())
      throw error("known samples were given, the sampler does not keep what is known");
    return;
  }
  if (r.known.shape != r.shape || r.known.data.size() != product_of(r.shape))
    throw error(fmt::format(
        "known samples of shape {{{}}} with {} values were given, expected shape {{{}}}",
        fmt::join(r.known.shape, ", "), r.known.data.size(), fmt::join(r.shape, ", ")));
  check_finite(r.known.data, "known samples");
  s.known = padded(r.known.data, s.elements);
}

inline void take_mask(state& s, request const& r, bool used) {
  std::vector<std::size_t> shape = r.mask.shape;
  if (!used) {
    if (!shape.empty()) throw error("a mask was given, the sampler does not use one");
    return;
  }
  auto const one_channel = [&] {
    std::vector<std::size_t> one = s.shape;
    one[0] = 1;
    return one;
  }();
  std::vector<std::size_t> const pixels(s.shape.begin() + (s.shape.size() > 1), s.shape.end());
  auto const fits = [&](std::vector<std::size_t> const& of) {
    return of == s.shape || of == pixels || (s.shape.size() > 1 && of == one_channel);
  };
  std::vector<std::size_t> const inner(shape.empty() ? shape.begin() : shape.begin() + 1,
                                       shape.end());
  bool const for_all = fits(shape);
  bool const for_each = !for_all && !shape.empty() && shape[0] == s.samples && fits(inner);
  if ((!for_all && !for_each) || r.mask.data.size() != product_of(shape))
    throw error(fmt::format(
        "a mask of shape {{{}}} with {} values was given for samples of shape {{{}}}, expected "
        "that "
        "shape, or one with a single channel, and perhaps the number of samples before it",
        fmt::join(shape, ", "), r.mask.data.size(), fmt::join(s.shape, ", ")));
  for (float m : r.mask.data)
    if (!(m >= 0 && m <= 1))
      throw error(fmt::format("mask: a value of {} was given, expected 0 to 1", m));
  s.mask_period = product_of(for_all ? shape : inner);
  s.mask_stride = for_all ? 0 : pitch_of(s.mask_period);
  s.mask = padded(r.mask.data, s.mask_period);
}

/// Copies samples into the rows of a state. Throws tweedie::error where they have other shapes.
inline void put(state& s, images const& from) {
  std::vector<std::size_t> expected{s.samples};
  expected.insert(expected.end(), s.shape.begin(), s.shape.end());
  if (from.shape != expected || from.data.size() != s.samples * s.elements)
    throw error(fmt::format("samples of shape {{{}}} with {} values were given, expected {{{}}}",
                            fmt::join(from.shape, ", "), from.data.size(),
                            fmt::join(expected, ", ")));
  for (std::size_t i = 0; i < s.samples; ++i) std::ranges::copy(from[i], s.x.data() + i * s.pitch);
}

}  // namespace detail

}  // namespace tweedie
