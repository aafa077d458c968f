#include <algorithm>
#include <limits>
#include <tweedie/io/extents.hpp>

namespace tweedie::io {

std::optional<std::size_t> element_count(std::span<std::size_t const> shape) {
  std::size_t count = 1;
  for (auto size : shape) {
    if (size != 0 && count > std::numeric_limits<std::size_t>::max() / size) return std::nullopt;
    count *= size;
  }
  return count;
}

std::string to_text(std::span<std::size_t const> shape) {
  constexpr std::size_t most = 16;  // a file may claim a million of them
  std::string text = "[";
  for (auto size : shape.first(std::min(shape.size(), most)))
    text += (text.size() > 1 ? ", " : "") + std::to_string(size);
  return text + (shape.size() > most ? ", ...]" : "]");
}

}  // namespace tweedie::io
