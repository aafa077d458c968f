#include <tweedie/dsl/any_fuse.hpp>

#include <algorithm>

#include <fmt/format.h>

#include <tweedie/dsl/error.hpp>

namespace tweedie {
namespace {

using detail::ranks_broadcast;
using detail::ranks_buffer;
using detail::ranks_family;
using detail::ranks_node;
using detail::ranks_noise;
using detail::ranks_scalar;

any_form scaled(double k, any_form f) {
  for (any_term& t : f) t.c *= k;
  return f;
}
any_form divided(any_form f, double k) {
  for (any_term& t : f) t.c /= k;
  return f;
}
any_form joined(any_form a, any_form const& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

any_form answer(any_answers const& a, any_symbol s) {
  int const r = s.rank;
  if (r == sym::raw::rank) return a.raw;
  if (r == sym::x0::rank) return a.x0;
  if (r == sym::eps::rank) return a.eps;
  if (r == sym::score::rank) return divided(a.eps, -a.t.sigma);
  if (r == sym::v::rank)
    return joined(scaled(a.t.alpha, a.eps), scaled(-1, scaled(a.t.sigma, a.x0)));
  if (r == sym::velocity::rank) return joined(scaled(a.t.dalpha, a.x0), scaled(a.t.dsigma, a.eps));
  if (r == sym::raw_variance::rank) return {{1, {sym::out_variance::rank}}};
  if (ranks_family(sym::branch_x0<0>::rank, r)) return a.branch_x0(r - sym::branch_x0<0>::rank);
  if (ranks_family(sym::branch_eps<0>::rank, r)) return a.branch_eps(r - sym::branch_eps<0>::rank);
  if (ranks_noise(r) && a.noise_given && r < sym::noise_stream<20>::rank)
    return {{1, {sym::given_noise<0>::rank + r - sym::noise_stream<0>::rank}}};
  return {{1, s}};
}

/// Like terms merged, sorted by rank.
any_form collapse(any_form const& f) {
  any_form r;
  r.reserve(f.size());
  for (any_term const& t : f)
    if (std::ranges::none_of(r, [&](any_term const& u) { return u.symbol == t.symbol; }))
      r.push_back({0, t.symbol});
  std::ranges::sort(r, {}, [](any_term const& t) { return t.symbol.rank; });
  for (any_term const& t : f) std::ranges::find(r, t.symbol, &any_term::symbol)->c += t.c;
  return r;
}

/// A line of parameters and of sums.
any_valued line_of(any_symbol target, any_function const* function, any_reduction const* reduction,
                   std::vector<double> const& parameters, std::vector<any_form> const& sums) {
  any_valued v{{target, function, reduction, {}}, parameters};
  v.line.sums.reserve(sums.size());
  for (any_form const& f : sums) {
    any_sum sum;
    sum.reserve(f.size());
    v.numbers.reserve(v.numbers.size() + f.size());
    for (any_term const& t : f) {
      sum.push_back(t.symbol);
      v.numbers.push_back(t.c);
    }
    v.line.sums.push_back(std::move(sum));
  }
  return v;
}

any_form lower_expression(any_answers const& a, any_expression const& e, any_lowered& to);

/// The line of a function or reduction, after those of its arguments.
void lower_line(any_answers const& a, any_symbol target, any_expression const& e, any_lowered& to) {
  std::vector<any_form> arguments;
  for (any_expression const& one : e.arguments) arguments.push_back(lower_expression(a, one, to));
  to.lines.push_back(line_of(target, e.function, e.reduction, e.parameters, arguments));
}

any_form lower_expression(any_answers const& a, any_expression const& e, any_lowered& to) {
  if (e.is_form()) return collapse(substitute(a, e.form));
  any_symbol const name{e.function ? sym::nameless<0>::rank + to.nodes++
                                   : sym::reduced<0>::rank + to.reduced++};
  lower_line(a, name, e, to);
  return {{1, name}};
}

std::vector<any_symbol> symbols_in(any_line const& l) {
  std::vector<any_symbol> r;
  for (any_sum const& s : l.sums) r.insert(r.end(), s.begin(), s.end());
  return r;
}
bool reads(any_valued const& l, any_symbol s) {
  return std::ranges::any_of(
      l.line.sums, [&](any_sum const& sum) { return std::ranges::find(sum, s) != sum.end(); });
}

std::vector<any_valued> sorted_lines(std::vector<any_valued> lines) {
  std::ranges::stable_sort(lines, {}, [](any_valued const& v) { return v.line.target.rank; });
  for (std::size_t i = 1; i < lines.size(); ++i)
    if (lines[i].line.target == lines[i - 1].line.target)
      throw error(fmt::format("a step assigns each symbol once, this one assigns {} twice",
                              name_of(lines[i].line.target.rank)));
  return lines;
}

/// Without the nodes that nobody reads.
std::vector<any_valued> live_nodes(std::vector<any_valued> nodes,
                                   std::vector<any_valued> const& writes) {
  std::vector<any_valued> live;  // last first
  live.reserve(nodes.size());
  for (auto n = nodes.rbegin(); n != nodes.rend(); ++n) {
    auto const reads_it = [&](any_valued const& v) { return reads(v, n->line.target); };
    if (std::ranges::any_of(live, reads_it) || std::ranges::any_of(writes, reads_it))
      live.push_back(std::move(*n));
  }
  std::ranges::reverse(live);
  return live;
}

/// One kernel of nodes without reductions and of sums that are stored, with its numbers behind
/// those that are there.
any_kernel kernel_of(std::vector<any_valued> nodes, std::vector<any_valued> writes,
                     std::vector<double>& numbers) {
  any_kernel k;
  std::vector<any_symbol> symbols;
  for (auto const* lines : {&nodes, &writes})
    for (any_valued const& v : *lines)
      for (any_sum const& sum : v.line.sums) symbols.insert(symbols.end(), sum.begin(), sum.end());
  std::ranges::sort(symbols);
  symbols.erase(std::unique(symbols.begin(), symbols.end()), symbols.end());
  for (any_symbol s : symbols) {
    if (ranks_buffer(s.rank)) k.reads.push_back(s);
    if (ranks_broadcast(s.rank)) k.masks.push_back(s);
    if (ranks_noise(s.rank)) k.noises.push_back(s);
    if (ranks_scalar(s.rank)) k.scalars.push_back(s);
  }
  // What is one number a row is computed once a row.
  std::vector<any_symbol> of_row;
  auto const is_of_row = [&](any_symbol s) {
    return ranks_scalar(s.rank) || std::ranges::find(of_row, s) != of_row.end();
  };
  std::vector<double> of_nodes;
  for (any_valued& v : nodes) {
    bool const uniform = !k.scalars.empty() && std::ranges::all_of(symbols_in(v.line), is_of_row);
    if (uniform) of_row.push_back(v.line.target);
    (uniform ? k.uniform : k.nodes).push_back(std::move(v.line));
    auto& to = uniform ? numbers : of_nodes;
    to.insert(to.end(), v.numbers.begin(), v.numbers.end());
  }
  numbers.insert(numbers.end(), of_nodes.begin(), of_nodes.end());
  k.writes.reserve(writes.size());
  for (any_valued& v : writes) {
    k.writes.push_back(std::move(v.line));
    numbers.insert(numbers.end(), v.numbers.begin(), v.numbers.end());
  }
  return k;
}

/// The phase of each line: that of the latest of what it reads; a reduction's value is there one
/// phase later.
std::vector<int> phases_of(std::vector<any_valued> const& lines) {
  std::vector<int> phase(lines.size());
  for (std::size_t i = 0; i < lines.size(); ++i)
    for (std::size_t j = 0; j < i; ++j)
      if (reads(lines[i], lines[j].line.target))
        phase[i] = std::max(phase[i], phase[j] + (lines[j].line.reduction ? 1 : 0));
  return phase;
}

}  // namespace

any_form form_of(double const* c, int const* ranks, std::size_t n) {
  any_form r(n);
  for (std::size_t i = 0; i < n; ++i) r[i] = {c[i], {ranks[i]}};
  return r;
}

std::vector<any_statement> statements_then(std::vector<any_statement> statements,
                                           std::vector<any_statement> after) {
  int arrivals = 0;
  bool sets_x = false;
  for (any_statement const& s : statements) {
    arrivals +=
        ranks_family(sym::arrived<0>::rank, s.target.rank) && s.target.rank < sym::let<0>::rank;
    sets_x |= s.target.rank == sym::x::rank;
  }
  any_symbol const name{sym::arrived<0>::rank + arrivals}, x{sym::x::rank};
  any_statement const same{name, {.form = {{1, x}}}};
  if (sets_x) {
    for (any_statement& s : statements)
      if (s.target == x) s.target = name;
  } else statements.push_back(same);  // x stays what it is, under the name that is read
  if (std::ranges::find(after, x, &any_statement::target) == after.end())
    statements.push_back({x, {.form = {{1, name}}}});
  auto const renamed = [&](auto const& self, any_expression& e) -> void {
    for (any_term& t : e.form)
      if (t.symbol == x) t.symbol = name;
    for (any_expression& a : e.arguments) self(self, a);
  };
  for (any_statement& s : after) {
    renamed(renamed, s.value);
    statements.push_back(std::move(s));
  }
  return statements;
}

any_form substitute(any_answers const& a, any_form const& f) {
  any_form r;
  auto const add = [&](double k, any_form const& of) {
    for (any_term const& t : of) r.push_back({t.c * k, t.symbol});
  };
  for (any_term const& t : f) {
    int const rank = t.symbol.rank;
    // Nearly all there are; the rest is made first.
    if (rank == sym::raw::rank) add(t.c, a.raw);
    else if (rank == sym::x0::rank) add(t.c, a.x0);
    else if (rank == sym::eps::rank) add(t.c, a.eps);
    else if (ranks_buffer(rank) || ranks_node(rank)) r.push_back(t);
    else add(t.c, answer(a, t.symbol));
  }
  return r;
}

void lower(any_answers const& a, any_statement const& s, any_lowered& to) {
  static any_function const* const same = &detail::function_of<detail::same_function, 1>;
  bool const node = ranks_node(s.target.rank);
  if (node && s.value.function) {
    lower_line(a, s.target, s.value, to);
    return;
  }
  any_form const value = lower_expression(a, s.value, to);
  if (node) to.lines.push_back(line_of(s.target, same, nullptr, {}, {value}));
  else to.stored.push_back(line_of(s.target, nullptr, nullptr, {}, {value}));
}

any_fused assemble(any_lowered all) {
  auto writes = sorted_lines(std::move(all.stored));
  auto live = live_nodes(std::move(all.lines), writes);
  auto const phase = phases_of(live);
  std::vector<any_valued> plain;
  int last = 0, scratch = 0;
  for (std::size_t i = 0; i < live.size(); ++i)
    if (live[i].line.reduction) last = std::max(last, phase[i] + 1);
    else plain.push_back(std::move(live[i]));

  any_fused r;
  // A reduction runs over scratch buffers, which the kernel before it fills.
  std::vector<int> first_scratch(live.size());
  for (std::size_t i = 0; i < live.size(); ++i) {
    first_scratch[i] = scratch;
    if (live[i].line.reduction) scratch += static_cast<int>(live[i].line.sums.size());
  }
  for (int p = 0; p < last; ++p) {
    std::vector<any_valued> filled;
    std::vector<any_line> reductions;
    std::vector<double> parameters;
    for (std::size_t i = 0; i < live.size(); ++i) {
      any_valued const& v = live[i];
      if (!v.line.reduction || phase[i] != p) continue;
      any_line over{v.line.target, nullptr, v.line.reduction, {}};
      auto number = v.numbers.begin() + static_cast<std::ptrdiff_t>(v.line.parameters());
      parameters.insert(parameters.end(), v.numbers.begin(), number);
      int k = first_scratch[i];
      for (any_sum const& sum : v.line.sums) {
        any_symbol const to{sym::scratch<0>::rank + k++};
        auto const end = number + static_cast<std::ptrdiff_t>(sum.size());
        filled.push_back({{to, nullptr, nullptr, {sum}}, {number, end}});
        number = end;
        over.sums.push_back({to});
      }
      reductions.push_back(std::move(over));
    }
    filled = sorted_lines(std::move(filled));
    auto nodes = live_nodes(plain, filled);
    any_kernel k = kernel_of(std::move(nodes), std::move(filled), r.numbers);
    k.reductions = std::move(reductions);
    r.numbers.insert(r.numbers.end(), parameters.begin(), parameters.end());
    r.program.kernels.push_back(std::move(k));
  }
  auto nodes = live_nodes(std::move(plain), writes);
  r.program.kernels.push_back(kernel_of(std::move(nodes), std::move(writes), r.numbers));
  return r;
}

}  // namespace tweedie
