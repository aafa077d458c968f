// fill_normals on 16 lanes: AVX-512. The pragmas below take the place of a compiler flag.
#if defined(__x86_64__)
#if !defined(__clang__)  // g++ 12 warns of its own "undefined" operands (GCC bug 105593)
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512dq"))), apply_to = function)
#else
#pragma GCC target("avx512f,avx512dq")
#endif

#include "noise_fill.hpp"

namespace tweedie::detail {
namespace {  // so that no other file links a function of these instructions

struct sixteen_lanes {
  static constexpr std::uint32_t width = 16;
  using real = __m512;
  using integer = std::int32_t __attribute__((vector_size(64)));
  using word = std::uint32_t __attribute__((vector_size(64)));
  using wide = std::uint64_t __attribute__((vector_size(64)));
  using product = wide;

  static wide multiply(wide a, std::uint32_t b) {
    return (wide)_mm512_mul_epu32((__m512i)a, (__m512i)broadcast(b));
  }
  static wide lo(product p) { return p; }  // what is above is never read
  static wide hi(product p) { return p >> 32; }
  static wide broadcast(std::uint32_t w) { return (wide)_mm512_set1_epi64(w); }
  static wide broadcast(wide w) { return w; }

  static real constant(float c) { return _mm512_set1_ps(c); }
  static real fma(real a, real b, real c) { return _mm512_fmadd_ps(a, b, c); }
  static real sqrt(real a) { return _mm512_sqrt_ps(a); }
  static real to_real(integer i) { return _mm512_cvtepi32_ps((__m512i)i); }
  static integer to_integer(word w) { return (integer)w; }
  static word to_word(integer i) { return (word)i; }
  static word bits(real a) { return (word)a; }
  static real from_bits(word w) { return (real)w; }

  // Lane l of the merged vector holds group 4 (l mod 4) + l / 4.
  static wide even_groups(std::uint32_t g) { return broadcast(g) + wide{0, 8, 1, 9, 2, 10, 3, 11}; }
  static wide odd_groups(std::uint32_t g) {
    return broadcast(g) + wide{4, 12, 5, 13, 6, 14, 7, 15};
  }
  static wide even_of(std::uint32_t const* w) {
    return dealt(w, integer{0, 0, 8, 8, 1, 1, 9, 9, 2, 2, 10, 10, 3, 3, 11, 11});
  }
  static wide odd_of(std::uint32_t const* w) {
    return dealt(w, integer{4, 4, 12, 12, 5, 5, 13, 13, 6, 6, 14, 14, 7, 7, 15, 15});
  }
  static wide dealt(std::uint32_t const* w, integer to) {
    return (wide)_mm512_permutexvar_epi32((__m512i)to, _mm512_load_si512(w));
  }
  static word merge(wide even, wide odd) {
    return (word)_mm512_mask_shuffle_epi32((__m512i)even, 0xaaaa, (__m512i)odd, _MM_PERM_CCAA);
  }
  static void store_transposed(float* out, real a, real b, real c, real d) {
    auto const ab01 = (__m512d)_mm512_unpacklo_ps(a, b), ab23 = (__m512d)_mm512_unpackhi_ps(a, b);
    auto const cd01 = (__m512d)_mm512_unpacklo_ps(c, d), cd23 = (__m512d)_mm512_unpackhi_ps(c, d);
    _mm512_storeu_ps(out, (real)_mm512_unpacklo_pd(ab01, cd01));
    _mm512_storeu_ps(out + 16, (real)_mm512_unpackhi_pd(ab01, cd01));
    _mm512_storeu_ps(out + 32, (real)_mm512_unpacklo_pd(ab23, cd23));
    _mm512_storeu_ps(out + 48, (real)_mm512_unpackhi_pd(ab23, cd23));
  }
};

}  // namespace

void fill_normals_avx512(float* out, std::size_t groups, philox_counter first, philox_key key) {
  fill_normals_of<sixteen_lanes>(out, groups, first, key);
}
void fill_scattered_avx512(float* out, std::size_t groups, scattered_groups const& at) {
  fill_scattered_of<sixteen_lanes>(out, groups, at);
}

}  // namespace tweedie::detail

#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
