#pragma once

#include <zlib.h>

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace fuzz {

using octets = std::vector<std::uint8_t>;

// A mutation of compressed bytes nearly always breaks a checksum. Mutators that unpack, mutate and
// pack again get behind it. Window bits as in zlib.h: 15 is zlib's stream, 15 + 16 is gzip.

inline octets packed(std::span<std::uint8_t const> content, int level, int window_bits) {
  z_stream stream{};
  deflateInit2(&stream, level, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY);
  octets result(deflateBound(&stream, content.size()) + 32);
  stream.next_in = const_cast<std::uint8_t*>(content.data());
  stream.avail_in = static_cast<uInt>(content.size());
  stream.next_out = result.data();
  stream.avail_out = static_cast<uInt>(result.size());
  deflate(&stream, Z_FINISH);
  result.resize(stream.total_out);
  deflateEnd(&stream);
  return result;
}

/// What one sound stream unpacks to; nothing where it is unsound or longer than `most`.
inline std::optional<octets> unpacked(std::span<std::uint8_t const> content, int window_bits,
                                      std::size_t most) {
  z_stream stream{};
  inflateInit2(&stream, window_bits);
  octets result(most);
  stream.next_in = const_cast<std::uint8_t*>(content.data());
  stream.avail_in = static_cast<uInt>(content.size());
  stream.next_out = result.data();
  stream.avail_out = static_cast<uInt>(result.size());
  bool const is_sound = inflate(&stream, Z_FINISH) == Z_STREAM_END;
  result.resize(stream.total_out);
  inflateEnd(&stream);
  return is_sound ? std::optional(result) : std::nullopt;
}

}  // namespace fuzz
