// The programs behind recipes: each canonical structure is compiled once, whichever samplers share
// it.
#pragma once

#include <vector>

#include <tweedie/pipelines/any_plan.hpp>

namespace tweedie::ready {

/// All programs that were compiled for recipes, each once.
std::vector<any_code> const& compiled_programs();

namespace detail {
// One source each: pipelines/ready/programs_*.cpp.
std::vector<any_code> programs_unclipped();
std::vector<any_code> programs_unclipped_of_epsilon();
std::vector<any_code> programs_clipped();
std::vector<any_code> programs_clipped_of_epsilon();
std::vector<any_code> programs_dynamic();
}  // namespace detail

}  // namespace tweedie::ready
