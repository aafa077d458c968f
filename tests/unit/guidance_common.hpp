// What the tests of the guidances share: a sampler that shows the x0 and eps it is given, and
// networks whose outputs are known.
#pragma once

#include <limits>
#include <memory>
#include <tweedie/guidances/apg.hpp>
#include <tweedie/guidances/autoguidance.hpp>
#include <tweedie/guidances/cfg_plus_plus.hpp>
#include <tweedie/guidances/cfg_zero_star.hpp>
#include <tweedie/guidances/classifier.hpp>
#include <tweedie/guidances/rescaled.hpp>
#include <tweedie/guidances/two_conditions.hpp>
#include <tweedie/networks/unconditional.hpp>

#include "laws_common.hpp"

namespace laws {

/// Leaves x where it is, keeps x0 and eps.
struct probe {
  using kind = kinds::sampler;
  auto step(level, level) const {
    using namespace symbols;
    return tweedie::step(keep<0> = x0, keep<1> = eps, x = +x);
  }
};

/// Row i of a buffer of a state.
inline std::span<float const> row_of(state const& s, buffer const& b, std::size_t i) {
  return {b.data() + i * s.pitch, s.elements};
}

/// -1 to 1 from four indices, different for each.
inline float made_up(std::uint32_t a, std::uint32_t b, std::uint32_t c, std::uint32_t d) {
  std::uint32_t h = 2166136261u;
  for (std::uint32_t word : {a, b, c, d})
    for (int shift = 0; shift < 32; shift += 8) h = (h ^ (word >> shift & 0xff)) * 16777619u;
  h ^= h >> 15;
  h *= 2246822519u;
  h ^= h >> 13;
  return static_cast<float>(h >> 8) * 0x1p-23f - 1;
}

/// What made_up_network answers: branches of a sample have something in common.
inline float output(std::size_t branch, std::size_t sample, std::size_t i, double t) {
  auto const word = [](auto a) { return static_cast<std::uint32_t>(a); };
  float const common = made_up(1, word(sample), word(i), word(t));
  float const own = made_up(2 + word(branch), word(sample), word(i), word(t));
  return 0.7f * common + 0.4f * own + 0.2f;
}

/// Writes output(first_branch + branch, sample, element, t), and to the padding what nobody may
/// read.
inline network_function made_up_network(std::size_t first_branch = 0) {
  return [=](batch const& b) {
    for (std::size_t row = 0; row < b.rows(); ++row) {
      for (std::size_t i = 0; i < b.pitch; ++i) b.out[row * b.pitch + i] = 1e3f;
      auto const out = b.out_of(row);
      for (std::size_t i = 0; i < out.size(); ++i)
        out[i] = output(first_branch + row / b.samples, row % b.samples, i, b.level_of(row).t);
    }
  };
}

inline constexpr double infinity = std::numeric_limits<double>::infinity();
inline constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

}  // namespace laws
