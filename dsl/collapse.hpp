// The one place where a formula is put in order: like terms merged, terms sorted by rank. `x + 2 *
// eps` and `2 * eps + x` become the same type, hence the same kernel.
#pragma once

#include <array>
#include <type_traits>
#include <utility>

#include <boost/hana/at.hpp>
#include <boost/hana/tuple.hpp>
#include <boost/hana/type.hpp>

#include <tweedie/dsl/form.hpp>

namespace tweedie {

namespace detail {

template <std::size_t N> struct rank_order {
  std::array<std::size_t, N> index{};
  std::size_t count = 0;
};

/// Where the distinct ranks stand, smallest rank first.
template <std::size_t N> constexpr rank_order<N> order_of(std::array<int, N> const& ranks) {
  rank_order<N> r;
  for (std::size_t i = 0; i < N; ++i) {
    std::size_t at = 0;
    while (at < r.count && ranks[r.index[at]] < ranks[i]) ++at;
    if (at < r.count && ranks[r.index[at]] == ranks[i]) continue;
    for (std::size_t k = r.count++; k > at; --k) r.index[k] = r.index[k - 1];
    r.index[at] = i;
  }
  return r;
}

// Hana holds the set and picks from it; ranks are compared as numbers, for a comparison per pair of
// types costs the compiler ten times as much.
template <template <class...> class To, class... S> struct set_by_rank {
  static constexpr auto order = order_of(std::array<int, sizeof...(S)>{S::rank...});
  static constexpr auto symbols = boost::hana::tuple_t<S...>;
  template <std::size_t... I>
  static auto pick(std::index_sequence<I...>) -> To<
      typename std::remove_cvref_t<decltype(boost::hana::at_c<order.index[I]>(symbols))>::type...>;
  using type = decltype(pick(std::make_index_sequence<order.count>{}));
};

/// To<the symbols S..., each once, by rank>.
template <template <class...> class To, class... S>
using sorted_set = typename set_by_rank<To, S...>::type;

template <class... To, class... S>
constexpr form<To...> merge_into(form<To...>, form<S...> const& f) {
  constexpr int from[] = {S::rank...};
  constexpr int to[] = {To::rank...};
  form<To...> r;
  for (std::size_t i = 0; i < sizeof...(S); ++i)
    for (std::size_t j = 0; j < sizeof...(To); ++j)
      if (from[i] == to[j]) r.c[j] += f.c[i];
  return r;
}

}  // namespace detail

/// The canonical form: each symbol once, sorted by rank.
template <symbol... S> constexpr auto collapse(form<S...> const& f) {
  return detail::merge_into(detail::sorted_set<form, S...>{}, f);
}

/// The factor of S in a form, 0 where it is absent.
template <symbol S, symbol... T> constexpr double coefficient(form<T...> const& f) {
  double r = 0;
  std::size_t i = 0;
  ((r += std::is_same_v<S, T> ? f.c[i] : 0.0, ++i), ...);
  return r;
}

}  // namespace tweedie
