#pragma once

#include <array>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "test_io_common.hpp"

namespace io_test {

/// A baseline JPEG whose blocks of 8x8 have one value each, so that what is read is known exactly:
/// all quantizers are 8, and a block is its mean alone.
struct jpeg_by_hand {
  int width = 16, height = 8;
  std::vector<std::array<int, 4>> blocks;  ///< row by row; as many of the values as components
  int components = 1;
  int transform = 0;   ///< Adobe's: 0 RGB or CMYK, 1 YCbCr, 2 YCCK; none for gray
  buffer before = {};  ///< markers after the first
  int frame = 0xc0;    ///< SOF0, 0xc2 for progressive, 0xc9 for arithmetic coding

  buffer file() const {
    buffer to = bytes_of({0xff, 0xd8});
    auto const add = [&](buffer const& more) { to.insert(to.end(), more.begin(), more.end()); };
    add(before);
    if (components > 1) {
      add(bytes_of({0xff, 0xee, 0, 14}));
      add(bytes_of("Adobe"));
      add(bytes_of({0, 100, 0, 0, 0, 0, transform}));
    }
    add(bytes_of({0xff, 0xdb, 0, 67, 0}));
    add(buffer(64, std::byte{8}));
    add(bytes_of({0xff, frame, 0, 8 + 3 * components, 8, height >> 8, height & 255, width >> 8,
                  width & 255, components}));
    for (int c = 1; c <= components; ++c) add(bytes_of({c, 0x11, 0}));
    // DC: the categories 0 to 11 in four bits each. AC: the end of a block, in one.
    add(bytes_of({0xff, 0xc4, 0, 31, 0, 0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}));
    for (int i = 0; i < 12; ++i) add(bytes_of({i}));
    add(bytes_of({0xff, 0xc4, 0, 20, 0x10, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}));
    add(bytes_of({0xff, 0xda, 0, 6 + 2 * components, components}));
    for (int c = 1; c <= components; ++c) add(bytes_of({c, 0}));
    bool const is_progressive = frame == 0xc2;
    add(bytes_of({0, is_progressive ? 0 : 63, 0}));
    std::array<int, 4> last{};
    unsigned bits = 0;
    int count = 0;
    auto const put = [&](unsigned value, int length) {
      for (int i = length - 1; i >= 0; --i) {
        bits = bits << 1 | (value >> i & 1u);
        if (++count < 8) continue;
        add(bytes_of({static_cast<int>(bits & 255u)}));
        if ((bits & 255u) == 255) add(bytes_of({0}));
        count = 0;
      }
    };
    for (auto const& block : blocks)
      for (std::size_t c = 0; c < static_cast<std::size_t>(components); ++c) {
        int const step = block[c] - 128 - last[c];
        last[c] += step;
        int category = 0;
        while (std::abs(step) >> category) ++category;
        put(static_cast<unsigned>(category), 4);
        put(static_cast<unsigned>(step < 0 ? step + (1 << category) - 1 : step), category);
        if (!is_progressive) put(0, 1);
      }
    while (count) put(1, 1);
    add(bytes_of({0xff, 0xd9}));
    return to;
  }
};

/// The Exif marker that says how a picture was held.
inline buffer exif(int orientation, bool little = false) {
  buffer to = bytes_of({0xff, 0xe1, 0, 34});
  auto const add = [&](buffer const& more) { to.insert(to.end(), more.begin(), more.end()); };
  add(bytes_of("Exif"));
  add(bytes_of({0, 0}));
  if (little)
    add(bytes_of({'I', 'I', 42, 0, 8, 0,           0, 0, 1, 0, 0x12, 1, 3,
                  0,   1,   0,  0, 0, orientation, 0, 0, 0, 0, 0,    0, 0}));
  else
    add(bytes_of({'M', 'M', 0, 42, 0, 0, 0,           8, 0, 1, 1, 0x12, 0,
                  3,   0,   0, 0,  1, 0, orientation, 0, 0, 0, 0, 0,    0}));
  return to;
}

}  // namespace io_test
