// The functor that runs a fused program: trivially copyable, a tile of 128 elements a call on a
// CPU (1024 without noise and masks), 16 bytes of the narrowest buffer on a GPU.
#pragma once

#include <cstddef>
#include <cstdint>

#include <tweedie/dsl/base/config.hpp>
#include <tweedie/dsl/kernel/compute.hpp>
#include <tweedie/dsl/kernel/noise.hpp>

namespace tweedie {

/// Elements a call of the functor works on.
inline constexpr std::uint64_t host_width =
    128;  // the noise of a tile stays in the first-level cache
inline constexpr std::uint64_t device_width = 4;  // 8 where a buffer is of 16 bits

namespace detail {

// 16 bytes in one access: nvcc keeps a float4 whole, a struct of ours it may take apart.
TWEEDIE_HD quad load4(float const* p) {
#if defined(__CUDA_ARCH__)
  float4 const q = *reinterpret_cast<float4 const*>(p);
  return {{q.x, q.y, q.z, q.w}};
#else
  return *reinterpret_cast<quad const*>(p);
#endif
}
TWEEDIE_HD void store4(float* p, quad const& q) {
#if defined(__CUDA_ARCH__)
  __stwb(reinterpret_cast<float4*>(p), make_float4(q.v[0], q.v[1], q.v[2], q.v[3]));
#else
  *reinterpret_cast<quad*>(p) = q;
#endif
}

// As many elements of a buffer of T's, a multiple of 16 bytes, and one.

template <class T, int Quads>
TWEEDIE_HD void load_quads(quad (&to)[Quads], float const* buffer, std::uint64_t at) {
  if constexpr (std::is_same_v<T, float>)
    for (int q = 0; q < Quads; ++q) to[q] = load4(buffer + at + 4 * q);
  else {
    static_assert(Quads == 2);
    T const* const from = reinterpret_cast<T const*>(buffer) + at;
#if defined(__CUDA_ARCH__)
    uint4 const words = *reinterpret_cast<uint4 const*>(from);
    unsigned const pairs[4] = {words.x, words.y, words.z, words.w};
    for (int i = 0; i < 8; ++i)
      to[i / 4].v[i % 4] = to_float(T{static_cast<std::uint16_t>(pairs[i / 2] >> 16 * (i % 2))});
#else
    for (int i = 0; i < 8; ++i) to[i / 4].v[i % 4] = to_float(from[i]);
#endif
  }
}
template <class T, int Quads>
TWEEDIE_HD void store_quads(float* buffer, std::uint64_t at, quad const (&values)[Quads]) {
  if constexpr (std::is_same_v<T, float>)
    for (int q = 0; q < Quads; ++q) store4(buffer + at + 4 * q, values[q]);
  else {
    static_assert(Quads == 2);
    T* const to = reinterpret_cast<T*>(buffer) + at;
#if defined(__CUDA_ARCH__)
    unsigned pairs[4];
    for (int i = 0; i < 4; ++i) {
      float const* const two = values[i / 2].v + i % 2 * 2;
      pairs[i] = from_float<T>(two[0]).bits | static_cast<unsigned>(from_float<T>(two[1]).bits)
                                                  << 16;
    }
    __stwb(reinterpret_cast<uint4*>(to),  // an assignment nvcc takes apart
           make_uint4(pairs[0], pairs[1], pairs[2], pairs[3]));
#else
    for (int i = 0; i < 8; ++i) to[i] = from_float<T>(values[i / 4].v[i % 4]);
#endif
  }
}
template <class T> float load_one(float const* buffer, std::uint64_t at) {
  return to_float(reinterpret_cast<T const*>(buffer)[at]);
}
template <class T> void store_one(float* buffer, std::uint64_t at, float a) {
  reinterpret_cast<T*>(buffer)[at] = from_float<T>(a);
}

}  // namespace detail

/// A picture that is read through a period: element i of row r is data[r * row_stride + i %
/// period].
struct broadcast_view {
  float const* data;
  std::uint64_t period;
  std::uint64_t row_stride;  ///< 0: one for all rows
};

namespace detail {

/// floor((2^64 - 1) / by), for quotient().
constexpr std::uint64_t reciprocal_of(std::uint64_t by) {
  return ~std::uint64_t{0} / (by > 0 ? by : 1);
}

/// n / by: a GPU has no instruction for it and calls a function of a hundred. Of the product's
/// upper half, n / by - n / 2^64 < n * reciprocal / 2^64 <= n / by, so that it is at most 1 too
/// small.
TWEEDIE_HD std::uint64_t quotient(std::uint64_t n, std::uint64_t by,
                                  [[maybe_unused]] std::uint64_t reciprocal) {
#if defined(__CUDA_ARCH__)
  std::uint64_t const q = __umul64hi(n, reciprocal);
  return n - q * by < by ? q : q + 1;
#else
  return n / by;
#endif
}

/// What few kernels have: masks, and numbers a row.
template <int Masks, int Scalars> struct kernel_extras {
  broadcast_view mask[Masks > 0 ? Masks : 1];
  std::uint64_t period_reciprocal[Masks > 0 ? Masks : 1];
  float const* scalar[Scalars > 0 ? Scalars : 1];  ///< of one number a row each
};
template <> struct kernel_extras<0, 0> {};

}  // namespace detail

/// Runs for chunks 0 .. rows * chunks_per_row - 1. A row is `pitch` floats, a multiple of 4, or of
/// 8 where a buffer is of 16 bits; its padding is computed along. The n-th row is which[n], or n
/// itself; its numbers are `c`, or the n-th line of `table` where samples differ.
template <class Program, std::uint64_t Width>
struct kernel : detail::kernel_extras<Program::masks, Program::scalars> {
  // Plain ints: nvcc warns of an unsigned index below a count of 0.
  static constexpr int reads = Program::reads, noises = Program::noises, writes = Program::writes;
  static constexpr int masks = Program::masks, scalars = Program::scalars;
  static constexpr int per_row = Program::per_row, streamed = Program::streamed;
  static constexpr int coefficients = Program::coefficients;
  static constexpr int loaded = streamed > 0 ? streamed : 1;  // no array is empty
  static constexpr int values = Program::values > 0 ? Program::values : 1;
  static constexpr int numbered = coefficients > 0 ? coefficients : 1;
  /// Elements of a chunk. Where nothing is made for it that has to stay in the cache, a tile is
  /// longer: its call costs as much as some of its elements.
  static constexpr std::uint64_t width = Width == device_width ? (Program::mixed ? 8 : Width)
                                         : masks + noises > 0  ? Width
                                                               : 8 * Width;
  static constexpr int quads = static_cast<int>(width / 4);

  float const* read[reads > 0 ? reads : 1];
  float* write[writes];
  float const* table;          ///< a line for each row, or null
  std::uint64_t table_pitch;   ///< floats from one line to the next
  std::uint32_t const* which;  ///< the rows, or null: all from the first on
  sample_key const* keys;      ///< one per row; null for a deterministic program
  std::uint64_t pitch;
  std::uint64_t chunks_per_row;
  std::uint64_t chunks_reciprocal;
  std::uint32_t step;  ///< added to that of each key, so that a device's keys need no writing
  bool one_row;
  float c[numbered];

  // Two functions: nvcc warns of one for hosts and devices that calls one for hosts alone.
  TWEEDIE_HD void operator()(std::uint64_t chunk) const requires(Width == device_width) {
    place_of_chunk const at = place_of(chunk);
    float numbers[numbered];
    numbers_of(at.n, numbers);
    quads_of(at.row, at.start, at.row * pitch + at.start, numbers);
  }
  void operator()(std::uint64_t chunk) const requires(Width != device_width) {
    place_of_chunk const at = place_of(chunk);
    float numbers[numbered];
    numbers_of(at.n, numbers);
    tile_of(at.row, 1, at.start, at.row * pitch + at.start, numbers);
  }

  /// Lays rows of `pitch` elements into chunks.
  void cut_rows() {
    chunks_per_row = (pitch + width - 1) / width;
    chunks_reciprocal = detail::reciprocal_of(chunks_per_row);
  }

  /// Whether short rows may share a tile, all with the same numbers.
  bool rows_share() const {
    return noises > 0 && masks + per_row == 0 && !table && !which && 2 * pitch <= Width;
  }
  /// `rows` rows from `row` on as one tile, on the host.
  void tile_of_rows(std::uint64_t row, std::uint64_t rows) const {
    tile_of(row, rows, 0, row * pitch, c);
  }

 private:
  struct place_of_chunk {
    std::uint64_t n, start, row;
  };
  TWEEDIE_HD place_of_chunk place_of(std::uint64_t chunk) const {
    std::uint64_t const n =
        one_row ? 0 : detail::quotient(chunk, chunks_per_row, chunks_reciprocal);
    return {n, (chunk - n * chunks_per_row) * width, which ? which[n] : n};
  }
  TWEEDIE_HD void numbers_of(std::uint64_t n, float* numbers) const {
    if (table)  // no pointer to c: an argument whose address is taken leaves a GPU's registers
      for (int i = 0; i < coefficients; ++i) numbers[i] = (table + n * table_pitch)[i];
    else
      for (int i = 0; i < coefficients; ++i) numbers[i] = c[i];
  }

  /// The values of a row that no element enters, at their slots.
  TWEEDIE_HD void row_values(std::uint64_t row, float const* numbers, float* v) const {
    if constexpr (per_row > 0) {
      for (int i = 0; i < scalars; ++i) v[streamed + i] = this->scalar[i][row];
      detail::compute_row<Program>(numbers, v);
    }
  }

  TWEEDIE_HD void quads_of(std::uint64_t row, std::uint64_t start, std::uint64_t offset,
                           float const* numbers) const {
    quad in[loaded][quads], result[writes][quads];
    load(in, offset, typename Program::read_list{});
    if constexpr (masks > 0)
      for (int i = 0; i < masks; ++i) {
        broadcast_view const& m = this->mask[i];
        std::uint64_t at =
            start - detail::quotient(start, m.period, this->period_reciprocal[i]) * m.period;
        for (int j = 0; j < 4 * quads; ++j) {
          in[reads + i][j / 4].v[j % 4] = m.data[row * m.row_stride + at];
          if (++at == m.period) at = 0;
        }
      }
    if constexpr (noises > 0)
      for (int q = 0; q < quads; ++q)
        draw(in + reads + masks, q, static_cast<std::uint32_t>(start / 4 + q),
             keys[row].later(step), typename Program::noise_list{});
    float v[values];
    row_values(row, numbers, v);
    for (int j = 0; j < 4 * quads; ++j) {
      float w[writes];
      for (int i = 0; i < streamed; ++i) v[i] = in[i][j / 4].v[j % 4];
      detail::compute_element<Program>(numbers, v, w);
      for (int i = 0; i < writes; ++i) result[i][j / 4].v[j % 4] = w[i];
    }
    store(result, offset, typename Program::write_list{});
  }

  template <class... R>
  TWEEDIE_HD void load([[maybe_unused]] quad (&in)[loaded][quads],
                       [[maybe_unused]] std::uint64_t offset, list<R...>) const {
    [[maybe_unused]] int i = 0;
    ((detail::load_quads<element_of<R>>(in[i], read[i], offset), ++i), ...);
  }
  template <class... W>
  TWEEDIE_HD void store(quad const (&result)[writes][quads], std::uint64_t offset,
                        list<W...>) const {
    int i = 0;
    ((detail::store_quads<element_of<typename W::target>>(write[i], offset, result[i]), ++i), ...);
  }
  template <class... R>
  void load_values(float* v, [[maybe_unused]] std::uint64_t at, list<R...>) const {
    int i = 0;
    ((v[i] = detail::load_one<element_of<R>>(read[i], at), ++i), ...);
  }
  template <class... W> void store_values(float const* w, std::uint64_t at, list<W...>) const {
    int i = 0;
    ((detail::store_one<element_of<typename W::target>>(write[i], at, w[i]), ++i), ...);
  }

  template <class... Z>
  static TWEEDIE_HD void draw(quad (*to)[quads], int q, std::uint32_t group, sample_key const& key,
                              list<Z...>) {
    (((*to++)[q] = normals4(group, key, Z::stream)), ...);
  }

  // Not inlined: the serial loop and each of Thrust's share one copy, which halves what a structure
  // costs the compiler.
  [[gnu::noinline]] void tile_of(std::uint64_t row, std::uint64_t rows, std::uint64_t start,
                                 std::uint64_t offset, float const* numbers) const {
    std::uint64_t const left = pitch * rows - start, n = left < width ? left : width;
    float const* in[reads > 0 ? reads : 1];
    float* result[writes];
    for (int i = 0; i < reads; ++i) in[i] = read[i] + offset;
    for (int i = 0; i < writes; ++i) result[i] = write[i] + offset;
    alignas(64) float made[masks + noises > 0 ? masks + noises : 1][Width];
    if constexpr (masks > 0)
      for (int i = 0; i < masks; ++i) unroll(made[i], this->mask[i], row, start, n);
    if constexpr (noises > 0) {
      // Memory brings the tile while its noise is computed.
      constexpr std::uint64_t line = 64 / sizeof(float);
      for (std::uint64_t j = 0; j < n; j += line) {
        for (int i = 0; i < reads; ++i) __builtin_prefetch(in[i] + j);
        for (int i = 0; i < writes; ++i) __builtin_prefetch(result[i] + j, 1);
      }
      if (rows > 1) fill_rows(made + masks, rows, keys + row, typename Program::noise_list{});
      else
        fill(made + masks, static_cast<std::uint32_t>(start / 4), n / 4, keys[row].later(step),
             typename Program::noise_list{});
    }
    float once[values];
    row_values(row, numbers, once);
    // A store may go where a load came from, at the same element only: the vectoriser is told so.
#if defined(__clang__)
#pragma clang loop vectorize(assume_safety)
#elif !defined(__CUDACC__)
#pragma GCC ivdep
#endif
    for (std::uint64_t j = 0; j < n; ++j) {
      float v[values], w[writes];
      if constexpr (Program::mixed) load_values(v, offset + j, typename Program::read_list{});
      else
        for (int i = 0; i < reads; ++i) v[i] = in[i][j];
      for (int i = 0; i < masks + noises; ++i) v[reads + i] = made[i][j];
      for (int i = 0; i < per_row; ++i) v[streamed + i] = once[streamed + i];
      detail::compute_element<Program>(numbers, v, w);
      if constexpr (Program::mixed) store_values(w, offset + j, typename Program::write_list{});
      else
        for (int i = 0; i < writes; ++i) result[i][j] = w[i];
    }
  }

  static void unroll(float* to, broadcast_view const& m, std::uint64_t row, std::uint64_t start,
                     std::uint64_t n) {
    float const* from = m.data + row * m.row_stride;
    std::uint64_t at = start % m.period;
    for (std::uint64_t j = 0; j < n; ++j) {
      to[j] = from[at];
      if (++at == m.period) at = 0;
    }
  }

  template <class... Z>
  static void fill(float (*to)[Width], std::uint32_t group, std::uint64_t groups,
                   sample_key const& key, list<Z...>) {
    (fill_normals(*to++, group, groups, key, Z::stream), ...);
  }
  template <class... Z>
  void fill_rows(float (*to)[Width], std::uint64_t rows, sample_key const* of, list<Z...>) const {
    (fill_normals_of_rows(*to++, rows, pitch / 4, of, Z::stream, step), ...);
  }
};

}  // namespace tweedie
