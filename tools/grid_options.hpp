// The options of a grid, and the levels they stand for.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <tweedie/schedules/grids.hpp>

#include "choices.hpp"

namespace tweedie::tool {

using any_grid =
    std::variant<grids::uniform, grids::quadratic, grids::quadratic_ddim, grids::leading,
                 grids::leading_solver, grids::trailing, grids::linspace, grids::linspace_solver,
                 grids::karras, grids::exponential>;
inline std::initializer_list<named<any_grid>> const grid_choices{
    {"uniform", grids::uniform{}},
    {"quadratic", grids::quadratic{}},
    {"quadratic_ddim", grids::quadratic_ddim{}},
    {"leading", grids::leading{}},
    {"leading_solver", grids::leading_solver{}},
    {"trailing", grids::trailing{}},
    {"linspace", grids::linspace{}},
    {"linspace_solver", grids::linspace_solver{}},
    {"karras", grids::karras{}},
    {"exponential", grids::exponential{}}};

struct grid_options {
  std::string name = "uniform";
  long long steps = 50;
  std::optional<double> sigma_min = {}, sigma_max = {};
};

void add_grid_options(CLI::App& app, grid_options& o);

/// The grid's levels from noisy to clean. Throws a sentence on every bad option.
std::vector<level> levels_of(grid_options const& o, any_schedule const& schedule);

/// "50 steps on the uniform grid from 80 to 0.002"
std::string words_of(grid_options const& o);

}  // namespace tweedie::tool
