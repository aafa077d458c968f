#include "common.hpp"
#include "test_io_common.hpp"

#include <zlib.h>

#include <cmath>
#include <limits>
#include <tweedie/io/png.hpp>

using common::equal_bits;
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

buffer joined(buffer a, buffer const& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

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

struct head {
  int width, height, colour;
  int depth = 8, interlace = 0;
};

buffer packed(buffer const& raw) {
  buffer result(compressBound(raw.size()));
  uLongf length = result.size();
  compress(reinterpret_cast<Bytef*>(result.data()), &length,
           reinterpret_cast<Bytef const*>(raw.data()), raw.size());
  result.resize(length);
  return result;
}

/// The signature, the header and these chunks.
buffer file_of(head const& of, std::initializer_list<buffer> chunks) {
  auto content = bytes_of({137, 80, 78, 71, 13, 10, 26, 10});
  auto const header =
      bytes_of({of.width >> 24 & 255, of.width >> 16 & 255, of.width >> 8 & 255, of.width & 255,
                of.height >> 24 & 255, of.height >> 16 & 255, of.height >> 8 & 255, of.height & 255,
                of.depth, of.colour, 0, 0, of.interlace});
  content = joined(content, chunk("IHDR", header));
  for (auto const& part : chunks) content = joined(content, part);
  return content;
}

/// A PNG whose header gives a size and a colour type, with this content, whatever it is.
buffer png_of(head const& of, buffer const& raw, buffer const& before = {}) {
  return file_of(of, {before, chunk("IDAT", packed(raw)), chunk("IEND", {})});
}

}  // namespace

BOOST_AUTO_TEST_CASE(every_byte_comes_back) {
  std::vector<float> gray(256);
  for (int i = 0; i < 256; ++i) gray[static_cast<std::size_t>(i)] = value_of(i);
  BOOST_TEST(equal_bits(drawn(gray, {1, 1, 16, 16}).values, gray));
  std::vector<float> colours;
  for (int i = 0; i < 3 * 5 * 7; ++i) colours.push_back(value_of(i * 2));
  auto const back = drawn(colours, {1, 3, 5, 7});
  BOOST_TEST(equal_bits(back.values, colours));
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
  BOOST_TEST(equal_bits(shape_of(9, {}), std::pair<std::size_t, std::size_t>(3, 3)));
  BOOST_TEST(equal_bits(shape_of(10, {}), std::pair<std::size_t, std::size_t>(3, 4)));
  BOOST_TEST(equal_bits(shape_of(10, {.rows = 2}), std::pair<std::size_t, std::size_t>(2, 5)));
  BOOST_TEST(equal_bits(shape_of(10, {.columns = 3}), std::pair<std::size_t, std::size_t>(4, 3)));
  BOOST_TEST(equal_bits(shape_of(2, {.rows = 3, .columns = 2}),
                        std::pair<std::size_t, std::size_t>(3, 2)));
}

BOOST_AUTO_TEST_CASE(values_are_clamped_and_rounded) {
  BOOST_TEST(equal_bits(drawn({-3, 3, 0.001f, -1}, {1, 1, 2, 2}).values,
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
  refuse({1}, {1, 1, most, most}, {}, {"too many"});
  refuse({1}, {most, 3, 1, 1}, {}, {"too many"});
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
  BOOST_TEST(equal_bits(io::read_png(place / "a.png").values, std::vector<float>{1, -1}));
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

BOOST_AUTO_TEST_CASE(sound_checksums_around_a_wrong_header) {
  auto const row = bytes_of({0, 10, 20});  // a filter and two pixels
  BOOST_TEST(
      (parse(png_of({2, 1, 0}, row)).values == std::vector<float>{value_of(10), value_of(20)}));
  auto refuse = [&](head const& of, std::string_view part) {
    check_error([&] { parse(png_of(of, row)); }, {"'given' is not a usable PNG", part});
  };
  refuse({0, 1, 0}, "0x1 pixels; expected at least 1");
  refuse({1, 0, 0}, "1x0 pixels; expected at least 1");
  refuse({20000, 20000, 0}, "20000x20000 pixels; expected at least 1 and at most 67108864");
  refuse({-1, -1, 0}, "4294967295x4294967295 pixels");
  refuse({1, 1, 4}, "transparency, first at row 0, column 0; expected gray or RGB");
  for (int colour : {1, 5, 7, 9, 255})
    refuse({2, 1, colour}, "colour type " + std::to_string(colour));
  for (int depth : {0, 3, 7, 12, 32}) refuse({2, 1, 0, depth}, std::to_string(depth) + " bits");
  for (int depth : {1, 2, 4, 32}) refuse({2, 1, 2, depth}, std::to_string(depth) + " bits");
  refuse({2, 1, 3, 16}, "colour type 3 with 16 bits");
  refuse({2, 1, 3}, "no palette for its pixels");
  refuse({2, 1, 0, 8, 2}, "interlaced by a method that is not known");
  check_error(
      [&] {
        io::parse_png(png_of({2, 1, 0}, row), "given", {.max_pixels = 1});
      },
      {"2x1 pixels; expected at least 1 and at most 1"});
  check_error(
      [&] {
        io::parse_png(png_of({2, 1, 0}, row), "given", {.max_pixels = 0});
      },
      {"at most 0"});
}

BOOST_AUTO_TEST_CASE(rows_are_as_long_as_the_header_says) {
  auto const row = bytes_of({0, 10, 20});
  check_error(
      [&] {
        parse(png_of({2, 2, 0}, row));
      },
      {"not a sound PNG", "unpack to 3 bytes; expected a sound stream of 6"});
  check_error([&] { parse(png_of({1, 1, 0}, row)); }, {"more than the 2 bytes"});
  // No room is made for what a header merely claims: here 200 MB, for 3 bytes.
  check_error([&] { parse(png_of({8192, 8192, 2}, row)); }, {"unpack to 3 bytes; expected"});
  // Nor for what compresses well: 64 MiB of zeros, for one pixel.
  check_error([&] { parse(png_of({1, 1, 0}, buffer(1 << 26))); }, {"more than the 2 bytes"});
}

BOOST_AUTO_TEST_CASE(the_compressed_stream_is_sound) {
  auto const stream = packed(bytes_of({0, 10, 20}));
  auto with = [](std::initializer_list<buffer> parts) {
    buffer content;
    for (auto const& part : parts) content = joined(content, chunk("IDAT", part));
    return file_of({2, 1, 0}, {content, chunk("IEND", {})});
  };
  auto const begin = stream.begin(), end = stream.end();
  BOOST_TEST(parse(with({{}, {begin, begin + 3}, {}, {begin + 3, end}})).values.size() == 2u);
  for (auto to = begin; to != end; ++to)
    check_error([&] { parse(with({{begin, to}})); }, {"not a sound PNG", "sound stream of 3"});
  auto checksum = stream;
  checksum.back() ^= std::byte{1};
  check_error([&] { parse(with({checksum})); }, {"3 bytes and an error (incorrect data check)"});
  check_error([&] { parse(with({stream, bytes_of({0})})); }, {"expected a sound stream of 3"});
  check_error([&] { parse(with({joined(stream, bytes_of({0}))})); }, {"expected a sound stream"});
  check_error([&] { parse(with({})); }, {"unpack to 0 bytes"});
  // A block of a reserved kind: stb stops there without a reason to give.
  check_error([&] { parse(with({bytes_of({0x78, 0x9c, 7})})); }, {"invalid block type"});
  // A zero, then three bytes from a distance whose code is none of deflate's: in stb they are
  // whatever the memory held.
  auto const unwritten = chunk("IDAT", bytes_of({0x78, 0x9c, 0x63, 0, 0x3e, 0}));
  check_error(
      [&] {
        parse(file_of({3, 1, 0}, {unwritten, chunk("IEND", {})}));
      },
      {"1 bytes and an error (invalid distance code); expected a sound stream of 4"});
}

BOOST_AUTO_TEST_CASE(chunks_are_in_their_places) {
  auto const row = bytes_of({0, 0, 1});
  auto const palette = chunk("PLTE", bytes_of({1, 2, 3, 4, 5, 6}));
  auto const pixels = chunk("IDAT", packed(row)), last = chunk("IEND", {});
  head const gray{2, 1, 0}, coloured{2, 1, 3};
  auto refuse = [](buffer const& content, std::string_view part) {
    check_error([&] { parse(content); }, {"'given' is not a sound PNG", part});
  };
  auto const text = chunk("tEXt", bytes_of("a"));
  BOOST_TEST(parse(file_of(gray, {text, pixels, text, last})).values.size() == 2u);
  refuse(file_of(gray, {chunk("IHDR", buffer(13)), pixels, last}), "byte 33 is out of place");
  auto const whole = file_of(gray, {pixels, last});
  buffer const signature(whole.begin(), whole.begin() + 8), rest(whole.begin() + 8, whole.end());
  refuse(joined(joined(signature, chunk("CgBI", buffer(4))), rest), "byte 8 is out of place");
  refuse(joined(joined(signature, chunk("IHDR", buffer(12))), last), "byte 8 is out of place");
  refuse(file_of(gray, {chunk("CgBI", buffer(4)), pixels, last}), "a type that is not known");
  // A type is no text to print.
  refuse(file_of(gray, {chunk("\x1b[2J", {}), pixels, last}), "byte 33 is of a type that is not");
  refuse(file_of(coloured, {palette, palette, pixels, last}), "byte 51 is no palette");
  refuse(file_of(coloured, {pixels, palette, last}), "is no palette");
  refuse(file_of(coloured, {chunk("PLTE", buffer(771)), pixels, last}), "is no palette");
  refuse(file_of(coloured, {chunk("PLTE", buffer(4)), pixels, last}), "is no palette");
}

BOOST_AUTO_TEST_CASE(a_palette_has_the_colours_of_all_pixels) {
  auto const palette = chunk("PLTE", bytes_of({1, 2, 3, 4, 5, 6}));
  auto const back = parse(png_of({2, 1, 3}, bytes_of({0, 0, 1}), palette));
  std::vector<float> expected;
  for (int byte : {1, 4, 2, 5, 3, 6}) expected.push_back(value_of(byte));
  BOOST_TEST(equal_bits(back.values, expected));
  BOOST_TEST(back.shape.channels == 3u);
  for (int index : {2, 255})
    check_error(
        [&] {
          parse(png_of({2, 1, 3}, bytes_of({0, 0, index}), palette));
        },
        {"a colour that its palette of 2 lacks"});
  auto const transparent = joined(palette, chunk("tRNS", bytes_of({0})));
  check_error(
      [&] {
        parse(png_of({2, 1, 3}, bytes_of({0, 0, 1}), transparent));
      },
      {"transparency"});
  check_error(
      [&] {
        parse(png_of({2, 1, 0}, bytes_of({0, 0, 1}), chunk("tRNS", buffer(2))));
      },
      {"transparency"});
}

BOOST_AUTO_TEST_CASE(depths_and_passes) {
  // Two bits a pixel, the last byte half used; 16 bits, of which 8 stay.
  BOOST_TEST(equal_bits(parse(png_of({5, 1, 0, 2}, bytes_of({0, 0b00011011, 0b01000000}))).values,
                        std::vector<float>{-1, value_of(85), value_of(170), 1, value_of(85)}));
  BOOST_TEST(equal_bits(parse(png_of({1, 1, 0, 16}, bytes_of({0, 10, 200}))).values,
                        std::vector<float>{value_of(10)}));
  // Interlaced 3x3: the passes have 1, 0, 0, 1, 2, 2 and 3 pixels.
  auto const passes = bytes_of({0, 1, /**/ 0, 3, /**/ 0, 7, 9, /**/ 0, 2, 0, 8, /**/ 0, 4, 5, 6});
  std::vector<float> expected;
  for (int byte = 1; byte <= 9; ++byte) expected.push_back(value_of(byte));
  BOOST_TEST(equal_bits(parse(png_of({3, 3, 0, 8, 1}, passes)).values, expected));
}

BOOST_AUTO_TEST_CASE(what_is_transparent_is_read_where_it_may_be) {
  auto const read = [](buffer const& content) {
    return io::parse_png(content, "given", {.may_be_transparent = true});
  };
  auto const check = [&](buffer const& content, std::vector<int> const& bytes,
                         std::vector<float> const& opacity) {
    std::vector<float> values;
    for (int byte : bytes) values.push_back(value_of(byte));
    auto const back = read(content);
    BOOST_TEST(equal_bits(back.values, values));
    BOOST_TEST(equal_bits(back.opacity, opacity));
    if (opacity.empty()) BOOST_TEST(equal_bits(parse(content).values, values));
    else check_error([&] { parse(content); }, {"transparency, first at row 0, column 1"});
  };
  float const fifth = 51 / 255.0f;
  check(png_of({2, 1, 4}, bytes_of({0, 7, 255, 9, 51})), {7, 9}, {1, fifth});
  check(png_of({2, 1, 4}, bytes_of({0, 7, 255, 9, 255})), {7, 9}, {});
  check(png_of({2, 1, 6}, bytes_of({0, 1, 2, 3, 255, 4, 5, 6, 0})), {1, 4, 2, 5, 3, 6}, {1, 0});
  check(png_of({2, 1, 6}, bytes_of({0, 1, 2, 3, 255, 4, 5, 6, 255})), {1, 4, 2, 5, 3, 6}, {});
  check(png_of({2, 1, 4, 16}, bytes_of({0, 7, 0, 255, 0, 9, 0, 51, 0})), {7, 9}, {1, fifth});
  check(png_of({2, 1, 0}, bytes_of({0, 7, 9}), chunk("tRNS", bytes_of({0, 9}))), {7, 9}, {1, 0});
  auto const palette = chunk("PLTE", bytes_of({1, 2, 3, 4, 5, 6}));
  auto const some = joined(palette, chunk("tRNS", bytes_of({255, 51})));
  check(png_of({2, 1, 3}, bytes_of({0, 0, 1}), some), {1, 4, 2, 5, 3, 6}, {1, fifth});
  auto const first = joined(palette, chunk("tRNS", bytes_of({0})));
  check(png_of({2, 1, 3}, bytes_of({0, 1, 1}), first), {4, 4, 5, 5, 6, 6}, {});
  check_error([&] { read(png_of({2, 1, 3}, bytes_of({0, 0, 2}), some)); }, {"palette of 2 lacks"});
  check_error(
      [&] {
        read(png_of({2, 1, 3}, bytes_of({0, 0, 1}), joined(palette, chunk("tRNS", buffer(3)))));
      },
      {"not a usable PNG"});
}
