// The second door to the hardware: a task per sample. It carries programs with reductions between
// them (dsl/program.hpp, `phased`).
//
// On a CPU one task runs all phases of a sample, so that what a reduction reads is still in the
// cache. On a GPU each phase is a kernel: the first an elementwise one, those after a reduction a
// block of 256 threads per sample, which reduces and goes on. The values are the same: sums run over
// 256 strided accumulators and a fixed tree, quantiles are selected, not summed.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <tuple>

#include <tweedie/dsl/execute.hpp>
#include <tweedie/dsl/reduce.hpp>

namespace tweedie {

/// f(row) for each row on the host, in any order.
template <class F> void for_each_sample(std::uint64_t rows, std::uint64_t elements, F const& f) {
#if defined(THRUST_DEVICE_SYSTEM) && THRUST_DEVICE_SYSTEM == THRUST_DEVICE_SYSTEM_CUDA
  constexpr bool serial = true;
#else
  bool const serial = rows * elements < serial_below || rows == 1;
#endif
  if (serial) {
    for (std::uint64_t i = 0; i < rows; ++i) f(i);
    return;
  }
#if !defined(THRUST_DEVICE_SYSTEM) || THRUST_DEVICE_SYSTEM != THRUST_DEVICE_SYSTEM_CUDA
  thrust::for_each_n(thrust::device, thrust::counting_iterator<std::uint64_t>(0), rows, f);
#endif
}

namespace detail {

/// A reduction with its place: where its rows lie and where its value goes.
template <class Reduction> struct placed_reduction {
  static constexpr std::size_t arguments = Reduction::arguments::size;
  static constexpr std::size_t coefficients = Reduction::coefficients;
  float const* read[arguments];
  float* value;  ///< one a row
  float c[coefficients > 0 ? coefficients : 1];
};

}  // namespace detail

#if defined(__CUDACC__)

namespace detail {

// The reductions of a phase one after the other; std::tuple cannot be taken apart on a device.
template <class... One> struct reduction_pack {
  __device__ void run(std::uint64_t, std::uint64_t, std::uint64_t, reductions::scratch*) const {}
};
template <class First, class... Rest> struct reduction_pack<First, Rest...> {
  placed_reduction<First> first;
  reduction_pack<Rest...> rest;

  __device__ void run(std::uint64_t row, std::uint64_t pitch, std::uint64_t elements,
                      reductions::scratch* shared) const {
    float const* rows[placed_reduction<First>::arguments];
    for (std::size_t i = 0; i < placed_reduction<First>::arguments; ++i)
      rows[i] = first.read[i] + row * pitch;
    float const value = First::function::of_block(first.c, rows, elements, shared);
    if (threadIdx.x == 0) first.value[row] = value;
    rest.run(row, pitch, elements, shared);
  }
};

/// The reductions that end a phase and the program of the next one, a block per sample.
template <class Program, class... One> struct block_phase {
  reduction_pack<One...> reductions;
  kernel<Program, device_width> program;
  std::uint64_t pitch, elements;

  __device__ void operator()(std::uint64_t row, reductions::scratch* shared) const {
    reductions.run(row, pitch, elements, shared);
    __syncthreads();  // the values, written by one thread, are read by all
    for (std::uint64_t i = threadIdx.x; i < program.chunks_per_row; i += blockDim.x)
      program(row * program.chunks_per_row + i);
  }
};

template <class Phase> __global__ void __launch_bounds__(256) reduce_and_go_on(Phase phase) {
  __shared__ reductions::scratch shared;
  phase(blockIdx.x, &shared);
}

}  // namespace detail

#endif

template <class Phased> struct phased_kernel;

/// All phases of a sample, by one task.
template <class... P, class... R> struct phased_kernel<phased<list<P...>, list<R...>>> {
  template <class... One> static std::tuple<detail::placed_reduction<One>...> placed(list<One...>);

  std::tuple<kernel<P, width>...> programs;
  std::tuple<decltype(placed(R{}))...> reductions;
  std::uint64_t pitch, elements;

  void operator()(std::uint64_t row) const {
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      ((run_program(std::get<I>(programs), row), reduce(std::get<I>(reductions), row)), ...);
    }
    (std::make_index_sequence<sizeof...(R)>{});
    run_program(std::get<sizeof...(R)>(programs), row);
  }

  template <class Kernel> static void run_program(Kernel const& k, std::uint64_t row) {
    for (std::uint64_t i = 0; i < k.chunks_per_row; ++i) k(row * k.chunks_per_row + i);
  }
  template <class... One>
  void reduce(std::tuple<detail::placed_reduction<One>...> const& all, std::uint64_t row) const {
    std::apply([&](auto const&... one) { ((one.value[row] = value_of(one, row)), ...); }, all);
  }
  template <class One>
  float value_of(detail::placed_reduction<One> const& one, std::uint64_t row) const {
    float const* rows[detail::placed_reduction<One>::arguments];
    for (std::size_t i = 0; i < detail::placed_reduction<One>::arguments; ++i)
      rows[i] = one.read[i] + row * pitch;
    return One::function::of(one.c, rows, elements);
  }
};

#if defined(THRUST_DEVICE_SYSTEM) && THRUST_DEVICE_SYSTEM == THRUST_DEVICE_SYSTEM_CUDA

namespace detail {

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
                     std::uint64_t elements, std::uint64_t rows) {
  block_phase<Program, One...> const phase{pack_of(all), program, pitch, elements};
  reduce_and_go_on<<<static_cast<unsigned>(rows), 256>>>(phase);
}

}  // namespace detail

/// Runs all phases over `rows` rows: a kernel each.
template <class... P, class... R>
void execute_phases(phased_kernel<phased<list<P...>, list<R...>>> const& k, std::uint64_t rows) {
  execute(std::get<0>(k.programs), rows);
  [&]<std::size_t... I>(std::index_sequence<I...>) {
    (detail::run_block_phase(std::get<I + 1>(k.programs), std::get<I>(k.reductions), k.pitch,
                             k.elements, rows),
     ...);
  }
  (std::make_index_sequence<sizeof...(R)>{});
}

#else

/// Runs all phases over `rows` rows.
template <class... P, class... R>
void execute_phases(phased_kernel<phased<list<P...>, list<R...>>> const& k, std::uint64_t rows) {
  // Few samples on many cores: the elements of each phase are spread instead.
  if (rows < std::thread::hardware_concurrency() && rows * k.pitch >= serial_below) {
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      ((execute(std::get<I>(k.programs), rows),
        [&] {
          for (std::uint64_t row = 0; row < rows; ++row) k.reduce(std::get<I>(k.reductions), row);
        }()),
       ...);
    }
    (std::make_index_sequence<sizeof...(R)>{});
    execute(std::get<sizeof...(R)>(k.programs), rows);
    return;
  }
  for_each_sample(rows, k.pitch, k);
}

#endif

}  // namespace tweedie
