#include <tweedie/dsl/base/error.hpp>
#include <tweedie/io/gzip.hpp>
#include <tweedie/io/idx.hpp>

namespace tweedie::io {

idx_array parse_idx(std::span<std::byte const> content, std::string const& name) {
  auto fail = [&](std::string const& why) {
    throw error("'" + name + "' is not an IDX file: " + why);
  };
  auto at = [&](std::size_t i) { return std::to_integer<std::size_t>(content[i]); };

  if (content.size() < 4)
    fail("it has " + std::to_string(content.size()) + " bytes; expected at least 4");
  if (at(0) != 0 || at(1) != 0)
    fail("it begins with the bytes " + std::to_string(at(0)) + " and " + std::to_string(at(1)) +
         "; expected two zeros");
  if (at(2) != 0x08)
    fail("its element type is " + std::to_string(at(2)) + "; expected 8, unsigned bytes");
  auto const dimensions = at(3);
  if (dimensions == 0) fail("it has 0 dimensions; expected at least 1");
  auto const header = 4 + 4 * dimensions;
  if (content.size() < header)
    fail("it ends within its header: " + std::to_string(content.size()) + " bytes, expected " +
         std::to_string(header) + " for " + std::to_string(dimensions) + " dimensions");

  idx_array array;
  for (std::size_t i = 4; i < header; i += 4)
    array.shape.push_back(at(i) << 24 | at(i + 1) << 16 | at(i + 2) << 8 | at(i + 3));
  auto const count = element_count(array.shape);
  if (!count) fail("its shape " + to_text(array.shape) + " has more elements than memory can hold");
  auto const data = content.subspan(header);
  if (data.size() != *count)
    fail("it has " + std::to_string(data.size()) + " bytes of data; expected " +
         std::to_string(*count) + " for the shape " + to_text(array.shape));
  array.data.reserve(data.size());
  for (auto byte : data) array.data.push_back(std::to_integer<std::uint8_t>(byte));
  return array;
}

idx_array read_idx(std::filesystem::path const& path, std::uint64_t max_bytes) {
  return parse_idx(read_plain_or_gzip(path, max_bytes), path.string());
}

}  // namespace tweedie::io
