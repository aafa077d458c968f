// Reductions: one number per sample, with the same bits on every machine.
//
// `of<R>` runs a reduction of dsl/language/reductions.hpp as one task on the host, `of_block<R>`
// gives the same bits from one block of 256 threads. A row is n floats, 1 <= n < 2^32; padding
// behind it is never read.
//
// A sum runs over a fixed tree: element i goes to accumulator i mod 256, in the order of i, a
// product by an explicit fma; then the upper half of the accumulators is added to the lower one
// until one is left. A quantile is selected by integer operations, so that no order matters to it.
// Whatever NaN the arithmetic makes comes out as one quiet NaN, since machines differ in its bits.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <new>
#include <vector>

#include <tweedie/dsl/base/config.hpp>
#include <tweedie/dsl/base/math.hpp>
#include <tweedie/dsl/language/reductions.hpp>

namespace tweedie::reductions {

/// Accumulators of a sum, and threads of a block.
inline constexpr std::uint32_t lanes = 256;

/// What the threads of a block share. It is free again as soon as `of_block` returns.
struct scratch {
  std::uint32_t word[lanes];
  std::uint32_t digit, below, inside;  ///< a histogram's chosen bin, and how many lie where
};

namespace detail {

using math::detail::bits;
using math::detail::fma;
using math::detail::from_bits;

inline constexpr std::uint32_t infinity = 0x7f800000u, not_a_number = 0x7fc00000u;

/// The bits of |a|, which are ordered as |a| is, with NaN above infinity.
TWEEDIE_HD std::uint32_t magnitude(float a) { return bits(a) & 0x7fffffffu; }

#if defined(__CUDACC__)
/// `op` over a fixed tree of the block's words; every thread gets the root.
template <class Op>
__device__ __forceinline__ std::uint32_t tree(std::uint32_t mine, Op op, scratch* shared) {
  std::uint32_t const j = threadIdx.x;
  shared->word[j] = mine;
  for (std::uint32_t half = lanes / 2; half > 0; half /= 2) {
    __syncthreads();
    if (j < half) shared->word[j] = op(shared->word[j], shared->word[j + half]);
  }
  __syncthreads();
  std::uint32_t const root = shared->word[0];
  __syncthreads();
  return root;
}
#endif

/// The sum to which fold(sum, i) adds element i. `shared` is the block's scratch, null on the host.
template <class Fold>
TWEEDIE_HD float sum(std::uint64_t n, Fold fold, [[maybe_unused]] scratch* shared) {
#if defined(__CUDA_ARCH__)
  float mine = 0;
  for (std::uint64_t i = threadIdx.x; i < n; i += lanes) mine = fold(mine, i);
  auto const add = [](std::uint32_t a, std::uint32_t b) {
    return bits(from_bits(a) + from_bits(b));
  };
  return from_bits(tree(bits(mine), add, shared));
#else
  alignas(64) float lane[lanes] = {};
  std::uint64_t i = 0;
  for (; i + lanes <= n; i += lanes)
    for (std::uint32_t j = 0; j < lanes; ++j) lane[j] = fold(lane[j], i + j);
  for (std::uint32_t j = 0; i + j < n; ++j) lane[j] = fold(lane[j], i + j);
  for (std::uint32_t half = lanes / 2; half > 0; half /= 2)
    for (std::uint32_t j = 0; j < half; ++j) lane[j] += lane[j + half];
  return lane[0];
#endif
}

struct values {
  float const* a;
  TWEEDIE_HD float operator()(float sum, std::uint64_t i) const { return sum + a[i]; }
};
struct products {
  float const *a, *b;
  TWEEDIE_HD float operator()(float sum, std::uint64_t i) const { return fma(a[i], b[i], sum); }
};
struct squares {
  float const* a;
  float centre;
  TWEEDIE_HD float operator()(float sum, std::uint64_t i) const {
    float const d = a[i] - centre;
    return fma(d, d, sum);
  }
};

/// `op`, for which no order matters, over map(magnitude) of a row.
template <class Map, class Op>
TWEEDIE_HD std::uint32_t over(float const* row, std::uint64_t n, std::uint32_t start, Map map,
                              Op op, [[maybe_unused]] scratch* shared) {
  std::uint32_t all = start;
#if defined(__CUDA_ARCH__)
  for (std::uint64_t i = threadIdx.x; i < n; i += lanes) all = op(all, map(magnitude(row[i])));
  return tree(all, op, shared);
#else
  for (std::uint64_t i = 0; i < n; ++i) all = op(all, map(magnitude(row[i])));
  return all;
#endif
}

TWEEDIE_HD bool has_nan(float const* row, std::uint64_t n, scratch* shared) {
  auto const itself = [](std::uint32_t w) { return w; };
  auto const larger = [](std::uint32_t a, std::uint32_t b) { return a > b ? a : b; };
  return over(row, n, 0, itself, larger, shared) > infinity;
}

/// The magnitudes of rank k and k + 1 of the sorted row; the first one twice where k is the last.
struct neighbours {
  std::uint32_t lower, upper;
};

/// With the smallest magnitude above `limit` as the upper one, if there is any.
TWEEDIE_HD neighbours with_next(std::uint32_t lower, std::uint32_t limit, float const* row,
                                std::uint64_t n, scratch* shared) {
  constexpr std::uint32_t none = ~0u;
  auto const if_above = [limit](std::uint32_t w) { return w > limit ? w : none; };
  auto const smaller = [](std::uint32_t a, std::uint32_t b) { return a < b ? a : b; };
  std::uint32_t const next = over(row, n, none, if_above, smaller, shared);
  return {lower, next == none ? lower : next};
}

/// Of m magnitudes, which are reordered.
inline neighbours select_among(std::uint32_t* v, std::uint64_t m, std::uint64_t k) {
  std::nth_element(v, v + k, v + m);
  return {v[k], k + 1 < m ? *std::min_element(v + k + 1, v + m) : v[k]};
}

/// Writes the magnitudes from low to high to v and returns how many; v has room for one more.
inline std::uint64_t collect(float const* row, std::uint64_t n, std::uint32_t low,
                             std::uint32_t high, std::uint32_t* v) {
  std::uint64_t m = 0;
  for (std::uint64_t i = 0; i < n; ++i) {  // without a branch, which would often be mispredicted
    std::uint32_t const w = magnitude(row[i]);
    v[m] = w;
    m += w - low <= high - low;
  }
  return m;
}

/// Of the elements whose bits from shift + width on are those of `found`: adds to `found` the next
/// `width` bits of the one of rank k, makes k its rank among those that share these bits too, and
/// returns how many do.
template <int shift, int width>
std::uint64_t narrow(float const* row, std::uint64_t n, std::uint32_t& found, std::uint64_t& k) {
  constexpr std::uint32_t bins = 1u << width;
  constexpr std::uint64_t ways = 4;  // in one histogram a bin often waits for its last increment
  alignas(64) std::uint32_t count[ways][bins] = {};
  std::uint32_t const known = found;
  auto const count_one = [&](std::uint64_t way, float a) {
    std::uint32_t const digit = (magnitude(a) ^ known) >> shift;
    count[way][digit & (bins - 1)] += digit < bins;  // larger: it differs further up
  };
  std::uint64_t i = 0;
  for (; i + ways <= n; i += ways)
    for (std::uint64_t way = 0; way < ways; ++way) count_one(way, row[i + way]);
  for (; i < n; ++i) count_one(0, row[i]);
  std::uint32_t digit = 0;
  for (std::uint64_t way = 1; way < ways; ++way)
    for (std::uint32_t j = 0; j < bins; ++j) count[0][j] += count[way][j];
  for (; k >= count[0][digit]; ++digit) k -= count[0][digit];
  found |= digit << shift;
  return count[0][digit];
}

/// A radix select: histograms of 10, 10 and 11 bits, until few magnitudes are left.
inline neighbours select_by_radix(float const* row, std::uint64_t n, std::uint64_t k) {
  constexpr std::uint64_t few = 2048;
  std::uint32_t found = 0, unknown = 21;
  std::uint64_t left = narrow<21, 10>(row, n, found, k);
  if (left > few) left = narrow<11, 10>(row, n, found, k), unknown = 11;
  if (left > few) left = narrow<0, 11>(row, n, found, k), unknown = 0;
  std::uint32_t const last = found | ((1u << unknown) - 1);
  neighbours result{found, found};
  if (unknown > 0) {
    std::uint32_t v[few + 1] = {};
    result = select_among(v, collect(row, n, found, last, v), k);
  }
  return k + 1 < left ? result : with_next(result.lower, last, row, n, nullptr);
}

/// Room for m words, this thread's own and kept for its next sample; null if there is no memory.
inline std::uint32_t* room_for(std::uint64_t m) noexcept {
  thread_local std::vector<std::uint32_t> room;
  try {
    if (room.size() < m) room.resize(m);
    return room.data();
  } catch (std::bad_alloc const&) {
    return nullptr;
  }
}

/// For n >= 1024. Two elements of a sample of 1024 enclose the ranks almost surely; one pass over
/// the row counts what is below them and collects what lies between. False if they miss the ranks,
/// or enclose too much.
inline bool select_by_bracket(float const* row, std::uint64_t n, std::uint64_t k,
                              neighbours& found) {
  constexpr std::uint64_t size = 1024;
  std::uint32_t sample[size];
  std::uint64_t const stride = (n / size - 1) | 1;  // odd, or it keeps to few columns of a picture
  for (std::uint64_t i = 0; i < size; ++i) sample[i] = magnitude(row[i * stride]);

  double const p = static_cast<double>(k) / static_cast<double>(n - 1), rank = p * size;
  double const margin = 2 + 3 * std::sqrt(rank * (1 - p));  // three standard deviations
  std::uint32_t low = 0, high = 0x7fffffffu;
  std::uint32_t* from = sample;
  if (rank - margin >= 0) {
    from += static_cast<std::uint64_t>(rank - margin);
    std::nth_element(sample, from, sample + size);
    low = *from;
  }
  if (rank + margin < size) {
    std::uint32_t* const to = sample + static_cast<std::uint64_t>(rank + margin);
    std::nth_element(from, to, sample + size);
    high = *to;
  } else if (*std::max_element(from, sample + size) == low) {
    high = low;
  }

  std::uint64_t const most = n / 4;
  std::uint32_t* const v = room_for(most + lanes + 1);
  if (!v) return false;
  // So short that of a high quantile most blocks lie below and nothing of them is collected.
  constexpr std::uint64_t block = 16;
  std::uint64_t below = 0, inside = 0;
  auto const take = [&](std::uint64_t start, std::uint64_t count) {
    std::uint32_t less = 0;
    for (std::uint64_t i = start; i < start + count; ++i) less += magnitude(row[i]) < low;
    below += less;
    if (less == count) return;
    if (low < high) {
      inside += collect(row + start, count, low, high, v + inside);
    } else {  // many equal elements
      std::uint32_t same = 0;
      for (std::uint64_t i = start; i < start + count; ++i) same += magnitude(row[i]) == low;
      inside += same;
    }
  };
  std::uint64_t start = 0;
  for (; start + block <= n; start += block) {
    take(start, block);
    if (low < high && inside > most) return false;
  }
  take(start, n - start);
  if (k < below || std::min(k + 1, n - 1) >= below + inside) return false;
  if (low < high) found = select_among(v, inside, k - below);
  else found = {low, low};
  return true;
}

#if defined(__CUDACC__)
/// A radix select by four histograms of eight bits.
__device__ __forceinline__ neighbours select_by_block(float const* row, std::uint64_t n,
                                                      std::uint64_t k, scratch* shared) {
  std::uint32_t const j = threadIdx.x;
  auto rank = static_cast<std::uint32_t>(k);
  std::uint32_t found = 0, same = 0;
  for (int shift = 24; shift >= 0; shift -= 8) {
    shared->word[j] = 0;
    __syncthreads();
    for (std::uint64_t i = j; i < n; i += lanes) {
      std::uint32_t const w = magnitude(row[i]) << 1;  // the exponent alone is the first digit
      std::uint32_t const digit = (w ^ found) >> shift;
      if (digit < lanes) atomicAdd(&shared->word[digit], 1u);  // larger: it differs further up
    }
    __syncthreads();
    std::uint32_t const mine = shared->word[j];
    for (std::uint32_t apart = 1; apart < lanes; apart *= 2) {
      std::uint32_t const before = j >= apart ? shared->word[j - apart] : 0;
      __syncthreads();
      shared->word[j] += before;
      __syncthreads();
    }
    std::uint32_t const below = shared->word[j] - mine;
    if (rank >= below && rank - below < mine) {  // of one thread only
      shared->digit = j;
      shared->below = below;
      shared->inside = mine;
    }
    __syncthreads();
    found |= shared->digit << shift;
    rank -= shared->below;
    same = shared->inside;
  }
  __syncthreads();
  std::uint32_t const lower = found >> 1;
  if (rank + 1 < same) return {lower, lower};
  return with_next(lower, lower, row, n, shared);
}
#endif

TWEEDIE_HD neighbours select(float const* row, std::uint64_t n, std::uint64_t k,
                             [[maybe_unused]] scratch* shared) {
#if defined(__CUDA_ARCH__)
  return select_by_block(row, n, k, shared);
#else
  constexpr std::uint64_t few = 128, many = 8192;  // between them radix select is the fastest
  if (n <= few) {
    std::uint32_t v[few + 1] = {};
    return select_among(v, collect(row, n, 0, 0x7fffffffu, v), k);
  }
  neighbours found;
  return n >= many && select_by_bracket(row, n, k, found) ? found : select_by_radix(row, n, k);
#endif
}

/// Where in the sorted row a quantile lies: `fraction` of the way from one rank to the next.
struct position {
  std::uint64_t rank;
  float fraction;
};
TWEEDIE_HD position position_of(double p, std::uint64_t n) {
  // An fma, since a plain product might be contracted with the difference below.
  double const exact = fma(p, static_cast<double>(n - 1), 0.0);
  auto const rank = static_cast<std::uint64_t>(exact);
  return {rank, static_cast<float>(exact - static_cast<double>(rank))};
}

// The formulas: `given` are a reduction's parameters, `rows` its arguments.

TWEEDIE_HD float value(dot, float const*, float const* const* rows, std::uint64_t n,
                       scratch* shared) {
  return sum(n, products{rows[0], rows[1]}, shared);
}

TWEEDIE_HD float value(norm, float const*, float const* const* rows, std::uint64_t n,
                       scratch* shared) {
  return std::sqrt(sum(n, products{rows[0], rows[0]}, shared));
}

TWEEDIE_HD float value(mean, float const*, float const* const* rows, std::uint64_t n,
                       scratch* shared) {
  return sum(n, values{rows[0]}, shared) / static_cast<float>(n);
}

// The standard deviation, in two passes: in one, sum a_i^2 and n mean^2 could cancel. One element
// deviates by 0, where dividing by n - 1 would say NaN.
TWEEDIE_HD float value(deviation, float const*, float const* const* rows, std::uint64_t n,
                       scratch* shared) {
  float const centre = value(mean{}, nullptr, rows, n, shared);
  float const all = sum(n, squares{rows[0], centre}, shared);
  return std::sqrt(all / static_cast<float>(n > 1 ? n - 1 : 1));
}

// The p-quantile of |a_i|, 0 <= p <= 1: of the sorted row the value at position p (n - 1), linear
// between two ranks, as numpy's default and torch.quantile (Hyndman & Fan 1996, type 7). The
// parameters are float(p) and float(p - float(p)), which hold p to 2^-48. An infinity is a value
// like any other; a NaN in the row makes the result NaN.
TWEEDIE_HD float value(quantile_of_abs, float const* given, float const* const* rows,
                       std::uint64_t n, scratch* shared) {
  if (has_nan(rows[0], n, shared)) return from_bits(not_a_number);
  auto const [rank, fraction] = position_of(double{given[0]} + double{given[1]}, n);
  auto const [low, high] = select(rows[0], n, rank, shared);
  float const lower = from_bits(low), upper = from_bits(high);
  // Beside an infinity the line through both would be inf - inf or 0 inf.
  return low == high || fraction == 0 ? lower : fma(fraction, upper - lower, lower);
}

TWEEDIE_HD float one_nan(float a) { return magnitude(a) > infinity ? from_bits(not_a_number) : a; }

}  // namespace detail

/// One task on the host.
template <class Reduction> float of(float const* given, float const* const* rows, std::uint64_t n) {
  return detail::one_nan(detail::value(Reduction{}, given, rows, n, nullptr));
}
#if defined(__CUDACC__)
/// For all threads of a block of exactly 256, which all get the value.
template <class Reduction>
__device__ __forceinline__ float of_block(float const* given, float const* const* rows,
                                          std::uint64_t n, scratch* shared) {
  return detail::one_nan(detail::value(Reduction{}, given, rows, n, shared));
}
#endif

}  // namespace tweedie::reductions
