// TOML and JSON to one tree.
#include <tweedie/io/document.hpp>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <utility>

#include <fmt/format.h>

// What toml++ expects of a text and does not check, at "[[[[=" for one, it asserts; under NDEBUG it
// tells the compiler that it cannot happen. Here it is an exception, or the end where toml++
// promised that there are none, which its parser does not.
namespace {
struct no_toml {};
[[noreturn]] void expected_otherwise() { throw no_toml{}; }
}  // namespace
#pragma push_macro("NDEBUG")
#undef NDEBUG
#define TOML_ASSERT(expr) ((expr) ? void() : expected_otherwise())
#include <toml++/toml.h>
#pragma pop_macro("NDEBUG")

namespace tweedie::io {
namespace {
using json = tree;
}

std::string shown(std::string_view text) {
  constexpr std::size_t most = 100;
  std::string r(text.substr(0, most));
  for (char& c : r)
    if (c < ' ' || c > '~') c = '?';
  return text.size() > most ? r + "..." : r;
}

json number(double value, std::string_view text) {
  json::binary_t::container_type bytes(sizeof value + text.size());
  std::memcpy(bytes.data(), &value, sizeof value);
  std::ranges::copy(text, bytes.begin() + sizeof value);
  return json::binary(std::move(bytes));
}
double value_of(json const& number) {
  double value;
  std::memcpy(&value, number.get_binary().data(), sizeof value);
  return value;
}
std::string text_of(json const& number) {
  return {number.get_binary().begin() + sizeof(double), number.get_binary().end()};
}

void refuse(std::string const& where, json const& given, std::string const& expected) {
  std::string const what =
      given.is_object()  ? "a table"
      : given.is_array() ? "a list"
                         : shown(given.is_binary() ? text_of(given) : given.dump(-1, ' ', true));
  throw error(fmt::format("{}: {} was given; expected {}", where, what, expected));
}

namespace {

// Of a character outside a text toml++ 3.3 asks whether it is a blank, and tells the compiler that
// no such question comes up of U+00E9 and many others; and what is outside, its parser alone knows.
// So it is given ASCII: every byte beyond, and every q, is a q and two digits there. No word of
// TOML has a q.

/// A text in ASCII, without the order mark that may stand at its start.
std::string to_ascii(std::string_view text) {
  constexpr std::string_view order_mark = "\xef\xbb\xbf";
  if (text.starts_with(order_mark)) text.remove_prefix(order_mark.size());
  std::string r;
  for (char const c : text)
    if (auto const u = static_cast<unsigned char>(c); u < 0x80 && c != 'q') r += c;
    else r += fmt::format("q{:02x}", unsigned{u});
  return r;
}

/// A part of `to_ascii(text)` as it was. The sentences of toml++ have q as well, before a u.
std::string from_ascii(std::string_view part) {
  std::string r;
  for (std::size_t i = 0; i < part.size(); ++i) {
    unsigned byte = 0;
    char const* const digits = part.data() + i + 1;
    if (part[i] == 'q' && part.size() - i > 2 &&
        std::from_chars(digits, digits + 2, byte, 16).ptr == digits + 2) {
      r += static_cast<char>(byte);
      i += 2;
    } else {
      r += part[i];
    }
  }
  return r;
}

constexpr std::size_t longest_key = 1000;
constexpr std::size_t deepest = 8;

[[noreturn]] void too_deep(std::string const& source) {
  throw error(fmt::format(
      "{}: tables and lists are nested deeper than {}; expected a list in a table at most", source,
      deepest));
}

/// What a value of `text` is written as.
std::string_view text_at(toml::source_region const& where, std::string_view text) {
  for (toml::source_index line = 1; line < where.begin.line && !text.empty(); ++line)
    text.remove_prefix(std::min(text.find('\n'), text.size() - 1) + 1);
  if (where.begin.line != where.end.line || where.begin.column == 0 ||
      where.begin.column > text.size() || where.end.column <= where.begin.column)
    return "";
  return text.substr(where.begin.column - 1, where.end.column - where.begin.column);
}

json to_json(toml::node const& node, std::string_view text, std::string const& source,
             std::size_t depth = 0) {
  if (depth > deepest) too_deep(source);
  if (auto const* table = node.as_table()) {
    json r = json::object();
    for (auto const& [key, value] : *table)
      r[from_ascii(key.str())] = to_json(value, text, source, depth + 1);
    return r;
  }
  if (auto const* array = node.as_array()) {
    json r = json::array();
    for (auto const& value : *array) r.push_back(to_json(value, text, source, depth + 1));
    return r;
  }
  if (auto const* v = node.as_string()) return from_ascii(v->get());
  std::string const given = from_ascii(text_at(node.source(), text));
  if (auto const* v = node.as_integer()) return number(static_cast<double>(v->get()), given);
  if (auto const* v = node.as_floating_point()) return number(v->get(), given);
  if (auto const* v = node.as_boolean()) return v->get();
  return fmt::format("{}", "a date or a time");
}

/// TOML is UTF-8, and has no control characters but tabs and ends of lines.
void check_characters(std::string_view text, std::string const& source) {
  auto const is_control = [](char c) {
    auto const u = static_cast<unsigned char>(c);
    return (u < 0x20 && c != '\t' && c != '\n' && c != '\r') || u == 0x7f;
  };
  auto const at = std::ranges::find_if(text, is_control);
  if (at != text.end())
    throw error(fmt::format("{}: line {}: a control character, 0x{:02x}; expected text", source,
                            std::count(text.begin(), at, '\n') + 1,
                            static_cast<unsigned>(static_cast<unsigned char>(*at))));
  std::size_t line = 1;
  for (std::size_t from = 0, to = 0; from <= text.size(); from = to + 1, ++line) {
    to = std::min(text.find('\n', from), text.size());
    try {
      static_cast<void>(json(text.substr(from, to - from)).dump());  // checks that it is UTF-8
    } catch (json::exception const&) {
      throw error(
          fmt::format("{}: line {}: a byte that is not UTF-8; expected text", source, line));
    }
  }
}

/// toml++ bounds how deep lists are nested, and not how many parts a key has: a.a.a.a = 1 is a
/// table in a table in a table.
void check_dots(std::string_view text, std::string const& source) {
  std::size_t line = 1, dots = 0;
  for (char const c : text) {
    if (c == '\n') dots = 0, ++line;
    if (c == '.' && ++dots > longest_key)
      throw error(fmt::format("{}: line {} has more than {} dots; expected a key of fewer", source,
                              line, longest_key));
  }
}

json parse_toml(std::string_view text, std::string const& source) {
  check_characters(text, source);
  check_dots(text, source);
  for (std::string_view const q : {"\\u0071", "\\U00000071", "\\x71"})
    if (text.find(q) != text.npos)
      throw error(fmt::format("{}: line {}: {} was given; expected the letter q itself", source,
                              1 + std::ranges::count(text.substr(0, text.find(q)), '\n'), q));
  try {
    std::string const ascii = to_ascii(text);
    return to_json(toml::parse(ascii), ascii, source);
  } catch (toml::parse_error const& e) {
    throw error(fmt::format("{}: line {}: {}", source, e.source().begin.line,
                            shown(from_ascii(e.description()))));
  } catch (no_toml) {
    throw error(fmt::format("{}: what is no TOML was given; expected lines key = value", source));
  }
}

/// Makes a tree of JSON in which no key is there twice, and which is not deep.
class tree_of_json final : public nlohmann::json_sax<json> {
 public:
  explicit tree_of_json(std::string const& source) : source_(source) {}

  json root;

  bool null() override { return put(nullptr); }
  bool boolean(bool value) override { return put(value); }
  bool number_integer(std::int64_t value) override { return put_number(value); }
  bool number_unsigned(std::uint64_t value) override { return put_number(value); }
  bool number_float(double value, std::string const& text) override {
    return put(number(value, text));
  }
  bool string(std::string& value) override { return put(std::move(value)); }
  bool binary(json::binary_t&) override { return false; }  // JSON has none
  bool start_array(std::size_t) override { return open(json::array()); }
  bool start_object(std::size_t) override { return open(json::object()); }
  bool end_array() override { return close(); }
  bool end_object() override { return close(); }
  bool key(std::string& name) override {
    if (open_.back()->contains(name))
      throw error(
          fmt::format("{}: the key '{}' is given twice; expected it once", source_, shown(name)));
    key_ = name;
    return true;
  }
  bool parse_error(std::size_t, std::string const&, json::exception const& e) override {
    std::string what = e.what();  // "[json.exception.parse_error.101] parse error at line 1, ..."
    if (auto const at = what.find("] "); at != std::string::npos) what.erase(0, at + 2);
    throw error(fmt::format("{}: {}", source_, shown(what)));
  }

 private:
  bool put(json value) {
    last_ = open_.empty()              ? &(root = std::move(value))
            : open_.back()->is_array() ? &open_.back()->emplace_back(std::move(value))
                                       : &((*open_.back())[key_] = std::move(value));
    return true;
  }
  bool put_number(auto value) {
    return put(number(static_cast<double>(value), fmt::format("{}", value)));
  }
  bool open(json value) {
    if (open_.size() > deepest) too_deep(source_);
    put(std::move(value));
    open_.push_back(last_);
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  std::string const& source_;
  std::string key_;
  json* last_ = nullptr;
  std::vector<json*> open_;  ///< the lists and tables that are not at their ends
};

json parse_json(std::string_view text, std::string const& source) {
  tree_of_json tree(source);
  json::sax_parse(text, &tree);
  return std::move(tree.root);
}
}  // namespace

json parse_document(std::string_view text, document_format format, std::string const& source) {
  if (text.size() > longest_document)
    throw error(
        fmt::format("{} has {} bytes; expected at most {}", source, text.size(), longest_document));
  return format == document_format::toml ? parse_toml(text, source) : parse_json(text, source);
}

std::vector<std::pair<std::string, setting_value>> parse_settings(std::string_view text,
                                                                  std::string const& source) {
  tree const all = parse_document(text, document_format::toml, fmt::format("'{}'", source));
  std::vector<std::pair<std::string, setting_value>> settings;
  for (auto const& [key, value] : all.items()) {
    auto const expect = [&](bool fits) {
      if (!fits)
        throw error(fmt::format(
            "'{}': {} is {}; expected a number, true or false, a text, or a list of numbers",
            source, shown(key), value.is_array() ? "a list of other things" : "a table"));
    };
    if (value.is_array()) {
      std::vector<double> numbers;
      for (auto const& one : value) {
        expect(one.is_binary());
        numbers.push_back(value_of(one));
      }
      settings.emplace_back(key, std::move(numbers));
      continue;
    }
    expect(value.is_binary() || value.is_boolean() || value.is_string());
    if (value.is_binary()) settings.emplace_back(key, value_of(value));
    else if (value.is_boolean()) settings.emplace_back(key, value.get<bool>());
    else settings.emplace_back(key, value.get<std::string>());
  }
  return settings;
}

}  // namespace tweedie::io
