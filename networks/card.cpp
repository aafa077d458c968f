#include <tweedie/networks/card.hpp>

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <tweedie/io/document.hpp>
#include <tweedie/io/file.hpp>
#include <tweedie/io/nearest.hpp>
#include <tweedie/io/npy.hpp>

namespace tweedie::networks {
namespace {

using json = io::tree;
using io::refuse, io::shown;

struct named_unit {
  char const* name;
  time_unit unit;
  double (*of)(level const&);
};
// In the order of the enumeration.
constexpr named_unit units[] = {
    {"t", time_unit::t, [](level const& l) { return l.t; }},
    // At the clean level, which no network was trained at, it is asked as at t = 1.
    {"t - 1", time_unit::t_minus_1, [](level const& l) { return std::max(l.t - 1, 0.0); }},
    {"1000 t", time_unit::thousand_t, [](level const& l) { return 1000 * l.t; }},
    {"t / T", time_unit::t_by_steps, [](level const& l) { return l.t / l.steps; }},
    {"1 - t", time_unit::one_minus_t, [](level const& l) { return 1 - l.t; }},
    {"rho", time_unit::rho, [](level const& l) { return l.rho(); }},
    {"ln(rho)", time_unit::log_rho, [](level const& l) { return std::log(l.rho()); }},
    {"ln(rho) / 4", time_unit::quarter_log, [](level const& l) { return std::log(l.rho()) / 4; }},
    {"lambda", time_unit::lambda, [](level const& l) { return l.lambda(); }},
    {"ln(snr)", time_unit::log_snr, [](level const& l) { return 2 * l.lambda(); }},
    {"alpha_bar", time_unit::alpha_bar, [](level const& l) { return l.alpha * l.alpha; }},
    {"alpha", time_unit::sqrt_alpha_bar, [](level const& l) { return l.alpha; }}};

constexpr char const* types[] = {"f32", "i32", "i64"};
constexpr char const* tabulated = "tabulated";  // the schedule's name in the library

constexpr std::size_t most_labels = 1'000'000, longest_name = 1000;

/// The members of a table, each of which is read once; what is left is refused.
class table {
 public:
  table(json const& j, std::string where) : json_(j), where_(std::move(where)) {
    if (!j.is_object()) refuse(where_, j, "a table of keys and values");
  }
  std::string at(char const* key) const { return fmt::format("{}: {}", where_, key); }
  json const* find(char const* key) {
    known_.push_back(key);
    auto const found = json_.find(key);
    return found == json_.end() ? nullptr : &*found;
  }
  bool text(char const* key, std::string& to) {
    json const* const j = find(key);
    if (!j) return false;
    if (!j->is_string()) refuse(at(key), *j, "a text");
    to = j->get<std::string>();
    if (to.empty() || to.size() > longest_name)
      throw error(
          fmt::format("{} has {} bytes; expected 1 to {}", at(key), to.size(), longest_name));
    return true;
  }
  bool number(char const* key, double& to) {
    json const* const j = find(key);
    if (!j) return false;
    if (!j->is_binary() || !std::isfinite(io::value_of(*j))) refuse(at(key), *j, "a finite number");
    to = io::value_of(*j);
    return true;
  }
  std::string choice(char const* key, std::vector<std::string_view> const& there) {
    std::string given;
    if (!text(key, given)) return std::string(there[0]);
    if (std::ranges::find(there, given) == there.end())
      throw error(fmt::format("{} '{}' was given; {}", at(key), shown(given),
                              io::expected_names(given, there)));
    return given;
  }
  [[noreturn]] void missing(char const* key, char const* expected) {
    throw error(fmt::format("{}: the key '{}' is missing; expected {}", where_, key, expected));
  }
  void expect_no_more() const {
    for (auto const& item : json_.items())
      if (std::ranges::find(known_, item.key()) == known_.end())
        throw error(fmt::format("{}: the key '{}' was given; {}", where_, shown(item.key()),
                                io::expected_names(item.key(), known_)));
  }

 private:
  json const& json_;
  std::string where_;
  std::vector<std::string_view> known_;
};

schedule_description schedule_in(json const& j, std::string const& where) {
  auto const named = [&](std::string name) {
    if (name == tabulated)
      throw error(fmt::format(
          "{} '{}' was given; expected its numbers in place of a name: alpha_bar = \"abar.npy\"",
          where, name));
    return schedule_description{std::move(name), {}};
  };
  if (j.is_string()) return named(j.get<std::string>());
  if (!j.is_object() || !j.contains("name") || !j["name"].is_string())
    refuse(where, j, "a name such as \"cosine\", or a table with a name");
  schedule_description r = named(j["name"].get<std::string>());
  for (auto const& [key, value] : j.items()) {
    if (key == "name") continue;
    if (!value.is_binary()) refuse(fmt::format("{}.{}", where, shown(key)), value, "a number");
    r.parameters.emplace_back(key, io::value_of(value));
  }
  return r;
}

/// abar of t = 1 .. T, from the list or the file that a card names.
schedule_description alpha_bar_in(json const& j, std::string const& where,
                                  std::filesystem::path const& folder) {
  schedule_description r{tabulated, {}};
  if (j.is_string()) {
    auto const path = folder / j.get<std::string>();
    if (path.extension() != ".npy")
      throw error(fmt::format("{}: '{}' was given; expected a list of numbers, or a file .npy",
                              where, shown(j.get<std::string>())));
    auto const array = io::read_npy(path, std::uint64_t{1} << 24);
    if (array.shape.size() != 1)
      throw error(
          fmt::format("{}: '{}' has the shape {{{}}}; expected one number for each timestep", where,
                      path.string(), fmt::join(array.shape, ", ")));
    r.alpha_bar = array.doubles();
  } else {
    if (!j.is_array() || !std::ranges::all_of(j, [](json const& one) { return one.is_binary(); }))
      refuse(where, j, "a list of numbers, or a file .npy");
    for (json const& one : j) r.alpha_bar.push_back(io::value_of(one));
  }
  if (r.alpha_bar.empty() || r.alpha_bar.size() > 1'000'000)
    throw error(
        fmt::format("{}: {} numbers were given; expected one for each timestep, 1 to 1000000",
                    where, r.alpha_bar.size()));
  double before = 1;
  for (std::size_t i = 0; i < r.alpha_bar.size(); before = r.alpha_bar[i++])
    if (!(r.alpha_bar[i] > 0 && r.alpha_bar[i] < before))
      throw error(fmt::format(
          "{}: {} was given at place {}, after {}; expected numbers below 1 that fall "
          "and stay above 0, those of the timesteps from the clean end on",
          where, r.alpha_bar[i], i, i == 0 ? "the clean level's 1" : fmt::format("{}", before)));
  return r;
}

/// The type of an input, which a file need not say.
void type_in(table& of, char const* key, std::string& to) {
  if (of.text(key, to) && std::ranges::find(types, to) == std::end(types))
    throw error(fmt::format("{} '{}' was given; {}", of.at(key), shown(to),
                            io::expected_names(to, {std::begin(types), std::end(types)})));
}

card::of_labels labels_in(json const& j, std::string const& where) {
  table given(j, where);
  card::of_labels r;
  if (json const* const names = given.find("names")) {
    bool const fits = names->is_array() && !names->empty() && names->size() <= most_labels &&
                      std::ranges::all_of(*names, [](json const& n) { return n.is_string(); });
    if (!fits) refuse(given.at("names"), *names, "a list of names");
    for (json const& n : *names) r.names.push_back(n.get<std::string>());
    r.count = r.names.size();
  }
  double count = 0, null = 0;
  if (given.number("count", count)) {
    if (!(count >= 1 && count <= most_labels && count == std::floor(count)))
      throw error(fmt::format("{}: {} was given; expected a whole number from 1 to {}",
                              given.at("count"), count, most_labels));
    r.count = static_cast<std::size_t>(count);
    if (!r.names.empty() && r.names.size() != r.count)
      throw error(fmt::format("{}: {} was given beside {} names; expected as many, or one of them",
                              given.at("count"), count, r.names.size()));
  }
  if (r.count == 0)
    throw error(
        fmt::format("{}: neither count nor names was given; expected how many labels there "
                    "are",
                    where));
  for (std::size_t i = 0; i < r.names.size(); ++i) {
    std::string const& name = r.names[i];
    if (name.empty() || name.size() > longest_name || name == "all" || name == "none" ||
        name.find(',') != name.npos)
      throw error(
          fmt::format("{}: '{}' was given; expected names without commas, and other ones "
                      "than all and none",
                      given.at("names"), shown(name)));
    if (std::find(r.names.begin(), r.names.begin() + static_cast<std::ptrdiff_t>(i), name) !=
        r.names.begin() + static_cast<std::ptrdiff_t>(i))
      throw error(fmt::format("{}: '{}' was given twice; expected it once", given.at("names"),
                              shown(name)));
  }
  given.number("first", r.first);
  given.number("step", r.step);
  if (r.step == 0)
    throw error(given.at("step") + ": 0 was given; expected another number: all labels are one");
  if (given.number("null", null)) r.null = null;
  double const k = r.null ? (*r.null - r.first) / r.step : -1;
  if (k >= 0 && k < static_cast<double>(r.count) && k == std::floor(k))
    throw error(
        fmt::format("{}: {} was given, which is how label {} is told; expected a number "
                    "that tells no label: count does not include the null",
                    given.at("null"), null, k));
  given.expect_no_more();
  return r;
}

card::of_array condition_in(std::string name, json const& j, std::string const& where) {
  table given(j, where);
  card::of_array r{std::move(name), {}, {}, {}};
  if (!given.text("input", r.input)) given.missing("input", "the name that it has in the file");
  if (json const* const null = given.find("null")) {
    double number = 0;
    if (null->is_string()) {
      given.text("null", r.negative);
      if (r.negative == r.name)
        throw error(
            fmt::format("{}: \"{}\" was given, the condition itself; expected another name, "
                        "or a number",
                        given.at("null"), r.name));
    } else if (given.number("null", number)) r.null = number;
  }
  type_in(given, "type", r.type);
  given.expect_no_more();
  return r;
}

std::string quoted(std::string const& text) { return json(text).dump(); }
std::string toml_number(double value) {
  std::string const r = fmt::format("{}", value);
  return r.find_first_of(".en") == std::string::npos ? r + ".0" : r;
}

}  // namespace

char const* name_of(time_unit unit) { return units[static_cast<std::size_t>(unit)].name; }
double time_of(time_unit unit, level const& l) {
  return units[static_cast<std::size_t>(unit)].of(l);
}

card parse_card(std::string_view toml, std::string const& source,
                std::filesystem::path const& folder) {
  json const all = io::parse_document(toml, io::document_format::toml, source);
  table given(all, source);
  // A word that is not known is the likelier mistake, where another one is missing.
  for (char const* key : {"predicts", "schedule", "alpha_bar", "time", "range", "layout", "shape",
                          "rows", "variance", "inputs", "outputs", "labels", "conditions"})
    given.find(key);
  given.expect_no_more();
  card r;
  if (!given.text("predicts", r.predicts))
    given.missing("predicts", "what the network predicts, such as predicts = \"epsilon\"");
  json const* const schedule = given.find("schedule");
  json const* const alpha_bar = given.find("alpha_bar");
  if (!schedule && !alpha_bar)
    given.missing("schedule", "what it was trained on, such as schedule = \"linear\"");
  if (schedule && alpha_bar)
    throw error(
        fmt::format("{} was given beside a schedule; expected one of them", given.at("alpha_bar")));
  r.schedule = schedule ? schedule_in(*schedule, given.at("schedule"))
                        : alpha_bar_in(*alpha_bar, given.at("alpha_bar"), folder);

  std::vector<std::string_view> names;
  for (auto const& one : units) names.push_back(one.name);
  std::string const time = given.choice("time", names);
  r.time =
      std::ranges::find(units, time, [](auto const& u) { return std::string_view(u.name); })->unit;
  if (json const* const range = given.find("range")) {
    auto const is_number = [](json const& j) {
      return j.is_binary() && std::isfinite(io::value_of(j));
    };
    if (!range->is_array() || range->size() != 2 || !std::ranges::all_of(*range, is_number))
      refuse(given.at("range"), *range, "two numbers such as [-1.0, 1.0]");
    r.range = {io::value_of((*range)[0]), io::value_of((*range)[1])};
    if (!(r.range->lo < r.range->hi))
      throw error(fmt::format("{}: [{}, {}] was given; expected the smaller number first",
                              given.at("range"), r.range->lo, r.range->hi));
    double const largest = std::max(std::abs(r.range->lo), std::abs(r.range->hi));
    if (!(largest <= 1e9 && r.range->hi - r.range->lo >= 1e-4 * largest))
      throw error(
          fmt::format("{}: [{}, {}] was given; expected bounds of 1e9 at most that floats "
                      "tell apart",
                      given.at("range"), r.range->lo, r.range->hi));
  }
  r.channels_last = given.choice("layout", {"channels_first", "channels_last"}) == "channels_last";
  if (json const* const shape = given.find("shape")) {
    bool const fits = shape->is_array() && !shape->empty() && shape->size() <= 8 &&
                      std::ranges::all_of(*shape, [](json const& j) {
                        return j.is_binary() && io::value_of(j) >= 1 && io::value_of(j) <= 65536 &&
                               io::value_of(j) == std::floor(io::value_of(j));
                      });
    if (!fits) refuse(given.at("shape"), *shape, "whole numbers such as [1, 64, 64]");
    for (json const& n : *shape) r.shape.push_back(static_cast<std::size_t>(io::value_of(n)));
  }
  if (double rows = 0; given.number("rows", rows)) {
    if (!(rows >= 1 && rows <= 65536 && rows == std::floor(rows)))
      throw error(fmt::format("{}: {} was given; expected a whole number from 1 to 65536",
                              given.at("rows"), rows));
    r.rows = static_cast<std::size_t>(rows);
  }
  r.learns_variance = given.choice("variance", {"none", "learned"}) == "learned";
  if (json const* const inputs = given.find("inputs")) {
    table of(*inputs, given.at("inputs"));
    of.text("x", r.ports.x);
    of.text("time", r.ports.time);
    of.text("labels", r.ports.labels);
    of.text("time_to", r.ports.time_to);
    of.text("time_step", r.ports.time_step);
    if (!r.ports.time_to.empty() && !r.ports.time_step.empty())
      throw error(
          fmt::format("{} was given beside time_step; expected one of them", of.at("time_to")));
    type_in(of, "time_type", r.ports.time_type);
    type_in(of, "labels_type", r.ports.labels_type);
    of.expect_no_more();
  }
  if (json const* const outputs = given.find("outputs")) {
    table of(*outputs, given.at("outputs"));
    of.text("prediction", r.ports.prediction);
    of.expect_no_more();
  }
  if (json const* const labels = given.find("labels"))
    r.labels = labels_in(*labels, given.at("labels"));
  if (!r.labels && !r.ports.labels.empty())
    throw error(
        fmt::format("{} was given without a table labels; expected how many there are, "
                    "such as [labels] count = 10",
                    given.at("inputs.labels")));
  if (json const* const conditions = given.find("conditions")) {
    if (!conditions->is_object())
      refuse(given.at("conditions"), *conditions, "a table for each, [conditions.NAME]");
    for (auto const& [name, value] : conditions->items())
      r.conditions.push_back(
          condition_in(name, value, fmt::format("{}: conditions.{}", source, shown(name))));
  }
  for (auto const& one : r.conditions)
    if (std::ranges::find(r.conditions, one.negative, &card::of_array::name) != r.conditions.end())
      throw error(
          fmt::format("{}: conditions.{}.null: \"{}\" was given, a condition of its own; "
                      "expected another name, or a number",
                      source, shown(one.name), one.negative));
  return r;
}

card read_card(std::filesystem::path const& path) {
  auto const text = io::read_file(path, std::uint64_t{1} << 20);
  return parse_card({reinterpret_cast<char const*>(text.data()), text.size()},
                    fmt::format("card '{}'", path.string()), path.parent_path());
}

std::string to_toml(card const& c) {
  std::string text;
  auto const line = [&](std::string_view key, std::string const& value) {
    text += fmt::format("{} = {}\n", key, value);
  };
  line("predicts", quoted(c.predicts));
  std::string parameters;
  for (auto const& [key, value] : c.schedule.parameters)
    parameters += fmt::format(", {} = {}", key, toml_number(value));
  if (!c.schedule.alpha_bar.empty()) {
    std::string list;
    for (double a : c.schedule.alpha_bar) list += (list.empty() ? "" : ", ") + toml_number(a);
    line("alpha_bar", "[" + list + "]");
  } else {
    line("schedule", parameters.empty()
                         ? quoted(c.schedule.name)
                         : fmt::format("{{ name = {}{} }}", quoted(c.schedule.name), parameters));
  }
  line("time", quoted(name_of(c.time)));
  if (c.range)
    line("range", fmt::format("[{}, {}]", toml_number(c.range->lo), toml_number(c.range->hi)));
  if (c.channels_last) line("layout", "\"channels_last\"");
  if (!c.shape.empty()) line("shape", fmt::format("[{}]", fmt::join(c.shape, ", ")));
  if (c.rows > 0) line("rows", fmt::format("{}", c.rows));
  if (c.learns_variance) line("variance", "\"learned\"");
  auto port = [&, first = std::string()](std::string const& table, char const* key,
                                         std::string const& name) mutable {
    if (name.empty()) return;
    if (first != table) text += fmt::format("\n[{}]\n", first = table);
    line(key, quoted(name));
  };
  port("inputs", "x", c.ports.x);
  port("inputs", "time", c.ports.time);
  port("inputs", "labels", c.ports.labels);
  port("inputs", "time_to", c.ports.time_to);
  port("inputs", "time_step", c.ports.time_step);
  port("inputs", "time_type", c.ports.time_type);
  port("inputs", "labels_type", c.ports.labels_type);
  port("outputs", "prediction", c.ports.prediction);
  if (c.labels) {
    text += "\n[labels]\n";
    if (!c.labels->names.empty()) line("names", json(c.labels->names).dump());
    else line("count", fmt::format("{}", c.labels->count));
    if (c.labels->first != 0) line("first", toml_number(c.labels->first));
    if (c.labels->step != 1) line("step", toml_number(c.labels->step));
    if (c.labels->null) line("null", toml_number(*c.labels->null));
  }
  for (auto const& one : c.conditions) {
    text += fmt::format("\n[conditions.{}]\n", quoted(one.name));
    line("input", quoted(one.input));
    if (one.null) line("null", toml_number(*one.null));
    if (!one.negative.empty()) line("null", quoted(one.negative));
    if (!one.type.empty()) line("type", quoted(one.type));
  }
  return text;
}

}  // namespace tweedie::networks
