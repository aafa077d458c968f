#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <tweedie/io/extents.hpp>
#include <vector>

namespace tweedie::io {

// IDX, the format of MNIST (LeCun, Cortes, Burges, "The MNIST database", section "the IDX file
// format"): two zero bytes, a byte for the type (0x08 is unsigned byte), a byte for the number of
// dimensions, the sizes as big-endian 32-bit numbers, then the elements, the last index fastest.

/// An array of unsigned bytes.
struct idx_array {
  extents shape;
  std::vector<std::uint8_t> data;
};

/// Reads IDX of unsigned bytes from memory. Throws `error`, which calls it `name`, where a byte is
/// missing or too many or the type is another one.
idx_array parse_idx(std::span<std::byte const> content, std::string const& name);

/// Reads an IDX file, plain or gzip. Throws `error`.
idx_array read_idx(std::filesystem::path const& path,
                   std::uint64_t max_bytes = std::uint64_t{1} << 30);

}  // namespace tweedie::io
