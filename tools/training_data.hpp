// The pictures that a network is trained on: Fashion-MNIST, a folder of one's own, or an array.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include <tweedie/io/pictures.hpp>

namespace tweedie::tool {

struct training_data {
  std::size_t count = 0, channels = 1, size = 0;
  /// [count, channels, size, size]: bytes as in a PNG, or floats in [-1, 1].
  std::variant<std::vector<std::uint8_t>, std::vector<float>> pixels;
  std::vector<int> labels;            ///< one a picture; empty where there are no classes
  std::vector<std::string> classes;   ///< their names
  std::vector<std::string> left_out;  ///< a sentence for each picture that could not be read
  std::string key;                    ///< of a folder that was decoded just now; else empty

  std::size_t elements() const { return channels * size * size; }
  /// Writes picture i as floats, mirrored left to right where it is flipped.
  void copy(std::size_t i, bool flipped, float* to) const;
  /// Of all pixels, labels and names: what a checkpoint must have been trained on.
  std::string fingerprint() const;
};

/// Pixels of a folder's pictures without --size.
inline constexpr std::size_t usual_size = 32;

struct data_options {
  std::string data;          ///< of --data: fashion-mnist, a folder, or x.npy
  std::size_t size = 0;      ///< of --size; 0: the usual one, 32 of a folder, an array's own
  std::size_t channels = 0;  ///< 1: gray, 3: RGB, 0: RGB where there is a colour
  io::fit fit = io::fit::crop;
  std::size_t limit = 0;   ///< only the first so many, of each class in turn; 0: all
  std::string cache;       ///< where decoded pictures may have been kept; empty: nowhere
  bool test_part = false;  ///< of Fashion-MNIST
};

/// Whether --data names Fashion-MNIST or a folder with its files.
bool is_fashion_mnist(std::string const& data);

/// Reads them. In a folder lie either pictures, PNG or JPEG, or folders whose names are the
/// classes, with pictures at any depth. A picture that cannot be read is named on standard error,
/// left out and counted. Throws a sentence where there are none, or where what is asked for does
/// not fit. Where it was interrupted they are not all there: the caller asks.
training_data read_training_data(data_options const& o);

/// Keeps what was decoded just now in a file, for the next time; where that fails it says so.
void keep(training_data const& data, std::string const& cache);

}  // namespace tweedie::tool
