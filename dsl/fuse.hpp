// From statements to one kernel: each symbol answers its definition, one substitution, one collapse
// a formula.
//
// Below this file there is no Hana: what leaves it is a `program` over plain packs and its numbers
// in double.
#pragma once

#include <algorithm>
#include <array>
#include <tuple>

#include <tweedie/dsl/collapse.hpp>
#include <tweedie/dsl/level.hpp>
#include <tweedie/dsl/program.hpp>
#include <tweedie/dsl/statement.hpp>

namespace tweedie {

/// What a parameterization makes of single branches; a fuller one is in pipelines/structure.hpp.
struct no_branches {};

/// What the symbols that no buffer holds stand for at a level. Forms over x, out<i>, known, noise
/// and nodes.
template <class Raw, class X0, class Eps, class Branches = no_branches> struct answers {
  level t;
  Raw raw;
  X0 x0;
  Eps eps;
  Branches branches = {};  ///< x0_of<i>() and eps_of<i>() answer branch_x0<i> and branch_eps<i>
};

template <class Raw, class X0, class Eps, class Branches = no_branches>
constexpr answers<Raw, X0, Eps, Branches> make_answers(level t, Raw raw, X0 x0, Eps eps,
                                                       Branches branches = {}) {
  return {t, raw, x0, eps, branches};
}

/// Where nothing but buffers and noise may be used.
inline constexpr answers<form<>, form<>, form<>> no_answers{};

namespace detail {

template <class A, symbol S> constexpr auto answer(A const& a, S s) {
  if constexpr (std::is_same_v<S, sym::raw>) return a.raw;
  else if constexpr (std::is_same_v<S, sym::x0>) return a.x0;
  else if constexpr (std::is_same_v<S, sym::eps>) return a.eps;
  else if constexpr (std::is_same_v<S, sym::score>) return a.eps / -a.t.sigma;
  else if constexpr (std::is_same_v<S, sym::v>) return a.t.alpha * a.eps - a.t.sigma * a.x0;
  else if constexpr (std::is_same_v<S, sym::velocity>)
    return a.t.dalpha * a.x0 + a.t.dsigma * a.eps;
  else if constexpr (std::is_same_v<S, sym::raw_variance>) return lift(sym::out_variance{});
  else if constexpr (S::rank >= sym::branch_x0<0>::rank && S::rank < sym::branch_x0<0>::rank + 20)
    return a.branches.template x0_of<S::branch>();
  else if constexpr (S::rank >= sym::branch_eps<0>::rank && S::rank < sym::branch_eps<0>::rank + 20)
    return a.branches.template eps_of<S::branch>();
  else if constexpr (is_noise<S> && requires { a.branches.noise_of(s); })
    return a.branches.noise_of(s);
  else return lift(s);
}

}  // namespace detail

/// The form with every symbol replaced by its answer; like terms are not merged.
template <class A, symbol... S> constexpr auto substitute(A const& a, form<S...> const& f) {
  return [&]<std::size_t... I>(std::index_sequence<I...>) {
    return (form<>{} + ... + detail::scaled(f.c[I], detail::answer(a, S{})));
  }
  (std::index_sequence_for<S...>{});
}

/// A line of a program with its numbers.
template <class Line> struct valued {
  using line = Line;
  std::array<double, Line::coefficients> c{};
};

/// A program with its numbers, in double.
template <class Program> struct fused {
  using type = Program;
  std::array<double, Program::coefficients> c{};
};

namespace detail {

template <class Target, symbol... S> constexpr auto value_sum(form<S...> const& f) {
  return valued<sum<Target, S...>>{f.c};
}

template <class Target, class F, class... Forms>
constexpr auto value_node(std::array<double, F::parameters> const& parameters,
                          Forms const&... arguments) {
  valued<node<Target, F, typename decltype(value_sum<Target>(arguments))::line...>> r;
  auto to = std::copy(parameters.begin(), parameters.end(), r.c.begin());
  ((to = std::copy(arguments.c.begin(), arguments.c.end(), to)), ...);
  return r;
}

template <class Target, class R, class... Sums>
constexpr auto value_reduction(std::array<double, R::parameters> const& parameters,
                               Sums const&... arguments) {
  valued<reduction<Target, R, typename decltype(value_sum<Target>(arguments))::line...>> r;
  auto to = std::copy(parameters.begin(), parameters.end(), r.c.begin());
  ((to = std::copy(arguments.c.begin(), arguments.c.end(), to)), ...);
  return r;
}

/// What an expression becomes: the lines before it, and the form that stands for it. `Nodes` and
/// `Reduced` count the names given so far in the evaluation.
template <int Nodes, int Reduced, class Lines, class Value> struct lowered {
  static constexpr int nodes = Nodes, reduced = Reduced;
  Lines lines;
  Value value;
};
template <int Nodes, int Reduced, class Lines, class Value>
constexpr lowered<Nodes, Reduced, Lines, Value> make_lowered(Lines lines, Value value) {
  return {lines, value};
}

template <int N, int R, class A, symbol... S>
constexpr auto lower_expression(A const& a, form<S...> const& f) {
  auto const value = collapse(substitute(a, f));
  return make_lowered<N, R>(std::tuple<>{}, value);
}

// Declared before either is defined: an argument may be a node itself.
template <int N, int R, class A, class F, class... Arguments>
constexpr auto lower_expression(A const& a, pointwise_node<F, Arguments...> const& n);
template <int N, int R, class A, class F, class... Arguments>
constexpr auto lower_expression(A const& a, reduction_node<F, Arguments...> const& n);

// The arguments of a node one after the other: the names of one begin where the last one's ended.
template <int N, int R, class A, class Lines, class... Values>
constexpr auto lower_arguments(A const&, Lines const& lines, std::tuple<Values...> const& values) {
  return make_lowered<N, R>(lines, values);
}
template <int N, int R, class A, class Lines, class... Values, class First, class... Rest>
constexpr auto lower_arguments(A const& a, Lines const& lines, std::tuple<Values...> const& values,
                               First const& first, Rest const&... rest) {
  auto const one = lower_expression<N, R>(a, first);
  using one_type = std::remove_const_t<decltype(one)>;
  return lower_arguments<one_type::nodes, one_type::reduced>(
      a, std::tuple_cat(lines, one.lines), std::tuple_cat(values, std::tuple{one.value}), rest...);
}

template <int N, int R, class Target, class A, class F, class... Arguments>
constexpr auto lower_named(A const& a, pointwise_node<F, Arguments...> const& n) {
  auto const all = std::apply(
      [&](auto const&... argument) {
        return lower_arguments<N, R>(a, std::tuple<>{}, std::tuple<>{}, argument...);
      },
      n.arguments);
  using all_type = std::remove_const_t<decltype(all)>;
  auto const line = std::apply(
      [&](auto const&... f) { return value_node<Target, F>(n.parameters, f...); }, all.value);
  return make_lowered<all_type::nodes, all_type::reduced>(
      std::tuple_cat(all.lines, std::tuple{line}), lift(Target{}));
}

template <int N, int R, class A, class F, class... Arguments>
constexpr auto lower_expression(A const& a, pointwise_node<F, Arguments...> const& n) {
  return lower_named<N + 1, R, sym::nameless<N>>(a, n);
}
template <int N, int R, class A, class F, class... Arguments>
constexpr auto lower_expression(A const& a, reduction_node<F, Arguments...> const& n) {
  auto const all = std::apply(
      [&](auto const&... argument) {
        return lower_arguments<N, R + 1>(a, std::tuple<>{}, std::tuple<>{}, argument...);
      },
      n.arguments);
  using all_type = std::remove_const_t<decltype(all)>;
  using target = sym::reduced<R>;
  auto const line = std::apply(
      [&](auto const&... f) { return value_reduction<target, F>(n.parameters, f...); }, all.value);
  return make_lowered<all_type::nodes, all_type::reduced>(
      std::tuple_cat(all.lines, std::tuple{line}), lift(target{}));
}

}  // namespace detail

/// A statement with its symbols answered: the lines before its value, and either the line that
/// names it (a node) or the sum that is stored.
template <int N, int R, class A, class Target, class Value>
constexpr auto lower(A const& a, assignment<Target, Value> const& s) {
  using namespace detail;
  if constexpr (is_node<Target> && is_pointwise<Value>) {
    auto const all = lower_named<N, R, Target>(a, s.value);
    using type = std::remove_const_t<decltype(all)>;
    return make_lowered<type::nodes, type::reduced>(all.lines, std::tuple<>{});
  } else {
    auto const all = lower_expression<N, R>(a, s.value);
    using type = std::remove_const_t<decltype(all)>;
    if constexpr (is_node<Target>)
      return make_lowered<type::nodes, type::reduced>(
          std::tuple_cat(all.lines, std::tuple{value_node<Target, same_function>({}, all.value)}),
          std::tuple<>{});
    else
      return make_lowered<type::nodes, type::reduced>(all.lines,
                                                      std::tuple{value_sum<Target>(all.value)});
  }
}

namespace detail {

// The symbols that a line reads.
template <class Target, class... S> list<S...> symbols_in(sum<Target, S...>);
template <class Target, class F, class... Sums>
auto symbols_in(node<Target, F, Sums...>) -> decltype(concat(symbols_in(Sums{})...));
template <class Target, class R, class... Sums>
auto symbols_in(reduction<Target, R, Sums...>) -> decltype(concat(symbols_in(Sums{})...));

template <class Line> inline constexpr bool is_reduction = false;
template <class T, class R, class... S>
inline constexpr bool is_reduction<reduction<T, R, S...>> = true;

template <class Target, class... S> constexpr bool among(list<S...>) {
  return (std::is_same_v<Target, S> || ...);
}

template <template <class> class Keep, class... S>
auto filter(list<S...>)
    -> decltype(concat(std::conditional_t<Keep<S>::value, list<S>, list<>>{}...));

template <class S> struct loads : std::bool_constant<is_buffer<S>> {};
template <class S> struct draws : std::bool_constant<is_noise<S>> {};
template <class S> struct broadcasts : std::bool_constant<is_broadcast<S>> {};
template <class S> struct scalars : std::bool_constant<is_scalar<S>> {};

template <class... S> auto sort_symbols(list<S...>) -> sorted_set<list, S...>;

template <class... W>
inline constexpr auto line_order = order_of(std::array<int, sizeof...(W)>{
    W::line::target::rank...});

/// The lines by what they write, smallest rank first.
template <class... W> constexpr auto sort_lines(std::tuple<W...> const& lines) {
  constexpr auto& order = line_order<W...>;
  static_assert(order.count == sizeof...(W),
                "a step assigns each symbol once, this one assigns one twice");
  return [&]<std::size_t... I>(std::index_sequence<I...>) {
    return std::tuple<std::tuple_element_t<order.index[I], std::tuple<W...>>...>{
        std::get<order.index[I]>(lines)...};
  }
  (std::make_index_sequence<order.count>{});
}

// A node whose value nobody reads is dropped; its buffers are then not loaded.
template <class... Writes> constexpr auto live_nodes(std::tuple<> const&, Writes const&...) {
  return std::tuple<>{};
}
template <class First, class... Rest, class... Writes>
constexpr auto live_nodes(std::tuple<First, Rest...> const& nodes, Writes const&... writes) {
  return std::apply(
      [&](First const& first, Rest const&... rest) {
        auto const later = live_nodes(std::tuple{rest...}, writes...);
        using target = typename First::line::target;
        constexpr bool read = []<class... L>(std::tuple<L...>*) {
          return (among<target>(decltype(symbols_in(typename L::line{})){}) || ... || false) ||
                 (among<target>(decltype(symbols_in(typename Writes::line{})){}) || ...);
        }(static_cast<std::remove_const_t<decltype(later)>*>(nullptr));
        if constexpr (read) return std::tuple_cat(std::tuple{first}, later);
        else return later;
      },
      nodes);
}

/// Whether a line reads nothing but numbers a row, given which of the lines before it do.
template <class... Uniform, class... S> constexpr bool reads_scalars(list<Uniform...>, list<S...>) {
  return ((is_scalar<S> || among<S>(list<Uniform...>{})) && ...);
}
template <class... Uniform> auto uniform_targets(list<Uniform...> u, list<>) { return u; }
template <class... Uniform, class First, class... Rest>
auto uniform_targets(list<Uniform...> u, list<First, Rest...>) {
  if constexpr (reads_scalars(u, decltype(symbols_in(typename First::line{})){}))
    return uniform_targets(list<Uniform..., typename First::line::target>{}, list<Rest...>{});
  else return uniform_targets(u, list<Rest...>{});
}

template <class... S> constexpr bool has_scalars(list<S...>) { return (is_scalar<S> || ...); }
template <class Uniform, class... S> auto extras_of(list<S...> symbols) {
  if constexpr (((is_scalar<S> || is_broadcast<S>) || ...))
    return extras<decltype(filter<broadcasts>(symbols)), decltype(filter<scalars>(symbols)),
                  Uniform>{};
  else return no_extras{};
}

template <class Symbols, class... U, class... N, class... W>
constexpr auto assemble_split(std::tuple<U...> const& uniform, std::tuple<N...> const& nodes,
                              std::tuple<W...> const& writes) {
  using reads = decltype(filter<loads>(Symbols{}));
  using noises = decltype(filter<draws>(Symbols{}));
  using rows = decltype(extras_of<list<typename U::line...>>(Symbols{}));
  using type = program<reads, noises, list<typename N::line...>, list<typename W::line...>, rows>;
  fused<type> r;
  auto to = r.c.begin();
  auto pour = [&](auto const& line) { to = std::copy(line.c.begin(), line.c.end(), to); };
  std::apply([&](auto const&... u) { (pour(u), ...); }, uniform);
  std::apply([&](auto const&... n) { (pour(n), ...); }, nodes);
  std::apply([&](auto const&... w) { (pour(w), ...); }, writes);
  return r;
}

/// One program of nodes without reductions and of sums that are stored.
template <class... N, class... W>
constexpr auto assemble(std::tuple<N...> const& nodes, std::tuple<W...> const& writes) {
  using symbols = decltype(sort_symbols(concat(decltype(symbols_in(typename N::line{})){}...,
                                               decltype(symbols_in(typename W::line{})){}...)));
  if constexpr (has_scalars(symbols{}) && sizeof...(N) > 0) {
    // What is one number a row is computed once a row.
    using uniform = decltype(uniform_targets(list<>{}, list<N...>{}));
    auto const split = [&]<bool Uniform>(std::bool_constant<Uniform>, auto const& n) {
      using target = typename std::remove_cvref_t<decltype(n)>::line::target;
      if constexpr (among<target>(uniform{}) == Uniform) return std::tuple{n};
      else return std::tuple<>{};
    };
    auto const first = std::apply(
        [&](auto const&... n) { return std::tuple_cat(split(std::true_type{}, n)...); }, nodes);
    auto const second = std::apply(
        [&](auto const&... n) { return std::tuple_cat(split(std::false_type{}, n)...); }, nodes);
    return assemble_split<symbols>(first, second, writes);
  } else return assemble_split<symbols>(std::tuple<>{}, nodes, writes);
}

// Reductions cut an evaluation into phases. A line's phase is the first in which all it reads is
// there; the reductions of a phase end it; what is stored is stored in the last one. A node that
// two phases read is computed in both.

/// The phase of each line: that of the latest of what it reads; a reduction's value is there one
/// phase later.
template <class... L> struct phases_of {
  static constexpr std::size_t count = sizeof...(L);
  static constexpr auto of = [] {
    std::array<int, count + 1> phase{};
    constexpr int targets[] = {L::line::target::rank..., -1};
    constexpr bool reduces[] = {is_reduction<typename L::line>..., false};
    std::size_t i = 0;
    auto const one = [&]<class... S>(list<S...>) {
      for (int rank : {S::rank..., -1})
        for (std::size_t j = 0; j < i; ++j)
          if (targets[j] == rank) {
            int const there = phase[j] + (reduces[j] ? 1 : 0);
            if (phase[i] < there) phase[i] = there;
          }
      ++i;
    };
    (one(decltype(symbols_in(typename L::line{})){}), ...);
    return phase;
  }();
  static constexpr int last = [] {
    int r = 0;
    constexpr bool reduces[] = {is_reduction<typename L::line>..., false};
    for (std::size_t i = 0; i < count; ++i)
      if (reduces[i] && of[i] + 1 > r) r = of[i] + 1;
    return r;
  }();
};

/// A reduction over scratch buffers instead of over sums, and the sums that fill them.
template <int Scratch, class T, class R, class... Sums>
constexpr auto over_scratch(valued<reduction<T, R, Sums...>> const& line) {
  return [&]<std::size_t... I>(std::index_sequence<I...>) {
    std::array<double, R::parameters> parameters{};
    auto from = line.c.begin();
    for (double& p : parameters) p = *from++;
    auto const take = [&]<class Target, class Old, class... S>(Target, sum<Old, S...>) {
      valued<sum<Target, S...>> v;
      for (double& c : v.c) c = *from++;
      return v;
    };
    // Braces: in this order.
    std::tuple sums{take(sym::scratch<Scratch + static_cast<int>(I)>{}, Sums{})...};
    return std::pair{
        valued<reduction_over<T, R, sym::scratch<Scratch + static_cast<int>(I)>...>>{parameters},
        sums};
  }
  (std::index_sequence_for<Sums...>{});
}

template <class T, class R, class... Sums> constexpr int arguments_of(reduction<T, R, Sums...>*) {
  return sizeof...(Sums);
}
template <class Line> constexpr int scratches_of() {
  if constexpr (is_reduction<Line>) return arguments_of(static_cast<Line*>(nullptr));
  else return 0;
}

template <class Programs, class Reductions> struct make_phased;
template <class... P, class... R> struct make_phased<std::tuple<fused<P>...>, std::tuple<R...>> {
  using type = phased<list<P...>, list<R...>>;
};

template <class... L, class... W>
constexpr auto assemble_phases(std::tuple<L...> const& lines, std::tuple<W...> const& writes) {
  using phase = phases_of<L...>;
  auto const plain = [&] {  // the nodes that are no reductions
    return std::apply(
        [&](auto const&... l) {
          return std::tuple_cat([&] {
            if constexpr (is_reduction<typename std::remove_cvref_t<decltype(l)>::line>)
              return std::tuple<>{};
            else return std::tuple{l};
          }()...);
        },
        lines);
  }();
  auto const reductions_in = [&]<int Phase>(std::integral_constant<int, Phase>) {
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
      return std::tuple_cat([&] {
        using line = typename std::tuple_element_t<I, std::tuple<L...>>::line;
        if constexpr (is_reduction<line> && phase::of[I] == Phase) {
          constexpr int before = [] {
            constexpr int counts[] = {scratches_of<typename L::line>()..., 0};
            int r = 0;
            for (std::size_t i = 0; i != I; ++i) r += counts[i];
            return r;
          }();
          return std::make_tuple(over_scratch<before>(std::get<I>(lines)));
        } else return std::tuple<>{};
      }()...);
    }
    (std::index_sequence_for<L...>{});
  };
  auto const with = [&](auto const& stored) {
    auto const live = std::apply([&](auto const&... w) { return live_nodes(plain, w...); }, stored);
    return assemble(live, stored);
  };
  return [&]<int... P>(std::integer_sequence<int, P...>) {
    // make_tuple: a tuple of one tuple or pair is not that one.
    auto const reductions = std::make_tuple(reductions_in(std::integral_constant<int, P>{})...);
    auto const programs = std::make_tuple(
        std::apply([&](auto const&... r) { return with(sort_lines(std::tuple_cat(r.second...))); },
                   std::get<P>(reductions))...,
        with(writes));
    auto const lists = std::make_tuple(std::apply(
        [](auto const&... r) {
          return list<typename std::remove_cvref_t<decltype(r.first)>::line...>{};
        },
        std::get<P>(reductions))...);
    using type = typename make_phased<std::remove_const_t<decltype(programs)>,
                                      std::remove_const_t<decltype(lists)>>::type;
    fused<type> r;
    auto to = r.c.begin();
    auto pour = [&](auto const& line) { to = std::copy(line.c.begin(), line.c.end(), to); };
    auto const phase_numbers = [&](auto const& p, auto const& of_phase) {
      pour(p);
      std::apply([&](auto const&... one) { (pour(one.first), ...); }, of_phase);
    };
    (phase_numbers(std::get<P>(programs), std::get<P>(reductions)), ...);
    pour(std::get<sizeof...(P)>(programs));
    return r;
  }
  (std::make_integer_sequence<int, phase::last>{});
}

}  // namespace detail

/// One kernel (or, around reductions, one more for each phase) from lines in order and sums that are
/// stored. Dead lines are dropped; the buffers written are sorted by rank.
template <class... L, class... W>
constexpr auto assemble_lines(std::tuple<L...> const& lines, std::tuple<W...> const& stored) {
  auto const writes = detail::sort_lines(stored);
  auto const live =
      std::apply([&](auto const&... w) { return detail::live_nodes(lines, w...); }, writes);
  constexpr bool reduces = []<class... Live>(std::tuple<Live...>*) {
    return (detail::is_reduction<typename Live::line> || ...);
  }(static_cast<std::remove_const_t<decltype(live)>*>(nullptr));
  if constexpr (reduces) return detail::assemble_phases(live, writes);
  else return detail::assemble(live, writes);
}

namespace detail {

template <class S> inline constexpr bool is_stored_sum = false;
template <class Target, symbol... S>
inline constexpr bool is_stored_sum<assignment<Target, form<S...>>> = !is_node<Target>;

template <class A, class Target, class F>
constexpr auto sum_of(A const& a, assignment<Target, F> const& s) {
  return value_sum<Target>(collapse(substitute(a, s.value)));
}

template <int N, int R, class A, class Lines, class Stored>
constexpr auto lower_all(A const&, Lines const& lines, Stored const& stored) {
  return make_lowered<N, R>(lines, stored);
}
template <int N, int R, class A, class Lines, class Stored, class First, class... Rest>
constexpr auto lower_all(A const& a, Lines const& lines, Stored const& stored, First const& first,
                         Rest const&... rest) {
  auto const one = lower<N, R>(a, first);
  using type = std::remove_const_t<decltype(one)>;
  return lower_all<type::nodes, type::reduced>(a, std::tuple_cat(lines, one.lines),
                                               std::tuple_cat(stored, one.value), rest...);
}

}  // namespace detail

/// The kernel of the statements of one evaluation. `before` is what was lowered already (a
/// guidance's or a threshold's nodes, made of the answers before them) and comes first; then the
/// lines in the order written.
template <class A, class Before, class... Statements>
constexpr auto fuse(A const& a, Before const& before, std::tuple<Statements...> const& statements) {
  if constexpr ((detail::is_stored_sum<Statements> && ...)) {  // the short way, for the compiler
    return std::apply(
        [&](auto const&... s) {
          return assemble_lines(before.lines,
                                std::tuple_cat(before.value, std::tuple{detail::sum_of(a, s)...}));
        },
        statements);
  } else {
    auto const all = std::apply(
        [&](auto const&... s) {
          return detail::lower_all<Before::nodes, Before::reduced>(a, before.lines, before.value,
                                                                   s...);
        },
        statements);
    return assemble_lines(all.lines, all.value);
  }
}
namespace detail {

template <class Storage, class S>
using stored_symbol = std::conditional_t<std::is_same_v<typename Storage::template of<S>, float>, S,
                                         as<S, typename Storage::template of<S>>>;
template <class Storage, class... S>
auto store_symbols(list<S...>) -> list<stored_symbol<Storage, S>...>;
template <class Storage, class T, class... S>
auto store_target(sum<T, S...>) -> sum<stored_symbol<Storage, T>, S...>;
template <class Storage, class... W>
auto store_targets(list<W...>) -> list<decltype(store_target<Storage>(W{}))...>;

template <class Storage, class R, class Z, class N, class W, class E>
auto store_as(program<R, Z, N, W, E>) -> program<decltype(store_symbols<Storage>(R{})), Z, N,
                                                 decltype(store_targets<Storage>(W{})), E>;
template <class Storage, class... P, class R>
auto store_as(phased<list<P...>, R>) -> phased<list<decltype(store_as<Storage>(P{}))...>, R>;

}  // namespace detail

/// The same program over buffers that hold what `Storage::template of<Symbol>` says.
template <class Storage, class Program>
using stored_as = decltype(detail::store_as<Storage>(Program{}));

/// Nothing lowered before.
inline constexpr detail::lowered<0, 0, std::tuple<>, std::tuple<>> nothing_before{};

}  // namespace tweedie
