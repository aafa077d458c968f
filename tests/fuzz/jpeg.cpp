// The reader of JPEG: what it accepts is one picture, the same each time, and none that is cut off.
// The memory it asks for is bounded by the content (-malloc_limit_mb).
#include <tweedie/io/jpeg.hpp>

#include "fuzz.hpp"

namespace {

/// What a picture must not depend on: the bytes that were on the stack before.
[[gnu::noinline]] void fill_stack(unsigned char value) {
  unsigned char volatile bytes[1 << 16];
  for (auto& byte : bytes) byte = value;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  auto const parse = [](auto bytes) { return tweedie::io::parse_jpeg(bytes, fuzz::name); };
  auto const content = std::as_bytes(std::span(data, size));
  fill_stack(0);
  auto const picture = fuzz::accepted(content, parse);
  if (!picture) return 0;
  auto const& shape = picture->shape;
  fuzz::must(shape.count == 1 && (shape.channels == 1 || shape.channels == 3) && shape.height > 0 &&
                 shape.width > 0,
             "one picture, gray or RGB");
  fuzz::must(shape.channels * shape.height * shape.width == picture->values.size(),
             "the extents multiply to the number of values");
  for (float value : picture->values) fuzz::must(value >= -1 && value <= 1, "values in [-1, 1]");
  fill_stack(255);
  fuzz::must(parse(content).values == picture->values, "the same file is the same picture");
  return 0;
}
