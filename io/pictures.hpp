#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <tweedie/io/png.hpp>
#include <vector>

namespace tweedie::io {

// Pictures as people have them: PNG or JPEG, of any size, as a network's squares.

/// PNG or JPEG, by its content; what is transparent lies over white. Throws `error` as `parse_png`
/// and `parse_jpeg` do, and where it is neither.
picture parse_picture(std::span<std::byte const> content, std::string const& name,
                      std::size_t max_pixels = png_options{}.max_pixels);
picture read_picture(std::filesystem::path const& path,
                     std::size_t max_pixels = png_options{}.max_pixels);

/// How a picture becomes a square.
enum class fit {
  crop,  ///< the square in its middle, as long as its shorter side
  pad,   ///< all of it, with white beside its shorter side
};

/// The picture as [channels, size, size]. A pixel is the mean over the square of the given picture
/// that it covers, pixels at the edge by their part (area averaging); where the given picture is
/// smaller, its pixels become squares likewise. Throws `error` where `size` is 0 or the values do
/// not fit the shape.
std::vector<float> to_square(picture const& from, std::size_t size, fit how = fit::crop);

/// RGB as one channel, 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601, from memory); gray as it is.
picture to_gray(picture const& from);

}  // namespace tweedie::io
