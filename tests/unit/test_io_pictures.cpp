// PNG and JPEG as people have them, to squares.
#include "common.hpp"
#include "jpeg_by_hand.hpp"
#include "test_io_common.hpp"

#include <zlib.h>

#include <cmath>
#include <numeric>
#include <tweedie/io/jpeg.hpp>
#include <tweedie/io/pictures.hpp>

using common::equal_bits;
using namespace io_test;
namespace io = tweedie::io;

namespace {

auto parse = [](std::span<std::byte const> content) { return io::parse_picture(content, "given"); };

float value_of(int byte) { return static_cast<float>(2 * byte - 255) / 255.0f; }

std::vector<float> values_of(std::vector<int> const& bytes) {
  std::vector<float> values;
  for (int byte : bytes) values.push_back(value_of(byte));
  return values;
}

/// A PNG of one row: the header, perhaps a chunk, the row.
buffer png_of(int width, int colour, int depth, buffer const& row, buffer const& before = {}) {
  auto const number = [](std::size_t n) {
    return bytes_of({static_cast<int>(n >> 24 & 255), static_cast<int>(n >> 16 & 255),
                     static_cast<int>(n >> 8 & 255), static_cast<int>(n & 255)});
  };
  buffer file = bytes_of({137, 80, 78, 71, 13, 10, 26, 10});
  auto const add = [&](std::string_view type, buffer const& data) {
    buffer content = bytes_of(type);
    content.insert(content.end(), data.begin(), data.end());
    auto const length = number(data.size());
    auto const sum =
        number(crc32_z(0, reinterpret_cast<Bytef const*>(content.data()), content.size()));
    for (auto const* part : {&length, static_cast<buffer const*>(&content), &sum})
      file.insert(file.end(), part->begin(), part->end());
  };
  add("IHDR", bytes_of({0, 0, 0, width, 0, 0, 0, 1, depth, colour, 0, 0, 0}));
  if (!before.empty()) add("PLTE", before);
  buffer packed(compressBound(row.size()));
  uLongf length = packed.size();
  compress(reinterpret_cast<Bytef*>(packed.data()), &length,
           reinterpret_cast<Bytef const*>(row.data()), row.size());
  packed.resize(length);
  add("IDAT", packed);
  add("IEND", {});
  return file;
}

/// The value of each block of a picture, channel by channel, which must be one.
std::vector<float> blocks_of(io::picture const& p) {
  std::vector<float> r;
  auto const& s = p.shape;
  for (std::size_t c = 0; c < s.channels; ++c)
    for (std::size_t y = 0; y < s.height; y += 8)
      for (std::size_t x = 0; x < s.width; x += 8) {
        auto const at = [&](std::size_t dy, std::size_t dx) {
          return p.values[(c * s.height + y + dy) * s.width + x + dx];
        };
        BOOST_TEST(at(7, 7) == at(0, 0));
        BOOST_TEST(at(0, 7) == at(0, 0));
        r.push_back(at(0, 0));
      }
  return r;
}

jpeg_by_hand rgb() { return {.blocks = {{200, 30, 90}, {0, 255, 128}}, .components = 3}; }

#define WITH_JPEG \
  if (!io::reads_jpeg()) return

}  // namespace

BOOST_AUTO_TEST_CASE(every_png_is_a_picture_over_white) {
  auto const check = [](buffer const& content, std::size_t channels,
                        std::vector<float> const& values) {
    auto const p = parse(content);
    BOOST_TEST(p.shape.channels == channels);
    BOOST_TEST(p.opacity.empty());
    BOOST_TEST(equal_bits(p.values, values));
  };
  check(png_of(2, 0, 8, bytes_of({0, 10, 200})), 1, values_of({10, 200}));
  check(png_of(1, 0, 16, bytes_of({0, 10, 200})), 1, values_of({10}));
  check(png_of(1, 2, 8, bytes_of({0, 1, 2, 3})), 3, values_of({1, 2, 3}));
  check(png_of(1, 2, 16, bytes_of({0, 1, 99, 2, 99, 3, 99})), 3, values_of({1, 2, 3}));
  check(png_of(2, 3, 8, bytes_of({0, 1, 0}), bytes_of({1, 2, 3, 4, 5, 6})), 3,
        values_of({4, 1, 5, 2, 6, 3}));
  // Opaque, clear, and half of each: the latter two are white where nothing is.
  float const half = 128.0f / 255.0f;
  auto const over_white = [&](int byte) { return half * value_of(byte) + (1 - half); };
  check(png_of(3, 4, 8, bytes_of({0, 10, 255, 10, 0, 10, 128})), 1,
        {value_of(10), 1, over_white(10)});
  check(png_of(2, 6, 8, bytes_of({0, 1, 2, 3, 0, 7, 8, 9, 128})), 3,
        {1, over_white(7), 1, over_white(8), 1, over_white(9)});
}

BOOST_AUTO_TEST_CASE(what_is_no_picture) {
  check_error([] { parse(bytes_of("GIF89a")); }, {"'given' is not a picture", "PNG nor as a JPEG"});
  check_error([] { parse(buffer{}); }, {"'given' is not a picture"});
  // The size that a file claims is asked about before anything is made for it: 164 megapixels here.
  auto large = png_of(1, 0, 8, bytes_of({0, 0}));
  for (std::size_t i : {18u, 22u}) large[i] = std::byte{0x32};  // 12800 + 1
  auto const sum = crc32_z(0, reinterpret_cast<Bytef const*>(large.data()) + 12, 17);
  for (std::size_t i = 0; i < 4; ++i) large[29 + i] = static_cast<std::byte>(sum >> (24 - 8 * i));
  check_error([&] { parse(large); },
              {"'given' is not a usable PNG", "expected at least 1 and at most"});
}

BOOST_AUTO_TEST_CASE(a_jpeg_is_read_or_refused_by_a_sentence) {
  auto const gray = jpeg_by_hand{.blocks = {{10}, {200}}}.file();
  BOOST_TEST(io::is_jpeg(gray));
  if (!io::reads_jpeg()) {
    check_error([&] { parse(gray); }, {"'given' is a JPEG", "without libjpeg", "expected a PNG"});
    return;
  }
  auto const p = parse(gray);
  BOOST_TEST(p.shape.channels == 1u);
  BOOST_TEST(p.shape.height == 8u);
  BOOST_TEST(p.shape.width == 16u);
  BOOST_TEST(equal_bits(blocks_of(p), values_of({10, 200})));

  auto const coloured = parse(rgb().file());
  BOOST_TEST(coloured.shape.channels == 3u);
  BOOST_TEST(equal_bits(blocks_of(coloured), values_of({200, 0, 30, 255, 90, 128})));

  // Y, Cb, Cr of JFIF: 1.402 and 1.772 (ITU-T T.871, from memory).
  auto ycc = jpeg_by_hand{.blocks = {{100, 128, 178}, {100, 178, 128}}, .components = 3};
  ycc.transform = 1;
  auto const seen = blocks_of(parse(ycc.file()));
  BOOST_TEST(seen[0] == value_of(170));  // red of 100 + 1.402 * 50
  BOOST_TEST(seen[5] == value_of(189));  // blue of 100 + 1.772 * 50

  auto progressive = jpeg_by_hand{.blocks = {{100}, {100}}};
  progressive.frame = 0xc2;
  BOOST_TEST(equal_bits(blocks_of(parse(progressive.file())), values_of({100, 100})));

  // A width that is no multiple of a block.
  auto const narrow = parse(jpeg_by_hand{.width = 9, .height = 3, .blocks = {{10}, {200}}}.file());
  BOOST_TEST(narrow.shape.width == 9u);
  BOOST_TEST(narrow.values[7] == value_of(10));
  BOOST_TEST(narrow.values[8] == value_of(200));
}

BOOST_AUTO_TEST_CASE(how_a_picture_was_held) {
  WITH_JPEG;
  // 3 x 2 blocks: what Exif's eight orientations make of them, read row by row.
  for (bool const little : {false, true})
    for (int orientation = 0; orientation <= 9; ++orientation) {
      jpeg_by_hand held;
      held.width = 24;
      held.height = 16;
      held.blocks = {{10}, {200}, {100}, {20}, {210}, {110}};
      held.before = exif(orientation, little);
      auto const p = parse(held.file());
      bool const turned = orientation >= 5 && orientation <= 8;
      BOOST_TEST(p.shape.width == (turned ? 16u : 24u));
      BOOST_TEST(p.shape.height == (turned ? 24u : 16u));
      std::vector<std::vector<int>> const expected{
          {10, 200, 100, 20, 210, 110},   // none
          {10, 200, 100, 20, 210, 110},   // upright
          {100, 200, 10, 110, 210, 20},   // mirrored
          {110, 210, 20, 100, 200, 10},   // upside down
          {20, 210, 110, 10, 200, 100},   // and mirrored
          {10, 20, 200, 210, 100, 110},   // transposed
          {20, 10, 210, 200, 110, 100},   // to be turned right
          {110, 100, 210, 200, 20, 10},   // and mirrored
          {100, 110, 200, 210, 10, 20},   // to be turned left
          {10, 200, 100, 20, 210, 110}};  // none such
      BOOST_TEST(
          equal_bits(blocks_of(p), values_of(expected[static_cast<std::size_t>(orientation)])),
          "orientation " << orientation);
    }
  // An Exif marker that is broken says nothing.
  auto broken = exif(6);
  broken[14] = std::byte{0xff};  // where its table is
  auto held = jpeg_by_hand{.blocks = {{10}, {200}}};
  held.before = broken;
  BOOST_TEST(parse(held.file()).shape.width == 16u);
}

BOOST_AUTO_TEST_CASE(a_jpeg_that_is_not_read) {
  WITH_JPEG;
  auto const refuse = [](buffer const& content, std::string_view part) {
    check_error([&] { parse(content); }, {"'given' is not a usable JPEG", part});
  };
  refuse(jpeg_by_hand{.blocks = {{1, 2, 3, 4}, {1, 2, 3, 4}}, .components = 4}.file(), "CMYK");
  auto ycck = jpeg_by_hand{.blocks = {{1, 2, 3, 4}, {1, 2, 3, 4}}, .components = 4};
  ycck.transform = 2;
  refuse(ycck.file(), "expected gray or RGB");
  auto arithmetic = jpeg_by_hand{.blocks = {{10}, {200}}};
  arithmetic.frame = 0xc9;
  refuse(arithmetic.file(), "arithmetic");
  // What a header claims: no room is made for it.
  refuse(jpeg_by_hand{.width = 65500, .height = 65500, .blocks = {{10}}}.file(),
         "65500x65500 pixels; expected at least 1 and at most 67108864");
  refuse(jpeg_by_hand{.width = 8000, .height = 8000, .blocks = {{10}}}.file(),
         "8000x8000 pixels cannot be in its");
  check_error(
      [] {
        io::parse_jpeg(jpeg_by_hand{.blocks = {{10}, {200}}}.file(), "given", 100);
      },
      {"16x8 pixels", "at most 100"});
  refuse(bytes_of({0xff, 0xd8, 0xff, 0xd9}), "");
  check_error([] { io::parse_jpeg(bytes_of("no JPEG"), "given"); }, {"does not begin as one"});
}

BOOST_AUTO_TEST_CASE(jpegs_truncated_and_flipped) {
  WITH_JPEG;
  for (auto const& whole : {jpeg_by_hand{.blocks = {{10}, {200}}}.file(), rgb().file()}) {
    check_truncations(whole, parse);
    count_refused_flips(whole, whole.size(), parse);
  }
}

BOOST_AUTO_TEST_CASE(a_square_is_a_mean_of_areas) {
  io::picture const four{{1, 1, 2, 4}, values_of({0, 100, 200, 50, 20, 40, 60, 80}), {}};
  auto const near = [](std::vector<float> const& found, std::vector<double> const& bytes) {
    BOOST_TEST_REQUIRE(found.size() == bytes.size());
    for (std::size_t i = 0; i < bytes.size(); ++i)
      BOOST_TEST(std::abs(double{found[i]} - (2 * bytes[i] - 255) / 255) < 1e-6,
                 i << ": " << found[i]);
  };
  // The middle two columns; then their mean; then with all columns, on white.
  near(io::to_square(four, 2), {100, 200, 40, 60});
  near(io::to_square(four, 1), {100});
  near(io::to_square(four, 2, io::fit::pad),
       {(255 + 255 + 0 + 100) / 4.0, (255 + 255 + 200 + 50) / 4.0, (20 + 40 + 510) / 4.0,
        (60 + 80 + 510) / 4.0});
  near(io::to_square(four, 4, io::fit::pad),
       {255, 255, 255, 255, 0, 100, 200, 50, 20, 40, 60, 80, 255, 255, 255, 255});
  // Pixels by their part: three to two, and one to four.
  io::picture const three{{1, 1, 3, 3}, values_of({0, 30, 60, 0, 30, 60, 0, 30, 60}), {}};
  near(io::to_square(three, 2), {10, 50, 10, 50});
  io::picture const two{{1, 1, 2, 2}, values_of({10, 20, 30, 40}), {}};
  near(io::to_square(two, 4), {10, 10, 20, 20, 10, 10, 20, 20, 30, 30, 40, 40, 30, 30, 40, 40});
  // Of its own size it is the same bits; an odd margin is halved.
  BOOST_TEST(equal_bits(io::to_square(three, 3), three.values));
  io::picture const odd{{1, 1, 1, 2}, values_of({0, 100}), {}};
  near(io::to_square(odd, 1), {50});
  // Channels stay apart; a mirrored picture has a mirrored square.
  io::picture colours{{1, 3, 5, 7}, {}, {}};
  for (int i = 0; i < 105; ++i) colours.values.push_back(value_of(i * 37 % 256));
  auto mirrored = colours;
  for (std::size_t i = 0; i < 105; ++i)
    mirrored.values[i] = colours.values[i - i % 7 + (6 - i % 7)];
  for (auto how : {io::fit::crop, io::fit::pad}) {
    auto const one = io::to_square(colours, 3, how), other = io::to_square(mirrored, 3, how);
    for (std::size_t i = 0; i < 27; ++i)
      BOOST_TEST(std::abs(one[i] - other[i - i % 3 + (2 - i % 3)]) < 1e-6f);
  }
  check_error([&] { io::to_square(four, 0); }, {"0 pixels was asked for", "1x2x4"});
  check_error([&] { io::to_square({{1, 3, 2, 4}, four.values, {}}, 2); }, {"of 8 values"});
}

BOOST_AUTO_TEST_CASE(gray_weighs_the_colours) {
  io::picture const red{{1, 3, 1, 1}, {1, -1, -1}, {}};
  BOOST_TEST(std::abs(io::to_gray(red).values[0] - (2 * 0.299f - 1)) < 1e-6f);
  io::picture const white{{1, 3, 1, 1}, {1, 1, 1}, {}};
  BOOST_TEST(std::abs(io::to_gray(white).values[0] - 1) < 1e-6f);
  io::picture const gray{{1, 1, 1, 2}, {0.5f, 0.25f}, {}};
  BOOST_TEST(equal_bits(io::to_gray(gray).values, gray.values));
}
