// From lines to a program: what nobody reads dropped, buffers and streams in order, and, where a
// reduction waits for a whole sample, one program after the other.
#pragma once

#include <algorithm>
#include <array>
#include <tuple>

#include <tweedie/dsl/collapse.hpp>
#include <tweedie/dsl/detail/apply.hpp>
#include <tweedie/dsl/lower.hpp>
#include <tweedie/dsl/program.hpp>

namespace tweedie {

/// A program with its numbers, in double.
template <class Program> struct fused {
  using type = Program;
  std::array<double, Program::coefficients> c{};
};

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
  return detail::apply(
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
  detail::apply([&](auto const&... u) { (pour(u), ...); }, uniform);
  detail::apply([&](auto const&... n) { (pour(n), ...); }, nodes);
  detail::apply([&](auto const&... w) { (pour(w), ...); }, writes);
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
    auto const first = detail::apply(
        [&](auto const&... n) { return std::tuple_cat(split(std::true_type{}, n)...); }, nodes);
    auto const second = detail::apply(
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
    return detail::apply(
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
    auto const live =
        detail::apply([&](auto const&... w) { return live_nodes(plain, w...); }, stored);
    return assemble(live, stored);
  };
  return [&]<int... P>(std::integer_sequence<int, P...>) {
    // make_tuple: a tuple of one tuple or pair is not that one.
    auto const reductions = std::make_tuple(reductions_in(std::integral_constant<int, P>{})...);
    auto const programs = std::make_tuple(
        detail::apply(
            [&](auto const&... r) { return with(sort_lines(std::tuple_cat(r.second...))); },
            std::get<P>(reductions))...,
        with(writes));
    auto const lists = std::make_tuple(detail::apply(
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
      detail::apply([&](auto const&... one) { (pour(one.first), ...); }, of_phase);
    };
    (phase_numbers(std::get<P>(programs), std::get<P>(reductions)), ...);
    pour(std::get<sizeof...(P)>(programs));
    return r;
  }
  (std::make_integer_sequence<int, phase::last>{});
}

}  // namespace detail

/// One kernel (or, around reductions, one more for each phase) from lines in order and sums that
/// are stored. Dead lines are dropped; the buffers written are sorted by rank.
template <class... L, class... W>
constexpr auto assemble_lines(std::tuple<L...> const& lines, std::tuple<W...> const& stored) {
  auto const writes = detail::sort_lines(stored);
  auto const live =
      detail::apply([&](auto const&... w) { return detail::live_nodes(lines, w...); }, writes);
  constexpr bool reduces = []<class... Live>(std::tuple<Live...>*) {
    return (detail::is_reduction<typename Live::line> || ...);
  }(static_cast<std::remove_const_t<decltype(live)>*>(nullptr));
  if constexpr (reduces) return detail::assemble_phases(live, writes);
  else return detail::assemble(live, writes);
}

}  // namespace tweedie
