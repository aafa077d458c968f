// The functor that runs a fused program: trivially copyable, a tile of 128 elements a call on a
// CPU, 16 bytes on a GPU.
#pragma once

#include <cstddef>
#include <cstdint>

#include <tweedie/dsl/config.hpp>
#include <tweedie/dsl/noise.hpp>
#include <tweedie/dsl/program.hpp>

namespace tweedie {

/// Elements a call of the functor works on.
inline constexpr std::uint64_t host_width =
    128;  // the noise of a tile stays in the first-level cache
inline constexpr std::uint64_t device_width = 4;

/// Runs for chunks 0 .. rows * chunks_per_row - 1. A row is `pitch` floats, a multiple of 4; its
/// padding is computed along. A row's numbers are `c`, or its line of `table` where samples differ.
template <class Program, std::uint64_t Width> struct kernel {
  static constexpr std::size_t at_least_one(std::size_t n) { return n ? n : 1; }

  float const* read[at_least_one(Program::reads)];
  float* write[Program::writes];
  float const* table;      ///< rows x coefficients, or null
  sample_key const* keys;  ///< one per row; null for a deterministic program
  std::uint64_t pitch;
  std::uint64_t chunks_per_row;
  bool one_row;
  float c[Program::coefficients];

  TWEEDIE_HD void operator()(std::uint64_t chunk) const {
    std::uint64_t const row = one_row ? 0 : chunk / chunks_per_row;
    std::uint64_t const start = (chunk - row * chunks_per_row) * Width;
    std::uint64_t const offset = row * pitch + start;
    float const* from = table ? table + row * Program::coefficients : c;
    float numbers[Program::coefficients];
    for (std::size_t i = 0; i < Program::coefficients; ++i) numbers[i] = from[i];
    if constexpr (Width == device_width) quad_of(row, start, offset, numbers);
    else tile_of(row, start, offset, numbers);
  }

 private:
  TWEEDIE_HD void quad_of(std::uint64_t row, std::uint64_t start, std::uint64_t offset,
                          float const* numbers) const {
    quad in[at_least_one(Program::reads + Program::noises)], result[Program::writes];
    for (std::size_t i = 0; i < Program::reads; ++i)
      in[i] = *reinterpret_cast<quad const*>(read[i] + offset);
    for (std::size_t i = 0; i < Program::noises; ++i)
      in[Program::reads + i] =
          normals4(static_cast<std::uint32_t>(start / 4), keys[row], Program::stream(i));
    for (int j = 0; j < 4; ++j) {
      float v[at_least_one(Program::values)], w[Program::writes];
      for (std::size_t i = 0; i < Program::reads + Program::noises; ++i) v[i] = in[i].v[j];
      Program::element(numbers, v, w);
      for (std::size_t i = 0; i < Program::writes; ++i) result[i].v[j] = w[i];
    }
    for (std::size_t i = 0; i < Program::writes; ++i)
      *reinterpret_cast<quad*>(write[i] + offset) = result[i];
  }

  void tile_of(std::uint64_t row, std::uint64_t start, std::uint64_t offset,
               float const* numbers) const {
    alignas(64) float noise[at_least_one(Program::noises)][Width];
    std::uint64_t const left = pitch - start, n = left < Width ? left : Width;
    float const* in[at_least_one(Program::reads)];
    float* result[Program::writes];
    for (std::size_t i = 0; i < Program::reads; ++i) in[i] = read[i] + offset;
    for (std::size_t i = 0; i < Program::writes; ++i) result[i] = write[i] + offset;
    if constexpr (!Program::deterministic) {
      // Memory brings the next tile while this one's noise is computed.
      constexpr std::uint64_t line = 64 / sizeof(float);
      for (std::uint64_t j = 0; j < n; j += line) {
        for (std::size_t i = 0; i < Program::reads; ++i) __builtin_prefetch(in[i] + j);
        for (std::size_t i = 0; i < Program::writes; ++i) __builtin_prefetch(result[i] + j, 1);
      }
    }
    for (std::size_t i = 0; i < Program::noises; ++i)
      fill_normals(noise[i], static_cast<std::uint32_t>(start / 4), n / 4, keys[row],
                   Program::stream(i));
      // A store may go where a load came from, at the same element only: tell the vectoriser so.
#if defined(__clang__)
#pragma clang loop vectorize(assume_safety)
#elif !defined(__CUDACC__)
#pragma GCC ivdep
#endif
    for (std::uint64_t j = 0; j < n; ++j) {
      float v[at_least_one(Program::values)], w[Program::writes];
      for (std::size_t i = 0; i < Program::reads; ++i) v[i] = in[i][j];
      for (std::size_t i = 0; i < Program::noises; ++i) v[Program::reads + i] = noise[i][j];
      Program::element(numbers, v, w);
      for (std::size_t i = 0; i < Program::writes; ++i) result[i][j] = w[i];
    }
  }
};

}  // namespace tweedie
