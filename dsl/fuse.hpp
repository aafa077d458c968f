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

/// What the symbols that no buffer holds stand for at a level. Forms over x, out<i>, known, noise
/// and nodes.
template <class Raw, class X0, class Eps> struct answers {
  level t;
  Raw raw;
  X0 x0;
  Eps eps;
};

template <class Raw, class X0, class Eps>
constexpr answers<Raw, X0, Eps> make_answers(level t, Raw raw, X0 x0, Eps eps) {
  return {t, raw, x0, eps};
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

template <class T> inline constexpr bool names_node = false;
template <class Target, class V>
inline constexpr bool names_node<assignment<Target, V>> = is_node<Target>;

// The symbols that a line reads.
template <class Target, class... S> list<S...> symbols_in(sum<Target, S...>);
template <class Target, class F, class... Sums>
auto symbols_in(node<Target, F, Sums...>) -> decltype(concat(symbols_in(Sums{})...));

template <class Target, class... S> constexpr bool among(list<S...>) {
  return (std::is_same_v<Target, S> || ...);
}

template <template <class> class Keep, class... S>
auto filter(list<S...>)
    -> decltype(concat(std::conditional_t<Keep<S>::value, list<S>, list<>>{}...));

template <class S> struct loads : std::bool_constant<is_buffer<S>> {};
template <class S> struct draws : std::bool_constant<is_noise<S>> {};

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

template <class... N, class... W>
constexpr auto assemble(std::tuple<N...> const& nodes, std::tuple<W...> const& writes) {
  using symbols = decltype(sort_symbols(concat(decltype(symbols_in(typename N::line{})){}...,
                                               decltype(symbols_in(typename W::line{})){}...)));
  using type = program<decltype(filter<loads>(symbols{})), decltype(filter<draws>(symbols{})),
                       list<typename N::line...>, list<typename W::line...>>;
  fused<type> r;
  auto to = r.c.begin();
  auto pour = [&](auto const& line) { to = std::copy(line.c.begin(), line.c.end(), to); };
  std::apply([&](auto const&... n) { (pour(n), ...); }, nodes);
  std::apply([&](auto const&... w) { (pour(w), ...); }, writes);
  return r;
}

}  // namespace detail

/// A statement with its symbols answered: a sum, or a node.
template <class A, class Target, symbol... S>
constexpr auto lower(A const& a, assignment<Target, form<S...>> const& s) {
  auto const f = collapse(substitute(a, s.value));
  if constexpr (is_node<Target>) return detail::value_node<Target, detail::same_function>({}, f);
  else return detail::value_sum<Target>(f);
}
template <class A, class Target, class F, class... Forms>
constexpr auto lower(A const& a, assignment<Target, pointwise_node<F, Forms...>> const& s) {
  return std::apply(
      [&](auto const&... f) {
        return detail::value_node<Target, F>(s.value.parameters, collapse(substitute(a, f))...);
      },
      s.value.arguments);
}

/// One kernel from the statements of one evaluation. `nodes` are lowered already (a threshold's,
/// made of the answers before it) and come first; then let<k> = ... in the order written; the
/// buffers written are sorted by rank.
template <class A, class... Nodes, class... Statements>
constexpr auto fuse(A const& a, std::tuple<Nodes...> const& nodes,
                    std::tuple<Statements...> const& statements) {
  return std::apply(
      [&](auto const&... s) {
        auto split = [&]<bool Node>(std::bool_constant<Node>, auto const& one) {
          if constexpr (detail::names_node<std::remove_cvref_t<decltype(one)>> == Node)
            return std::tuple{lower(a, one)};
          else return std::tuple<>{};
        };
        auto const all = std::tuple_cat(nodes, split(std::true_type{}, s)...);
        auto const writes = detail::sort_lines(std::tuple_cat(split(std::false_type{}, s)...));
        auto const live =
            std::apply([&](auto const&... w) { return detail::live_nodes(all, w...); }, writes);
        return detail::assemble(live, writes);
      },
      statements);
}

}  // namespace tweedie
