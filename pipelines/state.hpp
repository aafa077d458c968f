// A state is a value: the noisy samples, what a sampler remembers of them, and whose noise each
// sample draws.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <tweedie/dsl/base/error.hpp>
#include <tweedie/dsl/device/buffer.hpp>
#include <tweedie/dsl/device/placement.hpp>
#include <tweedie/dsl/kernel/kernel.hpp>
#include <tweedie/dsl/kernel/noise.hpp>
#include <tweedie/dsl/language/batch.hpp>
#include <tweedie/dsl/language/symbols.hpp>
#include <tweedie/dsl/lowering/any_program.hpp>

namespace tweedie {

/// A condition for each sample, or one for all.
using labels = std::vector<int>;
/// The condition of every sample: `pipeline.sample(request, label{3})`.
struct label {
  int value = no_label;
  operator labels() const { return {value}; }
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

/// The conditions of a guidance: labels for each of its conditioned branches, in their order.
/// `conditions{labels{3}, labels{8}}` are two, a `label` or `labels` alone is one. Whatever else a
/// network takes are arrays by their names: `conditions{label{3}}.with("map", maps)`.
struct conditions {
  std::vector<labels> of;
  std::vector<std::pair<std::string, images>> arrays = {};
  conditions() : of{{no_label}} {}
  conditions(label one) : of{{one.value}} {}
  conditions(labels one) : of{std::move(one)} {}
  conditions(std::initializer_list<int> one) : of{labels(one)} {}
  conditions(std::initializer_list<labels> several) : of(several) {}
  /// And numbers that the network reads by that name: one row for each sample, or one for all.
  conditions with(std::string name, images values) const {
    conditions r = *this;
    r.arrays.emplace_back(std::move(name), std::move(values));
    return r;
  }
  /// All labels in one list.
  labels of_all() const {
    labels r;
    for (labels const& one : of) r.insert(r.end(), one.begin(), one.end());
    return r;
  }
};

/// What a noise source is asked: N(0, I) for each sample's row, `keys.size()` rows of `pitch`
/// floats of which `elements` count. Where `to` is a device's memory, the source enqueues on
/// `device_stream`.
struct noise_request {
  std::span<sample_key const> keys;  ///< seed, id and evaluation of each sample
  std::uint32_t stream;              ///< k of noise_stream<k>; start_stream for the start
  std::size_t elements, pitch;
  float* to;
  bool on_device = false;
  void* device_stream = nullptr;  ///< a cudaStream_t
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
  /// Where it is known: 1, else 0, of the shape of a sample, {3, 28, 28}, or with one channel for
  /// all, {28, 28} or {1, 28, 28}; one for each sample as {64, 3, 28, 28} or {64, 1, 28, 28}.
  images mask = {};
};

/// Where a kernel finds the keys of a state's samples, and what it adds to their steps.
struct placed_keys {
  sample_key const* first;
  std::uint32_t step;
};
struct rows;

/// The state of a loop between two steps. Each sample has its own seed, id and step (in `keys`) and
/// its own label. Its buffers lie on the host or on a device; all else is the host's.
struct state {
  std::uint64_t plan = 0;  ///< fingerprint of the plan that started it; 0: none
  placement where;
  std::vector<std::size_t> shape;  ///< of one sample
  std::size_t samples = 0;
  std::size_t elements = 0;  ///< of one sample
  std::size_t pitch = 0;     ///< floats from one sample to the next
  buffer x;
  buffer out;                             ///< the branches of the network, one after the other
  std::size_t branches = 1, outputs = 1;  ///< of the network; of all that fill `out`
  std::vector<buffer> keep, past_x0, past_eps, memory, given_noise;
  buffer net_in;  ///< what the network sees, where that is not x itself
  buffer known, mask;
  std::size_t mask_period = 0, mask_stride = 0;
  std::vector<buffer> scratch;  ///< what reductions run over
  buffer reduced;               ///< and what they give, one number a sample each
  buffer x0;                    ///< what a preview stores, for a while; no plan needs it
  std::size_t evaluated = 0;    ///< evaluations so far: turns the rings past_x0 and past_eps
  std::vector<sample_key> keys;
  std::vector<int> labels;          ///< conditions x samples
  std::vector<named_array> arrays;  ///< conditions besides

  float* pointer(sym::x) { return x.data(); }
  template <int I> float* pointer(sym::out<I>) { return out.data() + I * samples * pitch; }
  /// What a guidance asks elsewhere lies behind the network's own branches; its first is `grad`.
  float* pointer(sym::grad) { return out.data() + branches * samples * pitch; }
  /// The last of the outputs.
  float* pointer(sym::out_variance) { return out.data() + (outputs - 1) * samples * pitch; }
  float* pointer(sym::known) { return known.data(); }
  broadcast_view view(sym::mask) const { return {mask.data(), mask_period, mask_stride}; }
  template <int K> float* pointer(sym::net_in<K>) { return net_in.data() + K * samples * pitch; }
  // A buffer of 16-bit elements: the K-th block of rows begins at half the bytes.
  template <class S, class T> float* pointer(as<S, T>) {
    constexpr bool input = S::id.is == sym::word::net_in;
    constexpr int k = S::id.index;
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
  /// The same of a symbol that is known at run time.
  float* pointer_of(any_symbol s);

  /// The keys for a kernel. On a device: a copy of them there, written where it is not what `keys`
  /// are but for steps that all samples have gone.
  placed_keys keys_for_kernels();
  /// All rows, for a kernel.
  rows kernel_rows();
  /// What a noise source is asked to write into a buffer.
  noise_request ask_noise(std::uint32_t stream, buffer& to) const;
  /// After one evaluation: turns the rings, and the noise of the next is another, since its counter
  /// is the evaluation's index.
  void count_evaluation() {
    ++evaluated;
    for (sample_key& key : keys) ++key.step;
  }
  /// After what others were asked for: where the host shares a device's memory, nothing of it is
  /// left to do. Throws tweedie::error, naming `who`, where the device refused it.
  void settle(char const* who) const {
    if (!where.on_device()) return;
    if (where.for_hosts()) where.memory->wait();
    where.memory->check_done(who);
  }
  /// The labels in a device's memory; null on the host.
  int const* device_labels();
  /// Both, so that nothing is allocated later.
  void tell_device() {
    keys_for_kernels();
    device_labels();
  }

  /// f(buffer) for each of them.
  template <class F> void each_buffer(F f) {
    for (buffer* b : {&x, &out, &net_in, &known, &mask, &reduced, &x0}) f(*b);
    for (auto* all : {&keep, &past_x0, &past_eps, &memory, &given_noise, &scratch})
      for (buffer& b : *all) f(b);
  }
  /// What a device was told is written again.
  void forget_device() { told_ = {}; }

 private:
  /// What a device was told of the samples.
  struct told {
    buffer keys, labels;
    std::vector<sample_key> of_keys;
    std::vector<int> of_labels;
  };
  told told_;
};

/// The samples of a state without their padding. Waits for a device.
images take(state const& s);
/// The same state elsewhere: `moved(s, {})` lies on the host.
state moved(state s, placement const& where);

namespace detail {

/// Checks a request and its conditions, and lays out the samples: no buffers yet
/// (pipelines/state_layout.hpp makes those).
state make_samples(request const& r, conditions const& given, std::size_t expected);

std::size_t product_of(std::vector<std::size_t> const& shape);

/// Rows of `elements` floats at a pitch.
buffer padded(std::vector<float> const& data, std::size_t elements);

/// Throws a sentence where data are still seen at a level that x = noise is taken for: `what` was
/// asked for there.
void check_pure_noise(level l, char const* what);
void take_known(state& s, request const& r, bool used);
void take_mask(state& s, request const& r, bool used);

/// Throws tweedie::error where samples have another shape than a state's.
void check_shape(state const& s, images const& given);
/// Copies samples into the rows of a state.
void put(state& s, images const& from);

}  // namespace detail

}  // namespace tweedie
