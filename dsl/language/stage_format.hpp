// A stage prints as it is written: fmt::format("{}", samplers::ddim_eta{.eta = 0.3}) is
// "samplers::ddim_eta{.eta = 0.3}".
#pragma once

#include <optional>
#include <string>
#include <tuple>
#include <type_traits>

#include <fmt/format.h>

#include <tweedie/dsl/base/apply.hpp>
#include <tweedie/dsl/language/composition.hpp>

namespace tweedie {

/// A stage that says its name.
template <class S>
concept named_stage = requires {
  typename S::kind;
  std::string(S::name);
};

template <named_stage S> std::string text_of(S const& stage);

namespace detail {

template <class T> std::string text_of_value(T const& value) {
  if constexpr (named_stage<T>) return text_of(value);
  else if constexpr (std::is_enum_v<T>) return names_of<T>::values[static_cast<int>(value)];
  else return fmt::format("{}", value);
}
template <class T> std::string text_of_value(std::optional<T> const& value) {
  return value ? text_of_value(*value) : std::string();
}

}  // namespace detail

/// The stage as it is written in C++; a parameter that has no value is left out.
template <named_stage S> std::string text_of(S const& stage) {
  std::string inside;
  if constexpr (requires { S::fields; })
    detail::apply(
        [&](auto const&... f) {
          auto const one = [&](auto const& of) {
            std::string const value = detail::text_of_value(stage.*of.member);
            if (!value.empty())
              inside += fmt::format("{}.{} = {}", inside.empty() ? "" : ", ", of.name, value);
          };
          (one(f), ...);
        },
        S::fields);
  char const* const space = is_kind<S, kinds::parameterization> ? "predicts::" : "";
  return fmt::format("{}{}{{{}}}", space, S::name, inside);
}

}  // namespace tweedie

template <tweedie::named_stage S> struct fmt::formatter<S> : fmt::formatter<std::string> {
  template <class Context> auto format(S const& stage, Context& c) const {
    return fmt::formatter<std::string>::format(tweedie::text_of(stage), c);
  }
};
