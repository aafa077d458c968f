#include <zlib.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <tweedie/dsl/error.hpp>
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

canvas draw(std::span<float const> samples, picture_shape const& shape, grid_layout const& layout,
            std::string const& name) {
  auto const count = shape.count, channels = shape.channels, height = shape.height,
             width = shape.width;
  auto const described = std::to_string(count) + " pictures of " + std::to_string(channels) + "x" +
                         std::to_string(height) + "x" + std::to_string(width);
  if (channels != 1 && channels != 3)
    cannot_draw(name, "it was given " + described + "; expected 1 channel (gray) or 3 (RGB)");
  if (count == 0 || height == 0 || width == 0 || layout.upscale == 0)
    cannot_draw(name, "it was given " + described + ", " + std::to_string(layout.upscale) +
                          " times as large; expected none of these to be 0");
  if (width > max_bytes || height > max_bytes / width || count > max_bytes / (height * width) ||
      samples.size() != count * channels * height * width)
    cannot_draw(
        name, "it was given " + std::to_string(samples.size()) + " values; expected " + described);

  if (!std::isfinite(layout.background))
    cannot_draw(name, "its background is not finite; expected -1 to 1");

  auto const fit = [&](std::size_t other) { return count / other + (count % other != 0); };
  auto const square = static_cast<std::size_t>(std::ceil(std::sqrt(static_cast<double>(count))));
  auto const columns = layout.columns ? layout.columns : layout.rows ? fit(layout.rows) : square;
  auto const rows = layout.rows ? layout.rows : fit(columns);
  if (rows < fit(columns))
    cannot_draw(name, "it was given " + described + "; expected at most " + std::to_string(rows) +
                          " rows of " + std::to_string(columns));
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

/// stb reads what it can; here each chunk must be whole, with the checksum that the format demands.
void check_chunks(std::span<std::byte const> content, std::string const& name) {
  auto fail = [&](std::string const& why) {
    throw error("'" + name + "' is not a sound PNG: " + why);
  };
  constexpr std::array<unsigned char, 8> signature{137, 80, 78, 71, 13, 10, 26, 10};
  auto const* const bytes = reinterpret_cast<unsigned char const*>(content.data());
  if (content.size() < 8 || !std::equal(signature.begin(), signature.end(), bytes))
    fail("it does not begin with the signature of PNG");
  auto number = [&](std::size_t i) {
    return std::size_t{bytes[i]} << 24 | std::size_t{bytes[i + 1]} << 16 |
           std::size_t{bytes[i + 2]} << 8 | bytes[i + 3];
  };
  for (std::size_t at = signature.size(); at < content.size();) {
    if (content.size() - at < 12 || number(at) > content.size() - at - 12)
      fail("it ends within the chunk at byte " + std::to_string(at));
    auto const length = number(at);
    auto const checksum = crc32_z(0, bytes + at + 4, length + 4);
    if (checksum != number(at + 8 + length))
      fail("the chunk at byte " + std::to_string(at) + " does not match its checksum");
    bool const is_last =
        std::string_view(reinterpret_cast<char const*>(bytes) + at + 4, 4) == "IEND";
    at += 12 + length;
    if (is_last && at != content.size()) fail("it goes on behind its last chunk");
    if (is_last) return;
  }
  fail("it ends without its last chunk, IEND");
}

}  // namespace

buffer to_png(std::span<float const> samples, picture_shape const& shape,
              grid_layout const& layout) {
  return encode(samples, shape, layout, "pictures");
}

void write_png(std::filesystem::path const& path, std::span<float const> samples,
               picture_shape const& shape, grid_layout const& layout) {
  write_file(path, encode(samples, shape, layout, path.string()));
}

picture parse_png(std::span<std::byte const> content, std::string const& name,
                  std::size_t max_pixels) {
  auto fail = [&](std::string const& why) {
    throw error("'" + name + "' is not a usable PNG: " + why);
  };
  check_chunks(content, name);
  if (content.size() > max_bytes)
    fail("it has " + std::to_string(content.size()) + " bytes; expected at most " +
         std::to_string(max_bytes));
  auto const* const bytes = reinterpret_cast<unsigned char const*>(content.data());
  auto const length = static_cast<int>(content.size());
  int width = 0, height = 0, channels = 0;
  if (!stbi_info_from_memory(bytes, length, &width, &height, &channels))
    fail(stbi_failure_reason());
  auto const size = static_cast<std::size_t>(width) * static_cast<std::size_t>(height);
  if (size > max_pixels)
    fail("it has " + std::to_string(width) + "x" + std::to_string(height) +
         " pixels; expected at most " + std::to_string(max_pixels));
  if (channels != 1 && channels != 3) fail("it has transparency; expected gray or RGB without it");
  stb_bytes const decoded(stbi_load_from_memory(bytes, length, &width, &height, &channels, 0),
                          std::free);
  if (!decoded) fail(stbi_failure_reason());
  if (channels != 1 && channels != 3) fail("it has transparency; expected gray or RGB without it");

  picture result{{1, static_cast<std::size_t>(channels), static_cast<std::size_t>(height),
                  static_cast<std::size_t>(width)},
                 {}};
  result.values.resize(size * result.shape.channels);
  for (std::size_t i = 0; i < size; ++i)
    for (std::size_t c = 0; c < result.shape.channels; ++c)
      result.values[c * size + i] =
          static_cast<float>(2 * decoded.get()[i * result.shape.channels + c] - 255) / 255.0f;
  return result;
}

picture read_png(std::filesystem::path const& path, std::size_t max_pixels) {
  return parse_png(read_file(path, max_bytes), path.string(), max_pixels);
}

}  // namespace tweedie::io
