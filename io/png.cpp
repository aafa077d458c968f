#include <zlib.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <tweedie/dsl/base/error.hpp>
#include <tweedie/io/png.hpp>

namespace {

/// stb grows its output for as long as the compressed data asks: a small file must not take all
/// memory.
void* bounded_realloc(void* old, std::size_t size) {
  return size <= std::size_t{1} << 30 ? std::realloc(old, size) : nullptr;
}

}  // namespace

#define STBI_MALLOC(size) bounded_realloc(nullptr, size)
#define STBI_REALLOC(old, size) bounded_realloc(old, size)
#define STBI_FREE(old) std::free(old)
#define STBI_ONLY_PNG
#define STBI_NO_STDIO
#define STBI_WRITE_NO_STDIO
#define STB_IMAGE_STATIC
#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_WRITE_IMPLEMENTATION
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#include <stb/stb_image.h>
#include <stb/stb_image_write.h>
#pragma GCC diagnostic pop

namespace tweedie::io {
namespace {

using stb_bytes = std::unique_ptr<unsigned char, void (*)(void*)>;

/// stb counts in int, and some more for the filters of each row.
constexpr std::size_t max_bytes = std::size_t{1} << 29;

/// Pixels of the whole picture, channels side by side.
struct canvas {
  std::size_t channels, height, width;
  std::vector<unsigned char> bytes;
};

unsigned char byte_of(float value) {
  return static_cast<unsigned char>(std::lround((std::clamp(value, -1.0f, 1.0f) + 1.0f) * 127.5f));
}

[[noreturn]] void cannot_draw(std::string const& name, std::string const& why) {
  throw error("cannot write '" + name + "' as PNG: " + why);
}

/// pictures * (size + padding) - padding; more than `max_bytes` where that is too long.
std::size_t length_of(std::size_t pictures, std::size_t size, std::size_t padding) {
  if (size > max_bytes || padding > max_bytes || pictures > max_bytes / (size + padding))
    return max_bytes + 1;
  return pictures * (size + padding) - padding;
}

std::string described(picture_shape const& s) {
  return std::to_string(s.count) + " pictures of " + std::to_string(s.channels) + "x" +
         std::to_string(s.height) + "x" + std::to_string(s.width);
}

/// Where pictures lie on a canvas of so many pixels.
struct places {
  std::size_t columns, height, width;
};

places places_of(picture_shape const& shape, grid_layout const& layout, std::string const& name) {
  auto const count = shape.count, channels = shape.channels, height = shape.height,
             width = shape.width;
  if (channels != 1 && channels != 3)
    cannot_draw(name,
                "it was given " + described(shape) + "; expected 1 channel (gray) or 3 (RGB)");
  if (count == 0 || height == 0 || width == 0 || layout.upscale == 0)
    cannot_draw(name, "it was given " + described(shape) + ", " + std::to_string(layout.upscale) +
                          " times as large; expected none of these to be 0");
  if (width > max_bytes || height > max_bytes / width || count > max_bytes / (height * width))
    cannot_draw(name, "it was given " + described(shape) + ", too many; expected at most " +
                          std::to_string(max_bytes) + " bytes");
  if (!std::isfinite(layout.background))
    cannot_draw(name, "its background is not finite; expected -1 to 1");

  auto const fit = [&](std::size_t other) { return count / other + (count % other != 0); };
  auto const square = static_cast<std::size_t>(std::ceil(std::sqrt(static_cast<double>(count))));
  auto const columns = layout.columns ? layout.columns : layout.rows ? fit(layout.rows) : square;
  auto const rows = layout.rows ? layout.rows : fit(columns);
  if (rows < fit(columns))
    cannot_draw(name, "it was given " + described(shape) + "; expected at most " +
                          std::to_string(rows) + " rows of " + std::to_string(columns));
  auto const too_large = [&] {
    cannot_draw(name, std::to_string(rows) + " rows and " + std::to_string(columns) +
                          " columns of them, " + std::to_string(layout.upscale) +
                          " times as large, are too many; expected at most " +
                          std::to_string(max_bytes) + " bytes");
  };
  if (layout.upscale > max_bytes / std::max(height, width)) too_large();
  auto const total_height = length_of(rows, height * layout.upscale, layout.padding);
  auto const total_width = length_of(columns, width * layout.upscale, layout.padding);
  if (total_height > max_bytes / (total_width * channels)) too_large();
  return {columns, total_height, total_width};
}

canvas draw(std::span<float const> samples, picture_shape const& shape, grid_layout const& layout,
            std::string const& name) {
  auto const [columns, total_height, total_width] = places_of(shape, layout, name);
  auto const channels = shape.channels, height = shape.height, width = shape.width;
  if (samples.size() != shape.count * channels * height * width)
    cannot_draw(name, "it was given " + std::to_string(samples.size()) + " values; expected " +
                          described(shape));
  canvas result{channels, total_height, total_width, {}};
  result.bytes.assign(total_height * total_width * channels, byte_of(layout.background));
  for (std::size_t i = 0; i < samples.size(); ++i) {
    auto const column = i % width, row = i / width % height;
    auto const channel = i / (width * height) % channels, sample = i / (width * height * channels);
    if (!std::isfinite(samples[i]))
      cannot_draw(name, "picture " + std::to_string(sample) +
                            " holds a value that is not finite; expected -1 to 1");
    auto const top = sample / columns * (height * layout.upscale + layout.padding);
    auto const left = sample % columns * (width * layout.upscale + layout.padding);
    for (std::size_t y = 0; y < layout.upscale; ++y)
      for (std::size_t x = 0; x < layout.upscale; ++x)
        result.bytes[((top + row * layout.upscale + y) * total_width + left +
                      column * layout.upscale + x) *
                         channels +
                     channel] = byte_of(samples[i]);
  }
  return result;
}

buffer encode(std::span<float const> samples, picture_shape const& shape, grid_layout const& layout,
              std::string const& name) {
  auto const drawn = draw(samples, shape, layout, name);
  int length = 0;
  auto const width = static_cast<int>(drawn.width), channels = static_cast<int>(drawn.channels);
  stb_bytes const encoded(stbi_write_png_to_mem(drawn.bytes.data(), width * channels, width,
                                                static_cast<int>(drawn.height), channels, &length),
                          std::free);
  if (!encoded) cannot_draw(name, "there was not enough memory to compress it");
  auto const bytes = std::as_bytes(std::span(encoded.get(), static_cast<std::size_t>(length)));
  return {bytes.begin(), bytes.end()};
}

using octets = std::span<unsigned char const>;

std::size_t number_at(octets bytes, std::size_t i) {
  return std::size_t{bytes[i]} << 24 | std::size_t{bytes[i + 1]} << 16 |
         std::size_t{bytes[i + 2]} << 8 | bytes[i + 3];
}

/// Where a file has what.
struct anatomy {
  octets header, palette, transparency;
  std::vector<octets> data;  ///< the IDAT chunks
  std::size_t data_at = 0;   ///< where the first of them begins, with its length

  std::size_t width() const { return number_at(header, 0); }
  std::size_t height() const { return number_at(header, 4); }
  std::size_t depth() const { return header[8]; }
  std::size_t colour() const { return header[9]; }
  bool is_interlaced() const { return header[12] != 0; }
  bool has_palette() const { return colour() == 3; }
};

/// stb reads what it can; here each chunk must be whole, in its place, and with the checksum that
/// the format demands.
anatomy check_chunks(octets bytes, std::string const& name) {
  auto fail = [&](std::string const& why) {
    throw error("'" + name + "' is not a sound PNG: " + why);
  };
  constexpr std::array<unsigned char, 8> signature{137, 80, 78, 71, 13, 10, 26, 10};
  if (bytes.size() < 8 || !std::equal(signature.begin(), signature.end(), bytes.begin()))
    fail("it does not begin with the signature of PNG");
  anatomy parts;
  for (std::size_t at = signature.size(); at < bytes.size();) {
    auto const chunk = "the chunk at byte " + std::to_string(at);
    if (bytes.size() - at < 12 || number_at(bytes, at) > bytes.size() - at - 12)
      fail("it ends within " + chunk);
    auto const length = number_at(bytes, at);
    auto const checksum = crc32_z(0, bytes.data() + at + 4, length + 4);
    if (checksum != number_at(bytes, at + 8 + length)) fail(chunk + " does not match its checksum");
    std::string_view const type(reinterpret_cast<char const*>(bytes.data()) + at + 4, 4);
    auto const data = bytes.subspan(at + 8, length);
    bool const is_first = at == signature.size();
    if (is_first != (type == "IHDR") || (is_first && length != 13))
      fail(chunk + " is out of place; expected IHDR of 13 bytes, first and once");
    if (is_first) {
      parts.header = data;
    } else if (type == "PLTE") {
      if (!parts.palette.empty() || !parts.data.empty() || length == 0 || length % 3 != 0 ||
          length > 768)
        fail(chunk + " is no palette; expected one, of 1 to 256 colours, before the pixels");
      parts.palette = data;
    } else if (type == "IDAT") {
      if (parts.data.empty()) parts.data_at = at;
      parts.data.push_back(data);
    } else if (type == "IEND") {
      if (at + 12 + length != bytes.size()) fail("it goes on behind its last chunk");
      return parts;
    } else if (type == "tRNS") {
      if (!parts.transparency.empty() || length == 0 || length > 256)
        fail(chunk + " is no transparency; expected one, of 1 to 256 bytes");
      parts.transparency = data;
    } else if (type.front() < 'a' || type.front() > 'z') {  // only these may be skipped
      fail(chunk + " is of a type that is not known");
    }
    at += 12 + length;
  }
  fail("it ends without its last chunk, IEND");
  return parts;
}

/// Refuses what cannot be read, with a reason: stb says of all this "unknown image type".
void check_header(anatomy const& parts, std::string const& name, std::size_t max_pixels) {
  auto fail = [&](std::string const& why) {
    throw error("'" + name + "' is not a usable PNG: " + why);
  };
  auto const width = parts.width(), height = parts.height();
  auto const colour = parts.colour(), depth = parts.depth();
  if (width == 0 || height == 0 || height > max_pixels / width)
    fail("it has " + std::to_string(width) + "x" + std::to_string(height) +
         " pixels; expected at least 1 and at most " + std::to_string(max_pixels));
  bool const is_packed = depth == 1 || depth == 2 || depth == 4;
  bool const is_known =
      colour == 0   ? is_packed || depth == 8 || depth == 16
      : colour == 3 ? is_packed || depth == 8
                    : (colour == 2 || colour == 4 || colour == 6) && (depth == 8 || depth == 16);
  if (!is_known)
    fail("it has the colour type " + std::to_string(colour) + " with " + std::to_string(depth) +
         " bits; expected gray (0) with 1, 2, 4, 8 or 16, a palette (3) with 1, 2, 4 or 8, or RGB "
         "(2), "
         "gray (4) and RGB (6) with transparency with 8 or 16");
  if (parts.header[10] != 0 || parts.header[11] != 0 || parts.header[12] > 1)
    fail("it is compressed, filtered or interlaced by a method that is not known");
  if (parts.has_palette() && parts.palette.empty()) fail("it has no palette for its pixels");
}

/// The length of all rows of a sound header: before each row's pixels a byte says its filter.
/// Interlaced, the pixels come in seven passes, each with rows of its own.
std::uint64_t length_of_rows(anatomy const& parts) {
  auto const bits = parts.depth() * std::array<std::size_t, 7>{1, 0, 3, 1, 2, 0, 4}[parts.colour()];
  auto pass = [&](std::size_t x, std::size_t y, std::size_t step_x, std::size_t step_y) {
    auto const width = (parts.width() + step_x - 1 - x) / step_x;
    auto const height = (parts.height() + step_y - 1 - y) / step_y;
    return width == 0 ? 0 : std::uint64_t{height} * (1 + (width * bits + 7) / 8);
  };
  if (!parts.is_interlaced()) return pass(0, 0, 1, 1);
  return pass(0, 0, 8, 8) + pass(4, 0, 8, 8) + pass(0, 4, 4, 8) + pass(2, 0, 4, 4) +
         pass(0, 2, 2, 4) + pass(1, 0, 2, 2) + pass(0, 1, 1, 2);
}

/// What stb does not ask: whether the compressed rows are sound and as long as the header says. It
/// makes room for all pixels that a header claims, unpacks up to 1 GiB for a single one, copies
/// bytes never written where a code is none of deflate's, and does not look at the checksum.
void check_rows(anatomy const& parts, std::string const& name) {
  auto fail = [&](std::string const& why) {
    throw error("'" + name + "' is not a sound PNG: " + why);
  };
  auto const expected = length_of_rows(parts);
  z_stream stream{};
  if (inflateInit(&stream) != Z_OK)
    throw error("'" + name + "': zlib could not start; expected zlib " ZLIB_VERSION " and memory");
  std::unique_ptr<z_stream, int (*)(z_stream*)> const guard(&stream, inflateEnd);
  std::array<unsigned char, 1 << 15> rows;
  std::uint64_t given = 0;
  int result = Z_OK;
  auto may_go_on = [&] {  // zlib says Z_BUF_ERROR where it asks for the next part
    return (result == Z_OK || result == Z_BUF_ERROR) && stream.total_out <= expected;
  };
  for (auto part : parts.data) {
    given += part.size();
    // zlib reads through a pointer to non-const unless told otherwise, and never writes there.
    stream.next_in = const_cast<unsigned char*>(part.data());
    stream.avail_in = may_go_on() ? static_cast<uInt>(part.size()) : 0;
    while (may_go_on()) {
      stream.next_out = rows.data();
      stream.avail_out = static_cast<uInt>(rows.size());
      result = inflate(&stream, Z_NO_FLUSH);
      if (stream.avail_in == 0 && stream.avail_out > 0) break;
    }
  }
  if (stream.total_out > expected)
    fail("its pixels unpack to more than the " + std::to_string(expected) + " bytes expected");
  if (stream.total_out != expected || stream.total_in != given || result != Z_STREAM_END)
    fail("its pixels unpack to " + std::to_string(stream.total_out) + " bytes" +
         (stream.msg ? " and an error (" + std::string(stream.msg) + ")" : "") +
         "; expected a sound stream of " + std::to_string(expected));
}

/// stb looks a colour up without asking whether the palette has it, in memory never written. Here a
/// palette of all 256 follows the file's own, whose colours are their indices: what is read is what
/// the file's palette is asked.
buffer with_indices_as_colours(std::span<std::byte const> content, anatomy const& parts) {
  constexpr std::string_view type = "PLTE";
  constexpr std::size_t colours = 256, length = 3 * colours;
  buffer added;
  for (int shift : {24, 16, 8, 0}) added.push_back(static_cast<std::byte>(length >> shift));
  auto const name = std::as_bytes(std::span(type));
  added.insert(added.end(), name.begin(), name.end());
  for (std::size_t i = 0; i < colours; ++i) added.insert(added.end(), 3, static_cast<std::byte>(i));
  added.resize(added.size() + 4);  // stb skips the checksum
  auto const place = content.begin() + static_cast<std::ptrdiff_t>(parts.data_at);
  buffer result(content.begin(), place);
  result.insert(result.end(), added.begin(), added.end());
  result.insert(result.end(), place, content.end());
  return result;
}

}  // namespace

void check_png(picture_shape const& shape, grid_layout const& layout, std::string const& name) {
  places_of(shape, layout, name);
}

buffer to_png(std::span<float const> samples, picture_shape const& shape,
              grid_layout const& layout) {
  return encode(samples, shape, layout, "pictures");
}

void write_png(std::filesystem::path const& path, std::span<float const> samples,
               picture_shape const& shape, grid_layout const& layout) {
  write_file(path, encode(samples, shape, layout, path.string()));
}

picture parse_png(std::span<std::byte const> content, std::string const& name,
                  png_options const& options) {
  auto fail = [&](std::string const& why) {
    throw error("'" + name + "' is not a usable PNG: " + why);
  };
  if (content.size() > max_bytes)
    fail("it has " + std::to_string(content.size()) + " bytes; expected at most " +
         std::to_string(max_bytes));
  auto bytes = octets(reinterpret_cast<unsigned char const*>(content.data()), content.size());
  auto const parts = check_chunks(bytes, name);
  check_header(parts, name, options.max_pixels);
  check_rows(parts, name);

  buffer completed;
  if (parts.has_palette()) {
    completed = with_indices_as_colours(content, parts);
    bytes = octets(reinterpret_cast<unsigned char const*>(completed.data()), completed.size());
  }
  int width = 0, height = 0, channels = 0;
  stb_bytes const decoded(stbi_load_from_memory(bytes.data(), static_cast<int>(bytes.size()),
                                                &width, &height, &channels, 0),
                          std::free);
  if (!decoded) {
    auto const* const reason = stbi_failure_reason();  // some failures have none
    fail(reason ? reason : "stb_image gives no reason");
  }
  auto const size = parts.width() * parts.height(), stride = static_cast<std::size_t>(channels);
  auto const colours = parts.palette.size() / 3;
  picture result{{1, parts.colour() % 4 == 0 ? 1u : 3u, parts.height(), parts.width()}, {}, {}};
  result.values.resize(size * result.shape.channels);
  auto const value_of = [](int byte) { return static_cast<float>(2 * byte - 255) / 255.0f; };
  bool const has_alpha = !parts.has_palette() && stride % 2 == 0;
  for (std::size_t i = 0; i < size; ++i) {
    unsigned char const* pixel = decoded.get() + i * stride;
    unsigned char alpha = has_alpha ? pixel[stride - 1] : 255;
    if (parts.has_palette()) {
      std::size_t const index = pixel[0];
      if (index >= colours)
        fail("a pixel has a colour that its palette of " + std::to_string(colours) + " lacks");
      pixel = parts.palette.data() + 3 * index;
      if (index < parts.transparency.size()) alpha = parts.transparency[index];
    }
    for (std::size_t c = 0; c < result.shape.channels; ++c)
      result.values[c * size + i] = value_of(pixel[c]);
    if (alpha == 255) continue;
    if (!options.may_be_transparent)
      fail("it has transparency, first at row " + std::to_string(i / parts.width()) + ", column " +
           std::to_string(i % parts.width()) + "; expected gray or RGB without it");
    if (result.opacity.empty()) result.opacity.assign(size, 1);
    result.opacity[i] = static_cast<float>(alpha) / 255.0f;
  }
  return result;
}

picture read_png(std::filesystem::path const& path, png_options const& options) {
  return parse_png(read_file(path, max_bytes), path.string(), options);
}

}  // namespace tweedie::io
