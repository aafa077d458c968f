#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string_view>
#include <vector>

namespace tweedie::io {

// Fashion-MNIST (Xiao, Rasul, Vollgraf 2017, arXiv:1708.07747): 60,000 + 10,000 grayscale pictures
// of 28x28 pixels in ten classes, in the files of MNIST.

/// `images`: [count, 1, 28, 28], float in [-1, 1] (byte 0 is -1, byte 255 is 1). `labels`: [count],
/// 0 to 9.
struct labelled_images {
  std::size_t count = 0;
  std::vector<float> images;
  std::vector<std::uint8_t> labels;
};

enum class fashion_mnist_part { train, test };

inline constexpr std::array<std::string_view, 10> fashion_mnist_classes{
    "t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot"};

/// Where Debian's package dataset-fashion-mnist puts them.
inline constexpr std::string_view fashion_mnist_folder = "/usr/share/datasets/fashion-mnist";

/// Whether both files of the part lie in the folder, as `.gz` or unpacked.
bool has_fashion_mnist(fashion_mnist_part part,
                       std::filesystem::path const& folder = fashion_mnist_folder);

/// Reads one part. Throws `error` where a file is missing or does not hold what it should.
labelled_images read_fashion_mnist(fashion_mnist_part part,
                                   std::filesystem::path const& folder = fashion_mnist_folder);

}  // namespace tweedie::io
