#include <algorithm>
#include <tweedie/dsl/base/error.hpp>
#include <tweedie/io/file.hpp>
#include <tweedie/io/jpeg.hpp>
#include <tweedie/io/pictures.hpp>

namespace tweedie::io {
namespace {

constexpr float white = 1;

/// Some pixels of a line and their parts of one that is made of them; what is missing to 1 is white.
struct mixture {
  std::size_t first = 0;
  std::vector<double> parts;
  double outside = 1;
};

/// A line of `length` pixels, of which a window of `side` in its middle becomes `size` pixels.
std::vector<mixture> mixtures_of(std::size_t length, std::size_t side, std::size_t size) {
  double const scale = static_cast<double>(side) / static_cast<double>(size);
  double const offset = (static_cast<double>(length) - static_cast<double>(side)) / 2;
  std::vector<mixture> all(size);
  for (std::size_t i = 0; i < size; ++i) {
    // The pixel covers [begin, end) of the line; both are mirror images of those at the other end.
    double const end_of_line = static_cast<double>(length);
    double const begin = std::clamp(offset + scale * static_cast<double>(i), 0.0, end_of_line);
    double const end = std::clamp(offset + scale * static_cast<double>(i + 1), 0.0, end_of_line);
    auto& m = all[i];
    if (end <= begin) continue;
    m.first = static_cast<std::size_t>(begin);
    for (std::size_t j = m.first; j < length && static_cast<double>(j) < end; ++j) {
      double const part =
          (std::min(end, static_cast<double>(j + 1)) - std::max(begin, static_cast<double>(j))) /
          scale;
      m.parts.push_back(part);
      m.outside -= part;
    }
    m.outside = std::max(m.outside, 0.0);
  }
  return all;
}

}  // namespace

picture parse_picture(std::span<std::byte const> content, std::string const& name,
                      std::size_t max_pixels) {
  if (is_jpeg(content)) return parse_jpeg(content, name, max_pixels);
  if (content.size() < 4 || content[0] != std::byte{137} || content[1] != std::byte{'P'} ||
      content[2] != std::byte{'N'} || content[3] != std::byte{'G'})
    throw error("'" + name + "' is not a picture: it begins neither as a PNG nor as a JPEG");
  auto p = parse_png(content, name, {.max_pixels = max_pixels, .may_be_transparent = true});
  std::size_t const size = p.shape.height * p.shape.width;
  for (std::size_t i = 0; i < p.values.size() && !p.opacity.empty(); ++i) {
    float const opacity = p.opacity[i % size];
    p.values[i] = opacity * p.values[i] + (1 - opacity) * white;
  }
  p.opacity.clear();
  return p;
}

picture read_picture(std::filesystem::path const& path, std::size_t max_pixels) {
  return parse_picture(read_file(path), path.string(), max_pixels);
}

std::vector<float> to_square(picture const& from, std::size_t size, fit how) {
  auto const& s = from.shape;
  if (size == 0 || s.height == 0 || s.width == 0 ||
      from.values.size() != s.channels * s.height * s.width)
    throw error("a square of " + std::to_string(size) + " pixels was asked for of " +
                std::to_string(from.values.size()) + " values; expected at least 1, of " +
                std::to_string(s.channels) + "x" + std::to_string(s.height) + "x" +
                std::to_string(s.width));
  auto const side = how == fit::crop ? std::min(s.height, s.width) : std::max(s.height, s.width);
  auto const rows = mixtures_of(s.height, side, size), columns = mixtures_of(s.width, side, size);
  std::vector<float> result(s.channels * size * size);
  std::vector<double> line(s.width);
  for (std::size_t c = 0; c < s.channels; ++c)
    for (std::size_t y = 0; y < size; ++y) {
      std::ranges::fill(line, rows[y].outside * static_cast<double>(white));
      for (std::size_t k = 0; k < rows[y].parts.size(); ++k) {
        float const* const row = from.values.data() + (c * s.height + rows[y].first + k) * s.width;
        for (std::size_t x = 0; x < s.width; ++x)
          line[x] += rows[y].parts[k] * static_cast<double>(row[x]);
      }
      for (std::size_t x = 0; x < size; ++x) {
        auto const& m = columns[x];
        double sum = m.outside * static_cast<double>(white);
        for (std::size_t k = 0; k < m.parts.size(); ++k) sum += m.parts[k] * line[m.first + k];
        result[(c * size + y) * size + x] = static_cast<float>(std::clamp(sum, -1.0, 1.0));
      }
    }
  return result;
}

picture to_gray(picture const& from) {
  if (from.shape.channels == 1) return from;
  std::size_t const size = from.shape.height * from.shape.width;
  picture r{{1, 1, from.shape.height, from.shape.width}, std::vector<float>(size), from.opacity};
  for (std::size_t i = 0; i < size; ++i)
    r.values[i] = 0.299f * from.values[i] + 0.587f * from.values[size + i] +
                  0.114f * from.values[2 * size + i];
  return r;
}

}  // namespace tweedie::io
