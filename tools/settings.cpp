#include "settings.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include <tweedie/dsl/base/error.hpp>
#include <tweedie/io/document.hpp>
#include <tweedie/io/file.hpp>

namespace tweedie::tool {
namespace {

using json = io::tree;

std::string const* find(settings const& s, std::string_view name) {
  auto const found = std::ranges::find(s, name, &settings::value_type::first);
  return found == s.end() ? nullptr : &found->second;
}

/// The keys of an object as settings of their own: "schedule s" of the schedule's s.
settings parts_of(json const& object, std::string const& name) {
  settings parts;
  for (auto const& [key, value] : object.items())
    parts.emplace_back(key == "name" ? name : key,
                       value.is_string() ? value.get<std::string>() : value.dump());
  return parts;
}

json object_in(std::string const& text) {
  return text.starts_with('{') ? json::parse(text, nullptr, false) : json();
}

std::string in_words(std::string const& value) { return value.empty() ? "none" : io::shown(value); }

void tell(std::string& list, std::string const& name, std::string const* there,
          std::string const& given, std::string_view here) {
  if (there && *there == given) return;
  auto const was = there ? object_in(*there) : json(), is = object_in(given);
  if (was.is_object() && is.is_object()) {
    auto const before = parts_of(was, name);
    auto const now = parts_of(is, name);
    for (auto const& [key, value] : now) tell(list, key, find(before, key), value, here);
    for (auto const& [key, value] : before)
      if (!find(now, key)) list += fmt::format("; {} {} there, none {}", key, value, here);
    return;
  }
  if (name == "content") list += "; other pictures there";
  else if (given.starts_with('#') && there && there->starts_with('#'))
    list += fmt::format("; another {} there", name);
  else
    list += fmt::format("; {} {} there, {} {}", name, in_words(there ? *there : ""),
                        in_words(given), here);
}

}  // namespace

void hash::add_words(std::span<std::byte const> bytes) {
  std::size_t const whole = bytes.size() / 8 * 8;
  for (std::size_t i = 0; i < whole; i += 8) {
    std::uint64_t word;
    std::memcpy(&word, bytes.data() + i, 8);
    mix(word);
  }
  add(bytes.subspan(whole));
  add(bytes.size());
}

std::string hash::text() const { return fmt::format("{:016x}", value_); }

std::string hash_of(std::span<float const> values) {
  hash h;
  h.add_words(std::as_bytes(values));
  return '#' + h.text();
}

std::string hash_of_file(std::filesystem::path const& path) {
  io::input_file const file(path, std::uint64_t{1} << 40);
  hash h;
  std::vector<std::byte> piece;
  for (std::uint64_t at = 0; at < file.size(); at += piece.size()) {
    piece.resize(static_cast<std::size_t>(
        std::min<std::uint64_t>(file.size() - at, std::uint64_t{1} << 20)));
    file.read(at, piece);
    h.add_words(piece);
  }
  return '#' + h.text();
}

std::string differences(settings const& there, settings const& given, std::string_view here) {
  std::string list;
  for (auto const& [name, value] : given) tell(list, name, find(there, name), value, here);
  for (auto const& [name, value] : there)
    if (!find(given, name))
      list += fmt::format("; {} {} there, none {}", io::shown(name), in_words(value), here);
  return list.empty() ? list : list.substr(2);
}

void write_settings(std::filesystem::path const& path, settings const& s) {
  json object = json::object();
  for (auto const& [name, value] : s) object[name] = value;
  io::write_file(path, object.dump(1, ' ', true, json::error_handler_t::replace) + '\n');
}

settings read_settings(std::filesystem::path const& path) {
  auto const bytes = io::read_file(path, io::longest_document);
  auto const source = fmt::format("'{}'", path.string());
  auto const tree = io::parse_document({reinterpret_cast<char const*>(bytes.data()), bytes.size()},
                                       io::document_format::json, source);
  settings s;
  if (!tree.is_object()) throw error(source + " is no JSON object; expected names with texts");
  for (auto const& [name, value] : tree.items()) {
    if (!value.is_string())
      throw error(fmt::format("{}: {} is no text; expected one", source, io::shown(name)));
    s.emplace_back(name, value.get<std::string>());
  }
  return s;
}

}  // namespace tweedie::tool
