// The doors to a device, for what nvcc compiles: Thrust's CUDA system for a kernel without
// reductions, a block of 256 threads a sample for what follows one. Both enqueue on a stream and
// wait for nothing.
#pragma once

#if !defined(__CUDACC__)
#error "dsl/device/on_device.hpp is for nvcc: the kernel must be seen whole"
#endif

#include <cstddef>
#include <cstdint>
#include <tuple>
#include <utility>

#include <thrust/for_each.h>
#include <thrust/iterator/counting_iterator.h>
#include <thrust/system/cuda/execution_policy.h>
#include <thrust/system_error.h>

#include <tweedie/dsl/device/backends/cuda.hpp>
#include <tweedie/dsl/device/for_each_sample.hpp>

namespace tweedie {

/// Enqueues a kernel over `rows` rows of a device's.
template <class Program>
void execute(kernel<Program, device_width> const& k, std::uint64_t rows, void* stream) {
  try {
    thrust::for_each_n(thrust::cuda::par_nosync.on(static_cast<cudaStream_t>(stream)),
                       thrust::counting_iterator<std::uint64_t>(0), rows * k.chunks_per_row, k);
  } catch (thrust::system_error const& e) {
    detail::check_cuda(e.code().value(), "launching a kernel");
    throw;
  }
}

namespace detail {

// The reductions of a phase one after the other; std::tuple cannot be taken apart on a device.
template <class... One> struct reduction_pack {
  __device__ void run(std::uint64_t, std::uint64_t, std::uint64_t, std::uint64_t,
                      reductions::scratch*) const {}
};
template <class First, class... Rest> struct reduction_pack<First, Rest...> {
  placed_reduction<First> first;
  reduction_pack<Rest...> rest;

  __device__ void run(std::uint64_t n, std::uint64_t row, std::uint64_t pitch,
                      std::uint64_t elements, reductions::scratch* shared) const {
    float const* rows[placed_reduction<First>::arguments];
    for (std::size_t i = 0; i < placed_reduction<First>::arguments; ++i)
      rows[i] = first.read[i] + row * pitch;
    float const value =
        reductions::of_block<typename First::function>(first.numbers(n), rows, elements, shared);
    if (threadIdx.x == 0) first.value[row] = value;
    rest.run(n, row, pitch, elements, shared);
  }
};

/// The reductions that end a phase and the program of the next one, a block per sample.
template <class Program, class... One> struct block_phase {
  reduction_pack<One...> reductions;
  kernel<Program, device_width> program;
  std::uint64_t pitch, elements;

  __device__ void operator()(std::uint64_t n, reductions::scratch* shared) const {
    reductions.run(n, program.which ? program.which[n] : n, pitch, elements, shared);
    __syncthreads();  // the values, written by one thread, are read by all
    for (std::uint64_t i = threadIdx.x; i < program.chunks_per_row; i += blockDim.x)
      program(n * program.chunks_per_row + i);
  }
};

template <class Phase> __global__ void __launch_bounds__(256) reduce_and_go_on(Phase phase) {
  __shared__ reductions::scratch shared;
  phase(blockIdx.x, &shared);
}

template <class... One>
reduction_pack<One...> pack_of(std::tuple<placed_reduction<One>...> const& all) {
  if constexpr (sizeof...(One) == 0) return {};
  else return [&]<std::size_t... I>(std::index_sequence<I...>) {
      return reduction_pack<One...>{std::get<0>(all), pack_of(std::tuple{std::get<I + 1>(all)...})};
    }
  (std::make_index_sequence<sizeof...(One) - 1>{});
}

template <class Program, class... One>
void run_block_phase(kernel<Program, device_width> const& program,
                     std::tuple<placed_reduction<One>...> const& all, std::uint64_t pitch,
                     std::uint64_t elements, std::uint64_t rows, void* stream) {
  using phase = block_phase<Program, One...>;
  phase one{pack_of(all), program, pitch, elements};
  void* arguments[]{&one};
  check_cuda(cudaLaunchKernel(reduce_and_go_on<phase>, dim3(static_cast<unsigned>(rows)), dim3(256),
                              arguments, 0, static_cast<cudaStream_t>(stream)),
             "launching a reduction");
}

}  // namespace detail

namespace detail {

template <class... P, class... R>
void execute_after_first(phased_kernel<phased<list<P...>, list<R...>>, device_width> const& k,
                         std::uint64_t rows, void* stream) {
  [&]<std::size_t... I>(std::index_sequence<I...>) {
    (run_block_phase(std::get<I + 1>(k.programs), std::get<I>(k.reductions), k.pitch, k.elements,
                     rows, stream),
     ...);
  }
  (std::make_index_sequence<sizeof...(R)>{});
}

/// Threads for a row of `pitch` floats, or for `shared` values that they work out together: a short
/// row leaves room for others on its multiprocessor.
inline unsigned threads_of_row(std::uint64_t pitch, std::uint64_t shared) {
  std::uint64_t const wanted = pitch > shared ? pitch : shared;
  return wanted > 224 ? 256 : static_cast<unsigned>((wanted + 31) / 32 * 32);
}

/// What else a block does with its sample, and the program behind it.
template <class Before, class Program> struct preceded_program {
  Before before;
  kernel<Program, device_width> program;
};

template <class Before, class Program>
__global__ void __launch_bounds__(256)
    do_and_go_on(__grid_constant__ preceded_program<Before, Program> const one) {
  __shared__ float shared[Before::shared];
  one.before.of_block(blockIdx.x, shared);  // its threads meet at the end
  for (std::uint64_t i = threadIdx.x; i < one.program.chunks_per_row; i += blockDim.x)
    one.program(blockIdx.x * one.program.chunks_per_row + i);
}

}  // namespace detail

/// Enqueues all phases over `rows` rows of a device's: a kernel each.
template <class... P, class... R>
void execute_phases(phased_kernel<phased<list<P...>, list<R...>>, device_width> const& k,
                    std::uint64_t rows, void* stream) {
  execute(std::get<0>(k.programs), rows, stream);
  detail::execute_after_first(k, rows, stream);
}

/// Enqueues a kernel over `rows` rows of a device's, a block each, that begins with
/// before.of_block(row, shared floats).
template <class Before, class Program>
void execute_preceded(Before const& before, kernel<Program, device_width> const& k,
                      std::uint64_t rows, void* stream) {
  detail::preceded_program<Before, Program> one{before, k};
  void* arguments[]{&one};
  detail::check_cuda(
      cudaLaunchKernel(detail::do_and_go_on<Before, Program>, dim3(static_cast<unsigned>(rows)),
                       dim3(detail::threads_of_row(k.pitch, Before::shared)), arguments, 0,
                       static_cast<cudaStream_t>(stream)),
      "launching a network with its step");
}
/// The same before the first phase.
template <class Before, class... P, class... R>
void execute_preceded(Before const& before,
                      phased_kernel<phased<list<P...>, list<R...>>, device_width> const& k,
                      std::uint64_t rows, void* stream) {
  execute_preceded(before, std::get<0>(k.programs), rows, stream);
  detail::execute_after_first(k, rows, stream);
}

}  // namespace tweedie
