// From the formulas of one evaluation to one program, read from top to bottom: symbols answered by
// the stages, like terms merged, expressions named, what nobody reads dropped, cut where a
// reduction waits for a whole sample, buffers put in order.
//
// Constexpr code over the arrays of an `ir`: typed pipelines run it in a constant expression and
// read the types of their kernels off the result, plans run it for the numbers.
#pragma once

#include <tweedie/dsl/language/level.hpp>
#include <tweedie/dsl/lowering/ir.hpp>

namespace tweedie::lowering {

// ---- Statements one after the other ----

/// x under another name in an expression.
constexpr void rename_x(ir& p, int at, symbol_id name) {
  expression const e = p.expressions[at];
  for (int i = e.terms.first; i < e.terms.end; ++i)
    if (p.terms[i].symbol == sym::x::id) p.terms[i].symbol = name;
  for (int i = e.arguments.first; i < e.arguments.end; ++i) rename_x(p, i, name);
}

/// target = factor from.
constexpr statement copy_of(ir& p, symbol_id target, symbol_id from, double factor = 1) {
  int const first = p.terms.add({factor, from});
  return {target, p.expressions.add({{first, first + 1}, {}, {}, {}})};
}

/// Appends `after`, in which x is what the statements of `all` store in x. x is renamed in place,
/// so that the expressions of `after` may not be shared.
constexpr void then(ir& p, statements& all, statements const& after) {
  all.full = all.full || after.full;
  int arrivals = 0;
  bool sets_x = false, resets_x = false;
  for (statement const& s : all) {
    arrivals += s.target.is == sym::word::arrived;
    sets_x = sets_x || s.target == sym::x::id;
  }
  symbol_id const name{sym::word::arrived, arrivals};
  for (int i = 0; i < all.size; ++i)
    if (all[i].target == sym::x::id) all[i].target = name;
  if (!sets_x) all.add(copy_of(p, name, sym::x::id));  // it stays, under the name that is read
  for (statement const& s : after) resets_x = resets_x || s.target == sym::x::id;
  if (!resets_x) all.add(copy_of(p, sym::x::id, name));
  for (statement const& s : after) {
    rename_x(p, s.value, name);
    all.add(s);
  }
}

// ---- The formulas of the stages ----

struct prediction_formulas {
  range x0, eps;  ///< forms over x and raw
};

/// What the stages of a pipeline say at a level; without a prediction x0, eps and raw are nothing.
/// An expression of -1 is none.
struct stage_formulas {
  level t;
  fixed_list<prediction_formulas, 21> predicts;  ///< the network's, then (if any) each branch's
  int guided_raw = -1, guided_x0 = -1, guided_eps = -1;
  statements remember;
  int threshold_x0 = -1;
  range threshold_eps = {};
  bool noise_given = false;  ///< the caller's buffers stand for noise
};

/// What the symbols that no buffer holds stand for: forms over x, out<i>, known, noise and nodes.
struct answers {
  stage_formulas const& stages;
  range raw = {}, x0 = {}, eps = {};
};

// ---- Symbols answered ----

constexpr void add_term(ir& p, double c, symbol_id s) { p.terms.add({c, s}); }

/// A form of what `write` adds.
template <class Write> constexpr range new_form(ir& p, Write write) {
  int const first = p.terms.size;
  write();
  return {first, p.terms.size};
}
constexpr range form_of(ir& p, double c, symbol_id s) {
  return new_form(p, [&] { add_term(p, c, s); });
}

/// The terms of a form, each factor as `factor` makes it.
template <class Factor> constexpr void add_form(ir& p, range f, Factor factor) {
  for (int i = f.first; i < f.end; ++i) add_term(p, factor(p.terms[i].c), p.terms[i].symbol);
}

constexpr void add_branch(ir& p, double k, range f, int branch);

/// Adds k times what a symbol stands for.
constexpr void add_answer(ir& p, answers const& a, double k, symbol_id s) {
  level const& t = a.stages.t;
  auto const add = [&](range f, auto factor) {
    add_form(p, f, [&](double c) { return factor(c) * k; });
  };
  auto const same = [](double c) { return c; };
  auto const branch = [&] {
    auto const& all = a.stages.predicts;
    return all.size == 0 ? prediction_formulas{} : all[all.size == 1 ? 0 : s.index + 1];
  };
  switch (s.is) {  // without a default: the compiler names the word that is missing
    case sym::word::raw:
      return add(a.raw, same);
    case sym::word::x0:
      return add(a.x0, same);
    case sym::word::eps:
      return add(a.eps, same);
    case sym::word::score:
      return add(a.eps, [&](double c) { return c / -t.sigma; });
    case sym::word::v:
      add(a.eps, [&](double c) { return c * t.alpha; });
      return add(a.x0, [&](double c) { return c * t.sigma * -1; });
    case sym::word::velocity:
      add(a.x0, [&](double c) { return c * t.dalpha; });
      return add(a.eps, [&](double c) { return c * t.dsigma; });
    case sym::word::raw_variance:
      return add_term(p, k, sym::out_variance::id);
    case sym::word::branch_x0:
      return add_branch(p, k, branch().x0, s.index);
    case sym::word::branch_eps:
      return add_branch(p, k, branch().eps, s.index);
    case sym::word::noise_stream:
      return add_term(p, k, a.stages.noise_given ? symbol_id{sym::word::given_noise, s.index} : s);
    case sym::word::x:
    case sym::word::out:
    case sym::word::known:
    case sym::word::grad:
    case sym::word::mask:
    case sym::word::out_variance:
    case sym::word::memory:
    case sym::word::given_noise:
    case sym::word::per_sample:
    case sym::word::past_x0:
    case sym::word::past_eps:
    case sym::word::keep:
    case sym::word::thresholded:
    case sym::word::guided_raw:
    case sym::word::guided_x0:
    case sym::word::guided_eps:
    case sym::word::arrived:
    case sym::word::let:
    case sym::word::nameless:
    case sym::word::reduced:
    case sym::word::target:
    case sym::word::scratch:
    case sym::word::net_in:
      return add_term(p, k, s);
  }
}

/// What the stages make of a single branch: k times a form whose raw is that branch's output.
constexpr void add_branch(ir& p, double k, range f, int branch) {
  for (int i = f.first; i < f.end; ++i)
    add_term(
        p, p.terms[i].c * k,
        p.terms[i].symbol == sym::raw::id ? symbol_id{sym::word::out, branch} : p.terms[i].symbol);
}

/// The form with every symbol replaced by its answer; like terms are not merged.
constexpr range substitute(ir& p, answers const& a, range f) {
  return new_form(p, [&] {
    for (int i = f.first; i < f.end; ++i) add_answer(p, a, p.terms[i].c, p.terms[i].symbol);
  });
}

/// Like terms merged, in the order of words: `x + 2 * eps` and `2 * eps + x` become the same form,
/// hence the same kernel.
constexpr range collapse(ir& p, range f) {
  return new_form(p, [&] {
    int const first = p.terms.size;
    for (int i = f.first; i < f.end; ++i) {
      term const one = p.terms[i];
      int at = first;
      while (at < p.terms.size && p.terms[at].symbol < one.symbol) ++at;
      if (at == p.terms.size || p.terms[at].symbol != one.symbol) {
        add_term(p, 0, one.symbol);
        if (p.terms.full) return;
        for (int k = p.terms.size - 1; k > at; --k) p.terms[k] = p.terms[k - 1];
        p.terms[at] = {0, one.symbol};
      }
      p.terms[at].c += one.c;
    }
  });
}

// ---- Expressions named ----

constexpr range lower_expression(ir& p, answers const& a, int e);

/// The line of a function or a reduction, after those of its arguments.
constexpr void lower_line(ir& p, answers const& a, symbol_id target, expression const& e) {
  int const first = p.sums.size;
  for (int i = e.arguments.first; i < e.arguments.end; ++i) p.sums.add({});
  range const sums{first, p.sums.size};
  if (p.sums.full) return;
  for (int i = 0; i < e.arguments.size(); ++i)
    p.sums[first + i] = lower_expression(p, a, e.arguments.first + i);
  p.computed.add({target, e.by, e.parameters, sums});
}

/// The form that stands for an expression, after the lines that it needs.
constexpr range lower_expression(ir& p, answers const& a, int at) {
  expression const e = p.expressions[at];
  if (e.is_form()) return collapse(p, substitute(p, a, e.terms));
  symbol_id const name = e.by.computes() ? symbol_id{sym::word::nameless, p.nodes++}
                                         : symbol_id{sym::word::reduced, p.reduced++};
  lower_line(p, a, name, e);
  return form_of(p, 1, name);
}

/// A statement: the lines before its value, and the line that names it or the sum that is stored.
constexpr void lower(ir& p, answers const& a, statement s) {
  bool const named = s.target.is_node();
  if (named && p.expressions[s.value].by.computes()) {
    lower_line(p, a, s.target, p.expressions[s.value]);
    return;
  }
  range const value = lower_expression(p, a, s.value);
  int const sum = p.sums.add(value);
  if (named)
    p.computed.add(
        {s.target, operation::of(detail::function_of<functions::same, 1>, 0), {}, {sum, sum + 1}});
  else p.stored.add({s.target, {}, {}, {sum, sum + 1}});
}

/// A value of a stage: a form stays one, an expression becomes a line under a name.
constexpr range answer_of_stage(ir& p, answers const& a, symbol_id name, int value) {
  if (p.expressions[value].is_form()) return substitute(p, a, p.expressions[value].terms);
  lower(p, a, {name, value});
  return form_of(p, 1, name);
}

/// The lines of an evaluation: what the stages answer at its level, then its statements.
constexpr void lower_evaluation(ir& p, stage_formulas const& s, statements const& all) {
  level const& t = s.t;
  answers a{s};
  if (s.predicts.size > 0) a.raw = form_of(p, 1, sym::out<0>::id);
  for (statement const& one : s.remember) lower(p, a, one);  // made of the branches
  if (s.guided_raw >= 0) a.raw = answer_of_stage(p, a, sym::guided_raw::id, s.guided_raw);

  if (s.predicts.size > 0) {  // a.x0 is set after both, so that eps_of cannot see it
    range const x0 = substitute(p, a, s.predicts[0].x0), eps = substitute(p, a, s.predicts[0].eps);
    a.x0 = x0, a.eps = eps;
  }

  // A guidance in x0 or eps stands after the parameterization; of the two, what it does not give
  // follows from x = alpha x0 + sigma eps.
  answers const predicted = a;
  auto const rest = [&](double factor, range f, double divisor) {
    return new_form(p, [&] {
      add_term(p, 1 / divisor, sym::x::id);
      add_form(p, f, [&](double c) { return c * factor * -1 / divisor; });
    });
  };
  bool const in_x0 = s.guided_x0 >= 0, in_eps = s.guided_eps >= 0;
  if (in_x0) a.x0 = answer_of_stage(p, predicted, sym::guided_x0::id, s.guided_x0);
  if (in_eps) a.eps = answer_of_stage(p, predicted, sym::guided_eps::id, s.guided_eps);
  else if (in_x0) a.eps = rest(t.alpha, a.x0, t.sigma_below());
  if (in_eps && !in_x0) a.x0 = rest(t.sigma, a.eps, t.alpha);

  if (s.threshold_x0 >= 0) {
    a.x0 = answer_of_stage(p, a, sym::thresholded::id, s.threshold_x0);
    a.eps = substitute(p, a, s.threshold_eps);
  }
  for (statement const& one : all) lower(p, a, one);
  p.unsaid = p.unsaid || all.full || s.remember.full;
}

// ---- From lines to a program ----

constexpr bool reads(ir const& p, line const& l, symbol_id read) {
  for (int s = l.sums.first; s < l.sums.end; ++s)
    for (int i = p.sums[s].first; i < p.sums[s].end; ++i)
      if (p.terms[i].symbol == read) return true;
  return false;
}

/// The lines in the order of what they write.
constexpr void sort_by_target(lines& l) {
  for (int i = 1; i < l.size; ++i)
    for (int k = i; k > 0 && l[k].target < l[k - 1].target; --k) {
      line const other = l[k];
      l[k] = l[k - 1];
      l[k - 1] = other;
    }
}
/// Without the lines whose value nobody reads; what these alone read is then not loaded.
constexpr lines live(ir const& p, lines const& all, lines const& writes) {
  bool keep[most_lines]{};
  for (int i = all.size; i-- > 0;) {
    for (line const& w : writes) keep[i] = keep[i] || reads(p, w, all[i].target);
    for (int j = i + 1; j < all.size && !keep[i]; ++j)
      keep[i] = keep[j] && reads(p, all[j], all[i].target);
  }
  lines r;
  for (int i = 0; i < all.size; ++i)
    if (keep[i]) r.add(all[i]);
  return r;
}

/// Takes no numbers: for the types.
struct no_numbers {
  constexpr void operator()(double) const {}
};

template <class Numbers> struct program_builder {
  ir& p;
  Numbers numbers;
  program_value to = {};

  constexpr void note(limit what, bool full) {
    if (full && to.exceeded == limit::none) to.exceeded = what;
  }
  constexpr range add_symbols(auto const& from) {
    int const first = to.symbols.size;
    for (symbol_id s : from) to.symbols.add(s);
    return {first, to.symbols.size};
  }
  /// Some lines one after the other.
  template <class Wanted> constexpr range add_lines(lines const& from, Wanted wanted) {
    int const first = to.lines.size;
    for (int i = 0; i < from.size; ++i)
      if (wanted(i)) {
        line const& l = from[i];
        int const sums = to.sums.size;
        for (int s = l.sums.first; s < l.sums.end; ++s) {
          int const begin = to.symbols.size;
          for (int k = p.sums[s].first; k < p.sums[s].end; ++k) to.symbols.add(p.terms[k].symbol);
          to.sums.add({begin, to.symbols.size});
        }
        to.lines.add({l.target, l.by, {sums, to.sums.size}});
        for (int k = l.parameters.first; k < l.parameters.end; ++k) numbers(p.parameters[k]);
        if (l.by.reduces()) continue;
        for (int s = l.sums.first; s < l.sums.end; ++s)
          for (int k = p.sums[s].first; k < p.sums[s].end; ++k) numbers(p.terms[k].c);
      }
    return {first, to.lines.size};
  }

  /// One kernel: the lines of `plain` that it needs, its writes, and the reductions that end it.
  constexpr void add_kernel(lines const& plain, lines const& writes, lines const& reductions) {
    lines const nodes = live(p, plain, writes);
    fixed_list<symbol_id, most(limit::symbols)> symbols;
    auto const see = [&](lines const& of) {
      for (line const& l : of)
        for (int s = l.sums.first; s < l.sums.end; ++s)
          for (int i = p.sums[s].first; i < p.sums[s].end; ++i) {
            symbol_id const one = p.terms[i].symbol;
            int at = 0;
            while (at < symbols.size && symbols[at] < one) ++at;
            if (at < symbols.size && symbols[at] == one) continue;
            symbols.add(one);
            if (symbols.full) return;
            for (int k = symbols.size - 1; k > at; --k) symbols[k] = symbols[k - 1];
            symbols[at] = one;
          }
    };
    see(nodes), see(writes);
    note(limit::symbols, symbols.full);
    kernel k;
    auto const those = [&](auto is) {
      fixed_list<symbol_id, most(limit::symbols)> some;
      for (symbol_id s : symbols)
        if (is(s)) some.add(s);
      return add_symbols(some);
    };
    k.reads = those([](symbol_id s) { return s.is_buffer(); });
    k.masks = those([](symbol_id s) { return s.is_broadcast(); });
    k.noises = those([](symbol_id s) { return s.is_noise(); });
    k.scalars = those([](symbol_id s) { return s.is_scalar(); });

    // What is one number a row is computed once a row.
    bool uniform[most_lines]{};
    fixed_list<symbol_id, most_lines> of_row;
    if (k.scalars.size() > 0)
      for (int i = 0; i < nodes.size; ++i) {
        line const& l = nodes[i];
        uniform[i] = true;
        for (int s = l.sums.first; s < l.sums.end; ++s)
          for (int n = p.sums[s].first; n < p.sums[s].end; ++n)
            uniform[i] =
                uniform[i] && (p.terms[n].symbol.is_scalar() || of_row.has(p.terms[n].symbol));
        if (uniform[i]) of_row.add(l.target);
      }
    k.uniform = add_lines(nodes, [&](int i) { return uniform[i]; });
    k.nodes = add_lines(nodes, [&](int i) { return !uniform[i]; });
    k.writes = add_lines(writes, [](int) { return true; });
    k.reductions = add_lines(reductions, [](int) { return true; });
    to.kernels.add(k);
  }

  /// One kernel, and one more for each time that a reduction waits for a whole sample.
  constexpr void add_program() {
    lines writes = p.stored;
    sort_by_target(writes);
    for (int i = 1; i < writes.size && !to.assigns_twice; ++i)
      if (writes[i].target == writes[i - 1].target)
        to.assigns_twice = true, to.twice = writes[i].target;
    lines const all = live(p, p.computed, writes);

    // The phase of a line is that of the latest of what it reads; a reduction's value is there one
    // phase later.
    int phase[most_lines]{}, last = 0;
    lines plain;
    for (int i = 0; i < all.size; ++i) {
      for (int j = 0; j < i; ++j)
        if (reads(p, all[i], all[j].target)) {
          int const there = phase[j] + (all[j].by.reduces() ? 1 : 0);
          if (phase[i] < there) phase[i] = there;
        }
      if (!all[i].by.reduces()) plain.add(all[i]);
      else if (last < phase[i] + 1) last = phase[i] + 1;
    }

    // A reduction runs over scratch buffers, which the kernel before it fills.
    for (int n = 0; n < last; ++n) {
      lines filled, over;
      int scratch = 0;
      for (int i = 0; i < all.size; ++i) {
        line const& l = all[i];
        if (!l.by.reduces()) continue;
        if (phase[i] != n) {
          scratch += l.sums.size();
          continue;
        }
        int const first = p.sums.size;
        for (int s = l.sums.first; s < l.sums.end; ++s, ++scratch) {
          symbol_id const filler{sym::word::scratch, scratch};
          filled.add({filler, {}, {}, {s, s + 1}});
          p.sums.add(form_of(p, 1, filler));
        }
        over.add({l.target, l.by, l.parameters, {first, p.sums.size}});
      }
      note(limit::lines, filled.full || over.full);
      sort_by_target(filled);
      add_kernel(plain, filled, over);
    }
    add_kernel(plain, writes, {});
    note(limit::symbols, to.symbols.full);
    note(limit::sums, to.sums.full);
    note(limit::lines, to.lines.full);
    note(limit::kernels, to.kernels.full);
    if (p.exceeded() != limit::none) to.exceeded = p.exceeded();  // the rest may follow from it
  }
};

/// The program of the lines of `p`, whose numbers go to `numbers` in the order of its coefficients.
template <class Numbers = no_numbers>
constexpr program_value assemble(ir& p, Numbers numbers = {}) {
  program_builder<Numbers> builder{p, numbers};
  builder.add_program();
  return builder.to;
}

}  // namespace tweedie::lowering
