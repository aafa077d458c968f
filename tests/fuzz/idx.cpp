#include <tweedie/io/idx.hpp>

#include "fuzz.hpp"

// IDX has one way to write an array: what is read, written again, is the input.

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  auto const content = std::as_bytes(std::span(data, size));
  auto const array = fuzz::accepted_whole(
      content, [](auto bytes) { return tweedie::io::parse_idx(bytes, fuzz::name); });
  if (!array) return 0;

  fuzz::must(tweedie::io::element_count(array->shape) == array->data.size(),
             "the extents multiply to the number of elements");
  std::vector<std::uint8_t> again{0, 0, 8, static_cast<std::uint8_t>(array->shape.size())};
  for (auto extent : array->shape)
    for (int shift : {24, 16, 8, 0}) again.push_back(static_cast<std::uint8_t>(extent >> shift));
  again.insert(again.end(), array->data.begin(), array->data.end());
  fuzz::must(again == std::vector(data, data + size), "the same array is written as the same file");
  return 0;
}
