// TOML without tables, for files that are a few settings: `key = value`, where a value is a number,
// true or false, a text, or a list of numbers.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace tweedie::ready {

using setting_value = std::variant<double, bool, std::string, std::vector<double>>;

/// The settings by their names. Throws tweedie::error, a sentence that begins with `source` in
/// quotes, where the text is no TOML or a value is of another kind.
std::vector<std::pair<std::string, setting_value>> parse_settings(std::string_view text,
                                                                  std::string const& source);

}  // namespace tweedie::ready
