// A network small enough to be a part of the step's kernel: an analytic mixture, an MLP of a few
// neurons. In a pipeline one kernel evaluates it and makes the step, on a device a block a sample,
// on a host a task a sample. That is for samples of few elements: a large one would be the work of
// one core.
//
//   struct halving {
//     TWEEDIE_HD void operator()(networks::inlined_row const& row) const {
//       for (auto i = row.thread; i < row.elements; i += row.threads) row.out[i] = row.x[i] / 2;
//     }
//   };
//   auto const p = schedules::linear{} | predicts::epsilon{} | samplers::ddim{} |
//                  networks::inlined{halving{}};
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include <tweedie/dsl/base/config.hpp>
#include <tweedie/dsl/base/error.hpp>
#include <tweedie/dsl/base/same.hpp>
#include <tweedie/dsl/device/execute.hpp>
#include <tweedie/dsl/device/for_each_sample.hpp>
#include <tweedie/dsl/language/batch.hpp>
#include <tweedie/dsl/language/composition.hpp>
#include <tweedie/dsl/language/hooks.hpp>
#include <tweedie/dsl/language/level.hpp>
#if defined(__CUDACC__)
#include <tweedie/dsl/device/on_device.hpp>
#endif

namespace tweedie::networks {

/// What an inlined network is asked: one row, by `threads` threads together, of which each does its
/// part. A device has 32 to 256 of them, a host has one.
struct inlined_row {
  float const* x;          ///< `elements` floats
  float* out;              ///< as many, to be written
  std::uint64_t elements;  ///< of one sample
  level where;             ///< the row's level
  int label;               ///< or no_label; a `check` is what keeps it in range
  /// `Function::shared` floats of the row's threads together, at first of any value; null without.
  float* shared;
  std::uint32_t thread, threads;

  /// A barrier: behind it each thread sees what the others wrote to `shared` and `out`. Every
  /// thread of the row has to reach it, so that it stands in no branch and no loop over `thread`.
  TWEEDIE_HD void wait() const {
#if defined(__CUDA_ARCH__)
    __syncthreads();
#endif
  }
};

namespace detail {

/// Floats that the threads of a row share.
template <class Function> inline constexpr std::size_t shared_of = 0;
template <class Function>
requires requires { Function::shared; }
inline constexpr std::size_t shared_of<Function> = Function::shared;

template <class Function>
inline constexpr bool asked_by_row = std::is_invocable_v<Function const&, inlined_row const&>;

/// An inlined network with the rows of a batch, as kernels take it.
template <class Function> struct inlined_rows {
  static constexpr std::size_t shared = shared_of<Function> > 0 ? shared_of<Function> : 1;
  Function function;
  float const* x;
  float* out;
  int const* labels;  ///< or null
  std::uint64_t elements, pitch;
  std::uint64_t samples, labelled;  ///< rows of x, rows that have labels
  std::uint32_t branches;

  TWEEDIE_HD inlined_row row_of(std::uint64_t n, std::uint32_t branch, level const& where,
                                float* of_row, std::uint32_t thread, std::uint32_t threads) const {
    std::uint64_t const row = branch * samples + n;
    return {x + n * pitch,
            out + row * pitch,
            elements,
            where,
            labels && row < labelled ? labels[row] : no_label,
            shared_of<Function> > 0 ? of_row : nullptr,
            thread,
            threads};
  }

  // Two functions: where one for both calls what is for hosts alone, nvcc only warns; where one for
  // devices does, it is an error.

  /// All branches of sample n, on the host.
  void operator()(std::uint64_t n, level const& where, float* of_row) const {
    if constexpr (asked_by_row<Function>)  // else the sentence below is the only error
      for (std::uint32_t k = 0; k < branches; ++k) function(row_of(n, k, where, of_row, 0, 1));
  }
#if defined(__CUDACC__)
  /// By a block, whose threads meet behind each branch.
  __device__ void of_block(std::uint64_t n, level const& where, float* of_row) const {
    for (std::uint32_t k = 0; k < branches; ++k) {
      if constexpr (asked_by_row<Function>)
        function(row_of(n, k, where, of_row, threadIdx.x, blockDim.x));
      __syncthreads();
    }
  }
#endif
};

/// All samples at one level.
template <class Function> struct inlined_at {
  static constexpr std::size_t shared = inlined_rows<Function>::shared;
  inlined_rows<Function> rows;
  level where;

  void operator()(std::uint64_t n, float* of_row) const { rows(n, where, of_row); }
#if defined(__CUDACC__)
  __device__ void of_block(std::uint64_t n, float* of_row) const {
    rows.of_block(n, where, of_row);
  }
#endif
};

/// Throws where a learned variance is asked for, which such a network does not give.
inline void refuse_variance(bool asked) {
  if (asked)
    throw error(
        "an inlined network was asked for a learned variance, expected a sampler that asks for one "
        "output: samplers::ancestral{} for samplers::ancestral_learned{}");
}

template <class Function> inlined_rows<Function> rows_of(Function const& function, batch const& b) {
  refuse_variance(b.variance != nullptr);
  return {.function = function,
          .x = b.x,
          .out = b.out,
          .labels = b.on_device ? b.device_labels : b.labels,
          .elements = b.elements,
          .pitch = b.pitch,
          .samples = b.samples,
          .labelled = b.samples * b.conditions,
          .branches = static_cast<std::uint32_t>(b.branches)};
}

#if defined(__CUDACC__)
template <class Rows>
__global__ void __launch_bounds__(256)
    network_alone(__grid_constant__ Rows const rows, level where, std::uint64_t first) {
  __shared__ float shared[Rows::shared];
  rows.of_block(first + blockIdx.x, where, shared);
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

/// `networks::inlined{function}`: function(inlined_row const&) writes one row's answer, in float32.
/// It is a trivially copyable value of at most 28 KB (weights are arrays in it), marked TWEEDIE_HD
/// where nvcc compiles it, and throws nothing, which would end a program with OpenMP: what it
/// refuses, it refuses in a `check(shape, labels, branches)`. With `static constexpr std::size_t
/// shared = n;` the threads of a row share n floats, at most 12288.
///
/// Where its plan is made at run time, inside another network (`unconditional{inlined{f}}`), in a
/// continuous batch and by adaptive steps it is called as any network is, on a device by a kernel
/// for each run of samples at one level, up to one a sample. `Door` is the compiler's
/// (dsl/device/execute.hpp), not the user's.
template <class Function, class Door = door> struct inlined {
  using kind = kinds::network;
  using prediction = typename tweedie::detail::prediction_of<Function>::type;
  static constexpr bool enqueues = std::is_same_v<Door, device_door>;
  static constexpr bool is_conditional = tweedie::detail::is_conditional<Function>();
  static_assert(std::is_trivially_copyable_v<Function>,
                "an inlined network goes into a kernel's arguments: its function must be trivially "
                "copyable, with arrays in it and no vector and no pointer of the host's");
  static_assert(detail::asked_by_row<Function>,
                "an inlined network is asked row by row: its function must have a const "
                "operator()(networks::inlined_row const& row)");
  static_assert(
      sizeof(Function) <= 28 * 1024 && detail::shared_of<Function> <= 12288,
      "an inlined network is small: at most 28 KB of weights, which go into a kernel's "
      "arguments, and at most 12288 shared floats, 48 KB; call a larger one instead, with "
      "a tweedie::batch const&");
  Function function;
  friend bool operator==(inlined const& a,
                         inlined const& b) requires(tweedie::detail::can_be_compared<Function>) {
    return tweedie::detail::same_value(a.function, b.function);
  }

  /// The function's own, where it has one.
  void check(std::span<std::size_t const> shape, std::span<int const> labels, int branches) const {
    if constexpr (requires { function.check(shape, labels, branches); })
      function.check(shape, labels, branches);
    else
      static_assert(
          tweedie::detail::hears_request<Function>(),
          "a network's check would never be called: it is void check(std::span<std::size_t "
          "const> shape, std::span<int const> labels, int branches) const");
  }

  /// A row has a label and no other condition.
  void check_arrays(std::span<named_array const> arrays) const {
    tweedie::detail::refuse_arrays("inlined", arrays);
  }

  void operator()(batch const& b) const {
    auto rows = detail::rows_of(function, b);
#if defined(__CUDACC__)
    if (b.on_device) {
      detail::each_level(b, [&](std::size_t first, std::size_t count) {
        level where = b.levels[first];
        std::uint64_t from = first;
        void* arguments[]{&rows, &where, &from};
        tweedie::detail::check_cuda(
            cudaLaunchKernel(detail::network_alone<decltype(rows)>,
                             dim3(static_cast<unsigned>(count)),
                             dim3(tweedie::detail::threads_of_row(b.pitch, rows.shared)), arguments,
                             0, static_cast<cudaStream_t>(b.stream)),
            "launching a network");
      });
      return;
    }
#endif
    auto const work = tweedie::detail::work_of<decltype(rows)>(b.rows(), b.pitch);
    for_each_on_host(b.samples, work, [&](std::uint64_t n) {
      float shared[decltype(rows)::shared];
      rows(n, b.levels[n], shared);
    });
  }
};
template <class Function> inlined(Function) -> inlined<Function>;

template <class Network> inline constexpr bool is_inlined = false;
template <class Function, class Door>
inline constexpr bool is_inlined<inlined<Function, Door>> = true;

}  // namespace tweedie::networks
