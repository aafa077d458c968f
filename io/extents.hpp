#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace tweedie::io {

/// The sizes of an array, outermost first (row-major, "C order"). Empty: a scalar, one element.
using extents = std::vector<std::size_t>;

/// The number of elements; nothing where the product does not fit into size_t.
std::optional<std::size_t> element_count(std::span<std::size_t const> shape);

/// "[64, 1, 28, 28]"
std::string to_text(std::span<std::size_t const> shape);

}  // namespace tweedie::io
