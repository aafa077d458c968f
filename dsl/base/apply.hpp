// std::apply for the algebra of types. The standard's says whether it throws, and to find out
// resolves each call twice: a tenth of the time that a file with many pipelines takes to compile.
#pragma once

#include <cstddef>
#include <tuple>
#include <type_traits>
#include <utility>

namespace tweedie::detail {

template <class F, class Tuple, std::size_t... I>
constexpr decltype(auto) apply_at(F&& f, Tuple&& all, std::index_sequence<I...>) {
  return std::forward<F>(f)(std::get<I>(std::forward<Tuple>(all))...);
}

/// f(all...)
template <class F, class Tuple> constexpr decltype(auto) apply(F&& f, Tuple&& all) {
  using indices = std::make_index_sequence<std::tuple_size_v<std::remove_cvref_t<Tuple>>>;
  return detail::apply_at(std::forward<F>(f), std::forward<Tuple>(all), indices{});
}

}  // namespace tweedie::detail
