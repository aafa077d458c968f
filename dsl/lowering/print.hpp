// A program as formulas with their numbers, in text or LaTeX.
#pragma once

#include <span>
#include <string>

#include <tweedie/dsl/lowering/any_program.hpp>

namespace tweedie {

/// The lines of a program in the order they are computed, each with `indent` before it:
/// "x = 0.98 x - 0.12 out<0> + 0.05 noise".
std::string formulas(any_program const& p, std::span<double const> numbers,
                     std::string const& indent = "");

/// The same as lines of an `aligned` environment.
std::string latex_formulas(any_program const& p, std::span<double const> numbers);

/// What a program does to memory and to the generator: "reads x out<0>, writes x, draws noise, 12
/// bytes per element".
std::string traffic(any_program const& p);

}  // namespace tweedie
