// A command line is looked at word by word before CLI11 reads it: what is not known is answered
// with the nearest name, and a value is never dropped or taken for another's.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace tweedie::tool {

/// Throws a sentence on the first word that is no option or command of `app`, an option without a
/// value or with an empty one, and one that is given twice.
void check_words(CLI::App const& app, std::vector<std::string> const& words);

/// What CLI11 says of a mistake, as a sentence.
std::string sentence_of(CLI::ParseError const& mistake);

/// "expected one of: boot, bag; did you mean boot?"
std::string expected_one_of(std::string_view given, std::vector<std::string> const& there);

}  // namespace tweedie::tool
