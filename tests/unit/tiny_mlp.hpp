// A network of one hidden layer that fits into a kernel, for the tests of networks::inlined on
// hosts and devices.
#pragma once

#include <tweedie/dsl/base/math.hpp>
#include <tweedie/networks/inlined.hpp>

/// out = second tanh(first x + of_level + of_label): the threads of a row share the hidden layer.
struct tiny_mlp {
  static constexpr std::uint32_t hidden = 16, weights = 7 * hidden;
  static constexpr std::size_t shared = hidden;
  float first[weights], second[weights], bias[hidden];
  friend bool operator==(tiny_mlp const&, tiny_mlp const&) = default;

  tiny_mlp() {
    for (std::uint32_t i = 0; i < weights; ++i) {
      first[i] = static_cast<float>(i * 37 % 101) / 101 - 0.5f;
      second[i] = static_cast<float>(i * 53 % 97) / 97 - 0.5f;
    }
    for (std::uint32_t j = 0; j < hidden; ++j) bias[j] = static_cast<float>(j % 5) / 10;
  }

  /// A long row sees the weights again and again.
  TWEEDIE_HD void operator()(tweedie::networks::inlined_row const& row) const {
    using tweedie::math::detail::fma;
    auto const alpha = static_cast<float>(row.where.alpha);
    for (std::uint32_t j = row.thread; j < hidden; j += row.threads) {
      float sum = fma(0.25f, static_cast<float>(row.label), alpha * bias[j]);
      for (std::uint32_t i = 0; i < row.elements; ++i)
        sum = fma(first[(i * hidden + j) % weights], row.x[i], sum);
      row.shared[j] = tweedie::math::tanh(sum);
    }
    row.wait();
    for (std::uint64_t i = row.thread; i < row.elements; i += row.threads) {
      float sum = 0;
      for (std::uint32_t j = 0; j < hidden; ++j)
        sum =
            fma(second[(static_cast<std::uint32_t>(i) * hidden + j) % weights], row.shared[j], sum);
      row.out[i] = sum;
    }
  }
};
