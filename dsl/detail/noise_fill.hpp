// The loop of fill_normals over whole vectors, included by one source file per instruction set.
//
// A block is as many groups as a vector has 32-bit lanes. Philox runs on two vectors of 64-bit
// lanes, since the 32 x 32 -> 64 product reads the low half of each; they merge into one vector of
// words, and four vectors of normals are transposed within 128-bit quarters. The groups are dealt
// to the lanes so that this alone puts them in order.
#pragma once

#include <cstring>

#include "noise_builds.hpp"

namespace tweedie::detail {

template <class Lanes>
inline void fill_block(float* out, philox_counter const& first, philox_key key) {
  typename Lanes::wide even[4], odd[4];
  for (int i = 1; i < 4; ++i) even[i] = odd[i] = Lanes::broadcast(first.word[i]);
  even[0] = Lanes::even_groups(first.word[0]);
  odd[0] = Lanes::odd_groups(first.word[0]);
  philox_rounds<Lanes>(even, key);
  philox_rounds<Lanes>(odd, key);
  auto const a = box_muller<Lanes>(Lanes::merge(even[0], odd[0]), Lanes::merge(even[1], odd[1]));
  auto const b = box_muller<Lanes>(Lanes::merge(even[2], odd[2]), Lanes::merge(even[3], odd[3]));
  Lanes::store_transposed(out, a.first, a.second, b.first, b.second);
}

/// Whole and partial blocks share one call: it is inlined, and its constants stay in registers.
template <class Lanes>
inline void fill_normals_of(float* out, std::size_t groups, philox_counter first, philox_key key) {
  while (groups > 0) {
    float partial[4 * Lanes::width];
    bool const whole = groups >= Lanes::width;
    fill_block<Lanes>(whole ? out : partial, first, key);
    if (!whole) {
      std::memcpy(out, partial, 4 * groups * sizeof(float));
      return;
    }
    out += 4 * Lanes::width;
    first.word[0] += Lanes::width;
    groups -= Lanes::width;
  }
}

}  // namespace tweedie::detail
