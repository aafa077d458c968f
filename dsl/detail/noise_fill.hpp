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
inline void fill_block(float* out, std::uint32_t first_group, philox_counter const& counter,
                       philox_key key) {
  typename Lanes::wide even[4], odd[4];
  for (int i = 1; i < 4; ++i) even[i] = odd[i] = Lanes::broadcast(counter.word[i]);
  even[0] = Lanes::even_groups(first_group);
  odd[0] = Lanes::odd_groups(first_group);
  philox_rounds<Lanes>(even, key);
  philox_rounds<Lanes>(odd, key);
  auto const a = box_muller<Lanes>(Lanes::merge(even[0], odd[0]), Lanes::merge(even[1], odd[1]));
  auto const b = box_muller<Lanes>(Lanes::merge(even[2], odd[2]), Lanes::merge(even[3], odd[3]));
  Lanes::store_transposed(out, a.first, a.second, b.first, b.second);
}

template <class Lanes>
inline void fill_normals_of(float* out, std::uint32_t first_group, std::size_t groups,
                            sample_key const& key, std::uint32_t stream) {
  auto const counter = counter_of(0, key, stream);
  auto const cipher_key = key_of(key);
  while (groups > 0) {  // one call for whole and partial blocks: it is inlined, and its constants
                        // stay in registers
    float partial[4 * Lanes::width];
    bool const whole = groups >= Lanes::width;
    fill_block<Lanes>(whole ? out : partial, first_group, counter, cipher_key);
    if (!whole) {
      std::memcpy(out, partial, 4 * groups * sizeof(float));
      return;
    }
    out += 4 * Lanes::width;
    first_group += Lanes::width;
    groups -= Lanes::width;
  }
}

}  // namespace tweedie::detail
