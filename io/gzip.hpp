#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <tweedie/io/file.hpp>

namespace tweedie::io {

// gzip, RFC 1952: members one after the other, each with the CRC-32 and the length of its content.

/// Whether the content begins as a gzip file does (1f 8b).
bool is_gzip(std::span<std::byte const> content);

/// The content of a gzip file. Throws `error` where it is truncated or corrupt, or where it holds
/// more than `max_bytes`; `name` is what the sentence calls it.
buffer gunzip(std::span<std::byte const> compressed, std::string const& name,
              std::uint64_t max_bytes = std::uint64_t{1} << 30);

/// A file, unpacked where it is gzip by its first bytes, whatever its name is. `max_bytes` bounds
/// the file and what comes out of it.
buffer read_plain_or_gzip(std::filesystem::path const& path,
                          std::uint64_t max_bytes = std::uint64_t{1} << 30);

}  // namespace tweedie::io
