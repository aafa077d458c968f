// The 16-bit floats: every pattern, against definitions written in long double and against the
// processor's own conversions.
#define BOOST_TEST_DYN_LINK
#include <tweedie/dsl/base/half.hpp>

#include <bit>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdint>
#include <limits>
#include <tuple>

#if defined(__F16C__)
#include <immintrin.h>
#endif

using namespace tweedie;

namespace {

static_assert(sizeof(bfloat16) == 2 && sizeof(float16) == 2);
static_assert(stored<float> && stored<bfloat16> && stored<float16>);
static_assert(!stored<double> && !stored<std::uint16_t> && !stored<float const>);

using formats = std::tuple<bfloat16, float16>;
constexpr std::uint32_t patterns = 0x10000;
constexpr float infinity = std::numeric_limits<float>::infinity();

std::uint32_t bits(float a) { return std::bit_cast<std::uint32_t>(a); }
float from_bits(std::uint32_t w) { return std::bit_cast<float>(w); }

template <class T> T pattern(std::uint32_t w) { return {static_cast<std::uint16_t>(w)}; }

/// Bits of the fraction, and the exponent of the smallest normal.
template <class T> struct layout;
template <> struct layout<bfloat16> { static constexpr int fraction_bits = 7, lowest = -126; };
template <> struct layout<float16> { static constexpr int fraction_bits = 10, lowest = -14; };

/// What IEEE 754 says that a pattern means, by its three fields.
template <class T> float meaning(std::uint32_t w) {
  constexpr int f = layout<T>::fraction_bits, top = (1 << (15 - f)) - 1;
  int const exponent = static_cast<int>(w >> f) & top;
  auto const fraction = static_cast<float>(w & ((1u << f) - 1));
  float const value = exponent == top ? (fraction == 0 ? infinity : std::nanf(""))
                      : exponent == 0 ? std::ldexp(fraction, layout<T>::lowest - f)
                                      : std::ldexp(std::ldexp(1.0f, f) + fraction,
                                                   layout<T>::lowest - f + exponent - 1);
  return w & 0x8000u ? -value : value;
}

/// The pattern nearest to |a|, ties to an even one, by looking at both neighbours: patterns are
/// ordered as their values are, and the one after the largest stands for infinity.
template <class T> std::uint32_t nearest(float a) {
  auto const magnitude = static_cast<long double>(std::fabs(a));
  std::uint32_t const top = ((1u << (15 - layout<T>::fraction_bits)) - 1)
                            << layout<T>::fraction_bits;
  std::uint32_t const sign = std::signbit(a) ? 0x8000u : 0;
  if (std::isinf(a)) return sign | top;
  auto const value = [&](std::uint32_t w) {  // infinity rounds as the next power of two would
    return w == top
               ? 2 * static_cast<long double>(meaning<T>(top - (1u << layout<T>::fraction_bits)))
               : static_cast<long double>(meaning<T>(w));
  };
  std::uint32_t low = 0, high = top;
  if (magnitude >= value(top)) return sign | top;
  while (high - low > 1) {
    std::uint32_t const middle = (low + high) / 2;
    (value(middle) <= magnitude ? low : high) = middle;
  }
  long double const down = magnitude - value(low), up = value(high) - magnitude;
  return sign | (down < up || (down == up && low % 2 == 0) ? low : high);
}

/// How many floats of a stride through all of them, NaN apart, are not rounded to the nearest.
template <class T> std::uint32_t misrounded(std::uint32_t stride) {
  std::uint32_t wrong = 0;
  for (std::uint64_t w = 0; w < std::uint64_t{1} << 32; w += stride) {
    float const a = from_bits(static_cast<std::uint32_t>(w));
    if (!std::isnan(a)) wrong += from_float<T>(a).bits != nearest<T>(a);
  }
  return wrong;
}

/// The same beside every boundary: the values of all patterns and the middles between them, with
/// the floats before and after.
template <class T> std::uint32_t misrounded_at_boundaries() {
  std::uint32_t wrong = 0;
  for (std::uint32_t p = 0; p < patterns; ++p) {
    std::uint32_t const w = bits(meaning<T>(p));
    if (std::isnan(from_bits(w))) continue;
    std::uint32_t const half_way = 1u << (22 - layout<T>::fraction_bits);
    for (std::uint32_t const centre : {w, w + half_way})
      for (std::uint32_t const beside : {~0u, 0u, 1u}) {
        float const a = from_bits(centre + beside);
        if (!std::isnan(a)) wrong += from_float<T>(a).bits != nearest<T>(a);
      }
  }
  return wrong;
}

}  // namespace

BOOST_AUTO_TEST_CASE_TEMPLATE(every_pattern_means_what_ieee_says, T, formats) {
  std::uint32_t wrong = 0;
  for (std::uint32_t p = 0; p < patterns; ++p) {
    float const value = to_float(pattern<T>(p)), expected = meaning<T>(p);
    wrong += std::isnan(expected) ? !std::isnan(value) : bits(value) != bits(expected);
  }
  BOOST_TEST(wrong == 0u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(every_pattern_comes_back_a_nan_quiet, T, formats) {
  std::uint32_t wrong = 0;
  constexpr std::uint32_t quiet = 1u << (layout<T>::fraction_bits - 1);
  for (std::uint32_t p = 0; p < patterns; ++p) {
    std::uint32_t const expected = std::isnan(meaning<T>(p)) ? p | quiet : p;
    wrong += from_float<T>(to_float(pattern<T>(p))).bits != expected;
  }
  BOOST_TEST(wrong == 0u);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(floats_round_to_the_nearest_ties_to_even, T, formats) {
  BOOST_TEST(misrounded<T>(4099) == 0u);  // a prime: all low bits
  BOOST_TEST(misrounded_at_boundaries<T>() == 0u);
}

BOOST_AUTO_TEST_CASE(the_ends_of_both_ranges) {
  BOOST_TEST(from_float<float16>(65504.0f).bits == 0x7bff);
  BOOST_TEST(from_float<float16>(std::nextafter(65520.0f, 0.0f)).bits == 0x7bff);
  BOOST_TEST(from_float<float16>(65520.0f).bits == 0x7c00);
  BOOST_TEST(from_float<float16>(-1e38f).bits == 0xfc00);
  BOOST_TEST(from_float<float16>(0x1p-24f).bits == 0x0001);
  BOOST_TEST(from_float<float16>(0x1p-25f).bits == 0x0000);  // a tie
  BOOST_TEST(from_float<float16>(0x1.000002p-25f).bits == 0x0001);
  BOOST_TEST(from_float<float16>(-0.0f).bits == 0x8000);
  BOOST_TEST(from_float<bfloat16>(std::numeric_limits<float>::max()).bits == 0x7f80);
  BOOST_TEST(from_float<bfloat16>(0x1.fep127f).bits == 0x7f7f);
  BOOST_TEST(from_float<bfloat16>(std::numeric_limits<float>::denorm_min()).bits == 0x0000);
  BOOST_TEST(from_float<bfloat16>(-0.0f).bits == 0x8000);
  BOOST_TEST(from_float<bfloat16>(-infinity).bits == 0xff80);
}

// Payloads of a few low bits alone vanish: what is left must not be an infinity.
BOOST_AUTO_TEST_CASE_TEMPLATE(a_nan_stays_one_and_is_quiet, T, formats) {
  std::uint32_t wrong = 0;
  constexpr int f = layout<T>::fraction_bits;
  for (std::uint32_t payload = 1; payload < 1u << 23; payload += payload < 64 ? 1 : 997)
    for (std::uint32_t const sign : {0u, 0x80000000u}) {
      std::uint32_t const w = sign | 0x7f800000u | payload;
      std::uint32_t const expected =
          (w >> 31 << 15 | 0x7fffu >> f << f) | 1u << (f - 1) | payload >> (23 - f);
      wrong += from_float<T>(from_bits(w)).bits != expected;
      wrong += (bits(to_float(pattern<T>(expected))) & 0x400000u) == 0;
    }
  for (std::uint32_t p = 0; p < patterns; ++p)
    if (std::isnan(meaning<T>(p))) wrong += (bits(to_float(pattern<T>(p))) & 0x400000u) == 0;
  BOOST_TEST(wrong == 0u);
}

BOOST_AUTO_TEST_CASE(a_float_is_stored_as_it_is) {
  for (std::uint32_t const w : {0u, 0x80000000u, 1u, 0x3f800001u, 0x7f800000u}) {
    BOOST_TEST(bits(from_float<float>(from_bits(w))) == w);
    BOOST_TEST(bits(to_float(from_bits(w))) == w);
  }
}

#if defined(__F16C__)
namespace {
std::uint16_t f16c_of(float a) {
  auto const four = _mm_cvtps_ph(_mm_set_ss(a), _MM_FROUND_TO_NEAREST_INT);
  return static_cast<std::uint16_t>(_mm_cvtsi128_si32(four));
}
}  // namespace

BOOST_AUTO_TEST_CASE(half_has_the_bits_of_f16c) {
  std::uint32_t wrong = 0;
  for (std::uint32_t p = 0; p < patterns; ++p)
    wrong += bits(to_float(pattern<float16>(p))) != bits(_cvtsh_ss(static_cast<unsigned short>(p)));
  BOOST_TEST(wrong == 0u);
  for (std::uint64_t w = 0; w < std::uint64_t{1} << 32; w += 251) {
    float const a = from_bits(static_cast<std::uint32_t>(w));
    wrong += from_float<float16>(a).bits != f16c_of(a);
  }
  BOOST_TEST(wrong == 0u);
}
#endif
