// Stages with names, for what is chosen at run time.
#pragma once

#include <tuple>
#include <type_traits>
#include <variant>

namespace tweedie::ready {

/// A stage under the name that it has at run time.
template <class T> struct named {
  char const* name;
  T value;
};
template <class T> named(char const*, T) -> named<T>;

/// One of several types of stage.
template <class... T> using named_stages = std::tuple<named<T>...>;
namespace detail {
template <class List> struct variant_of;
template <class... T> struct variant_of<std::tuple<named<T>...>> {
  using type = std::variant<T...>;
};
}  // namespace detail
template <class List> using any_of = typename detail::variant_of<std::remove_const_t<List>>::type;

}  // namespace tweedie::ready
