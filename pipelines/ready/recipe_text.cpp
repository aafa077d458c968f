// Recipes as text: TOML and JSON to a recipe, and back.
#include <tweedie/pipelines/ready/recipe.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <tweedie/io/file.hpp>
#include <tweedie/io/nearest.hpp>

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

namespace tweedie::ready {
namespace {

using json = nlohmann::ordered_json;

/// What a file says, as part of a sentence: printable, and not longer than a line.
std::string shown(std::string_view text) {
  constexpr std::size_t most = 100;
  std::string r(text.substr(0, most));
  for (char& c : r)
    if (c < ' ' || c > '~') c = '?';
  return text.size() > most ? r + "..." : r;
}

/// A number keeps the digits that the file has for it, so that a sentence can quote them: as json's
/// binary, the value and then its text.
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

char const* type_of(json const& j) {
  return j.is_string()    ? "a text"
         : j.is_binary()  ? "a number"
         : j.is_boolean() ? "true or false"
         : j.is_object()  ? "a table"
         : j.is_array()   ? "a list"
                          : "nothing";
}

// What is read says where it stands: "recipe 'x.toml': sampler.eta".

[[noreturn]] void refuse(std::string const& where, json const& given, std::string const& expected) {
  std::string const what =
      given.is_structured() ? type_of(given)
                            : shown(given.is_binary() ? text_of(given) : given.dump(-1, ' ', true));
  throw error(fmt::format("{}: {} was given; expected {}", where, what, expected));
}

void read(std::string const& where, json const& j, double& to) {
  if (!j.is_binary()) refuse(where, j, "a number");
  to = value_of(j);
}
void read(std::string const& where, json const& j, int& to) {
  double const value = j.is_binary() ? value_of(j) : std::nan("");
  if (!(value == std::floor(value) && std::abs(value) <= 1'000'000))
    refuse(where, j, "a whole number of at most 1000000");
  to = static_cast<int>(value);
}
void read(std::string const& where, json const& j, std::optional<double>& to) {
  read(where, j, to.emplace());
}
template <class E>
requires std::is_enum_v<E>
void read(std::string const& where, json const& j, E& to) {
  std::vector<std::string_view> const names(std::begin(names_of<E>::values),
                                            std::end(names_of<E>::values));
  if (!j.is_string()) refuse(where, j, fmt::format("one of: {}", fmt::join(names, ", ")));
  auto const given = j.get<std::string>();
  auto const at = std::ranges::find(names, given);
  if (at == names.end())
    throw error(
        fmt::format("{} '{}' was given; {}", where, shown(given), expected_names(given, names)));
  to = static_cast<E>(at - names.begin());
}

template <class Stage> std::vector<std::string_view> parameters_of() {
  if constexpr (requires { Stage::fields; })
    return std::apply([](auto const&... f) { return std::vector<std::string_view>{f.name...}; },
                      Stage::fields);
  else return {};
}

/// Calls a stage's own check, and says where the stage stands.
template <class Stage> void check(std::string const& where, Stage const& stage) {
  try {
    tweedie::detail::call_check(stage);
    if constexpr (requires { stage.end(); }) stage.at(stage.end());
  } catch (error const& e) {
    throw error(fmt::format("{}: {}", where, e.what()));
  }
}

/// A stage of a list: its name, or a table with its name and parameters. What else the table may
/// hold is taken out before.
template <class List> any_of<List> stage_in(std::string const& where, json j, List const& list) {
  std::string name;
  if (j.is_string()) {
    name = j.get<std::string>();
    j = json::object();
  } else if (j.is_object() && j.contains("name") && j["name"].is_string()) {
    name = j["name"].get<std::string>();
    j.erase("name");
  } else {
    refuse(where, j,
           fmt::format("a name or a table with a name, one of: {}", fmt::join(names(list), ", ")));
  }
  any_of<List> any = choose(where, shown(name), list);
  std::visit(
      [&]<class Stage>(Stage& stage) {
        for (auto const& item : j.items()) {
          std::string const& key = item.key();
          json const& value = item.value();
          bool found = false;
          if constexpr (requires { Stage::fields; })
            std::apply(
                [&](auto const&... f) {
                  auto const one = [&](auto const& of) {
                    if (key != of.name) return;
                    read(fmt::format("{}.{}", where, key), value, stage.*of.member);
                    found = true;
                  };
                  (one(f), ...);
                },
                Stage::fields);
          if (!found)
            throw error(fmt::format("{}: {} has no parameter '{}'; {}", where, name, shown(key),
                                    expected_names(key, parameters_of<Stage>())));
        }
        check(where, stage);
      },
      any);
  return any;
}

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

constexpr std::size_t longest_text = 1 << 16, longest_title = 1000;
constexpr std::size_t deepest = 8;  // a recipe has three levels

[[noreturn]] void too_deep(std::string const& source) {
  throw error(fmt::format(
      "recipe '{}': tables and lists are nested deeper than {}; expected a list in a table at most",
      source, deepest));
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
    throw error(fmt::format("recipe '{}': line {}: a control character, 0x{:02x}; expected text",
                            source, std::count(text.begin(), at, '\n') + 1,
                            static_cast<unsigned>(static_cast<unsigned char>(*at))));
  std::size_t line = 1;
  for (std::size_t from = 0, to = 0; from <= text.size(); from = to + 1, ++line) {
    to = std::min(text.find('\n', from), text.size());
    try {
      static_cast<void>(json(text.substr(from, to - from)).dump());  // checks that it is UTF-8
    } catch (json::exception const&) {
      throw error(fmt::format("recipe '{}': line {}: a byte that is not UTF-8; expected text",
                              source, line));
    }
  }
}

/// toml++ bounds how deep lists are nested, and not how many parts a key has: a.a.a.a = 1 is a
/// table in a table in a table.
void check_dots(std::string_view text, std::string const& source) {
  std::size_t line = 1, dots = 0;
  for (char const c : text) {
    if (c == '\n') dots = 0, ++line;
    if (c == '.' && ++dots > longest_title)
      throw error(fmt::format("recipe '{}': line {} has more than {} dots; expected a key of fewer",
                              source, line, longest_title));
  }
}

json parse_toml(std::string_view text, std::string const& source) {
  check_characters(text, source);
  check_dots(text, source);
  for (std::string_view const q : {"\\u0071", "\\U00000071", "\\x71"})
    if (text.find(q) != text.npos)
      throw error(fmt::format("recipe '{}': line {}: {} was given; expected the letter q itself",
                              source, 1 + std::ranges::count(text.substr(0, text.find(q)), '\n'),
                              q));
  try {
    std::string const ascii = to_ascii(text);
    return to_json(toml::parse(ascii), ascii, source);
  } catch (toml::parse_error const& e) {
    throw error(fmt::format("recipe '{}': line {}: {}", source, e.source().begin.line,
                            shown(from_ascii(e.description()))));
  } catch (no_toml) {
    throw error(
        fmt::format("recipe '{}': what is no TOML was given; expected lines key = value", source));
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
      throw error(fmt::format("recipe '{}': the key '{}' is given twice; expected it once", source_,
                              shown(name)));
    key_ = name;
    return true;
  }
  bool parse_error(std::size_t, std::string const&, json::exception const& e) override {
    std::string what = e.what();  // "[json.exception.parse_error.101] parse error at line 1, ..."
    if (auto const at = what.find("] "); at != std::string::npos) what.erase(0, at + 2);
    throw error(fmt::format("recipe '{}': {}", source_, shown(what)));
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

recipe recipe_of(json const& j, std::string const& source) {
  std::string const where = fmt::format("recipe '{}'", source);
  if (!j.is_object()) refuse(where, j, "a table of keys and values");
  std::vector<std::string_view> const keys{"title",     "schedule", "predicts", "guidance",
                                           "threshold", "sampler",  "grid",     "steps"};
  for (auto const& [key, value] : j.items())
    if (std::ranges::find(keys, key) == keys.end())
      throw error(fmt::format("{}: the key '{}' was given; {}", where, shown(key),
                              expected_names(key, keys)));
  auto const at = [&](char const* key) { return fmt::format("{}: {}", where, key); };

  recipe r;
  if (j.contains("title")) {
    if (!j["title"].is_string()) refuse(at("title"), j["title"], "a text");
    r.title = j["title"].get<std::string>();
    if (r.title.size() > longest_title)
      throw error(fmt::format("{} has {} bytes; expected at most {}", at("title"), r.title.size(),
                              longest_title));
  }
  if (!j.contains("sampler"))
    throw error(fmt::format("{}: the key 'sampler' is missing; expected one of: {}", where,
                            fmt::join(names(samplers), ", ")));
  r.sampler = stage_in(at("sampler"), j["sampler"], samplers);
  if (j.contains("schedule")) r.schedule = stage_in(at("schedule"), j["schedule"], schedules);
  if (j.contains("predicts")) r.predicts = stage_in(at("predicts"), j["predicts"], predictions);
  if (j.contains("threshold")) r.threshold = stage_in(at("threshold"), j["threshold"], thresholds);
  if (j.contains("grid")) r.grid = stage_in(at("grid"), j["grid"], grids);
  if (j.contains("guidance")) {
    json g = j["guidance"];
    auto const interval = [&](char const* key, char const* such_as, bool of_share) {
      if (!g.is_object() || !g.contains(key)) return;
      std::string const here = at("guidance.") + key;
      if (r.within)
        throw error(fmt::format("{} was given beside guidance.within; expected one of them", here));
      json const lo_hi = g[key];
      g.erase(key);
      if (!lo_hi.is_array() || lo_hi.size() != 2) refuse(here, lo_hi, such_as);
      recipe::interval of{.lo = 0, .hi = 0, .of_share = of_share};
      read(here, lo_hi[0], of.lo);
      read(here, lo_hi[1], of.hi);
      if (of_share) check(here, guidance::within_share{guidance::none{}, of.lo, of.hi});
      else check(here, guidance::within{guidance::none{}, of.lo, of.hi});
      r.within = of;
    };
    interval("within", "two times such as [200, 800]", false);
    interval("within_share", "two shares of the schedule's time such as [0.2, 0.8]", true);
    r.guidance = stage_in(at("guidance"), g, guidances);
    if (r.within && std::holds_alternative<guidance::none>(r.guidance))
      throw error(
          fmt::format("{} was given without a guidance; expected guidance.name too",
                      at(r.within->of_share ? "guidance.within_share" : "guidance.within")));
  }
  if (j.contains("steps")) {
    read(at("steps"), j["steps"], r.steps);
    if (r.steps < 1) refuse(at("steps"), j["steps"], "1 or more");
  }
  return r;
}

// The way back.

std::string toml_value(std::string const& text) { return fmt::format("\"{}\"", text); }
std::string toml_value(double value) {
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  std::string r = fmt::format("{}", value);
  return r.find_first_of(".en") == std::string::npos ? r + ".0" : r;
}
std::string toml_value(int value) { return fmt::format("{}", value); }
std::string toml_value(std::optional<double> const& value) {
  return value.has_value() ? toml_value(value.value()) : std::string();
}
template <class E>
requires std::is_enum_v<E> std::string toml_value(E value) {
  return toml_value(std::string(names_of<E>::values[static_cast<int>(value)]));
}

/// The parameters of a stage that are not the usual ones, "w = 1.5".
template <class Any> std::vector<std::string> changed(Any const& any) {
  std::vector<std::string> r;
  std::visit(
      [&]<class Stage>(Stage const& stage) {
        if constexpr (requires { Stage::fields; }) {
          Stage const usual{};
          std::apply(
              [&](auto const&... f) {
                auto const one = [&](auto const& of) {
                  std::string const value = toml_value(stage.*of.member);
                  if (value != toml_value(usual.*of.member))
                    r.push_back(fmt::format("{} = {}", of.name, value));
                };
                (one(f), ...);
              },
              Stage::fields);
        }
      },
      any);
  return r;
}

template <class List, class Any>
std::string toml_stage(List const& list, Any const& any, std::vector<std::string> more = {}) {
  auto inside = changed(any);
  inside.insert(inside.end(), more.begin(), more.end());
  std::string const name = toml_value(std::string(name_in(list, any)));
  return inside.empty() ? name : fmt::format("{{ name = {}, {} }}", name, fmt::join(inside, ", "));
}

template <class List, class Any> std::string words(List const& list, Any const& any) {
  auto const inside = changed(any);
  return fmt::format("{}{}{}", name_in(list, any), inside.empty() ? "" : " ",
                     fmt::join(inside, ", "));
}

}  // namespace

std::string expected_names(std::string_view given, std::vector<std::string_view> const& there) {
  if (there.empty()) return "expected none";
  std::string r = fmt::format("expected one of: {}", fmt::join(there, ", "));
  if (auto const meant = io::nearest(given, there)) r += fmt::format("; did you mean {}?", *meant);
  return r;
}

recipe parse_recipe(std::string_view text, recipe_format format, std::string const& source) {
  if (text.size() > longest_text)
    throw error(fmt::format("recipe '{}' has {} bytes; expected at most {}", source, text.size(),
                            longest_text));
  return recipe_of(
      format == recipe_format::toml ? parse_toml(text, source) : parse_json(text, source), source);
}

namespace {

/// A stage that is named beside the recipe, which then has to have none.
template <class List>
void take_beside(std::optional<any_of<List>>& of_recipe, char const* what, char const* name,
                 List const& list) {
  if (!name) return;
  if (of_recipe)
    throw error(fmt::format(
        "the {} {} was given beside a recipe that has one; expected one of the two", what, name));
  of_recipe = choose(what, name, list);
}

}  // namespace

recipe parse_recipe_beside(std::string_view text, char const* schedule, char const* prediction) {
  auto const first = text.find_first_not_of(" \t\r\n");
  bool const is_json = first != text.npos && text[first] == '{';
  recipe r = parse_recipe(text, is_json ? recipe_format::json : recipe_format::toml, "the recipe");
  take_beside(r.schedule, "schedule", schedule, schedules);
  take_beside(r.predicts, "prediction", prediction, predictions);
  if (!r.schedule || !r.predicts)
    throw error(fmt::format(
        "a plan without a {} was asked for; expected its name, in the recipe or beside it",
        r.schedule ? "prediction" : "schedule"));
  return r;
}

recipe read_recipe(std::filesystem::path const& path) {
  auto const extension = path.extension();
  if (extension != ".toml" && extension != ".json")
    throw error(fmt::format("a recipe '{}' was given; expected a name that ends in .toml or .json",
                            path.string()));
  auto const bytes = io::read_file(path, std::uint64_t{1} << 20);
  return parse_recipe({reinterpret_cast<char const*>(bytes.data()), bytes.size()},
                      extension == ".toml" ? recipe_format::toml : recipe_format::json,
                      path.string());
}

std::string to_toml(recipe const& r) {
  std::string text;
  auto const line = [&](char const* key, std::string const& value) {
    text += fmt::format("{} = {}\n", key, value);
  };
  if (!r.title.empty()) line("title", json(r.title).dump());
  if (r.schedule) line("schedule", toml_stage(schedules, *r.schedule));
  if (r.predicts) line("predicts", toml_stage(predictions, *r.predicts));
  if (r.within)
    line("guidance",
         toml_stage(guidances, r.guidance,
                    {fmt::format("{} = [{}, {}]", r.within->of_share ? "within_share" : "within",
                                 toml_value(r.within->lo), toml_value(r.within->hi))}));
  else if (r.guidance.index() != 0) line("guidance", toml_stage(guidances, r.guidance));
  if (r.threshold.index() != 0) line("threshold", toml_stage(thresholds, r.threshold));
  line("sampler", toml_stage(samplers, r.sampler));
  line("grid", toml_stage(grids, r.grid));
  line("steps", toml_value(r.steps));
  return text;
}

std::string words_of(recipe const& r) {
  std::string text = fmt::format("{}, {} step{} on the {} grid", words(samplers, r.sampler),
                                 r.steps, r.steps == 1 ? "" : "s", words(grids, r.grid));
  text += r.guidance.index() ? ", " + words(guidances, r.guidance) : ", no guidance";
  if (r.within)
    text += fmt::format(" from {}{} to {}{}", r.within->of_share ? "" : "t = ", r.within->lo,
                        r.within->hi, r.within->of_share ? " of the time" : "");
  text += r.threshold.index() ? ", " + words(thresholds, r.threshold) : ", no threshold";
  return text;
}

}  // namespace tweedie::ready
