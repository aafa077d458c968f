// From the statements of one evaluation to one kernel.
//
// Below this file there is no Hana: what leaves it is a `program` over plain packs and its numbers
// in double.
#pragma once

#include <tuple>

#include <tweedie/dsl/assemble.hpp>
#include <tweedie/dsl/detail/apply.hpp>
#include <tweedie/dsl/lower.hpp>

namespace tweedie {

namespace detail {

template <class S> inline constexpr bool is_stored_sum = false;
template <class Target, symbol... S>
inline constexpr bool is_stored_sum<assignment<Target, form<S...>>> = !is_node<Target>;

template <class A, class Target, class F>
constexpr auto sum_of(A const& a, assignment<Target, F> const& s) {
  return value_sum<Target>(collapse(substitute(a, s.value)));
}

}  // namespace detail

/// The kernel of the statements of one evaluation. `before` is what was lowered already (a
/// guidance's or a threshold's nodes, made of the answers before them) and comes first; then the
/// lines in the order written.
template <class A, class Before, class... Statements>
constexpr auto fuse(A const& a, Before const& before, std::tuple<Statements...> const& statements) {
  if constexpr ((detail::is_stored_sum<Statements> && ...)) {  // the short way, for the compiler
    return detail::apply(
        [&](auto const&... s) {
          return assemble_lines(before.lines,
                                std::tuple_cat(before.value, std::tuple{detail::sum_of(a, s)...}));
        },
        statements);
  } else {
    auto const all = detail::apply(
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

}  // namespace tweedie
