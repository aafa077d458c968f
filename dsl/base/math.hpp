// exp, log, sin, cos and tanh with the same bits on every machine.
//
// A C library's functions differ between libraries and from a GPU's. These are made of IEEE
// additions, multiplications, explicit fmas and integer operations alone: straight-line code, no
// division, no table, and no product feeds a sum outside an fma, so that no compiler can contract
// one. Each reduces its argument exactly (Cody & Waite 1980), then evaluates a minimax polynomial
// in the reduced one.
//
//             largest error seen (units in the last place)    domain
//   exp       float 1.02   double 0.98                        all
//   log       float 0.89   double 0.76                        all
//   tanh      float 1.45                                      all
//   sin, cos  float 0.51   double 0.85                        |x| <= 2^40; NaN beyond, not a guess
//
// Infinities, NaN, signed zeros, subnormal results and overflow are as in C. The normal transform
// of noise.hpp has its own, shorter log, sin and cos for its own domain.
#pragma once

#include <cstdint>

#include "config.hpp"

namespace tweedie::math {

namespace detail {

TWEEDIE_HD float fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
TWEEDIE_HD double fma(double a, double b, double c) { return __builtin_fma(a, b, c); }
TWEEDIE_HD std::uint32_t bits(float a) { return __builtin_bit_cast(std::uint32_t, a); }
TWEEDIE_HD std::uint64_t bits(double a) { return __builtin_bit_cast(std::uint64_t, a); }
TWEEDIE_HD float from_bits(std::uint32_t w) { return __builtin_bit_cast(float, w); }
TWEEDIE_HD double from_bits(std::uint64_t w) { return __builtin_bit_cast(double, w); }

inline constexpr float infinity = __builtin_inff();
inline constexpr float not_a_number = __builtin_nanf("");

/// c0 + c1 x + c2 x^2 + ...
template <class Real> TWEEDIE_HD Real horner(Real, Real c0) { return c0; }
template <class Real, class... Rest>
TWEEDIE_HD Real horner(Real x, Real c0, Real c1, Rest... rest) {
  return fma(horner(x, c1, rest...), x, c0);
}

/// 2^n for n of a normal float or double.
TWEEDIE_HD float power_of_two(std::int32_t n) {
  return from_bits(static_cast<std::uint32_t>(n + 127) << 23);
}
TWEEDIE_HD double power_of_two(std::int64_t n) {
  return from_bits(static_cast<std::uint64_t>(n + 1023) << 52);
}

/// x - quadrant pi/2, in [-pi/4, pi/4], as a sum of two doubles. The first
/// subtraction is exact.
struct reduced_angle {
  double high, low;
  std::uint64_t quadrant;
};
TWEEDIE_HD reduced_angle reduce(double unbounded) {
  // NaN goes in where the answer would be a guess: choosing afterwards makes nvcc branch around the
  // work.
  double const x = unbounded >= -0x1p40 && unbounded <= 0x1p40 ? unbounded : double{not_a_number};
  double const shift =
      0x1.8p52;  // adding it rounds to an integer, which then stands in the low bits
  double const shifted = fma(x, 0x1.45f306dc9c883p-1, shift);
  double const k = shifted - shift;
  double const first = fma(-k, 0x1.921fb54442d18p+0, x);
  // Less k times the next 53 bits: product and difference both as a value and its error (Dekker
  // 1971; Knuth).
  double const next = 0x1.1a62633145c07p-54;
  double const product = fma(k, next, 0.0);  // an fma, since a plain product might be contracted
  double const product_error = fma(k, next, -product);
  double const high = first - product;
  double const taken = first - high;
  double const high_error = (first - (high + taken)) + (taken - product);
  return {high, fma(-k, -0x1.f1976b7ed8fbcp-110, high_error - product_error), bits(shifted)};
}

TWEEDIE_HD double sine_or_cosine(reduced_angle r, std::uint64_t quadrant) {
  double const z = r.high * r.high;
  double const s = horner(z, -0x1.5555555555548p-3, 0x1.111111110f741p-7, -0x1.a01a019be8a28p-13,
                          0x1.71de3552d68ffp-19, -0x1.ae5e486553144p-26, 0x1.5d8a1985840f6p-33);
  double const c = horner(z, 0x1.555555555554bp-5, -0x1.6c16c16c1502ap-10, 0x1.a01a019c8f1e2p-16,
                          -0x1.27e4f7eff347dp-22, 0x1.1ee9d9a1729fdp-29, -0x1.8fa4d9aac172fp-37);
  double const sine = r.high + fma(r.high * z, s, r.low);
  double const head = fma(-0.5, z, 1.0);
  double const lost = fma(-0.5, z, 1.0 - head);  // what rounding took from 1 - z/2
  double const cosine = head + fma(-r.high, r.low, fma(z * z, c, lost));
  return from_bits(bits(quadrant & 1 ? cosine : sine) ^ (quadrant & 2) << 62);
}

}  // namespace detail

/// x = n ln 2 + r, exp(x) = 2^n (1 + r + r^2 P(r)); 2^n in two factors, so that the last product
/// rounds a subnormal.
TWEEDIE_HD float exp(float x) {
  using namespace detail;
  float const clamped = x > 89.0f ? 89.0f : x < -104.0f ? -104.0f : x;
  float const shift = 0x1.8p23f;
  float const shifted = fma(clamped, 0x1.715476p+0f, shift);
  float const k = shifted - shift;
  float const r = fma(k, 0x1.05c610p-29f, fma(k, -0x1.62e430p-1f, clamped));
  float const p =
      horner(r, 0x1.fffffcp-2f, 0x1.555490p-3f, 0x1.5558f4p-5f, 0x1.123a6cp-7f, 0x1.6a23dcp-10f);
  float const y = 1.0f + fma(r * r, p, r);
  auto const n = static_cast<std::int32_t>(bits(shifted) - bits(shift));
  return y * power_of_two(n >> 1) * power_of_two(n - (n >> 1));
}

TWEEDIE_HD double exp(double x) {
  using namespace detail;
  double const clamped = x > 710.0 ? 710.0 : x < -746.0 ? -746.0 : x;
  double const shift = 0x1.8p52;
  double const shifted = fma(clamped, 0x1.71547652b82fep+0, shift);
  double const k = shifted - shift;
  double const r = fma(k, -0x1.abc9e3b39803fp-56, fma(k, -0x1.62e42fefa39efp-1, clamped));
  double const p = horner(r, 0x1.0p-1, 0x1.555555555555bp-3, 0x1.5555555555503p-5,
                          0x1.111111110ec14p-7, 0x1.6c16c16c30453p-10, 0x1.a01a01b39af29p-13,
                          0x1.a01a0136b811ep-16, 0x1.71ddefd852298p-19, 0x1.27e5b3afdc1eep-22,
                          0x1.af6c679a510a9p-26, 0x1.1e3e7e4511c8bp-29);
  double const y = 1.0 + fma(r * r, p, r);
  auto const n = static_cast<std::int64_t>(bits(shifted) - bits(shift));
  return y * power_of_two(n >> 1) * power_of_two(n - (n >> 1));
}

/// x = 2^e (1 + f), 1 + f in [sqrt(1/2), sqrt(2)); log(1 + f) = f + f^2 (-1/2 + f Q(f)).
TWEEDIE_HD float log(float x) {
  using namespace detail;
  bool const tiny = x < 0x1p-126f;
  std::uint32_t const w = bits(tiny ? x * 0x1p23f : x);
  auto const exponent = static_cast<std::int32_t>(w - 0x3f3504f3u) >> 23;
  float const e = static_cast<float>(exponent - (tiny ? 23 : 0));
  float const f = from_bits(w - (static_cast<std::uint32_t>(exponent) << 23)) - 1.0f;
  float const q = horner(f, -0.5f, 0x1.555554p-2f, -0x1.000228p-2f, 0x1.99a008p-3f, -0x1.547244p-3f,
                         0x1.22da18p-3f, -0x1.0d8544p-3f, 0x1.055b70p-3f, -0x1.38b568p-4f);
  float const tail = fma(f * f, q, e * -0x1.05c610p-29f);
  float const y = fma(e, 0x1.62e430p-1f, f + tail);
  return x > 0 ? (x < infinity ? y : x) : x == 0 ? -infinity : not_a_number;
}

/// The same reduction; with s = f / (2 + f), log(1 + f) = f - f^2/2 + s (f^2/2 + s^2 R(s^2)), as in
/// fdlibm.
TWEEDIE_HD double log(double x) {
  using namespace detail;
  bool const tiny = x < 0x1p-1022;
  std::uint64_t const w = bits(tiny ? x * 0x1p52 : x);
  auto const exponent = static_cast<std::int64_t>(w - 0x3fe6a09e667f3bcdu) >> 52;
  double const e = static_cast<double>(exponent - (tiny ? 52 : 0));
  double const f = from_bits(w - (static_cast<std::uint64_t>(exponent) << 52)) - 1.0;
  double const d = 2.0 + f;
  double reciprocal = fma(d, -0x1.f1p-3, 0x1.f7p-1);  // within 2 %; each Newton step squares that
  reciprocal = fma(reciprocal, fma(-d, reciprocal, 1.0), reciprocal);
  reciprocal = fma(reciprocal, fma(-d, reciprocal, 1.0), reciprocal);
  reciprocal = fma(reciprocal, fma(-d, reciprocal, 1.0), reciprocal);
  double const quotient = f * reciprocal;
  double const s = fma(fma(-d, quotient, f), reciprocal, quotient);
  double const z = s * s;
  double const p = horner(z, 0x1.5555555555593p-1, 0x1.999999997f8a7p-2, 0x1.249249423e5f0p-2,
                          0x1.c71c51c6603abp-3, 0x1.74664d7975cb7p-3, 0x1.39a02e9567858p-3,
                          0x1.2f15bf032dbc7p-3);
  double const half_f = 0.5 * f;
  double const tail = fma(s, fma(z, p, half_f * f), e * 0x1.abc9e3b39803fp-56);
  double const y = fma(e, 0x1.62e42fefa39efp-1, f - fma(half_f, f, -tail));
  double const inf = infinity;
  return x > 0 ? (x < inf ? y : x) : x == 0 ? -inf : static_cast<double>(not_a_number);
}

TWEEDIE_HD double sin(double x) {
  using namespace detail;
  auto const r = reduce(x);
  double const y = sine_or_cosine(r, r.quadrant);
  return from_bits(bits(y) | (x == 0 ? bits(x) : 0));  // the sign of a zero
}
TWEEDIE_HD double cos(double x) {
  auto const r = detail::reduce(x);
  return detail::sine_or_cosine(r, r.quadrant + 1);
}
TWEEDIE_HD float sin(float x) { return static_cast<float>(sin(static_cast<double>(x))); }
TWEEDIE_HD float cos(float x) { return static_cast<float>(cos(static_cast<double>(x))); }

/// An odd polynomial below 0.55; 1 - 2 / (exp(2 |x|) + 1) above, where it can't cancel.
TWEEDIE_HD float tanh(float x) {
  using namespace detail;
  std::uint32_t const sign = bits(x) & 0x80000000u;
  float const magnitude = from_bits(bits(x) ^ sign);
  float const a = magnitude > 9.1f ? 9.1f : magnitude;  // tanh rounds to 1 from 9.02 on
  float const z = a * a;
  float const p =
      horner(z, -0x1.55554ap-2f, 0x1.110d26p-3f, -0x1.b9287ep-5f, 0x1.593d1cp-6f, -0x1.9b30b6p-8f);
  float const small = fma(a * z, p, a);
  float const d = exp(2.0f * a) + 1.0f;
  float reciprocal =
      from_bits(0x7ef311c3u - bits(d));  // within 12 %; each Newton step squares that
  reciprocal = fma(reciprocal, fma(-d, reciprocal, 1.0f), reciprocal);
  reciprocal = fma(reciprocal, fma(-d, reciprocal, 1.0f), reciprocal);
  reciprocal = fma(reciprocal, fma(-d, reciprocal, 1.0f), reciprocal);
  float const large = fma(-2.0f, reciprocal, 1.0f);
  return from_bits(bits(a < 0.55f ? small : large) | sign);
}

}  // namespace tweedie::math
