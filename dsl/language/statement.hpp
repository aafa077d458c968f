// A step of a sampler: what it computes from one or more evaluations of the network.
//
//   step(x = s.alpha * x0 + s.sigma * eps)                  one, at the level it starts from
//   stages(at(t, keep<0> = eps, x = ...), at(s, x = ...))   two, at the levels named
//
// All right-hand sides of one evaluation read the values from before it, except that of let<k>,
// which names a value for the statements after it.
#pragma once

#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include <tweedie/dsl/language/level.hpp>
#include <tweedie/dsl/language/symbols.hpp>

namespace tweedie {

namespace detail {
/// Among statements: those after it read the x at which those before it arrive.
struct arrival {};
}  // namespace detail

/// One evaluation of the network and the statements that read it. Without a level it is the one the
/// step starts from.
template <class... Statements> struct evaluation {
  std::optional<level> where;
  std::tuple<Statements...> statements;
};

/// The evaluations from `to` up to and with `after`, done `times` times over.
struct repetition {
  std::size_t to = 0, after = 0;
  int times = 1;
};

template <class... Evaluations> struct step_of;

namespace detail {
template <class T> inline constexpr bool is_step_or_parts = false;
template <class... E> inline constexpr bool is_step_or_parts<step_of<E...>> = true;
template <class... S, class... E>
inline constexpr bool is_step_or_parts<std::tuple<evaluation<S...>, E...>> = true;
}  // namespace detail

/// The evaluations of one step, in order.
template <class... Evaluations> struct step_of {
  std::tuple<Evaluations...> evaluations;
  std::vector<repetition> repetitions = {};
  /// Declared alone: where a formula returns two types the compiler then says just that.
  template <class Other>
  requires detail::is_step_or_parts<Other>
  operator Other() const;
};

/// A step in which evaluations are repeated: how often is a value, so how many it has no type says.
template <class... Evaluations> struct repeating_step_of : step_of<Evaluations...> {};

/// Evaluations of a step that are done `times` times over.
template <class... Evaluations> struct repeated {
  int times;
  std::tuple<Evaluations...> evaluations;
  std::vector<repetition> repetitions = {};  // inside it
};

namespace detail {
template <class T> inline constexpr bool is_statement = false;
template <class S, class V> inline constexpr bool is_statement<assignment<S, V>> = true;
template <class... T> inline constexpr bool are_statements = (is_statement<T> && ...);

/// x = x, in place of what is none: the sentence is then the only error.
using stays = evaluation<assignment<sym::x, form<sym::x>>>;
}  // namespace detail

template <class... Statements> constexpr auto at(level where, Statements... statements) {
  constexpr bool whole = detail::are_statements<Statements...>;
  static_assert(whole, "at(level, ...) takes statements such as x = s.alpha * x0 + s.sigma * eps");
  if constexpr (whole) return evaluation<Statements...>{where, {statements...}};
  else return detail::stays{where, {}};
}

namespace detail {

template <class... S> constexpr auto evaluations_of(evaluation<S...> const& e) {
  return std::tuple{e};
}
template <class... E> constexpr auto evaluations_of(repeated<E...> const& r) {
  return r.evaluations;
}

/// The repetitions of a part that begins at evaluation `first`, those inside another before it.
template <class... S> std::vector<repetition> repetitions_of(evaluation<S...> const&, std::size_t) {
  return {};
}
template <class... E>
std::vector<repetition> repetitions_of(repeated<E...> const& r, std::size_t first) {
  std::vector<repetition> all;
  for (repetition const& one : r.repetitions)
    all.push_back({first + one.to, first + one.after, one.times});
  if (r.times != 1) all.push_back({first, first + sizeof...(E) - 1, r.times});
  return all;
}

template <bool Repeats, class... E>
auto step_from(std::tuple<E...> evaluations, std::vector<repetition> repetitions) {
  step_of<E...> step{std::move(evaluations), std::move(repetitions)};
  if constexpr (Repeats) return repeating_step_of<E...>{std::move(step)};
  else return step;
}

template <class T> inline constexpr bool is_repeated = false;
template <class... E> inline constexpr bool is_repeated<repeated<E...>> = true;
template <class T> inline constexpr bool is_repeating_step = false;
template <class... E> inline constexpr bool is_repeating_step<repeating_step_of<E...>> = true;
template <class T> inline constexpr bool is_evaluation = false;
template <class... S> inline constexpr bool is_evaluation<evaluation<S...>> = true;
template <class T> inline constexpr bool is_step = is_repeating_step<T>;
template <class... E> inline constexpr bool is_step<step_of<E...>> = true;

}  // namespace detail

/// The evaluations `at(level, ...)` of a step; `repeat(n, at(...), ...)` among them is done n
/// times.
template <class... Parts> auto stages(Parts... parts) {
  constexpr bool whole =
      sizeof...(Parts) > 0 && ((detail::is_evaluation<Parts> || detail::is_repeated<Parts>)&&...);
  static_assert(
      whole,
      "stages(...) takes evaluations, at(level, ...) or repeat(n, at(level, ...)), one or "
      "more");
  if constexpr (whole) {
    std::vector<repetition> repetitions;
    std::size_t i = 0;
    auto const note = [&](std::vector<repetition> const& inside, std::size_t count) {
      repetitions.insert(repetitions.end(), inside.begin(), inside.end());
      i += count;
    };
    (note(detail::repetitions_of(parts, i),
          std::tuple_size_v<decltype(detail::evaluations_of(parts))>),
     ...);
    return detail::step_from<(detail::is_repeated<Parts> || ...)>(
        std::tuple_cat(detail::evaluations_of(parts)...), std::move(repetitions));
  } else return step_of<detail::stays>{};
}

/// Evaluations of a step that are done `times` times over, `times` at least 0: a value, so that it
/// compiles nothing. A step has one evaluation at least.
template <class... E> auto repeat(int times, E... evaluations) {
  constexpr bool whole = sizeof...(E) > 0 && (detail::is_evaluation<E> && ...);
  static_assert(whole, "repeat(n, ...) takes evaluations, at(level, ...), or one whole step");
  if constexpr (whole) return repeated<E...>{times, {evaluations...}};
  else return repeated<detail::stays>{times, {}};
}
/// A whole step, `times` times over, as part of another one.
template <class... E> auto repeat(int times, step_of<E...> const& step) {
  return repeated<E...>{times, step.evaluations, step.repetitions};
}
template <class... E> auto repeat(int times, repeating_step_of<E...> const& step) {
  return repeated<E...>{times, step.evaluations, step.repetitions};
}

template <class... Statements> auto step(Statements... statements) {
  constexpr bool whole = detail::are_statements<Statements...>;
  static_assert(whole,
                "step(...) takes statements such as x = s.alpha * x0 + s.sigma * eps; evaluations, "
                "at(level, ...) and repeat(n, at(level, ...)), stand in stages(...)");
  if constexpr (whole)
    return step_of<evaluation<Statements...>>{
        {evaluation<Statements...>{std::nullopt, {statements...}}}};
  else return step_of<detail::stays>{};
}

}  // namespace tweedie
