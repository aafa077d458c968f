#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <tweedie/io/png.hpp>

namespace tweedie::io {

// JPEG (ITU-T T.81), 8 bits per channel, baseline and progressive, read by libjpeg-turbo.

/// Whether the library was built with libjpeg.
bool reads_jpeg();

/// Whether the content begins as a JPEG does.
bool is_jpeg(std::span<std::byte const> content);

/// Reads gray or RGB, turned upright where its Exif orientation (tag 0x0112) says how it was held.
/// Memory is asked for in proportion to the content: each 8x8 block takes a bit at least. Throws
/// `error`, which calls it `name`, where the content is not a sound JPEG (one that is cut off
/// included), is CMYK or arithmetic-coded, has more pixels than `max_pixels` or more than 500
/// scans; where the library was built without libjpeg, always.
picture parse_jpeg(std::span<std::byte const> content, std::string const& name,
                   std::size_t max_pixels = png_options{}.max_pixels);

}  // namespace tweedie::io
