#include <zlib.h>

#include <algorithm>
#include <array>
#include <memory>
#include <tweedie/dsl/base/error.hpp>
#include <tweedie/io/gzip.hpp>

namespace tweedie::io {

bool is_gzip(std::span<std::byte const> content) {
  return content.size() >= 2 && content[0] == std::byte{0x1f} && content[1] == std::byte{0x8b};
}

buffer gunzip(std::span<std::byte const> compressed, std::string const& name,
              std::uint64_t max_bytes) {
  constexpr int gzip_only = 15 + 16;  // the largest window, and no zlib or raw streams
  z_stream stream{};
  if (inflateInit2(&stream, gzip_only) != Z_OK)
    throw error("'" + name + "': zlib could not start; expected zlib " ZLIB_VERSION " and memory");
  std::unique_ptr<z_stream, int (*)(z_stream*)> const guard(&stream, inflateEnd);

  buffer content;
  std::array<std::byte, 1 << 16> chunk;
  std::size_t used = 0;
  for (;;) {
    auto const given = std::min<std::size_t>(compressed.size() - used, 1u << 30);
    // zlib reads through a pointer to non-const unless told otherwise, and never writes there.
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(compressed.data() + used));
    stream.avail_in = static_cast<uInt>(given);
    stream.next_out = reinterpret_cast<Bytef*>(chunk.data());
    stream.avail_out = static_cast<uInt>(chunk.size());
    int const result = inflate(&stream, Z_NO_FLUSH);
    used += given - stream.avail_in;
    auto const got = chunk.size() - stream.avail_out;
    if (got > max_bytes - content.size())
      throw error("'" + name + "' unpacks to more than the " + std::to_string(max_bytes) +
                  " bytes expected at most");
    content.insert(content.end(), chunk.begin(), chunk.begin() + static_cast<std::ptrdiff_t>(got));

    if (result == Z_OK) continue;
    if (result == Z_STREAM_END) {
      if (used == compressed.size()) return content;
      inflateReset(&stream);  // another member follows
      continue;
    }
    if (result == Z_BUF_ERROR)
      throw error("'" + name + "' is a truncated gzip file: it ends after " +
                  std::to_string(compressed.size()) + " bytes, where more were expected");
    throw error("'" + name + "' is not a sound gzip file: " +
                (stream.msg ? stream.msg : "zlib error " + std::to_string(result)) + " at byte " +
                std::to_string(used));
  }
}

buffer read_plain_or_gzip(std::filesystem::path const& path, std::uint64_t max_bytes) {
  auto content = read_file(path, max_bytes);
  return is_gzip(content) ? gunzip(content, path.string(), max_bytes) : content;
}

}  // namespace tweedie::io
