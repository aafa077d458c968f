// tweedie recipes: the shipped pipelines, and whether a file is one.
#include <fmt/format.h>

#include <memory>

#include "pipeline_options.hpp"
#include "tool.hpp"

namespace tweedie::tool {
namespace {

int list_all() {
  for (auto const& shipped : ready::shipped_recipes()) {
    auto const recipe = ready::parse_recipe(shipped.text, ready::recipe_format::toml, shipped.name);
    fmt::print("{:18} {}\n{:18} {}\n", shipped.name, recipe.title, "", words_of(recipe));
  }
  return 0;
}

ready::recipe named_recipe(std::string const& name) {
  pipeline_options o;
  o.file = name;
  return recipe_of(o, 0);
}

/// What a recipe's plan is on a schedule: its own, or the cosine one of the shipped models.
int validate(std::string const& file) {
  auto const recipe = named_recipe(file);
  auto const plan = ready::make_plan(recipe, schedules::cosine{}, predicts::v{},
                                     any_network{[](batch const&) {}, {}});
  std::size_t followed = 0;
  for (auto const& s : plan.structures()) followed += !s.code->is_compiled();
  fmt::print("'{}' is a recipe: {}; {} evaluations of the network{}{}\n", file, words_of(recipe),
             plan.network_evaluations(),
             recipe.schedule ? "" : ", on the schedule cosine, for it names none",
             followed == 0 ? ""
                           : fmt::format("; {} of {} structures are not compiled and run as a "
                                         "list of terms",
                                         followed, plan.structures().size()));
  return 0;
}

int show(std::string const& file) {
  fmt::print("{}", to_toml(named_recipe(file)));
  return 0;
}

}  // namespace

action add_recipes(CLI::App& app, std::string const&) {
  auto const file = std::make_shared<std::string>();
  auto* list = app.add_subcommand("list", "the recipes that come with the program");
  auto* shown = app.add_subcommand("show", "one as TOML");
  auto* checked = app.add_subcommand("validate", "whether a file is a recipe");
  for (auto* one : {shown, checked})
    one->add_option("recipe", *file, "x.toml, x.json, or the name of a shipped one")->required();
  app.require_subcommand(1);
  return [=] {
    if (list->parsed()) return list_all();
    return shown->parsed() ? show(*file) : validate(*file);
  };
}

}  // namespace tweedie::tool
