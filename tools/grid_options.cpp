#include "grid_options.hpp"

#include <fmt/format.h>

#include "checks.hpp"

namespace tweedie::tool {

ready::grid_choice grid_of(grid_options const& o) {
  auto grid = ready::choose("--grid", o.name, ready::grids);
  std::visit(
      [&](auto& g) {
        if constexpr (requires { g.sigma_min = o.sigma_min; }) {
          g.sigma_min = o.sigma_min;
          g.sigma_max = o.sigma_max;
        } else if (o.sigma_min || o.sigma_max) {
          throw error(
              fmt::format("--{} was given, but the {} grid has none; expected --grid karras "
                          "or exponential",
                          o.sigma_min ? "sigma-min" : "sigma-max", o.name));
        }
      },
      grid);
  return grid;
}

void add_grid_options(CLI::App& app, grid_options& o, long long most_steps) {
  add_whole(app, "--steps", o.steps, 1, most_steps, "steps of the grid");
  app.add_option(
         "--grid", o.name,
         "where the steps lie, usual: karras on edm, else uniform: " + names_of_list(ready::grids))
      ->capture_default_str();
  auto const above_0 = [](double sigma) { return sigma > 0; };
  add_number(app, "--sigma-min", o.sigma_min, "a number above 0", above_0,
             "least noise over signal of the karras and exponential grids (the schedule's)");
  add_number(app, "--sigma-max", o.sigma_max, "a number above 0", above_0,
             "largest noise over signal of these grids (80, or the schedule's if that is less)");
}

void check_ends(grid_options const& o, any_schedule const& schedule) {
  double const most = schedule.at(schedule.end()).rho();
  char const* const name = ready::name_in(ready::schedules, schedule.which);
  if (o.sigma_max && *o.sigma_max > most)
    throw error(fmt::format("--sigma-max {} was given; expected at most {:.6g}, where {} ends",
                            *o.sigma_max, most, name));
  if (o.sigma_min && o.steps == 1)
    throw error(
        fmt::format("--sigma-min {} was given for one step, which has no other level than "
                    "the noisiest; expected --steps 2 or more",
                    *o.sigma_min));
  if (o.sigma_min && o.sigma_max && *o.sigma_min >= *o.sigma_max)
    throw error(
        fmt::format("--sigma-min {} and --sigma-max {} were given; expected the first to be "
                    "smaller",
                    *o.sigma_min, *o.sigma_max));
  if (o.sigma_min && *o.sigma_min >= most)
    throw error(fmt::format("--sigma-min {} was given; expected below {:.6g}, where {} ends",
                            *o.sigma_min, most, name));
}

std::vector<level> levels_of(grid_options const& o, any_schedule const& schedule) {
  check_ends(o, schedule);
  auto const grid = grid_of(o);
  // The schedule as its own type: a grid may ask for its sigma_min.
  return std::visit(
      [&](auto const& g, auto const& of) {
        return grids::levels_of(g, of, static_cast<int>(o.steps));
      },
      grid, schedule.which);
}

std::string words_of(grid_options const& o) {
  std::string words =
      fmt::format("{} step{} on the {} grid", o.steps, o.steps == 1 ? "" : "s", o.name);
  if (o.sigma_max) words += fmt::format(" from {}", *o.sigma_max);
  if (o.sigma_min) words += fmt::format(" to {}", *o.sigma_min);
  return words;
}

}  // namespace tweedie::tool
