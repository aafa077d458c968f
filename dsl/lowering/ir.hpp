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
using statements = fixed_list<statement, 160>;

/// target = the sum, function(parameters; sums) or reduction(parameters; sums).
struct line {
  symbol_id target;
  operation by;
  range parameters, sums;
};

inline constexpr int most_lines = 200;
/// Symbols that a kernel reads.
inline constexpr int most_symbols = 400;
using lines = fixed_list<line, most_lines>;

/// What an evaluation is made of, from the formulas as written to the lines that are left of them.
struct ir {
  fixed_list<term, 6000> terms;
  fixed_list<double, 1000> parameters;
  fixed_list<expression, 400> expressions;
  fixed_list<range, 600> sums;  ///< of lines: ranges of terms
  lines computed, stored;
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

  constexpr bool full() const {
    return terms.full || parameters.full || expressions.full || sums.full || computed.full ||
           stored.full;
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
  fixed_list<symbol_id, 2000, true> symbols;
  fixed_list<range, 600, true> sums;  ///< of symbols
  fixed_list<program_line, 300, true> lines;
  fixed_list<kernel, 21, true> kernels;
  bool full = false;           ///< something did not fit
  bool assigns_twice = false;  ///< two lines store one symbol,
  symbol_id twice{};           ///< which is this
};

}  // namespace tweedie::lowering
