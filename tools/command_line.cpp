#include "command_line.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>

#include <tweedie/dsl/base/error.hpp>
#include <tweedie/io/nearest.hpp>

namespace tweedie::tool {
namespace {

std::vector<std::string> names_of(std::vector<CLI::App const*> const& commands) {
  std::vector<std::string> names;
  for (auto const* one : commands) names.push_back(one->get_name());
  return names;
}

}  // namespace

std::string expected_one_of(std::string_view given, std::vector<std::string> const& there) {
  if (there.empty()) return "expected none";
  std::string r = fmt::format("expected one of: {}", fmt::join(there, ", "));
  if (auto const meant = io::nearest(given, {there.begin(), there.end()}))
    r += fmt::format("; did you mean {}?", *meant);
  return r;
}

void check_words(CLI::App const& app, std::vector<std::string> const& words) {
  auto const options = app.get_options();
  auto const commands = app.get_subcommands([](CLI::App const*) { return true; });
  std::map<CLI::Option const*, std::string> given;
  std::size_t positionals = 0;
  for (auto const* option : options) positionals += option->get_positional();
  for (std::size_t i = 0; i < words.size(); ++i) {
    auto const& word = words[i];
    if (!word.starts_with('-') || word == "-") {
      if (!commands.empty()) {
        for (auto const* one : commands)
          if (one->get_name() == word)
            return check_words(*one,
                               {words.begin() + static_cast<std::ptrdiff_t>(i) + 1, words.end()});
        throw error(
            fmt::format("'{}' was given; {}", word, expected_one_of(word, names_of(commands))));
      }
      if (positionals == 0)
        throw error(fmt::format("'{}' was given{}; expected an option before it", word,
                                i == 0 ? "" : fmt::format(" after '{}'", words[i - 1])));
      --positionals;
      if (word.empty()) throw error("'' was given; expected a name");
      continue;
    }
    auto const equals = word.find('=');
    auto const name = word.substr(0, equals);
    CLI::Option const* option = nullptr;
    std::vector<std::string> known;
    for (auto const* one : options) {
      for (auto const& l : one->get_lnames()) known.push_back("--" + l);
      if (name.starts_with("--") ? one->check_lname(name.substr(2))
                                 : one->check_sname(name.substr(1)))
        option = one;
    }
    if (!option) throw error(fmt::format("'{}' was given; {}", name, expected_one_of(name, known)));
    bool const flag = option->get_expected_max() == 0, many = option->get_expected_max() > 1;
    if (flag && equals != std::string::npos)
      throw error(fmt::format("{} was given; expected {} without a value", word, name));
    std::string value;
    if (!flag) {
      if (equals != std::string::npos) value = word.substr(equals + 1);
      else if (i + 1 < words.size() && !words[i + 1].starts_with("--")) value = words[++i];
      else
        throw error(fmt::format("{} was given without a value; expected {}", name,
                                option->get_description()));
      // CLI11 reads 010 as 8.
      if (option->get_type_name().ends_with("INT") && value.size() > 1 && value[0] == '0' &&
          value.find_first_not_of("0123456789") == std::string::npos)
        throw error(
            fmt::format("{} {} was given; expected a number without a 0 before it", name, value));
      if (value.empty())
        throw error(fmt::format("{} '' was given; expected {}", name, option->get_description()));
    }
    auto const [before, is_first] = given.emplace(option, value);
    if (!is_first && !many)
      throw error(fmt::format("{} was given twice{}; expected it once", name,
                              flag ? "" : fmt::format(", '{}' and '{}'", before->second, value)));
  }
  if (!commands.empty() && given.empty())
    throw error("no command was given; " + expected_one_of("", names_of(commands)));
}

std::string sentence_of(CLI::ParseError const& mistake) {
  std::string said = mistake.what();
  std::string const start = "Could not convert: ";
  auto const equals = said.find(" = ");
  if (said.starts_with(start) && equals != std::string::npos)
    return fmt::format("{} {} was given; expected a number within its range",
                       said.substr(start.size(), equals - start.size()), said.substr(equals + 3));
  return said + " (see --help)";
}

}  // namespace tweedie::tool
