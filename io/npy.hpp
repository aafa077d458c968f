#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <tweedie/io/extents.hpp>
#include <tweedie/io/file.hpp>
#include <variant>
#include <vector>

namespace tweedie::io {

// NPY (numpy/lib/format.py, "Format Version 1.0"): the magic \x93NUMPY, two bytes of version, the
// header's length as a little-endian 16-bit number (32-bit from version 2.0 on), a Python
// dictionary with descr, fortran_order and shape that spaces and a newline pad, then the elements.

/// An element of NumPy's bool.
enum class truth : std::uint8_t { no, yes };

/// An array, row-major. Little-endian float32 ('<f4'), float64 ('<f8'), int32 ('<i4'), int64
/// ('<i8'), unsigned bytes ('|u1') or truth values ('|b1').
struct npy_array {
  extents shape;
  std::variant<std::vector<float>, std::vector<double>, std::vector<std::uint8_t>,
               std::vector<truth>, std::vector<std::int32_t>, std::vector<std::int64_t>>
      data;
  std::string name = {};  ///< as sentences call it

  /// The elements as float, a float64 rounded to the nearest, a truth value 0 or 1. Throws `error`
  /// where a whole number is beyond 2^24, from where on a float does not hold each.
  std::vector<float> floats() const;
  /// The same as double, whole numbers beyond 2^53 rounded.
  std::vector<double> doubles() const;
};

/// Reads NPY from memory. Throws `error`, which calls it `name`, where it is not sound or holds
/// another type or Fortran's order.
npy_array parse_npy(std::span<std::byte const> content, std::string const& name);
npy_array read_npy(std::filesystem::path const& path,
                   std::uint64_t max_bytes = std::uint64_t{1} << 32);

/// float32, row-major, version 1.0. Throws `error` where the elements are not as many as the shape
/// says; the file is written atomically.
buffer to_npy(extents const& shape, std::span<float const> elements);
void write_npy(std::filesystem::path const& path, extents const& shape,
               std::span<float const> elements);

}  // namespace tweedie::io
