// The second door to the hardware: a task per sample. It carries programs with reductions between
// them (dsl/lowering/program.hpp, `phased`).
//
// On a CPU one task runs all phases of a sample, so that what a reduction reads is still in the
// cache. On a GPU each phase is a kernel: the first an elementwise one, those after a reduction a
// block of 256 threads per sample, which reduces and goes on. The values are the same: sums run
// over 256 strided accumulators and a fixed tree, quantiles are selected, not summed.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <tuple>

#include <tweedie/dsl/base/apply.hpp>
#include <tweedie/dsl/device/execute.hpp>
#include <tweedie/dsl/kernel/reduce.hpp>

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

template <class Phased, std::uint64_t Width> struct phased_kernel;

/// All phases of a sample; on a host by one task.
template <class... P, class... R, std::uint64_t Width>
struct phased_kernel<phased<list<P...>, list<R...>>, Width> {
  template <class... One> static std::tuple<detail::placed_reduction<One>...> placed(list<One...>);

  std::tuple<kernel<P, Width>...> programs;
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
    detail::apply([&](auto const&... one) { ((one.value[row] = value_of(one, n, row)), ...); },
                  all);
  }
  template <class One>
  float value_of(detail::placed_reduction<One> const& one, std::uint64_t n,
                 std::uint64_t row) const {
    float const* rows[detail::placed_reduction<One>::arguments];
    for (std::size_t i = 0; i < detail::placed_reduction<One>::arguments; ++i)
      rows[i] = one.read[i] + row * pitch;
    return reductions::of<typename One::function>(one.numbers(n), rows, elements);
  }
};

namespace detail {

/// What decides whether a second thread is woken: a network uses each of its weights once a row.
template <class Before> std::uint64_t work_of(std::uint64_t rows, std::uint64_t pitch) {
  return rows * (pitch + sizeof(Before) / sizeof(float));
}

}  // namespace detail

/// Runs before(row, shared floats) and the program over `rows` rows of the host's, a task a row;
/// short rows share a tile as in execute().
template <class Before, class Program>
void execute_preceded(Before const& before, kernel<Program, host_width> const& k,
                      std::uint64_t rows) {
  if (rows * k.pitch == 0) return;
  std::uint64_t const together = k.rows_share() ? host_width / k.pitch : 1;
  for_each_on_host((rows + together - 1) / together, detail::work_of<Before>(rows, k.pitch),
                   [&](std::uint64_t i) {
                     float shared[Before::shared];
                     std::uint64_t const first = i * together,
                                         count = std::min(together, rows - first);
                     for (std::uint64_t n = first; n < first + count; ++n) before(n, shared);
                     if constexpr (Program::noises > 0)
                       if (together > 1) return k.tile_of_rows(first, count);
                     for (std::uint64_t j = 0; j < k.chunks_per_row; ++j)
                       k(first * k.chunks_per_row + j);
                   });
}
/// The same before all phases.
template <class Before, class... P, class... R>
void execute_preceded(Before const& before,
                      phased_kernel<phased<list<P...>, list<R...>>, host_width> const& k,
                      std::uint64_t rows) {
  for_each_on_host(rows, detail::work_of<Before>(rows, k.pitch), [&](std::uint64_t n) {
    float shared[Before::shared];
    before(n, shared);
    k(n);
  });
}

/// Runs all phases over `rows` rows of the host's.
template <class... P, class... R>
void execute_phases(phased_kernel<phased<list<P...>, list<R...>>, host_width> const& k,
                    std::uint64_t rows) {
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

}  // namespace tweedie
