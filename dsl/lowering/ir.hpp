// The intermediate representation: the formulas of one evaluation as flat values, for types and at
// run time by the same code.
//
// Nothing here allocates, so that a constant expression can hold it and a compiler evaluates it
// fast. A form is a range of terms, an expression a range of expressions; all lie in the arrays of
// one `ir`.
#pragma once

#include <tweedie/dsl/language/expression.hpp>
#include <tweedie/dsl/lowering/any_program.hpp>

namespace tweedie::lowering {

/// Room for N. It is not written before it is used, which saves time at run time; a constant must
/// be `Written`, since the language allows no constant with parts that never were.
template <class T, int N, bool Written> struct room {
  T items[N];
  constexpr room() {}
};
template <class T, int N> struct room<T, N, true> { T items[N]{}; };

/// A list with room for N. What no longer fits is not there, and `full` says so.
template <class T, int N, bool Written = false> struct fixed_list : room<T, N, Written> {
  using room<T, N, Written>::items;
  int size = 0;
  bool full = false;

  constexpr fixed_list() = default;
  constexpr fixed_list(fixed_list const& other) : room<T, N, Written>() { *this = other; }
  constexpr fixed_list& operator=(fixed_list const& other) {
    for (int i = 0; i < other.size; ++i) items[i] = other.items[i];
    size = other.size;
    full = other.full;
    return *this;
  }
  constexpr int add(T item) {
    if (size == N) full = true;
    else items[size++] = item;
    return size - 1;
  }
  constexpr T const* begin() const { return items; }
  constexpr T const* end() const { return items + size; }
  constexpr T& operator[](int i) { return items[i]; }
  constexpr T const& operator[](int i) const { return items[i]; }
  constexpr bool has(T const& item) const {
    for (T const& one : *this)
      if (one == item) return true;
    return false;
  }
};

/// What an evaluation may have too much of.
enum class limit {
  none,
  statements,
  expressions,
  parameters,
  terms,
  sums,
  lines,
  symbols,
  kernels
};
struct capacity {
  int most;
  char const* what;
};
/// How much there is room for. dsl/lowering/typed.hpp has the same as sentences of the compiler.
inline constexpr capacity capacities[] = {{},
                                          {160, "statements"},
                                          {400, "expressions"},
                                          {1000, "parameters of functions"},
                                          {6000, "terms of sums"},
                                          {600, "sums"},
                                          {200, "lines"},
                                          {400, "symbols in a kernel"},
                                          {21, "kernels"}};
constexpr capacity const& capacity_of(limit l) { return capacities[static_cast<int>(l)]; }
constexpr int most(limit l) { return capacity_of(l).most; }

/// Some of an array: those at first, first + 1, ..., end - 1.
struct range {
  int first, end;
  constexpr int size() const { return end - first; }
};

struct term {
  double c;
  symbol_id symbol;
};

/// How the value of a line is made of its sums: the sum itself, or a function or a reduction of
/// them. `number` is the order in which operations were put, by which types know them; addresses
/// can't be compared in a constant expression of every compiler and flag.
struct operation {
  enum class kind : std::uint8_t { sum, function, reduction };
  kind is;
  int number;
  any_function const* function;
  any_reduction const* reduction;

  static constexpr operation of(any_function const& f, int n) {
    return {kind::function, n, &f, nullptr};
  }
  static constexpr operation of(any_reduction const& r, int n) {
    return {kind::reduction, n, nullptr, &r};
  }
  constexpr bool computes() const { return is == kind::function; }
  constexpr bool reduces() const { return is == kind::reduction; }
};

/// A form, or a function or a reduction of several expressions.
struct expression {
  range terms;  ///< of a form
  operation by;
  range parameters, arguments;
  constexpr bool is_form() const { return by.is == operation::kind::sum; }
};

/// target = the expression at `value`.
struct statement {
  symbol_id target;
  int value;
};

/// The statements of an evaluation.
using statements = fixed_list<statement, most(limit::statements)>;

/// target = the sum, function(parameters; sums) or reduction(parameters; sums).
struct line {
  symbol_id target;
  operation by;
  range parameters, sums;
};

inline constexpr int most_lines = most(limit::lines);
using lines = fixed_list<line, most_lines>;

/// What an evaluation is made of, from the formulas as written to the lines that are left of them.
struct ir {
  fixed_list<term, most(limit::terms)> terms;
  fixed_list<double, most(limit::parameters)> parameters;
  fixed_list<expression, most(limit::expressions)> expressions;
  fixed_list<range, most(limit::sums)> sums;  ///< of lines: ranges of terms
  lines computed, stored;
  bool unsaid = false;         ///< there are more statements than were put
  int nodes = 0, reduced = 0;  ///< names given so far
  int operations = 1;          ///< put so far; 0 is a form under a name

  /// How much of the formulas there is.
  struct place {
    int terms = 0, parameters = 0, expressions = 0, sums = 0;
  };
  constexpr place here() const {
    return {terms.size, parameters.size, expressions.size, sums.size};
  }
  /// Without lines, and without the formulas that came after a place.
  constexpr void back_to(place p) {
    terms.size = p.terms, parameters.size = p.parameters;
    expressions.size = p.expressions, sums.size = p.sums;
    computed.size = stored.size = nodes = reduced = 0;
  }

  /// The first room that is full.
  constexpr limit exceeded() const {
    return unsaid                         ? limit::statements
           : expressions.full             ? limit::expressions
           : parameters.full              ? limit::parameters
           : terms.full                   ? limit::terms
           : sums.full                    ? limit::sums
           : computed.full || stored.full ? limit::lines
                                          : limit::none;
  }
};

/// A kernel: ranges of the program's symbols and lines.
struct kernel {
  range reads, masks, noises, scalars;       ///< of symbols
  range uniform, nodes, writes, reductions;  ///< of lines
};

/// A line of a program: its sums are a range of the program's sums.
struct program_line {
  symbol_id target;
  operation by;
  range sums;
};

/// What an evaluation compiles to, without its numbers.
struct program_value {
  fixed_list<symbol_id, 5 * most(limit::symbols), true> symbols;
  fixed_list<range, most(limit::sums), true> sums;  ///< of symbols
  fixed_list<program_line, most_lines + 100, true> lines;
  fixed_list<kernel, most(limit::kernels), true> kernels;
  limit exceeded = limit::none;  ///< what did not fit
  bool assigns_twice = false;    ///< two lines store one symbol,
  symbol_id twice{};             ///< which is this
};

}  // namespace tweedie::lowering
