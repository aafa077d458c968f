#define BOOST_TEST_MODULE io_png
#include "test_io_common.hpp"

#include <zlib.h>

#include <cmath>
#include <limits>
#include <tweedie/io/png.hpp>

using namespace io_test;
namespace io = tweedie::io;

namespace {

auto parse = [](std::span<std::byte const> content) { return io::parse_png(content, "given"); };

/// What is read after writing.
io::picture drawn(std::vector<float> const& samples, io::picture_shape const& shape,
                  io::grid_layout const& layout = {}) {
  return parse(io::to_png(samples, shape, layout));
}

float value_of(int byte) { return static_cast<float>(2 * byte - 255) / 255.0f; }

buffer chunk(std::string const& type, buffer const& data) {
  auto content = bytes_of(type);
  content.insert(content.end(), data.begin(), data.end());
  auto number = [](std::size_t n) {
    return bytes_of({static_cast<int>(n >> 24 & 255), static_cast<int>(n >> 16 & 255),
                     static_cast<int>(n >> 8 & 255), static_cast<int>(n & 255)});
  };
  auto result = number(data.size());
  result.insert(result.end(), content.begin(), content.end());
  auto const checksum =
      number(crc32_z(0, reinterpret_cast<Bytef const*>(content.data()), content.size()));
  result.insert(result.end(), checksum.begin(), checksum.end());
  return result;
}

/// A PNG whose header gives a size and a colour type, with this content, whatever it is.
buffer png_of(int width, int height, int colour, buffer const& raw) {
  buffer packed(compressBound(raw.size()));
  uLongf length = packed.size();
  compress(reinterpret_cast<Bytef*>(packed.data()), &length,
           reinterpret_cast<Bytef const*>(raw.data()), raw.size());
  packed.resize(length);
  auto content = bytes_of({137, 80, 78, 71, 13, 10, 26, 10});
  auto const header = bytes_of({width >> 24 & 255, width >> 16 & 255, width >> 8 & 255, width & 255,
                                height >> 24 & 255, height >> 16 & 255, height >> 8 & 255,
                                height & 255, 8, colour, 0, 0, 0});
  for (auto const& part : {chunk("IHDR", header), chunk("IDAT", packed), chunk("IEND", {})})
    content.insert(content.end(), part.begin(), part.end());
  return content;
}

}  // namespace

BOOST_AUTO_TEST_CASE(every_byte_comes_back) {
  std::vector<float> gray(256);
  for (int i = 0; i < 256; ++i) gray[static_cast<std::size_t>(i)] = value_of(i);
  BOOST_TEST((drawn(gray, {1, 1, 16, 16}).values == gray));
  std::vector<float> colours;
  for (int i = 0; i < 3 * 5 * 7; ++i) colours.push_back(value_of(i * 2));
  auto const back = drawn(colours, {1, 3, 5, 7});
  BOOST_TEST((back.values == colours));
  BOOST_TEST(back.shape.channels == 3u);
  BOOST_TEST(back.shape.height == 5u);
  BOOST_TEST(back.shape.width == 7u);
}

BOOST_AUTO_TEST_CASE(a_grid_has_its_pictures_in_place) {
  // Three pictures of 1x2 in two columns, each pixel twice as large, one pixel between them.
  auto const grid = drawn({-1, 1, 1, -1, 1, 1}, {3, 1, 1, 2},
                          {.columns = 2, .padding = 1, .upscale = 2, .background = -0.2f});
  BOOST_TEST(grid.shape.height == 5u);
  BOOST_TEST(grid.shape.width == 9u);
  std::string seen;
  for (std::size_t i = 0; i < grid.values.size(); ++i) {
    if (i && i % 9 == 0) seen += '\n';
    seen += grid.values[i] == 1 ? '#' : grid.values[i] == -1 ? '.' : '+';
  }
  BOOST_TEST(seen ==
             "..##+##..\n"
             "..##+##..\n"
             "+++++++++\n"
             "####+++++\n"
             "####+++++");
}

BOOST_AUTO_TEST_CASE(a_layout_follows_the_count) {
  auto shape_of = [](std::size_t count, io::grid_layout layout) {
    layout.padding = 0;
    auto const shape = drawn(std::vector<float>(count), {count, 1, 1, 1}, layout).shape;
    return std::pair(shape.height, shape.width);
  };
  BOOST_TEST((shape_of(9, {}) == std::pair<std::size_t, std::size_t>(3, 3)));
  BOOST_TEST((shape_of(10, {}) == std::pair<std::size_t, std::size_t>(3, 4)));
  BOOST_TEST((shape_of(10, {.rows = 2}) == std::pair<std::size_t, std::size_t>(2, 5)));
  BOOST_TEST((shape_of(10, {.columns = 3}) == std::pair<std::size_t, std::size_t>(4, 3)));
  BOOST_TEST((shape_of(2, {.rows = 3, .columns = 2}) == std::pair<std::size_t, std::size_t>(3, 2)));
}

BOOST_AUTO_TEST_CASE(values_are_clamped_and_rounded) {
  BOOST_TEST((drawn({-3, 3, 0.001f, -1}, {1, 1, 2, 2}).values ==
              std::vector<float>{-1, 1, value_of(128), -1}));
}

BOOST_AUTO_TEST_CASE(what_is_not_written) {
  folder place;
  io::write_file(place / "a.png", "old");
  auto refuse = [&](std::vector<float> const& samples, io::picture_shape const& shape,
                    io::grid_layout const& layout, std::initializer_list<std::string_view> parts) {
    check_error([&] { io::write_png(place / "a.png", samples, shape, layout); }, parts);
    BOOST_TEST(text_of(io::read_file(place / "a.png")) == "old");
  };
  constexpr auto most = std::numeric_limits<std::size_t>::max();
  refuse({1, 1}, {1, 2, 1, 1}, {}, {"cannot write", "a.png", "1 channel (gray) or 3"});
  refuse({}, {0, 1, 1, 1}, {}, {"0 pictures", "expected none of these to be 0"});
  refuse({1}, {1, 1, 1, 1}, {.upscale = 0}, {"none of these to be 0"});
  refuse({1, 1}, {1, 1, 1, 3}, {}, {"2 values; expected 1 pictures of 1x1x3"});
  refuse({1}, {1, 1, most, most}, {}, {"1 values; expected"});
  refuse({1}, {most, 3, 1, 1}, {}, {"1 values; expected"});
  refuse({1, 1, 1}, {3, 1, 1, 1}, {.rows = 1, .columns = 2}, {"at most 1 rows of 2"});
  refuse({1}, {1, 1, 1, 1}, {.columns = most}, {"too many"});
  refuse({1}, {1, 1, 1, 1}, {.rows = most, .padding = most}, {"too many"});
  refuse({1}, {1, 1, 1, 1}, {.upscale = most}, {"too many"});
  refuse({1}, {1, 1, 1, 1}, {.upscale = 1 << 20}, {"too many"});
  refuse({1, std::nanf("")}, {2, 1, 1, 1}, {}, {"picture 1 holds a value that is not finite"});
  refuse({1}, {1, 1, 1, 1}, {.background = std::nanf("")}, {"background is not finite"});
}

BOOST_AUTO_TEST_CASE(a_file_is_read) {
  folder place;
  io::write_png(place / "a.png", std::vector<float>{1, -1}, {1, 1, 1, 2});
  BOOST_TEST((io::read_png(place / "a.png").values == std::vector<float>{1, -1}));
  check_error([&] { io::read_png(place / "b.png"); }, {"cannot read", "b.png"});
}

BOOST_AUTO_TEST_CASE(truncated_and_flipped) {
  auto const content = io::to_png(std::vector<float>(30, 0.5f), {1, 3, 2, 5});
  check_truncations(content, parse);
  // Each byte is under a checksum, or is one, or a length, or the signature.
  BOOST_TEST(count_refused_flips(content, content.size(), parse) == content.size() * 9);
  check_error([] { parse(bytes_of("no PNG")); }, {"'given'", "signature"});
  auto longer = content;
  longer.push_back(std::byte{0});
  check_error([&] { parse(longer); }, {"behind its last chunk"});
  auto flipped = content;
  flipped[20] ^= std::byte{1};
  check_error([&] { parse(flipped); }, {"chunk at byte 8 does not match its checksum"});
}

BOOST_AUTO_TEST_CASE(sound_checksums_around_a_wrong_content) {
  auto const row = bytes_of({0, 10, 20});  // a filter and two pixels
  BOOST_TEST(
      (parse(png_of(2, 1, 0, row)).values == std::vector<float>{value_of(10), value_of(20)}));
  check_error([&] { parse(png_of(2, 2, 0, row)); }, {"not a usable PNG", "not enough pixels"});
  check_error([&] { parse(png_of(0, 1, 0, row)); }, {"not a usable PNG"});
  check_error([&] { parse(png_of(2, 1, 9, row)); }, {"not a usable PNG"});
  check_error([&] { parse(png_of(1, 1, 4, row)); }, {"transparency; expected gray or RGB"});
  check_error([&] { parse(png_of(20000, 20000, 0, row)); },
              {"20000x20000 pixels; expected at most"});
  check_error([&] { io::parse_png(png_of(2, 1, 0, row), "given", 1); },
              {"2x1 pixels; expected at most 1"});
}
