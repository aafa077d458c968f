#include <tweedie/io/npy.hpp>

#include <cstring>

#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  auto const parse = [](auto bytes) { return tweedie::io::parse_npy(bytes, fuzz::name); };
  auto const content = std::as_bytes(std::span(data, size));
  auto const array = fuzz::accepted_whole(content, parse);
  if (!array) return 0;

  auto const bytes =
      std::visit([](auto const& all) { return std::as_bytes(std::span(all)); }, array->data);
  auto const count = std::visit([](auto const& all) { return all.size(); }, array->data);
  fuzz::must(tweedie::io::element_count(array->shape) == count,
             "the extents multiply to the number of elements");
  fuzz::must(
      bytes.empty() || std::memcmp(bytes.data(), data + size - bytes.size(), bytes.size()) == 0,
      "the elements are the file's last bytes");

  auto const floats = array->floats();
  fuzz::must(floats.size() == count, "each element is one float");
  if (array->shape.size() > 64) return 0;  // the writer's header is bounded, numpy's arrays too
  auto const again = parse(tweedie::io::to_npy(array->shape, floats));
  auto const* const read = std::get_if<std::vector<float>>(&again.data);
  fuzz::must(read && again.shape == array->shape, "what is written is read as it was");
  fuzz::must(read->size() == count &&
                 (!count || std::memcmp(read->data(), floats.data(), count * sizeof(float)) == 0),
             "each float comes back with its bits");
  return 0;
}
