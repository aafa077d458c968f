#pragma once

#include <unistd.h>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <tweedie/dsl/base/error.hpp>
#include <tweedie/io/file.hpp>

#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

namespace io_test {

namespace fs = std::filesystem;
using tweedie::io::buffer;

/// An empty folder that goes away with the test.
struct folder {
  fs::path path;
  folder() {
    static int counter = 0;
    path = fs::temp_directory_path() /
           ("tweedie_io_" + std::to_string(::getpid()) + "_" + std::to_string(counter++));
    fs::create_directories(path);
  }
  folder(folder const&) = delete;
  folder& operator=(folder const&) = delete;
  ~folder() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }

  fs::path operator/(std::string_view name) const { return path / name; }
  auto count() const {
    return std::distance(fs::directory_iterator(path), fs::directory_iterator());
  }
};

inline buffer bytes_of(std::string_view text) {
  auto const bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

inline buffer bytes_of(std::initializer_list<int> numbers) {
  buffer bytes;
  for (int number : numbers) bytes.push_back(static_cast<std::byte>(number));
  return bytes;
}

inline std::string text_of(std::span<std::byte const> bytes) {
  return {reinterpret_cast<char const*>(bytes.data()), bytes.size()};
}

/// That `action` throws the library's error, with these parts in its sentence.
template <class Action>
void check_error(Action action, std::initializer_list<std::string_view> parts) {
  try {
    action();
    BOOST_ERROR("expected an error that says '" << *parts.begin() << "', got none");
  } catch (tweedie::error const& reason) {
    std::string const sentence = reason.what();
    for (auto part : parts)
      BOOST_TEST((sentence.find(part) != std::string::npos),
                 "expected '" << part << "' in: " << sentence);
  }
}

/// Calls `parse` with each beginning of a valid file: all but the whole one must be refused.
template <class Parse> void check_truncations(buffer const& valid, Parse parse) {
  BOOST_REQUIRE_NO_THROW(parse(valid));
  for (std::size_t length = 0; length < valid.size(); ++length) {
    // A block of its own, so that the address sanitizer sees a read behind the end.
    buffer const cut(valid.begin(), valid.begin() + static_cast<std::ptrdiff_t>(length));
    BOOST_CHECK_THROW(parse(cut), tweedie::error);
  }
}

/// Calls `parse` with each byte of the first `count` flipped in several ways. It may succeed, since
/// another header may be a sound one, or throw the library's error. Returns how often it threw.
template <class Parse>
std::size_t count_refused_flips(buffer const& valid, std::size_t count, Parse parse) {
  std::size_t refused = 0;
  for (std::size_t i = 0; i < count; ++i)
    for (int mask : {0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xff}) {
      auto flipped = valid;
      flipped[i] ^= static_cast<std::byte>(mask);
      try {
        parse(flipped);
      } catch (tweedie::error const&) {
        ++refused;
      }
    }
  return refused;
}

}  // namespace io_test
