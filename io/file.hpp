#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

namespace tweedie::io {

using buffer = std::vector<std::byte>;

/// The whole file. Throws `error` where it cannot be read or holds more than `max_bytes`.
buffer read_file(std::filesystem::path const& path,
                 std::uint64_t max_bytes = std::uint64_t{1} << 30);

/// Writes `parts`, one after the other, so that a reader sees either the old file or the whole new
/// one: beside it under a temporary name, flushed to the disk, then renamed. Throws `error` on
/// every failure; then the temporary is gone and what was there is intact. A link is followed, an
/// existing file keeps its permissions, and what is not a regular file (a folder, /dev/null) is
/// refused.
void write_file(std::filesystem::path const& path,
                std::span<std::span<std::byte const> const> parts);
void write_file(std::filesystem::path const& path, std::span<std::byte const> content);
void write_file(std::filesystem::path const& path, std::string_view text);

}  // namespace tweedie::io
