// Channels in another basis: what is known of a picture is a linear function of its channels, such
// as its gray, and becomes a coordinate that an inpainting sampler keeps.
//
// Song et al. 2021, "Score-Based Generative Modeling through Stochastic Differential Equations",
// appendix I.3 (colorization): y = M x in each pixel, M orthogonal. N(0, I) stays N(0, I), and
// epsilon, x0, score, v and velocity all turn as x does, so that the network of y is M f(M^T y).
//
// Everything else of the pipeline then sees y: known samples and the mask are given in the new
// basis, and a threshold clips its coordinates, not the colours.
#pragma once

#include <cmath>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include <tweedie/dsl/base/error.hpp>
#include <tweedie/dsl/base/same.hpp>
#include <tweedie/dsl/language/batch.hpp>
#include <tweedie/dsl/language/composition.hpp>
#include <tweedie/dsl/language/hooks.hpp>

namespace tweedie::networks {

/// An orthogonal matrix, one vector of the new basis a row.
struct channel_basis {
  std::vector<std::vector<double>> rows;
  friend bool operator==(channel_basis const&, channel_basis const&) = default;

  std::size_t channels() const { return rows.size(); }

  /// The first coordinate is sqrt(3) times the gray (r + g + b) / 3, the others are the colours.
  static channel_basis gray() {
    double const a = 1 / std::sqrt(3.0), b = 1 / std::sqrt(2.0), c = 1 / std::sqrt(6.0);
    return {{{a, a, a}, {b, 0, -b}, {-c, 2 * c, -c}}};
  }

  /// Throws a sentence unless M M^T = I to 1e-6.
  void check() const {
    if (rows.empty()) throw error("channel_basis: no row was given, expected one for each channel");
    for (auto const& row : rows)
      if (row.size() != channels())
        throw error(fmt::format("channel_basis: a row of {} numbers was given, expected {}",
                                row.size(), channels()));
    for (std::size_t i = 0; i < channels(); ++i)
      for (std::size_t j = 0; j <= i; ++j) {
        double dot = 0;
        for (std::size_t k = 0; k < channels(); ++k) dot += rows[i][k] * rows[j][k];
        double const expected = i == j;
        if (!(std::abs(dot - expected) < 1e-6))
          throw error(fmt::format(
              "channel_basis: rows {} and {} have the product {}, an orthogonal matrix has {}", i,
              j, dot, expected));
      }
  }

  /// y = M x, or x = M^T y, for channel-major pixels.
  void turn(std::span<float const> from, std::span<float> to, bool back) const {
    std::size_t const pixels = from.size() / channels();
    std::vector<double> pixel(channels());
    for (std::size_t i = 0; i < pixels; ++i) {
      for (std::size_t c = 0; c < channels(); ++c) pixel[c] = double{from[c * pixels + i]};
      for (std::size_t c = 0; c < channels(); ++c) {
        double sum = 0;
        for (std::size_t k = 0; k < channels(); ++k)
          sum += (back ? rows[k][c] : rows[c][k]) * pixel[k];
        to[c * pixels + i] = static_cast<float>(sum);
      }
    }
  }
};

/// A network of pictures as one of pictures in the basis. The shape of a sample begins with its
/// channels.
template <class Network> struct in_basis {
  using kind = kinds::network;
  using prediction = typename tweedie::detail::prediction_of<Network>::type;
  static constexpr bool floats = !requires { typename Network::input; }
  &&!requires { typename Network::output; };
  static_assert(floats, "in_basis takes a network that reads and writes floats");
  Network network;
  channel_basis basis;
  friend bool operator==(in_basis const& a,
                         in_basis const& b) requires(tweedie::detail::can_be_compared<Network>) {
    return tweedie::detail::same_value(a.network, b.network) && a.basis == b.basis;
  }
  friend bool operator==(in_basis const& b, std::nullptr_t) {
    return tweedie::detail::calls_nothing(b.network);
  }

  in_basis(Network of, channel_basis in) : network(std::move(of)), basis(std::move(in)) {
    basis.check();
  }

  std::string predicted() const { return tweedie::detail::name_of_predicted(network); }
  auto trained_on() const requires(tweedie::detail::names_schedule<Network>) {
    return network.trained_on();
  }
  void check_arrays(std::span<named_array const> arrays, int without) const {
    tweedie::detail::check_arrays(network, arrays, without);
  }
  /// Asked by a plan before anything is drawn; `shape` begins with the number of samples.
  void check(std::span<std::size_t const> shape, std::span<int const> labels, int branches) const {
    if (shape.size() < 2 || shape[1] != basis.channels())
      throw error(fmt::format("in_basis: samples of {} channels were given, the basis has {}",
                              shape.size() < 2 ? 0 : shape[1], basis.channels()));
    tweedie::detail::check_request(network, shape, labels, branches);
  }

  void operator()(batch const& b) const {
    if (b.variance)
      throw error(
          "in_basis: a network that learns its variance was given, which is one number for "
          "each channel and cannot be turned");
    std::vector<float> x(b.samples * b.pitch);
    for (std::size_t row = 0; row < b.samples; ++row)
      basis.turn(b.x_of(row), {x.data() + row * b.pitch, b.elements}, true);
    batch inner = b;
    inner.x = x.data();
    network(inner);
    for (std::size_t row = 0; row < b.rows(); ++row)
      basis.turn(b.out_of(row), b.out_of(row), false);
  }
};

namespace detail {

template <class Images> Images turned(Images pictures, channel_basis const& basis, bool back) {
  basis.check();
  if (pictures.shape.size() < 2 || pictures.shape[1] != basis.channels())
    throw error(fmt::format("rotate_channels: pictures of {} channels were given, the basis has {}",
                            pictures.shape.size() < 2 ? 0 : pictures.shape[1], basis.channels()));
  std::size_t elements = 1;
  for (std::size_t k = 1; k < pictures.shape.size(); ++k) elements *= pictures.shape[k];
  if (pictures.data.size() != pictures.shape[0] * elements)
    throw error(fmt::format("rotate_channels: {} values were given, expected {}",
                            pictures.data.size(), pictures.shape[0] * elements));
  for (std::size_t i = 0; i < pictures.shape[0]; ++i) {
    std::span<float> const one{pictures.data.data() + i * elements, elements};
    basis.turn(one, one, back);
  }
  return pictures;
}

}  // namespace detail

/// Pictures {samples, channels, ...} in the basis. Throws a sentence where it has other channels.
template <class Images> Images rotate_channels(Images pictures, channel_basis const& basis) {
  return detail::turned(std::move(pictures), basis, false);
}
/// And back: the colours of pictures in the basis.
template <class Images> Images rotate_channels_back(Images pictures, channel_basis const& basis) {
  return detail::turned(std::move(pictures), basis, true);
}

}  // namespace tweedie::networks
