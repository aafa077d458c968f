#include "network_config.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <vector>

#include <tweedie/io/document.hpp>
#include <tweedie/io/file.hpp>
#include <tweedie/pipelines/ready/stages.hpp>

#include "command_line.hpp"

namespace tweedie::tool {
namespace {

constexpr int most = 65536;
constexpr int widest = 4096;  // channels: beyond, a convolution alone takes more than 0.6 GB

/// A value as a file of settings has it.
std::string as_given(io::setting_value const& value) {
  if (auto const* text = std::get_if<std::string>(&value)) return '"' + io::shown(*text) + '"';
  if (auto const* truth = std::get_if<bool>(&value)) return *truth ? "true" : "false";
  if (auto const* number = std::get_if<double>(&value)) return fmt::format("{}", *number);
  auto const& list = std::get<std::vector<double>>(value);
  auto const shown = std::min<std::size_t>(16, list.size());
  return fmt::format(
      "[{}{}]", fmt::join(list.begin(), list.begin() + static_cast<std::ptrdiff_t>(shown), ", "),
      shown < list.size() ? ", ..." : "");
}

asked_network read_toml(std::string const& path) {
  auto const bytes = io::read_file(path, std::uint64_t{1} << 16);
  auto const settings =
      io::parse_settings({reinterpret_cast<char const*>(bytes.data()), bytes.size()}, path);
  asked_network asked;
  auto& c = asked.config;
  std::vector<std::string> const known{"base",        "multipliers", "blocks", "attention",
                                       "scale_shift", "dropout",     "groups", "channels",
                                       "size",        "classes"};
  for (auto const& [key, value] : settings) {
    auto const refuse = [&, &name = key, &given = value](std::string const& expected) {
      throw error(fmt::format("'{}': {} = {} was given; expected {}", path, name, as_given(given),
                              expected));
    };
    bool const is_list = std::holds_alternative<std::vector<double>>(value);
    auto const whole = [&](double number) {
      if (!(number >= 0 && number <= most && number == std::floor(number)))
        refuse(fmt::format("{} from 0 to {}", is_list ? "whole numbers" : "a whole number", most));
      return static_cast<int>(number);
    };
    auto const number = [&, &given = value] {
      if (!std::holds_alternative<double>(given)) refuse("a number");
      return std::get<double>(given);
    };
    auto const list = [&, &given = value] {
      if (!std::holds_alternative<std::vector<double>>(given)) refuse("a list of numbers");
      std::vector<int> numbers;
      for (double one : std::get<std::vector<double>>(given)) numbers.push_back(whole(one));
      if (numbers.size() > 16) refuse("at most 16 resolutions");
      return numbers;
    };
    if (key == "base") c.base = whole(number());
    else if (key == "multipliers") c.multipliers = list();
    else if (key == "blocks") c.blocks = list();
    else if (key == "groups") c.groups = whole(number());
    else if (key == "channels") asked.channels = whole(number());
    else if (key == "size") asked.size = whole(number());
    else if (key == "classes") asked.classes = whole(number());
    else if (key == "attention") {
      c.attention = list();
      asked.has_attention = true;
    } else if (key == "dropout") {
      c.dropout = static_cast<float>(number());
      asked.has_dropout = true;
    } else if (key == "scale_shift") {
      if (!std::holds_alternative<bool>(value)) refuse("true or false");
      c.scale_shift = std::get<bool>(value);
    } else {
      throw error(fmt::format("'{}': {} was given; {}", path, key, expected_one_of(key, known)));
    }
  }
  for (int m : c.multipliers)
    if (double const width = static_cast<double>(c.base) * m; width > widest)
      throw error(fmt::format("'{}': base {} times {} are {} channels; expected at most {}", path,
                              c.base, m, width, widest));
  if (std::ranges::any_of(c.blocks, [](int b) { return b > 64; }))
    throw error(fmt::format("'{}': blocks is more than 64 for a resolution; expected fewer", path));
  // One block at each resolution, where only these are said.
  bool const has_blocks =
      std::ranges::any_of(settings, [](auto const& s) { return s.first == "blocks"; });
  if (!has_blocks) c.blocks.assign(c.multipliers.size(), 1);
  return asked;
}

}  // namespace

asked_network read_network(std::string const& config) {
  if (std::filesystem::path(config).extension() == ".toml") return read_toml(config);
  asked_network asked;
  if (config == "small") return asked;
  if (config == "medium") {
    asked.config.base = 32;
    asked.config.multipliers = {1, 2, 4};
    asked.config.blocks = {2, 2, 2};
    return asked;
  }
  if (config == "tiny") {
    asked.config = networks::unet_config::tiny();
    asked.has_attention = true;
    return asked;
  }
  throw error(fmt::format("--config '{}' was given, which is no file that ends in .toml; {}",
                          config, ready::expected_names(config, {"small", "medium", "tiny"})));
}

networks::unet_config network_for(asked_network const& asked, std::string const& config,
                                  int channels, int size, int classes) {
  auto c = asked.config;
  auto const expect = [&](char const* what, std::optional<int> given, int there) {
    if (given && *given != there)
      throw error(fmt::format("'{}': {} is {}, but the pictures have {}; expected {} or none",
                              config, what, *given, there, there));
  };
  expect("channels", asked.channels, channels);
  expect("size", asked.size, size);
  expect("classes", asked.classes, classes);
  c.channels = channels;
  c.size = size;
  c.classes = classes;
  int const halvings = std::max(0, static_cast<int>(c.multipliers.size()) - 1),
            unit = 1 << halvings;
  if (size % unit != 0) {
    int const below = size / unit * unit;
    throw error(
        fmt::format("--size {} was given, and the network {} halves it {} time{}; expected {}{}",
                    size, config, halvings, halvings == 1 ? "" : "s",
                    below > 0 ? fmt::format("a multiple of {}, such as {} or ", unit, below)
                              : fmt::format("a multiple of {}, such as ", unit),
                    below + unit));
  }
  if (!asked.has_attention) {
    c.attention.clear();
    for (int i = 0; i <= halvings; ++i)
      if (int const here = size >> i; here <= 16 || (i == halvings && here <= 32))
        c.attention.push_back(here);
  }
  return c;
}

networks::unet make_network(networks::unet_config const& c, std::string const& config,
                            std::uint64_t seed) {
  try {
    return networks::unet(c, seed);
  } catch (error const& e) {
    std::string_view const why = e.what(), own = "unet: ";
    if (config.empty() || !why.starts_with(own)) throw;
    throw error(fmt::format("'{}': {}", config, why.substr(own.size())));
  }
}

}  // namespace tweedie::tool
