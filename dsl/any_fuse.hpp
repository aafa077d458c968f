// From the statements of one evaluation to one program, at run time: what dsl/lower.hpp and
// dsl/assemble.hpp do with types, step by step the same, so that the same formulas give the same
// program and the same numbers.
#pragma once

#include <functional>
#include <vector>

#include <tweedie/dsl/any_program.hpp>
#include <tweedie/dsl/any_statement.hpp>

namespace tweedie {

/// What the symbols that no buffer holds stand for at a level.
struct any_answers {
  level t;
  any_form raw, x0, eps;
  std::function<any_form(int)> branch_x0, branch_eps;  ///< of one branch alone
  bool noise_given = false;  ///< whether the caller's buffers stand for noise
};

/// The form with every symbol replaced by its answer; like terms are not merged.
any_form substitute(any_answers const& a, any_form const& f);

/// A line with its numbers.
struct any_valued {
  any_line line;
  std::vector<double> numbers;
};

/// Lines in order, sums that are stored, and how many names were given.
struct any_lowered {
  std::vector<any_valued> lines, stored;
  int nodes = 0, reduced = 0;
};

/// Adds a statement with its symbols answered.
void lower(any_answers const& a, any_statement const& s, any_lowered& to);

/// A program with its numbers.
struct any_fused {
  any_program program;
  std::vector<double> numbers;
};

/// Throws tweedie::error where a symbol is assigned twice.
any_fused assemble(any_lowered all);

}  // namespace tweedie
