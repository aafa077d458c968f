// What a file that is continued must agree on with the command that continues it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tweedie::tool {

/// Names and values, in the order in which a sentence tells them. A value that begins with # is a
/// hash.
using settings = std::vector<std::pair<std::string, std::string>>;

/// FNV-1a, 64 bits (Fowler, Noll, Vo; from memory): to see that something is another, by chance.
class hash {
 public:
  void add(std::span<std::byte const> bytes) {
    for (auto b : bytes) mix(static_cast<std::uint64_t>(b));
  }
  void add(std::string_view text) {
    add(std::as_bytes(std::span(text)));
    add(text.size());
  }
  void add(std::uint64_t number) { add(std::as_bytes(std::span(&number, 1))); }
  /// Eight bytes at once, for what is long; another hash than that of its bytes.
  void add_words(std::span<std::byte const> bytes);
  std::string text() const;

 private:
  void mix(std::uint64_t value) { value_ = (value_ ^ value) * 0x100000001b3u; }
  std::uint64_t value_ = 0xcbf29ce484222325u;
};

/// # and the hash of some values, or of a file: throws a sentence where it cannot be read.
std::string hash_of(std::span<float const> values);
std::string hash_of_file(std::filesystem::path const& path);

/// What differs, each with both values: "seed 3 there, 4 here; steps 10 there, 20 here"; of what is
/// JSON each key for itself. Empty where nothing does. `here` is the word for the second.
std::string differences(settings const& there, settings const& given, std::string_view here);

/// As a file of JSON, written atomically.
void write_settings(std::filesystem::path const& path, settings const& s);
/// Throws a sentence where it is no such file.
settings read_settings(std::filesystem::path const& path);

}  // namespace tweedie::tool
