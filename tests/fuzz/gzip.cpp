#include <tweedie/io/gzip.hpp>

#include <algorithm>

#include "fuzz.hpp"
#include "zlib.hpp"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

namespace {

constexpr std::size_t most = 1 << 16;  // the seed `bomb` is one byte longer
constexpr int gzip = 15 + 16;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  auto const unpack = [](auto bytes) { return tweedie::io::gunzip(bytes, fuzz::name, most); };
  auto const content = fuzz::accepted_whole(std::as_bytes(std::span(data, size)), unpack);
  if (!content) return 0;

  fuzz::must(content->size() <= most, "the bound is kept");
  fuzz::must(tweedie::io::is_gzip(std::as_bytes(std::span(data, size))), "it begins as gzip does");
  auto const tight = [&](auto bytes) {
    return tweedie::io::gunzip(bytes, fuzz::name, content->size() - 1);
  };
  fuzz::must(content->empty() || !fuzz::accepted(std::as_bytes(std::span(data, size)), tight),
             "one byte above the bound is refused");
  auto const* const first = reinterpret_cast<std::uint8_t const*>(content->data());
  auto const again = fuzz::packed({first, content->size()}, 1, gzip);
  fuzz::must(unpack(std::as_bytes(std::span(again))) == *content, "packed again, it is the same");
  return 0;
}

/// Every other time the content is mutated and packed again, as a file or behind this one.
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t max_size, unsigned seed) {
  auto content = fuzz::unpacked({data, size}, gzip, max_size);
  if (seed % 2 || !content) return LLVMFuzzerMutate(data, size, max_size);
  auto const length = content->size();
  content->resize(max_size);
  content->resize(LLVMFuzzerMutate(content->data(), length, max_size));
  auto const made = fuzz::packed(*content, static_cast<int>(seed / 2 % 10), gzip);
  auto const kept = seed / 20 % 2 ? size : 0;
  if (kept + made.size() > max_size) return LLVMFuzzerMutate(data, size, max_size);
  std::copy(made.begin(), made.end(), data + kept);
  return kept + made.size();
}
