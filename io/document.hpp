// A text in TOML or JSON as one tree, whatever somebody put into it: bounded in size and depth, no
// key twice, every failure a sentence.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <nlohmann/json.hpp>

#include <tweedie/dsl/base/error.hpp>

namespace tweedie::io {

using tree = nlohmann::ordered_json;

enum class document_format { toml, json };

/// Bytes that a text may have.
inline constexpr std::size_t longest_document = 1 << 16;

/// Throws tweedie::error, a sentence that begins with `source`, if the text is not of that format,
/// or if it is longer or nested deeper than any that is expected. Numbers of the tree are
/// `number`s.
tree parse_document(std::string_view text, document_format format, std::string const& source);

// TOML without tables, for files that are a few settings: `key = value`, where a value is a number,
// true or false, a text, or a list of numbers.

using setting_value = std::variant<double, bool, std::string, std::vector<double>>;

/// The settings by their names. Throws tweedie::error, a sentence that begins with `source` in
/// quotes, where the text is no TOML or a value is of another kind.
std::vector<std::pair<std::string, setting_value>> parse_settings(std::string_view text,
                                                                  std::string const& source);

/// A number keeps the digits that the text has for it, so that a sentence can quote them: as json's
/// binary, the value and then its text.
tree number(double value, std::string_view text);
double value_of(tree const& number);
std::string text_of(tree const& number);

/// What a text says, as part of a sentence: printable, and not longer than a line.
std::string shown(std::string_view text);

/// Throws "`where`: `given` was given; expected `expected`".
[[noreturn]] void refuse(std::string const& where, tree const& given, std::string const& expected);

}  // namespace tweedie::io
