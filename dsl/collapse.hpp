// The one place where a formula is put in order: like terms merged, terms sorted by rank. `x + 2 *
// eps` and `2 * eps + x` become the same type, hence the same kernel.
#pragma once

#include <boost/hana/equal.hpp>
#include <boost/hana/sort.hpp>
#include <boost/hana/tuple.hpp>
#include <boost/hana/type.hpp>
#include <boost/hana/unique.hpp>
#include <boost/hana/unpack.hpp>

#include <tweedie/dsl/form.hpp>

namespace tweedie {

namespace detail {

struct by_rank {
  template <class A, class B> constexpr auto operator()(A, B) const {
    return boost::hana::bool_c<(A::type::rank < B::type::rank)>;
  }
};

template <template <class...> class To> struct unpack_types {
  template <class... T> constexpr auto operator()(T...) const {
    return boost::hana::type_c<To<typename T::type...>>;
  }
};

/// To<the symbols S..., each once, by rank>.
template <template <class...> class To, class... S>
using sorted_set = typename decltype(boost::hana::unpack(
    boost::hana::unique(boost::hana::sort(boost::hana::tuple_t<S...>, by_rank{})),
    unpack_types<To>{}))::type;

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
