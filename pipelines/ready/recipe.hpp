// A pipeline as a text: a recipe in TOML or JSON, run without a compiler.
//
//   title = "Heun's method on the grid of Karras et al."
//   sampler = "heun"
//   grid = { name = "karras", rho = 7 }
//   steps = 18
//   guidance = { name = "classifier_free", w = 1.5 }
//   threshold = "clip"
//   schedule = { name = "cosine", s = 0.008 }     # without one: the model's
//   predicts = "v"                                # likewise
//
// A stage is its name, or a table of its name and its parameters, called as in C++. What the
// network predicts and every value are data; which program runs is looked up among those that were
// compiled (pipelines/ready/programs.hpp), and one that is not there is followed term by term: so
// are those of predicts = "x0" and "edm".
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <tweedie/pipelines/plan_builder.hpp>
#include <tweedie/pipelines/ready/stages.hpp>
#include <tweedie/samplers/ddim.hpp>

namespace tweedie::ready {

struct recipe {
  /// Where a guidance is on: times of the schedule, or shares of its time.
  struct interval {
    double lo, hi;
    bool of_share = false;
  };

  std::string title;
  std::optional<schedule_choice> schedule;    ///< none: that of the model
  std::optional<prediction_choice> predicts;  ///< none: that of the model
  guidance_choice guidance;
  std::optional<interval> within;
  threshold_choice threshold;
  sampler_choice sampler = tweedie::samplers::ddim{};
  int resamplings = 0;  ///< of RePaint around the sampler; 0: no inpainting. Not in the text.
  grid_choice grid;
  int steps = 50;
};

enum class recipe_format { toml, json };

/// Throw tweedie::error, a sentence that begins with `source`, where the text is no recipe: a key
/// that is not known, a wrong type, a value out of range, a name that is not there.
recipe parse_recipe(std::string_view text, recipe_format format, std::string const& source);
/// A text of either format, JSON if it begins with a brace, with the names of a schedule and a
/// prediction beside it; null exactly if the text has them.
recipe parse_recipe_beside(std::string_view text, char const* schedule, char const* prediction);
/// A file whose name ends in .toml or .json.
recipe read_recipe(std::filesystem::path const& path);

/// The recipe as TOML; parameters that have their usual values are left out.
std::string to_toml(recipe const& r);

/// "heun, 18 steps on the karras grid, classifier_free w = 1.5, clip limit = 1"
std::string words_of(recipe const& r);

/// The levels of the recipe's grid on a schedule, from noisy to clean.
std::vector<level> levels_of(recipe const& r, schedule_choice const& schedule);

/// The plan, from noisy to clean or (encoding) back. A recipe that gives a schedule or a prediction
/// is taken at its word; else these are `schedule` and `predicts`. Throws as plans do.
any_plan make_plan(recipe const& r, schedule_choice const& schedule,
                   prediction_choice const& predicts, any_network const& network,
                   bool encoding = false);

/// The same of a network that says what it predicts and on which schedule it was trained, as one in
/// a file does by its card: what the recipe leaves out is the network's, and what contradicts it is
/// refused. Throws also where neither says it.
any_plan make_plan(recipe const& r, any_network const& network, bool encoding = false);
template <class Network>
requires(!std::is_same_v<Network, any_network> && is_kind<Network, kinds::network>) any_plan
    make_plan(recipe const& r, Network const& network, bool encoding = false) {
  return make_plan(r, forget_network(network), encoding);
}

/// Stands for the network of a plan whose caller drives the loop (pipelines/driven_loop.hpp), which
/// never calls it.
any_network network_of_caller();

/// Whether RePaint can go around the recipe's sampler: one of a single evaluation that looks at no
/// level before.
bool can_inpaint(recipe const& r);
/// Whether its sampler draws noise after the start.
bool draws_noise(recipe const& r);

/// A recipe that comes with the library.
struct shipped_recipe {
  char const* name;
  char const* text;  ///< TOML
};
std::span<shipped_recipe const> shipped_recipes();

}  // namespace tweedie::ready
