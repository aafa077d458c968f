#include <tweedie/io/png.hpp>

#include <algorithm>
#include <cstring>
#include <string>

#include "fuzz.hpp"
#include "zlib.hpp"

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

namespace {

using fuzz::octets;

constexpr std::size_t most = 1 << 16;  // bytes of pixels that a mutation packs again

struct chunk {
  std::string type;
  octets data;
};

std::uint32_t number(std::uint8_t const* at) {
  return std::uint32_t{at[0]} << 24 | std::uint32_t{at[1]} << 16 | std::uint32_t{at[2]} << 8 |
         at[3];
}

/// The chunks as far as there are any, checksums and wrong lengths aside.
std::vector<chunk> chunks_of(std::span<std::uint8_t const> file) {
  std::vector<chunk> chunks;
  for (std::size_t at = 8; at + 8 <= file.size();) {
    auto const* const begin = file.data() + at + 8;
    auto const length = std::min<std::size_t>(number(file.data() + at), file.size() - at - 8);
    chunks.push_back({{begin - 4, begin}, {begin, begin + length}});
    at += 12 + length;
  }
  return chunks;
}

octets file_of(std::vector<chunk> const& chunks) {
  octets file{137, 80, 78, 71, 13, 10, 26, 10};
  auto put = [&](std::size_t value) {
    for (int shift : {24, 16, 8, 0}) file.push_back(static_cast<std::uint8_t>(value >> shift));
  };
  for (auto const& next : chunks) {
    put(next.data.size());
    auto const begin = file.size();
    file.insert(file.end(), next.type.begin(), next.type.end());
    file.insert(file.end(), next.data.begin(), next.data.end());
    put(crc32_z(0, file.data() + begin, file.size() - begin));
  }
  return file;
}

/// The filtered rows; nothing where the stream is unsound.
std::optional<octets> rows_of(std::vector<chunk> const& chunks, std::size_t limit) {
  octets joined;
  for (auto const& next : chunks)
    if (next.type == "IDAT") joined.insert(joined.end(), next.data.begin(), next.data.end());
  return fuzz::unpacked(joined, 15, limit);
}

octets mutated(octets bytes, std::size_t max_size) {
  auto const size = bytes.size();
  bytes.resize(std::max(size, max_size));
  bytes.resize(LLVMFuzzerMutate(bytes.data(), size, bytes.size()));
  return bytes;
}

/// What a picture must not depend on: the bytes that were on the stack before.
[[gnu::noinline]] void fill_stack(unsigned char value) {
  unsigned char volatile bytes[1 << 16];
  for (auto& byte : bytes) byte = value;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  auto const parse = [](auto bytes) { return tweedie::io::parse_png(bytes, fuzz::name); };
  auto const content = std::as_bytes(std::span(data, size));
  fill_stack(0);
  auto const picture = fuzz::accepted_whole(content, parse);
  if (!picture) return 0;

  auto const& shape = picture->shape;
  fuzz::must(shape.count == 1 && (shape.channels == 1 || shape.channels == 3) && shape.height > 0 &&
                 shape.width > 0,
             "one picture, gray or RGB");
  fuzz::must(shape.channels * shape.height * shape.width == picture->values.size(),
             "the extents multiply to the number of values");
  fill_stack(255);
  fuzz::must(parse(content).values == picture->values, "the same file is the same picture");
  auto const longest = 2 * picture->values.size() + 4 * shape.height + 64;  // 16 bits, interlaced
  fuzz::must(rows_of(chunks_of({data, size}), longest).has_value(),
             "the pixels are a sound stream of zlib");
  auto const again = parse(tweedie::io::to_png(picture->values, shape, {.padding = 0}));
  fuzz::must(again.values == picture->values && again.shape.height == shape.height &&
                 again.shape.channels == shape.channels,
             "what is written is read as it was");
  return 0;
}

/// Mutates the file as it is, or the file or a chunk with the checksums made sound again, or the
/// rows of the picture, packed again.
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t max_size, unsigned seed) {
  auto const choice = seed % 8, detail = seed / 8;
  auto chunks = chunks_of({data, size});
  auto const rows = rows_of(chunks, most);
  if (choice < 2 || chunks.empty()) {
    size = LLVMFuzzerMutate(data, size, max_size);
    chunks = chunks_of({data, size});
  } else if (choice < 5 || !rows) {
    auto& one = chunks[detail % chunks.size()];
    one.data = mutated(one.data, max_size / 2);
  } else {
    auto const first = std::find_if(chunks.begin(), chunks.end(),
                                    [](chunk const& next) { return next.type == "IDAT"; });
    auto const place = static_cast<std::size_t>(first - chunks.begin());
    std::erase_if(chunks, [](chunk const& next) { return next.type == "IDAT"; });
    auto const made = fuzz::packed(mutated(*rows, most), static_cast<int>(detail % 10), 15);
    chunks.insert(chunks.begin() + static_cast<std::ptrdiff_t>(place), chunk{"IDAT", made});
  }
  auto const file = file_of(chunks);
  if (choice == 0 || file.size() > max_size) return size;
  std::copy(file.begin(), file.end(), data);
  return file.size();
}
