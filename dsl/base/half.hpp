// The 16-bit floats that buffers may hold: bfloat16, and IEEE 754's binary16, float16.
//
//             sign  exponent  fraction   largest    smallest normal   smallest
//   bfloat16     1         8         7   3.4e38     1.2e-38           9.2e-41
//   float16      1         5        10   65504      6.1e-5            6.0e-8
//
// Arithmetic is float's, so these are only stored. Widening is exact; narrowing rounds to nearest,
// ties to even, and beyond the largest to infinity. A NaN stays one, made quiet, with the upper
// bits of its payload: F16C's bits. There is no branch and no table. All is done on integers but
// for one addition a conversion, of normal floats, so the bits are the same on every machine, also
// on one that flushes subnormal floats.
#pragma once

#include <concepts>
#include <cstdint>

#include "config.hpp"

namespace tweedie {

struct bfloat16 {
  std::uint16_t bits;
};
struct float16 {
  std::uint16_t bits;
};

/// What a buffer may hold.
template <class T>
concept stored = std::same_as<T, float> || std::same_as<T, bfloat16> || std::same_as<T, float16>;

TWEEDIE_HD float to_float(float a) { return a; }

TWEEDIE_HD float to_float(bfloat16 a) {
  std::uint32_t const w = std::uint32_t{a.bits} << 16;
  std::uint32_t const quiet = (w & 0x7fffffffu) > 0x7f800000u ? 0x400000u : 0;
  return __builtin_bit_cast(float, w | quiet);
}

TWEEDIE_HD float to_float(float16 a) {
  constexpr std::uint32_t bias = 127 - 15;
  std::uint32_t const sign = (a.bits & 0x8000u) << 16;
  std::uint32_t const w = (a.bits & 0x7fffu) << 13;
  std::uint32_t const normal = w + (bias << 23);
  // A subnormal is its fraction times 2^-24: the fraction behind the 1 of 2^-14, less 2^-14.
  float const shifted = __builtin_bit_cast(float, w + ((bias + 1) << 23));
  std::uint32_t const subnormal = __builtin_bit_cast(std::uint32_t, shifted - 0x1p-14f);
  std::uint32_t const special = w | 0x7f800000u | (w > 0x0f800000u ? 0x400000u : 0);
  std::uint32_t const finite = w < 0x00800000u ? subnormal : normal;
  return __builtin_bit_cast(float, sign | (w < 0x0f800000u ? finite : special));
}

template <stored T> TWEEDIE_HD T from_float(float a);

template <> TWEEDIE_HD float from_float<float>(float a) { return a; }

template <> TWEEDIE_HD bfloat16 from_float<bfloat16>(float a) {
  std::uint32_t const w = __builtin_bit_cast(std::uint32_t, a);
  std::uint32_t const rounded = (w + 0x7fffu + (w >> 16 & 1)) >> 16;
  std::uint32_t const nan = w >> 16 | 0x40u;
  return {static_cast<std::uint16_t>((w & 0x7fffffffu) > 0x7f800000u ? nan : rounded)};
}

template <> TWEEDIE_HD float16 from_float<float16>(float a) {
  constexpr std::uint32_t bias = 127 - 15, infinity = 0x7c00u;
  std::uint32_t const w = __builtin_bit_cast(std::uint32_t, a);
  std::uint32_t const sign = w >> 16 & 0x8000u;
  std::uint32_t const m = w & 0x7fffffffu;
  // Carries of the rounding reach the exponent; from 65536 on they could pass infinity.
  std::uint32_t const rounded = (m - (bias << 23) + 0xfffu + (m >> 13 & 1)) >> 13;
  std::uint32_t const normal = rounded < infinity ? rounded : infinity;
  // The last bit of 1/2 is worth 2^-24, as a subnormal's: adding rounds, and leaves the fraction.
  float const shifted = __builtin_bit_cast(float, m) + 0.5f;
  std::uint32_t const subnormal = __builtin_bit_cast(std::uint32_t, shifted) - 0x3f000000u;
  std::uint32_t const finite = m < 0x38800000u ? subnormal : normal;
  std::uint32_t const nan = infinity | 0x200u | (m >> 13 & 0x3ffu);
  return {static_cast<std::uint16_t>(sign | (m > 0x7f800000u ? nan : finite))};
}

}  // namespace tweedie
