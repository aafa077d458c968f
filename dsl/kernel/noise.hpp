// Noise as a function: element i of a sample has the same normal, to the bit, on every machine.
//
// Philox4x32-10 (Salmon, Moraes, Dror & Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3")
// turns a key and a counter into four random words; Box & Muller (1958) turn two words into two
// normals:
//
//   key      (seed low, seed high)
//   counter  (group of 4 elements, step, id low 32 bits, stream << 16 | id bits 32..47)
//   u        ((w0 >> 1) + 1/2) 2^-31          in (0, 1]
//   y        int32(w1) 2^-32                  in [-1/2, 1/2]
//   normals  sqrt(-2 ln u) (+-cos(pi y), sin(pi y)),  minus where the lowest bit of w0 is set
//
// The spare bit of w0 turns the half circle of y into the whole one, so neither function needs its
// range reduced. The largest normal is 6.66. All steps are IEEE additions, multiplications,
// explicit fmas, square roots and integer operations; no product feeds a sum outside an fma, so
// that no compiler can contract one. ln, sin and cos here are the ones for this domain; for any
// argument see math.hpp.
#pragma once

#include <cstddef>
#include <cstdint>

#include <tweedie/dsl/base/config.hpp>

namespace tweedie {

/// Which noise a sample gets: its own seed, its id (below 2^48) and the index of the evaluation.
struct sample_key {
  std::uint64_t seed = 0;
  std::uint64_t id = 0;
  std::uint32_t step = 0;

  /// The same sample's, `steps` later.
  TWEEDIE_HD sample_key later(std::uint32_t steps) const { return {seed, id, step + steps}; }
};

/// Streams are 16 bits: `noise_stream<k>` of a formula is stream k, those from
/// `first_reserved_stream` are the library's.
inline constexpr std::uint32_t first_reserved_stream = 0xff00;
inline constexpr std::uint32_t start_stream = 0xffff;    ///< x_T, the start of sampling
inline constexpr std::uint32_t noising_stream = 0xfffb;  ///< clean samples noised to a level
inline constexpr std::uint32_t training_time_stream =
    0xfffe;  ///< the level drawn for a training example
inline constexpr std::uint32_t training_noise_stream =
    0xfffd;  ///< the noise added to a training example

inline constexpr std::uint32_t probe_stream = 0xfffa;  ///< Hutchinson's probes of a Jacobian
inline constexpr std::uint32_t dequantization_stream = 0xfff9;  ///< pictures of 256 values spread

struct philox_counter {
  std::uint32_t word[4];
};
struct philox_key {
  std::uint32_t word[2];
};
struct alignas(16) quad {
  float v[4];
};

namespace detail {

/// One lane, the meaning of the code below. The CPU's vector lanes (noise_avx2.cpp,
/// noise_avx512.cpp) do the same operations on 8 and 16 of them. `wide` holds a word of the
/// cipher's state, and lo() and hi() are halves of a product.
struct one_lane {
  using real = float;
  using integer = std::int32_t;
  using word = std::uint32_t;
  using wide = std::uint32_t;
  struct product {
    std::uint32_t low, high;
  };

  static TWEEDIE_HD product multiply(wide a, std::uint32_t b) {
#if defined(__CUDA_ARCH__)
    return {a * b, __umulhi(a, b)};  // from a 64-bit product nvcc makes 64-bit exclusive ors
#else
    std::uint64_t const p = std::uint64_t{a} * b;
    return {static_cast<std::uint32_t>(p), static_cast<std::uint32_t>(p >> 32)};
#endif
  }
  static TWEEDIE_HD wide lo(product p) { return p.low; }
  static TWEEDIE_HD wide hi(product p) { return p.high; }
  static TWEEDIE_HD wide broadcast(std::uint32_t w) { return w; }

  static TWEEDIE_HD real constant(float c) { return c; }
  static TWEEDIE_HD real fma(real a, real b, real c) { return __builtin_fmaf(a, b, c); }
  static TWEEDIE_HD real sqrt(real a);
  static TWEEDIE_HD real to_real(integer i) { return static_cast<real>(i); }
  static TWEEDIE_HD integer to_integer(word w) { return static_cast<integer>(w); }
  static TWEEDIE_HD word to_word(integer i) { return static_cast<word>(i); }
  static TWEEDIE_HD word bits(real a) { return __builtin_bit_cast(word, a); }
  static TWEEDIE_HD real from_bits(word w) { return __builtin_bit_cast(real, w); }
};

/// c0 + c1 x + c2 x^2 + ...
template <class Lanes> TWEEDIE_HD typename Lanes::real horner(typename Lanes::real, float c0) {
  return Lanes::constant(c0);
}
template <class Lanes, class... Rest>
TWEEDIE_HD typename Lanes::real horner(typename Lanes::real x, float c0, float c1, Rest... rest) {
  return Lanes::fma(horner<Lanes>(x, c1, rest...), x, Lanes::constant(c0));
}

template <class Lanes, class Word>
TWEEDIE_HD void philox_round(typename Lanes::wide (&c)[4], Word k0, Word k1) {
  auto const p0 = Lanes::multiply(c[0], 0xd2511f53u);
  auto const p1 = Lanes::multiply(c[2], 0xcd9e8d57u);
  c[0] = Lanes::hi(p1) ^ (c[1] ^ Lanes::broadcast(k0));
  c[1] = Lanes::lo(p1);
  c[2] = Lanes::hi(p0) ^ (c[3] ^ Lanes::broadcast(k1));
  c[3] = Lanes::lo(p0);
}

/// Ten rounds; the key's words walk by the golden ratio and by sqrt(3) - 1. A Word is one key for
/// all lanes, or one for each.
template <class Lanes, class Word>
TWEEDIE_HD void philox_rounds(typename Lanes::wide (&c)[4], Word k0, Word k1) {
  constexpr std::uint32_t w0 = 0x9e3779b9u, w1 = 0xbb67ae85u;
  philox_round<Lanes>(c, k0, k1);
  philox_round<Lanes>(c, k0 + w0, k1 + w1);
  philox_round<Lanes>(c, k0 + 2 * w0, k1 + 2 * w1);
  philox_round<Lanes>(c, k0 + 3 * w0, k1 + 3 * w1);
  philox_round<Lanes>(c, k0 + 4 * w0, k1 + 4 * w1);
  philox_round<Lanes>(c, k0 + 5 * w0, k1 + 5 * w1);
  philox_round<Lanes>(c, k0 + 6 * w0, k1 + 6 * w1);
  philox_round<Lanes>(c, k0 + 7 * w0, k1 + 7 * w1);
  philox_round<Lanes>(c, k0 + 8 * w0, k1 + 8 * w1);
  philox_round<Lanes>(c, k0 + 9 * w0, k1 + 9 * w1);
}

/// -2 ln u for u in (0, 1], within 2.2e-7 (1 + |ln u|). u = 2^e (1 + f), 1 + f in [sqrt(1/2),
/// sqrt(2)); the tail (ln(1 + f) - f + f^2/2) / f^3 is a minimax polynomial of degree 6.
template <class Lanes> TWEEDIE_HD typename Lanes::real minus_two_log(typename Lanes::real u) {
  auto const offset = Lanes::to_integer(Lanes::bits(u) - 0x3f3504f3u) >> 23;
  auto const e = Lanes::to_real(offset);
  auto const f =
      Lanes::from_bits(Lanes::bits(u) - (Lanes::to_word(offset) << 23)) - Lanes::constant(1.0f);
  auto const p = horner<Lanes>(f, -2.0f, 1.0f, -0x1.555720p-1f, 0x1.00043ep-1f, -0x1.98c472p-2f,
                               0x1.53516cp-2f, -0x1.3204c4p-2f, 0x1.25bd32p-2f, -0x1.65181ap-3f);
  return Lanes::fma(p, f, e * Lanes::constant(-0x1.62e430p+0f));
}

/// sin(pi y) and cos(pi y) for y in [-1/2, 1/2], within 2e-7: minimax polynomials in y^2.
template <class Lanes> TWEEDIE_HD typename Lanes::real sin_pi(typename Lanes::real y) {
  return y * horner<Lanes>(y * y, 0x1.921fb4p+1f, -0x1.4abbb6p+2f, 0x1.46676ep+1f, -0x1.3232fap-1f,
                           0x1.3c4b32p-4f);
}
template <class Lanes> TWEEDIE_HD typename Lanes::real cos_pi(typename Lanes::real y) {
  return horner<Lanes>(y * y, 0x1.fffffep-1f, -0x1.3bd3a6p+2f, 0x1.03bd06p+2f, -0x1.54f61ap+0f,
                       0x1.c1f066p-3f);
}

template <class Lanes> struct normal_pair { typename Lanes::real first, second; };
template <class Lanes>
TWEEDIE_HD normal_pair<Lanes> box_muller(typename Lanes::word w0, typename Lanes::word w1) {
  auto const u = Lanes::fma(Lanes::to_real(Lanes::to_integer(w0 >> 1)), Lanes::constant(0x1p-31f),
                            Lanes::constant(0x1p-32f));
  auto const y = Lanes::to_real(Lanes::to_integer(w1)) * Lanes::constant(0x1p-32f);
  auto const radius = Lanes::sqrt(minus_two_log<Lanes>(u));
  auto const signed_radius = Lanes::from_bits(Lanes::bits(radius) ^ (w0 << 31));
  return {signed_radius * cos_pi<Lanes>(y), radius * sin_pi<Lanes>(y)};
}

TWEEDIE_HD philox_counter counter_of(std::uint32_t group, sample_key const& key,
                                     std::uint32_t stream) {
  return {{group, key.step, static_cast<std::uint32_t>(key.id),
           stream << 16 | static_cast<std::uint32_t>(key.id >> 32)}};
}
TWEEDIE_HD philox_key key_of(sample_key const& key) {
  return {{static_cast<std::uint32_t>(key.seed), static_cast<std::uint32_t>(key.seed >> 32)}};
}

}  // namespace detail

TWEEDIE_HD philox_counter philox4x32_10(philox_counter counter, philox_key key) {
  detail::philox_rounds<detail::one_lane>(counter.word, key.word[0], key.word[1]);
  return counter;
}

/// The square root of a normal float, or of a zero, in straight-line code, equal to IEEE's: an
/// integer guess of 1/sqrt(a), three Newton steps, one correction by the exact remainder. A GPU's
/// own `sqrt.rn` is a branch and a call. Scaling a by 4 scales every intermediate by a power of
/// two, so equality on [1, 4) is equality wherever nothing under- or overflows.
TWEEDIE_HD float sqrt_exact(float a) {
  using lane = detail::one_lane;
  float const minus_half = -0.5f * a;
  float y = lane::from_bits(0x5f3759dfu - (lane::bits(a) >> 1));
  y = y * lane::fma(minus_half * y, y, 1.5f);
  y = y * lane::fma(minus_half * y, y, 1.5f);
  y = y * lane::fma(minus_half * y, y, 1.5f);
  float const root = a * y;
  return lane::fma(lane::fma(-root, root, a), 0.5f * y, root);
}

TWEEDIE_HD float detail::one_lane::sqrt(float a) {
#if defined(__CUDA_ARCH__)
  return sqrt_exact(a);
#else
  return __builtin_sqrtf(a);
#endif
}

namespace detail {
TWEEDIE_HD quad normals_of(philox_counter random) {
  auto const a = box_muller<one_lane>(random.word[0], random.word[1]);
  auto const b = box_muller<one_lane>(random.word[2], random.word[3]);
  return {{a.first, a.second, b.first, b.second}};
}
}  // namespace detail

/// Four independent normals, elements 4 group .. 4 group + 3 of the sample's row, for one GPU
/// thread.
TWEEDIE_HD quad normals4(std::uint32_t group, sample_key const& key, std::uint32_t stream) {
  return detail::normals_of(
      philox4x32_10(detail::counter_of(group, key, stream), detail::key_of(key)));
}

/// The same bits for a CPU's tile: out[4 g + j] = normals4(first_group + g, key, stream).v[j] for g
/// < groups. Compiled once and dispatched to the widest vectors that this machine has.
void fill_normals(float* out, std::uint32_t first_group, std::size_t groups, sample_key const& key,
                  std::uint32_t stream);

/// The same for short rows one after the other, whose groups share the vectors: row r is `groups`
/// groups with the key keys[r].later(steps).
void fill_normals_of_rows(float* out, std::size_t rows, std::size_t groups, sample_key const* keys,
                          std::uint32_t stream, std::uint32_t steps = 0);

/// A uniform number in (0, 1), (k + 1/2) 2^-52 with k of 52 bits: for what the host draws once per
/// sample.
inline double uniform(sample_key const& key, std::uint32_t stream, std::uint32_t index = 0) {
  auto const w = philox4x32_10(detail::counter_of(index, key, stream), detail::key_of(key));
  auto const k = (std::uint64_t{w.word[0]} << 32 | w.word[1]) >> 12;
  return (static_cast<double>(k) + 0.5) * 0x1p-52;
}

namespace detail {

/// Writes the normals of `groups` counters from `first` on. That a source file of wider
/// instructions sees no sample_key keeps it from compiling the inline functions above, which the
/// linker shares.
using fill_function = void(float* out, std::size_t groups, philox_counter first, philox_key key);

/// Up to 32 groups, each with a counter and a key of its own, by the cipher's words.
struct scattered_groups {
  static constexpr std::size_t room = 32;
  alignas(64) std::uint32_t counter[4][room];
  alignas(64) std::uint32_t key[2][room];
};
/// Writes the normals of the first `groups` of them; the room behind is read.
using fill_scattered_function = void(float* out, std::size_t groups, scattered_groups const& at);

/// The builds behind fill_normals, for tests and measurements; call one only where it is available.
struct normals_build {
  char const* name;
  bool available;
  fill_function* fill;
  fill_scattered_function* fill_scattered;
};
inline constexpr int normals_build_count = 3;
/// Widest first: avx512, avx2, portable. The last is always available.
normals_build const (&normals_builds())[normals_build_count];

}  // namespace detail
}  // namespace tweedie
