// Recipes as text: TOML and JSON to a recipe, and back.
#include <tweedie/pipelines/ready/recipe.hpp>

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <tweedie/io/document.hpp>
#include <tweedie/io/file.hpp>
#include <tweedie/io/nearest.hpp>

namespace tweedie::ready {
namespace {

using json = io::tree;
using io::refuse, io::shown, io::text_of, io::value_of;

constexpr std::size_t longest_title = 1000;

// What is read says where it stands: "recipe 'x.toml': sampler.eta".

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

recipe recipe_of(json const& j, std::string const& where) {
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

recipe parse_recipe(std::string_view text, recipe_format format, std::string const& source) {
  auto const as =
      format == recipe_format::toml ? io::document_format::toml : io::document_format::json;
  std::string const where = fmt::format("recipe '{}'", source);
  return recipe_of(io::parse_document(text, as, where), where);
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
