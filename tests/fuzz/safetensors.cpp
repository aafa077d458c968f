#include <tweedie/io/safetensors.hpp>

#include <cmath>
#include <tuple>

#include "fuzz.hpp"

namespace {

namespace io = tweedie::io;

template <class T> bool is_finite(io::tensor const& given) {
  for (std::size_t i = 0; i * sizeof(T) < given.bytes.size(); ++i) {
    T value;
    std::memcpy(&value, given.bytes.data() + i * sizeof(T), sizeof(T));
    if (!std::isfinite(value)) return false;
  }
  return true;
}

/// Tensors without elements share a place, and a file keeps no order among them: by name, then.
auto sorted(io::tensor_file const& file) {
  std::map<std::string, std::tuple<io::tensor_dtype, io::extents, io::buffer>> tensors;
  for (auto const& next : file.tensors) tensors[next.name] = {next.dtype, next.shape, next.bytes};
  return tensors;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  auto const content = std::as_bytes(std::span(data, size));
  auto const parse = [](auto bytes) {
    return io::parse_safetensors(bytes, fuzz::name, {.must_be_finite = false});
  };
  auto const file = fuzz::accepted_whole(content, parse);
  auto const finite =
      fuzz::accepted(content, [](auto bytes) { return io::parse_safetensors(bytes, fuzz::name); });
  if (!file) {
    fuzz::must(!finite, "with a further rule no more is accepted");
    return 0;
  }

  std::size_t used = 0;
  bool all_finite = true;
  for (auto const& next : file->tensors) {
    auto bytes = next.shape;
    bytes.push_back(io::size_of(next.dtype));
    fuzz::must(io::element_count(bytes) == next.bytes.size(),
               "extents and bytes per element multiply to the number of bytes");
    used += next.bytes.size();
    if (next.dtype == io::tensor_dtype::f32) all_finite = all_finite && is_finite<float>(next);
    if (next.dtype == io::tensor_dtype::f64) all_finite = all_finite && is_finite<double>(next);
  }
  fuzz::must(used <= size, "no tensor is larger than the file");
  fuzz::must(sorted(*file).size() == file->tensors.size(), "each name is there once");
  fuzz::must(all_finite || !finite, "a number that is not finite is refused where it must be");

  auto const again = parse(io::to_safetensors(*file));
  fuzz::must(again.metadata == file->metadata, "what is written is read: texts");
  fuzz::must(sorted(again) == sorted(*file), "what is written is read: tensors");
  return 0;
}
