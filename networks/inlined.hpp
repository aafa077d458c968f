// A network small enough to be a part of the step's kernel: an analytic mixture, an MLP of a few
// neurons. In a pipeline one kernel evaluates it and makes the step, on a device a block of 256
// threads a sample, on a host a task a sample.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include <tweedie/dsl/batch.hpp>
#include <tweedie/dsl/config.hpp>
#include <tweedie/dsl/error.hpp>
#include <tweedie/dsl/execute.hpp>
#include <tweedie/dsl/level.hpp>
#include <tweedie/dsl/stage.hpp>
#if defined(__CUDACC__)
#include <tweedie/dsl/backends/cuda.hpp>
#endif

namespace tweedie::networks {

/// What an inlined network is asked: one row, by `threads` threads together, of which each does its
/// part: `for (auto i = row.thread; i < row.elements; i += row.threads) row.out[i] = ...`. A host
/// has one thread.
struct inlined_row {
  float const* x;          ///< `elements` floats
  float* out;              ///< as many, to be written
  std::uint64_t elements;  ///< of one sample
  level where;             ///< the row's level
  int label;               ///< or no_label
  float* shared;           ///< `Function::shared` floats of the row's threads together
  std::uint32_t thread, threads;

  /// Until all threads have come here: each then sees what the others wrote to `shared` and `out`.
  /// All have to come.
  TWEEDIE_HD void wait() const {
#if defined(__CUDA_ARCH__)
    __syncthreads();
#endif
  }
};

namespace detail {

/// Floats that the threads of a row share.
template <class Function> constexpr std::size_t shared_of() {
  if constexpr (requires { Function::shared; }) return Function::shared;
  else return 0;
}

/// An inlined network with the rows of a batch, as kernels take it.
template <class Function> struct inlined_rows {
  static constexpr std::size_t shared = shared_of<Function>() > 0 ? shared_of<Function>() : 1;
  Function function;
  float const* x;
  float* out;
  int const* labels;  ///< or null
  std::uint64_t elements, pitch;
  std::uint64_t samples, labelled;  ///< rows of x, rows that have labels
  std::uint32_t branches;
  bool own_input;  ///< each branch reads rows of its own

  /// All branches of sample n; the threads meet at the end.
  TWEEDIE_HD void operator()(std::uint64_t n, level const& where, float* of_row,
                             std::uint32_t thread, std::uint32_t threads) const {
    for (std::uint32_t k = 0; k < branches; ++k) {
      std::uint64_t const row = k * samples + n;
      inlined_row const asked{x + (own_input ? row : n) * pitch,
                              out + row * pitch,
                              elements,
                              where,
                              labels && row < labelled ? labels[row] : no_label,
                              of_row,
                              thread,
                              threads};
      function(asked);
      asked.wait();
    }
  }
};

/// All samples at one level.
template <class Function> struct inlined_at {
  static constexpr std::size_t shared = inlined_rows<Function>::shared;
  inlined_rows<Function> rows;
  level where;

  TWEEDIE_HD void operator()(std::uint64_t n, float* of_row, std::uint32_t thread,
                             std::uint32_t threads) const {
    rows(n, where, of_row, thread, threads);
  }
};

/// Throws tweedie::error where the batch wants an answer that such a network does not give.
template <class Function> inlined_rows<Function> rows_of(Function const& function, batch const& b) {
  if (b.variance)
    throw error(
        "an inlined network was asked for a learned variance, expected a sampler that asks for one "
        "output: samplers::ancestral{} for samplers::ancestral_learned{}");
  return {.function = function,
          .x = b.x,
          .out = b.out,
          .labels = b.on_device ? b.device_labels : b.labels,
          .elements = b.elements,
          .pitch = b.pitch,
          .samples = b.samples,
          .labelled = b.samples * b.conditions,
          .branches = static_cast<std::uint32_t>(b.branches),
          .own_input = b.input_rows > b.samples};
}

#if defined(__CUDACC__)
template <class Rows>
__global__ void __launch_bounds__(256) network_alone(Rows rows, level where, std::uint64_t first) {
  __shared__ float shared[Rows::shared];
  rows(first + blockIdx.x, where, shared, threadIdx.x, blockDim.x);
}

/// f(first, count) for each run of samples at one level.
template <class F> void each_level(batch const& b, F f) {
  for (std::size_t first = 0, next; first < b.samples; first = next) {
    level const& at = b.levels[first];
    next = first + 1;
    auto const same = [&](level const& l) {
      return l.t == at.t && l.alpha == at.alpha && l.sigma == at.sigma;
    };
    while (next < b.samples && same(b.levels[next])) ++next;
    f(first, next - first);
  }
}
#endif

}  // namespace detail

/// `networks::inlined{function}`: function(inlined_row const&) writes one row's answer. It is a
/// trivially copyable value of its own (weights are arrays in it), marked TWEEDIE_HD where nvcc
/// compiles it, and may say `static constexpr std::size_t shared = n;` for floats that the threads
/// of a row share. Outside a plan's steps (a continuous batch, adaptive steps, a likelihood) it is a
/// network like any other, on a device a kernel for each run of samples at one level.
template <class Function, class Door = door> struct inlined {
  using kind = kinds::network;
  static constexpr bool enqueues = true;
  static_assert(std::is_trivially_copyable_v<Function>,
                "an inlined network goes into a kernel's arguments: its function must be trivially "
                "copyable, with arrays in it and no vector and no pointer of the host's");
  Function function;

  /// The function's own, where it has one.
  void check(std::span<std::size_t const> shape, std::span<int const> labels,
             int branches) const requires requires(Function const& f) {
    f.check(shape, labels, branches);
  }
  { function.check(shape, labels, branches); }

  void operator()(batch const& b) const {
    auto rows = detail::rows_of(function, b);
    if (b.on_device) {
#if defined(__CUDACC__)
      detail::each_level(b, [&](std::size_t first, std::size_t count) {
        level where = b.levels[first];
        std::uint64_t from = first;
        void* arguments[]{&rows, &where, &from};
        tweedie::detail::check_cuda(
            cudaLaunchKernel(detail::network_alone<decltype(rows)>,
                             dim3(static_cast<unsigned>(count)), dim3(256), arguments, 0,
                             static_cast<cudaStream_t>(b.stream)),
            "launching a network");
      });
      return;
#else
      throw error(
          "an inlined network that was compiled for the host alone was asked on a device, expected "
          "one that nvcc has compiled: write it in a .cu file");
#endif
    }
    for_each_on_host(b.samples, b.samples * b.pitch, [&](std::uint64_t n) {
      float shared[decltype(rows)::shared];
      rows(n, b.levels[n], shared, 0, 1);
    });
  }
};
template <class Function> inlined(Function) -> inlined<Function>;

template <class Network> inline constexpr bool is_inlined = false;
template <class Function, class Door>
inline constexpr bool is_inlined<inlined<Function, Door>> = true;

}  // namespace tweedie::networks
