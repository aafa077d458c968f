#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <span>
#include <string_view>
#include <tweedie/dsl/base/error.hpp>
#include <tweedie/io/file.hpp>

/// What libFuzzer calls for every input.
extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size);

namespace fuzz {

namespace io = tweedie::io;
using io::buffer;

/// What every target calls its input: a sentence that refuses it must say so.
inline constexpr auto name = "given";

inline void must(bool is_kept, char const* contract) {
  if (is_kept) return;
  std::fprintf(stderr, "broken contract: %s\n", contract);
  std::abort();
}

/// One line that names the file. What it repeats from the file is escaped, so that no file writes
/// to a terminal.
inline void must_be_a_sentence(std::string_view text) {
  must(text.find("'given'") != text.npos, "a refusal names the file");
  for (char letter : text)
    must(letter >= ' ' && letter <= '~', "a refusal is one line of printable ASCII");
}

/// What `parse` makes of the content; nothing where it refuses as it may. Another exception than
/// the library's ends the program, which libFuzzer reports.
template <class Parse>
auto accepted(std::span<std::byte const> content, Parse parse)
    -> std::optional<decltype(parse(content))> {
  try {
    return parse(content);
  } catch (tweedie::error const& reason) {
    must_be_a_sentence(reason.what());
    return std::nullopt;
  }
}

/// As `accepted`, for formats that say how long they are: what is sound is sound neither without
/// its last byte nor with one more.
template <class Parse> auto accepted_whole(std::span<std::byte const> content, Parse parse) {
  auto result = accepted(content, parse);
  if (!result) return result;
  buffer longer(content.begin(), content.end());
  longer.push_back(std::byte{0});
  must(!accepted(longer, parse), "a byte too many is refused");
  // A block of its own, so that the address sanitizer sees a read behind the end.
  buffer const cut(content.begin(), content.end() - 1);
  must(!accepted(cut, parse), "a truncated file is refused");
  return result;
}

}  // namespace fuzz
