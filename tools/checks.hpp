// Bad input is one sentence: what was given and what was expected.
#pragma once

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include <tweedie/dsl/base/error.hpp>

namespace tweedie::tool {

inline void check_whole(char const* option, long long given, long long least, long long most) {
  if (given < least || given > most)
    throw error(fmt::format("{} {} was given; expected {} to {}", option, given, least, most));
}

inline void check_part(char const* option, double given, double least, double below) {
  if (!(given >= least && given < below))
    throw error(fmt::format("{} {} was given; expected at least {} and below {}", option, given,
                            least, below));
}

/// A number as it was typed; none where the text is not one. "0x10" is 16.
template <class T> std::optional<T> number_of(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  T value{};
  std::from_chars_result read;
  if constexpr (std::is_integral_v<T>) {
    bool const hexadecimal = text.starts_with("0x");
    if (hexadecimal) text.remove_prefix(2);
    read = std::from_chars(text.begin(), text.end(), value, hexadecimal ? 16 : 10);
  } else {
    read = std::from_chars(text.begin(), text.end(), value);
  }
  if (read.ec != std::errc() || read.ptr != text.end()) return std::nullopt;
  return value;
}

/// An option for a whole number from `least` to `most`, quoted as it was typed where it is another.
/// `value` is a number or an optional one.
template <class T>
CLI::Option* add_whole(CLI::App& app, char const* option, T& value, long long least, long long most,
                       std::string const& what) {
  auto* const added = app.add_option_function<std::string>(
      option,
      [option, &value, least, most](std::string const& text) {
        auto const given = number_of<long long>(text);
        if (!given || *given < least || *given > most)
          throw error(fmt::format("{} {} was given; expected a whole number from {} to {}", option,
                                  text, least, most));
        value = *given;
      },
      what);
  if constexpr (std::is_arithmetic_v<T>) added->default_str(std::to_string(value));
  return added->type_name("INT");
}

/// Likewise for a finite number that `fits`; `expected` says which do.
template <class T>
CLI::Option* add_number(CLI::App& app, char const* option, T& value, char const* expected,
                        bool (*fits)(double), std::string const& what) {
  auto* const added = app.add_option_function<std::string>(
      option,
      [option, &value, expected, fits](std::string const& text) {
        auto const given = number_of<double>(text);
        if (!given || !std::isfinite(*given) || !fits(*given))
          throw error(fmt::format("{} {} was given; expected {}", option, text, expected));
        value = *given;
      },
      what);
  if constexpr (std::is_arithmetic_v<T>) added->default_str(fmt::format("{}", value));
  return added->type_name("FLOAT");
}

/// An option for a seed. CLI11 itself reads -1 as 2^64 - 1.
inline CLI::Option* add_seed(CLI::App& app, std::uint64_t& seed, char const* what) {
  return app
      .add_option_function<std::string>(
          "--seed",
          [&seed](std::string const& text) {
            auto const given = number_of<std::uint64_t>(text);
            if (!given)
              throw error(fmt::format("--seed {} was given; expected a whole number from 0 to {}",
                                      text, ~std::uint64_t{0}));
            seed = *given;
          },
          what)
      ->default_str("0");
}

/// Throws where a file could not be written there: before an hour of work, not after it.
inline void check_writable(char const* option, std::filesystem::path const& path) {
  namespace fs = std::filesystem;
  auto const folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored))
    throw error(fmt::format("{} '{}' was given, but there is no folder '{}'", option, path.string(),
                            folder.string()));
  bool const is_link = fs::is_symlink(path, ignored);
  auto const target = is_link ? fs::canonical(path, ignored) : path;
  if (is_link && target.empty())
    throw error(fmt::format("{} '{}' was given, which is a link that leads nowhere", option,
                            path.string()));
  if (access(is_link ? target.parent_path().c_str() : folder.c_str(), W_OK) != 0)
    throw error(fmt::format("{} '{}' was given, but the folder '{}' cannot be written to", option,
                            path.string(), folder.string()));
  bool const exists = fs::exists(path, ignored);
  if (exists && !fs::is_regular_file(path, ignored))
    throw error(fmt::format("{} '{}' was given, which is {}; expected a file's name", option,
                            path.string(),
                            fs::is_directory(path, ignored) ? "a folder" : "not a regular file"));
  if (exists && access(path.c_str(), W_OK) != 0)
    throw error(
        fmt::format("{} '{}' was given, a file that may not be written to", option, path.string()));
  auto const longest = pathconf(folder.c_str(), _PC_NAME_MAX);
  if (longest > 0 && path.filename().string().size() > static_cast<std::size_t>(longest))
    throw error(fmt::format("{} '{}' was given; expected a name of at most {} bytes", option,
                            path.string(), longest));
}

}  // namespace tweedie::tool
