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

/// A file that stays open: of its bytes only those are read that are asked for.
class input_file {
 public:
  /// Throws `error` where it cannot be read or holds more than `max_bytes`. What has no size of its
  /// own, a pipe, is read whole.
  explicit input_file(std::filesystem::path const& path,
                      std::uint64_t max_bytes = std::uint64_t{1} << 30);
  input_file(input_file const&) = delete;
  input_file& operator=(input_file const&) = delete;
  ~input_file();

  std::filesystem::path const& path() const { return path_; }
  std::uint64_t size() const { return size_; }
  /// The bytes from `begin` on. Throws `error` where the file has fewer: it may have become
  /// shorter.
  void read(std::uint64_t begin, std::span<std::byte> to) const;

 private:
  std::filesystem::path path_;
  int number_ = -1;
  std::uint64_t size_ = 0;
  buffer content_;  ///< of a pipe
};

/// Throws the `error` that `write_file` would: before the work whose result is to be written. What
/// is there stays as it is.
void expect_writable(std::filesystem::path const& path);

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
