// The options of a grid, and the levels they stand for.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include "choices.hpp"

namespace tweedie::tool {

struct grid_options {
  std::string name = "usual";
  long long steps = 50;
  std::optional<double> sigma_min = {}, sigma_max = {};
};

void add_grid_options(CLI::App& app, grid_options& o, long long most_steps = 1'000'000);

/// The grid. Throws a sentence on every bad option.
ready::grid_choice grid_of(grid_options const& o);

/// Throws where an end that was given is none of the schedule's levels, or the wrong way round.
void check_ends(grid_options const& o, any_schedule const& schedule);

/// The grid's levels from noisy to clean. Throws a sentence on every bad option.
std::vector<level> levels_of(grid_options const& o, any_schedule const& schedule);

/// "50 steps on the karras grid from 80 to 0.002"
std::string words_of(grid_options const& o);

}  // namespace tweedie::tool
