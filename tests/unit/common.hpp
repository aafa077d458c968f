// What unit tests share: comparisons that say where two things differ, and sentences.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <ranges>
#include <string>
#include <type_traits>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <boost/test/unit_test.hpp>

#include <tweedie/dsl/base/error.hpp>

namespace common {

using boost::test_tools::assertion_result;

inline assertion_result failed(std::string const& message) {
  assertion_result r(false);
  r.message() << message;
  return r;
}

/// A value as a reader wants to see it; a float with its bits.
template <class T> std::string told(T const& a) {
  if constexpr (std::same_as<T, float>)
    return fmt::format("{} ({:#010x})", a, std::bit_cast<std::uint32_t>(a));
  else if constexpr (std::is_enum_v<T>) return fmt::format("{}", static_cast<long long>(a));
  else if constexpr (fmt::is_formattable<T>::value) return fmt::format("{}", a);
  else return "a value that cannot be printed";
}

template <class T> bool same_value(T const& a, T const& b) {
  if constexpr (std::same_as<T, float>)
    return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b);
  else return a == b;
}

/// Whether two ranges have the same elements, floats by their bits. Where not, the assertion says
/// how many differ, which is the first, and both its values.
template <std::ranges::input_range A, std::ranges::input_range B>
assertion_result equal_bits(A const& a, B const& b) {
  auto const size_a = std::ranges::distance(a), size_b = std::ranges::distance(b);
  if (size_a != size_b) return failed(fmt::format("{} elements, expected {}", size_a, size_b));
  std::size_t differ = 0, i = 0;
  std::string first;
  for (auto p = std::ranges::begin(a), end = std::ranges::end(a); auto const &y : b) {
    if (p == end) break;
    if (!same_value<std::ranges::range_value_t<A>>(*p, y) && differ++ == 0)
      first = fmt::format("the first at {}: {}, expected {}", i, told(*p), told(y));
    ++p, ++i;
  }
  if (differ > 0) return failed(fmt::format("{} of {} differ, {}", differ, size_a, first));
  return true;
}

/// The same of what is no range.
template <class A, class B>
requires(!std::ranges::input_range<A>) assertion_result equal_bits(A const& a, B const& b) {
  if (a == b) return true;
  return failed(fmt::format("{}, expected {}", told(a), told(b)));
}

/// What a tweedie::error says that f throws.
template <class F> std::string sentence(F const& f) {
  try {
    f();
  } catch (tweedie::error const& e) {
    return e.what();
  }
  return "nothing was thrown";
}

/// Whether a text has a part. Where not, the assertion shows both.
inline assertion_result contains(std::string const& text, std::string const& part) {
  if (text.find(part) != std::string::npos) return true;
  return failed(fmt::format("'{}' was said, expected '{}' in it", text, part));
}

/// The text has all the parts, or the part.
inline void says(std::string const& text, std::initializer_list<char const*> parts,
                 int line = __builtin_LINE()) {
  BOOST_TEST_INFO_SCOPE("asked in line " << line);
  for (char const* part : parts) BOOST_TEST(contains(text, part));
}
inline void says(std::string const& text, std::string const& part, int line = __builtin_LINE()) {
  says(text, {part.c_str()}, line);
}

}  // namespace common
