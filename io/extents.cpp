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
  std::string text = "[";
  for (auto size : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(size);
  return text + "]";
}

}  // namespace tweedie::io
