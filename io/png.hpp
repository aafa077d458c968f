#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <tweedie/io/file.hpp>
#include <vector>

namespace tweedie::io {

// PNG (W3C, "Portable Network Graphics Specification"), 8 bits per channel, read and written by
// libpng. Values are float in [-1, 1]; -1 is byte 0, 1 is
// 255.

/// Samples as a network has them: [count, channels, height, width], 1 channel (gray) or 3 (RGB).
struct picture_shape {
  std::size_t count = 1, channels = 1, height = 0, width = 0;
};

/// How pictures lie beside each other, row by row.
struct grid_layout {
  std::size_t rows = 0, columns = 0;  ///< 0: as the count asks for; both 0: as square as possible
  std::size_t padding = 2;            ///< pixels between pictures, after upscaling
  std::size_t upscale = 1;            ///< each pixel becomes a square of so many
  float background = 1;               ///< of the padding and of places without a picture
};

/// Throws `error`, which calls the file `name`, where `to_png` would for the shape or the layout:
/// before there are pictures.
void check_png(picture_shape const& shape, grid_layout const& layout, std::string const& name);

/// A grid as one PNG; values outside [-1, 1] are clamped. Throws `error` where the shape, the
/// number of values or the layout do not fit, or a value is NaN or infinite.
buffer to_png(std::span<float const> samples, picture_shape const& shape,
              grid_layout const& layout = {});
/// As `to_png`, into a file, atomically.
void write_png(std::filesystem::path const& path, std::span<float const> samples,
               picture_shape const& shape, grid_layout const& layout = {});

/// One picture, channel-major: [channels, height, width].
struct picture {
  picture_shape shape;
  std::vector<float> values;
  std::vector<float> opacity;  ///< [height, width], 0 to 1; empty where no pixel is transparent
};

struct png_options {
  std::size_t max_pixels = std::size_t{1} << 26;
  bool may_be_transparent = false;
};

/// Reads gray or RGB (a palette becomes RGB, 16 bits become 8). Throws `error`, which calls it
/// `name`, where the content is not a sound PNG (checksums included), has a pixel that is not
/// opaque unless it may, or is of more pixels than there may be.
picture parse_png(std::span<std::byte const> content, std::string const& name,
                  png_options const& options = {});
picture read_png(std::filesystem::path const& path, png_options const& options = {});

}  // namespace tweedie::io
