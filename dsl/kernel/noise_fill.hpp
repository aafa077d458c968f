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

/// A block of normals from both halves of its counters. A Word is the key's, or each group's own.
template <class Lanes, class Word>
inline void finish_block(float* out, typename Lanes::wide (&even)[4],
                         typename Lanes::wide (&odd)[4], Word const (&even_key)[2],
                         Word const (&odd_key)[2]) {
  philox_rounds<Lanes>(even, even_key[0], even_key[1]);
  philox_rounds<Lanes>(odd, odd_key[0], odd_key[1]);
  auto const a = box_muller<Lanes>(Lanes::merge(even[0], odd[0]), Lanes::merge(even[1], odd[1]));
  auto const b = box_muller<Lanes>(Lanes::merge(even[2], odd[2]), Lanes::merge(even[3], odd[3]));
  Lanes::store_transposed(out, a.first, a.second, b.first, b.second);
}

/// The groups from first.word[0] on.
template <class Lanes>
inline void fill_block(float* out, philox_counter const& first, philox_key key) {
  typename Lanes::wide even[4], odd[4];
  for (int i = 1; i < 4; ++i) even[i] = odd[i] = Lanes::broadcast(first.word[i]);
  even[0] = Lanes::even_groups(first.word[0]);
  odd[0] = Lanes::odd_groups(first.word[0]);
  finish_block<Lanes>(out, even, odd, key.word, key.word);
}

/// The groups that lie at[..][from] and behind.
template <class Lanes>
inline void fill_block(float* out, scattered_groups const& at, std::size_t from) {
  typename Lanes::wide even[4], odd[4], even_key[2], odd_key[2];
  for (int i = 0; i < 4; ++i) {
    even[i] = Lanes::even_of(at.counter[i] + from);
    odd[i] = Lanes::odd_of(at.counter[i] + from);
  }
  for (int i = 0; i < 2; ++i) {
    even_key[i] = Lanes::even_of(at.key[i] + from);
    odd_key[i] = Lanes::odd_of(at.key[i] + from);
  }
  finish_block<Lanes>(out, even, odd, even_key, odd_key);
}

/// Whole and partial blocks share one call: it is inlined, and its constants stay in registers.
template <class Lanes, class Block>
inline void fill_by_blocks(float* out, std::size_t groups, Block block) {
  for (std::size_t done = 0; done < groups; done += Lanes::width, out += 4 * Lanes::width) {
    float partial[4 * Lanes::width];
    bool const whole = groups - done >= Lanes::width;
    block(whole ? out : partial, done);
    if (!whole) std::memcpy(out, partial, 4 * (groups - done) * sizeof(float));
  }
}

template <class Lanes>
inline void fill_normals_of(float* out, std::size_t groups, philox_counter first, philox_key key) {
  fill_by_blocks<Lanes>(out, groups, [&](float* to, std::size_t) {
    fill_block<Lanes>(to, first, key);
    first.word[0] += Lanes::width;
  });
}

template <class Lanes>
inline void fill_scattered_of(float* out, std::size_t groups, scattered_groups const& at) {
  fill_by_blocks<Lanes>(out, groups,
                        [&](float* to, std::size_t done) { fill_block<Lanes>(to, at, done); });
}

}  // namespace tweedie::detail
