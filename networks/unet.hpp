// A class-conditional U-Net for pictures, behind plain pointers: evaluation, one training step, and
// its whole state.
//
// Ho et al. 2020 (DDPM, appendix B) with the options of Nichol & Dhariwal 2021: residual blocks of
// GroupNorm, SiLU and 3x3 convolutions, self-attention at the small resolutions, the embedding of
// time and class added or as scale and shift. It is narrower where the picture is large, and has
// one skip per block (Ronneberger et al. 2015), not one per layer: at 28x28 a processor spends its
// time there. Time embedding: half the channels sin, half cos, frequencies 10000^(-i/(half - 1)),
// of t * time_scale. The mathematics is LibTorch's, in unet_torch.cpp alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <tweedie/dsl/base/error.hpp>

namespace tweedie::networks {

struct unet_config {
  int channels = 1;  ///< of the picture and of the output
  int size = 28;     ///< height and width in pixels, halved once per further resolution
  int base = 16;     ///< channels are base * multiplier
  /// One per resolution, the largest picture first.
  std::vector<int> multipliers = {1, 3, 6};
  /// Residual blocks per resolution, on the way down and again on the way up.
  std::vector<int> blocks = {1, 1, 1};
  /// Sizes with self-attention: the smallest size's is in the middle, the others' on the way up. At
  /// 14x14 it costs a seventh of a training step.
  std::vector<int> attention = {14, 7};
  int classes = 10;         ///< 0: unconditional; the null class has index `classes` in the table
  bool scale_shift = true;  ///< the embedding scales and shifts the second norm; false: it is added
  float dropout = 0.1f;     ///< before the second convolution of a block, while training
  int groups = 8;           ///< of every GroupNorm; divides every base * multiplier
  double time_scale = 1;    ///< the network's time is t * time_scale, best within 0 .. 1000

  /// A network that trains in milliseconds, for tests: one resolution of 8x8, 8 channels, no
  /// attention.
  static unet_config tiny();
};

/// Adam (Kingma & Ba 2015) and what is done to the gradient before it.
struct adam {
  double rate = 2e-4;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double clip = 1;  ///< largest 2-norm of the whole gradient; 0: as it is
};

/// A named piece of the flat parameters, row-major.
struct unet_tensor {
  std::string name;
  std::vector<std::int64_t> shape;
  std::size_t offset = 0;  ///< in floats, from the start of `unet::parameters()`
  std::size_t count = 0;   ///< the product of the shape
};

/// A contiguous run of floats, as std::span, which C++17 lacks.
template <class T> struct run_of {
  T* pointer = nullptr;
  std::size_t length = 0;

  T* data() const { return pointer; }
  std::size_t size() const { return length; }
  T* begin() const { return pointer; }
  T* end() const { return pointer + length; }
  T& operator[](std::size_t i) const { return pointer[i]; }
};

struct unet_body;  // unet_body.hpp

class unet {
 public:
  /// A network with weights drawn from `seed`, the same on every machine; its output is 0 until it
  /// is trained. Throws tweedie::error where the configuration does not fit together, or where the
  /// library that holds LibTorch's part cannot be loaded. A network should end before LibTorch
  /// does: one in a static variable may outlive it.
  explicit unet(unet_config config, std::uint64_t seed = 0);
  unet(unet&&) noexcept;
  unet& operator=(unet&&) noexcept;
  ~unet();

  unet_config const& config() const;
  /// Floats of one picture: channels * size * size.
  std::size_t elements() const;

  /// Evaluates `rows` pictures, without dropout. x and out: rows of `elements()` floats (channel,
  /// y, x), `pitch` and `out_pitch` floats apart; times: one per row, in the schedule's unit;
  /// labels: one per row, -1 (or a null pointer for all) is the null class. Safe to call from
  /// several threads at once, but not beside `train_step`. Throws tweedie::error, before `out` is
  /// touched, on a label out of range, a pitch too small or a time that is not finite.
  void forward(float const* x, std::size_t pitch, double const* times, int const* labels,
               std::size_t rows, float* out, std::size_t out_pitch) const;

  /// Why `forward_on_device` cannot be called: the end of a sentence. Null where it can: this
  /// LibTorch was built with CUDA and finds a device.
  char const* why_not_on_devices() const;

  /// `forward` in the memory of a device, for all branches of a guidance: enqueued on `stream`, a
  /// cudaStream_t, and not waited for. x: `samples` rows, which the branches share; out: as many
  /// for each branch, one branch after the other; all `pitch` floats apart. times (one per sample)
  /// and labels (one per row of out, or null) are the host's, and read when the call returns.
  ///
  /// The first call copies the weights to the device; so does the first after `train_step`, or
  /// after a call of the `parameters()` that can be written through, and may wait for the
  /// evaluations before it. So there a value is seen that was written through a run of
  /// `parameters()`, if the run was asked for after the last call here. Threads as for `forward`.
  /// LibTorch keeps memory for each stream that it has seen: use few, and wait for one before it is
  /// destroyed. Throws tweedie::error as `forward` does, with the sentence above, and with
  /// LibTorch's where the device has no more memory or fails.
  void forward_on_device(float const* x, std::size_t pitch, double const* times, int const* labels,
                         std::size_t samples, std::size_t branches, float* out, void* stream) const;

  /// For each row the transposed Jacobian of what `forward` writes in x, times the row of `probe`:
  /// a likelihood's divergence. Rows, labels, threads and errors as for `forward`.
  void vjp(float const* x, std::size_t pitch, double const* times, int const* labels,
           std::size_t rows, float const* probe, std::size_t probe_pitch, float* result,
           std::size_t result_pitch) const;

  /// One step of Adam on the loss  mean over samples of weight_i * mean over elements of (out -
  /// target)^2;  returns the loss before the step. x and target: `samples` rows of `elements()`
  /// floats, contiguous; times, labels as for `forward`; weights: one per sample, or null for 1;
  /// errors, where given: each sample's mean of (out - target)^2, for objective::observe.
  /// `dropout_seed` alone decides the dropout, so the parameters, the two moments and the step
  /// count are the whole state: a resumed run has the same bits at equal thread count. Throws
  /// tweedie::error, and changes nothing, on a bad label or where the loss or its gradient is not
  /// finite.
  double train_step(float const* x, float const* target, double const* times, int const* labels,
                    float const* weights, std::size_t samples, std::uint64_t dropout_seed,
                    adam const& settings = {}, double* errors = nullptr);

  /// All weights, in the order of `tensors()`; a value written here is what the next call uses, on
  /// a device as `forward_on_device` says.
  run_of<float> parameters();
  run_of<float const> parameters() const;
  /// Adam's averages of the gradient and of its square, as long as `parameters()`.
  run_of<float> first_moment();
  run_of<float const> first_moment() const;
  run_of<float> second_moment();
  run_of<float const> second_moment() const;
  /// Steps that Adam has taken.
  std::int64_t steps() const;
  void set_steps(std::int64_t steps);
  /// Name, shape and place of every weight.
  std::vector<unet_tensor> const& tensors() const;

  /// Prepares the whole process for fast calls: `threads` for LibTorch and its BLAS inside one
  /// call, freed memory kept for the next step, denormals taken as 0 in the calling thread. Where
  /// other programs share the processor, more than one thread wants OMP_WAIT_POLICY=passive in the
  /// environment: threads that spin at a barrier made a step ten times slower. Throws
  /// tweedie::error where `threads` is below 1, or where LibTorch's part cannot be loaded.
  static void set_threads(int threads);

 private:
  friend unet_body;
  std::unique_ptr<unet_body> body_;
};

}  // namespace tweedie::networks
