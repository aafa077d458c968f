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

namespace detail {

/// A reduction with its place: where its rows lie and where its value goes.
template <class Reduction> struct placed_reduction {
  static constexpr std::size_t arguments = Reduction::arguments::size;
  static constexpr std::size_t coefficients = Reduction::coefficients;
  float const* read[arguments];
  float* value;        ///< one a row
  float const* table;  ///< a line of numbers for each row, or null
  std::uint64_t line;
  float c[coefficients > 0 ? coefficients : 1];

  TWEEDIE_HD float const* numbers(std::uint64_t n) const { return table ? table + n * line : c; }
};

}  // namespace detail

#if defined(__CUDACC__)

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
    float const value = First::function::of_block(first.numbers(n), rows, elements, shared);
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

}  // namespace detail

#endif

template <class Phased> struct phased_kernel;

/// All phases of a sample, by one task.
template <class... P, class... R> struct phased_kernel<phased<list<P...>, list<R...>>> {
  template <class... One> static std::tuple<detail::placed_reduction<One>...> placed(list<One...>);

  std::tuple<kernel<P, width>...> programs;
  std::tuple<decltype(placed(R{}))...> reductions;
  std::uint64_t pitch, elements;

  void operator()(std::uint64_t n) const {
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      ((run_program(std::get<I>(programs), n), reduce(std::get<I>(reductions), n)), ...);
    }
    (std::make_index_sequence<sizeof...(R)>{});
    run_program(std::get<sizeof...(R)>(programs), n);
  }

  template <class Kernel> static void run_program(Kernel const& k, std::uint64_t n) {
    for (std::uint64_t i = 0; i < k.chunks_per_row; ++i) k(n * k.chunks_per_row + i);
  }
  template <class... One>
  void reduce(std::tuple<detail::placed_reduction<One>...> const& all, std::uint64_t n) const {
    auto const* which = std::get<0>(programs).which;
    std::uint64_t const row = which ? which[n] : n;
    std::apply([&](auto const&... one) { ((one.value[row] = value_of(one, n, row)), ...); }, all);
  }
  template <class One>
  float value_of(detail::placed_reduction<One> const& one, std::uint64_t n,
                 std::uint64_t row) const {
    float const* rows[detail::placed_reduction<One>::arguments];
    for (std::size_t i = 0; i < detail::placed_reduction<One>::arguments; ++i)
      rows[i] = one.read[i] + row * pitch;
    return One::function::of(one.numbers(n), rows, elements);
  }
};

#if defined(__CUDACC__)

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
  // Few samples on many cores: the elements of each phase are spread instead. To ask how many cores
  // there are is to read a file.
  static std::uint64_t const cores = std::thread::hardware_concurrency();
  if (rows < cores && rows * k.pitch >= detail::serially_below) {
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      ((execute(std::get<I>(k.programs), rows),
        [&] {
          for (std::uint64_t n = 0; n < rows; ++n) k.reduce(std::get<I>(k.reductions), n);
        }()),
       ...);
    }
    (std::make_index_sequence<sizeof...(R)>{});
    execute(std::get<sizeof...(R)>(k.programs), rows);
    return;
  }
  for_each_on_host(rows, rows * k.pitch, k);
}

#endif

}  // namespace tweedie
