// Bad input is one sentence: what was given and what was expected.
#pragma once

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdint>
#include <filesystem>
#include <string>

#include <tweedie/dsl/error.hpp>

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

/// An option for a seed. CLI11 itself reads -1 as 2^64 - 1.
inline void add_seed(CLI::App& app, std::uint64_t& seed, char const* what) {
  app.add_option_function<std::string>(
         "--seed",
         [&seed](std::string const& text) {
           auto const end = text.data() + text.size();
           auto const read = std::from_chars(text.data(), end, seed);
           if (read.ec != std::errc() || read.ptr != end)
             throw error(fmt::format("--seed {} was given; expected a whole number from 0 to {}",
                                     text, ~std::uint64_t{0}));
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
  if (access(folder.c_str(), W_OK) != 0)
    throw error(fmt::format("{} '{}' was given, but the folder '{}' cannot be written to", option,
                            path.string(), folder.string()));
  if (fs::is_directory(path, ignored))
    throw error(fmt::format("{} '{}' was given, which is a folder; expected a file's name", option,
                            path.string()));
}

}  // namespace tweedie::tool
