#include <png.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <csetjmp>
#include <memory>
#include <string_view>
#include <tweedie/dsl/base/error.hpp>
#include <tweedie/io/png.hpp>

namespace tweedie::io {
namespace {

/// Of a file, and of the pixels of a picture that is drawn.
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

/// What libpng says of an error, in memory that outlives its jump back over our frames.
struct complaint {
  std::array<char, 200> text{};
};
extern "C" void complain(png_structp png, png_const_charp why) {
  auto& to = static_cast<complaint*>(png_get_error_ptr(png))->text;
  std::string_view const all(why);
  std::copy_n(all.begin(), std::min(all.size(), to.size() - 1), to.begin());
  png_longjmp(png, 1);
}
extern "C" void say_nothing(png_structp, png_const_charp) {}

// No destructor may stand between setjmp and what jumps: each of the two functions below has plain
// values alone, and what it fills belongs to its caller.

/// Appends what is written to the buffer behind the writer; no memory is an error of libpng's.
extern "C" void append(png_structp png, png_bytep bytes, png_size_t size) {
  auto& to = *static_cast<buffer*>(png_get_io_ptr(png));
  bool fits = true;
  try {
    auto const* const from = reinterpret_cast<std::byte const*>(bytes);
    to.insert(to.end(), from, from + size);
  } catch (std::bad_alloc const&) {
    fits = false;
  }
  if (!fits) png_error(png, "there was not enough memory to compress it");
}
extern "C" void flush_nothing(png_structp) {}

bool write_rows(png_structp png, png_infop info, canvas const& drawn, buffer* to) {
  if (setjmp(png_jmpbuf(png))) return false;
  png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
  png_set_write_fn(png, to, append, flush_nothing);
  png_set_IHDR(png, info, static_cast<png_uint_32>(drawn.width),
               static_cast<png_uint_32>(drawn.height), 8,
               drawn.channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
  png_write_info(png, info);
  for (std::size_t y = 0; y < drawn.height; ++y)
    png_write_row(png, drawn.bytes.data() + y * drawn.width * drawn.channels);
  png_write_end(png, nullptr);
  return true;
}

buffer encode(std::span<float const> samples, picture_shape const& shape, grid_layout const& layout,
              std::string const& name) {
  auto const drawn = draw(samples, shape, layout, name);
  complaint why;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &why, complain, say_nothing);
  png_infop info = png ? png_create_info_struct(png) : nullptr;
  buffer encoded;
  bool const written = info && write_rows(png, info, drawn, &encoded);
  png_destroy_write_struct(&png, &info);
  if (!written)
    cannot_draw(name, why.text[0] ? why.text.data() : "there was not enough memory to compress it");
  return encoded;
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

  std::size_t width() const { return number_at(header, 0); }
  std::size_t height() const { return number_at(header, 4); }
  std::size_t depth() const { return header[8]; }
  std::size_t colour() const { return header[9]; }
  bool is_interlaced() const { return header[12] != 0; }
  bool has_palette() const { return colour() == 3; }
};

/// libpng reads on where it can; here each chunk must be whole, in its place, and with the checksum
/// that the format demands.
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

/// Refuses what cannot be read, with a reason, before room is made for it.
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
  auto const of = parts.transparency.size();
  bool const fits = of == 0 || (parts.has_palette() && of <= parts.palette.size() / 3) ||
                    (colour == 0 && of == 2) || (colour == 2 && of == 6);
  if (!fits)
    fail(
        "its transparency, tRNS, has " + std::to_string(of) +
        " bytes; expected 2 for gray, 6 for RGB, at most one for each colour of a palette, or none "
        "where each pixel has its own");
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

/// Whether the compressed rows are sound and as long as the header says: before room is made for
/// all pixels that a header claims, and without what libpng would only warn of.
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

/// What is left to be read of a file.
struct unread {
  unsigned char const* next;
  std::size_t size;
};
extern "C" void take(png_structp png, png_bytep to, png_size_t size) {
  auto& from = *static_cast<unread*>(png_get_io_ptr(png));
  if (size > from.size) png_error(png, "it ends too soon");
  std::copy_n(from.next, size, to);
  from.next += size;
  from.size -= size;
}

/// A byte a channel: gray or RGB, transparency if there is some, or a palette's index.
bool read_rows(png_structp png, png_infop info, unread* from, std::vector<unsigned char>* pixels,
               std::vector<unsigned char*>* rows, std::size_t* channels) {
  if (setjmp(png_jmpbuf(png))) return false;
  png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);  // check_header has asked
  png_set_read_fn(png, from, take);
  png_read_info(png, info);
  auto const colour = png_get_color_type(png, info);
  if (colour == PNG_COLOR_TYPE_PALETTE) png_set_packing(png);
  else {
    if (png_get_bit_depth(png, info) < 8) png_set_expand_gray_1_2_4_to_8(png);
    if (png_get_valid(png, info, PNG_INFO_tRNS)) png_set_tRNS_to_alpha(png);
    png_set_strip_16(png);
  }
  png_set_interlace_handling(png);
  png_read_update_info(png, info);
  std::size_t const height = png_get_image_height(png, info), row = png_get_rowbytes(png, info);
  *channels = png_get_channels(png, info);
  bool fits = true;
  try {
    pixels->resize(height * row);
    rows->resize(height);
  } catch (std::bad_alloc const&) {
    fits = false;
  }
  if (!fits) png_error(png, "there is not enough memory for its pixels");
  for (std::size_t y = 0; y < height; ++y) (*rows)[y] = pixels->data() + y * row;
  png_read_image(png, rows->data());
  png_read_end(png, nullptr);
  return true;
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

  complaint why;
  png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &why, complain, say_nothing);
  png_infop info = png ? png_create_info_struct(png) : nullptr;
  unread from{bytes.data(), bytes.size()};
  std::vector<unsigned char> pixels;
  std::vector<unsigned char*> rows;
  std::size_t channels = 0;
  bool const read = info && read_rows(png, info, &from, &pixels, &rows, &channels);
  png_destroy_read_struct(&png, &info, nullptr);
  if (!read) fail(why.text[0] ? why.text.data() : "there is not enough memory for it");
  auto const size = parts.width() * parts.height(), stride = channels;
  auto const colours = parts.palette.size() / 3;
  picture result{{1, parts.colour() % 4 == 0 ? 1u : 3u, parts.height(), parts.width()}, {}, {}};
  result.values.resize(size * result.shape.channels);
  auto const value_of = [](int byte) { return static_cast<float>(2 * byte - 255) / 255.0f; };
  bool const has_alpha = !parts.has_palette() && stride % 2 == 0;
  for (std::size_t i = 0; i < size; ++i) {
    unsigned char const* pixel = pixels.data() + i * stride;
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
