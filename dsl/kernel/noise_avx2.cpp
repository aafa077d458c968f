// fill_normals on 8 lanes: AVX2 and FMA. The pragmas below take the place of a compiler flag.
#if defined(__x86_64__)
#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx2,fma")
#endif

#include "noise_fill.hpp"

namespace tweedie::detail {
namespace {  // so that no other file links a function of these instructions

struct eight_lanes {
  static constexpr std::uint32_t width = 8;
  using real = __m256;
  using integer = std::int32_t __attribute__((vector_size(32)));
  using word = std::uint32_t __attribute__((vector_size(32)));
  using wide = std::uint64_t __attribute__((vector_size(32)));
  using product = wide;

  static wide multiply(wide a, std::uint32_t b) {
    return (wide)_mm256_mul_epu32((__m256i)a, (__m256i)broadcast(b));
  }
  static wide lo(product p) { return p; }  // what is above is never read
  static wide hi(product p) { return p >> 32; }
  static wide broadcast(std::uint32_t w) { return (wide)_mm256_set1_epi64x(w); }
  static wide broadcast(wide w) { return w; }

  static real constant(float c) { return _mm256_set1_ps(c); }
  static real fma(real a, real b, real c) { return _mm256_fmadd_ps(a, b, c); }
  static real sqrt(real a) { return _mm256_sqrt_ps(a); }
  static real to_real(integer i) { return _mm256_cvtepi32_ps((__m256i)i); }
  static integer to_integer(word w) { return (integer)w; }
  static word to_word(integer i) { return (word)i; }
  static word bits(real a) { return (word)a; }
  static real from_bits(word w) { return (real)w; }

  // Lane l of the merged vector holds group 2 (l mod 4) + l / 4.
  static wide even_groups(std::uint32_t g) { return broadcast(g) + wide{0, 4, 1, 5}; }
  static wide odd_groups(std::uint32_t g) { return broadcast(g) + wide{2, 6, 3, 7}; }
  static wide even_of(std::uint32_t const* w) { return dealt(w, integer{0, 0, 4, 4, 1, 1, 5, 5}); }
  static wide odd_of(std::uint32_t const* w) { return dealt(w, integer{2, 2, 6, 6, 3, 3, 7, 7}); }
  static wide dealt(std::uint32_t const* w, integer to) {
    return (wide)_mm256_permutevar8x32_epi32(_mm256_load_si256((__m256i const*)w), (__m256i)to);
  }
  static word merge(wide even, wide odd) {
    return (word)_mm256_blend_epi32((__m256i)even, _mm256_slli_epi64((__m256i)odd, 32), 0xaa);
  }
  static void store_transposed(float* out, real a, real b, real c, real d) {
    auto const ab01 = (__m256d)_mm256_unpacklo_ps(a, b), ab23 = (__m256d)_mm256_unpackhi_ps(a, b);
    auto const cd01 = (__m256d)_mm256_unpacklo_ps(c, d), cd23 = (__m256d)_mm256_unpackhi_ps(c, d);
    _mm256_storeu_ps(out, (real)_mm256_unpacklo_pd(ab01, cd01));
    _mm256_storeu_ps(out + 8, (real)_mm256_unpackhi_pd(ab01, cd01));
    _mm256_storeu_ps(out + 16, (real)_mm256_unpacklo_pd(ab23, cd23));
    _mm256_storeu_ps(out + 24, (real)_mm256_unpackhi_pd(ab23, cd23));
  }
};

}  // namespace

void fill_normals_avx2(float* out, std::size_t groups, philox_counter first, philox_key key) {
  fill_normals_of<eight_lanes>(out, groups, first, key);
}
void fill_scattered_avx2(float* out, std::size_t groups, scattered_groups const& at) {
  fill_scattered_of<eight_lanes>(out, groups, at);
}

}  // namespace tweedie::detail

#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
