// The kinds of step that a sampler has, and what its formulas mention before anything is answered.
//
// The step before a clean end is the sampler's `last`, from alpha = 0 its `first`, and `step` with
// as many levels as have been seen otherwise.
#pragma once

#include <cstddef>
#include <string>
#include <type_traits>
#include <utility>

#include <tweedie/dsl/language/expression.hpp>
#include <tweedie/dsl/language/hooks.hpp>
#include <tweedie/dsl/language/path.hpp>
#include <tweedie/dsl/language/statement.hpp>
#include <tweedie/dsl/lowering/program.hpp>

namespace tweedie::detail {

// Kinds of step. `levels` points at the level t the step starts from; the levels before and after
// lie around it.

/// What a step is called that takes so many levels before t.
inline char const* name_of_inner(int before) {
  return before == 0   ? "step"
         : before == 1 ? "step, one level before t"
                       : "step, several levels before t";
}

template <int Before> struct inner_step {
  static constexpr bool is_last = false;
  static constexpr int before = Before;
  static std::string name() { return name_of_inner(Before); }
  template <class Sampler>
  static auto formula(Sampler const& s, level const* levels, path const& p) {
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
      return step_of_sampler(s, p, levels[static_cast<std::ptrdiff_t>(I) - Before]...);
    }
    (std::make_index_sequence<Before + 2>{});
  }
};

struct first_step {
  static constexpr bool is_last = false;
  static constexpr int before = 0;
  static std::string name() { return "first step, alpha = 0"; }
  template <class Sampler> static auto formula(Sampler const& s, level const* levels, path const&) {
    return s.first(levels[0], levels[1]);
  }
};

struct last_step {
  static constexpr bool is_last = true;
  static constexpr int before = 0;
  static std::string name() { return "last step, sigma = 0"; }
  template <class Sampler>
  static auto formula(Sampler const& s, level const* levels, path const& p) {
    return last_of_sampler(s, levels[0], levels[1], p);
  }
};

/// How many levels before t the sampler's longest `step` takes; -1 without any step(t, s).
template <class Sampler, int Before = 0> constexpr int longest() {
  constexpr bool takes = []<std::size_t... I>(std::index_sequence<I...>) {
    return requires(Sampler const& s, level const* l) { s.step(l[I]...); }
    || requires(Sampler const& s, level const* l, path const& p) { s.step(l[I]..., p); };
  }
  (std::make_index_sequence<Before + 2>{});
  if constexpr (takes) return longest<Sampler, Before + 1>();
  else return Before - 1;
}

template <class Sampler, int... Before>
auto kinds_of(std::integer_sequence<int, Before...>)
    -> decltype(concat(std::conditional_t<has_first<Sampler>, list<first_step>, list<>>{},
                       list<inner_step<Before>..., last_step>{}));
template <class Sampler>
using kinds_of_step =
    decltype(kinds_of<Sampler>(std::make_integer_sequence<int, longest<Sampler>() + 1>{}));

template <class Sampler, class Kind>
using formula_of = decltype(Kind::formula(
    std::declval<Sampler const&>(), std::declval<level const*>(), std::declval<path const&>()));

// What a sampler's formulas mention, before anything is answered.

template <class... S> list<S...> mentioned(form<S...>) { return {}; }
// Declared before either is defined: an expression may hold another.
template <class F, class... A> auto mentioned(pointwise_node<F, A...>);
template <class F, class... A> auto mentioned(reduction_node<F, A...>);
template <class F, class... A> auto mentioned(pointwise_node<F, A...>) {
  return concat(mentioned(A{})...);
}
template <class F, class... A> auto mentioned(reduction_node<F, A...>) {
  return concat(mentioned(A{})...);
}
template <class Target, class V>
auto mentioned(assignment<Target, V>) -> decltype(mentioned(std::declval<V>()));
inline list<> mentioned(arrival) { return {}; }
template <class... S>
auto mentioned(evaluation<S...>) -> decltype(concat(mentioned(std::declval<S>())...));
template <class... E>
auto mentioned(step_of<E...>) -> decltype(concat(mentioned(std::declval<E>())...));

/// The largest K of a family of symbols, -1 if none is there.
template <sym::word W, class... S> constexpr int largest_index(list<S...>) {
  int r = -1;
  ((r = S::id.is == W && S::id.index > r ? S::id.index : r), ...);
  return r;
}

template <class Sampler, class... Kind>
auto all_mentioned(list<Kind...>)
    -> decltype(concat(mentioned(std::declval<formula_of<Sampler, Kind>>())...));

template <class Target, class V> list<Target> assigned(assignment<Target, V>);
list<> assigned(arrival);
template <class... S>
auto assigned(evaluation<S...>) -> decltype(concat(assigned(std::declval<S>())...));
template <class... E>
auto assigned(step_of<E...>) -> decltype(concat(assigned(std::declval<E>())...));
template <class Sampler, class... Kind>
auto all_assigned(list<Kind...>)
    -> decltype(concat(assigned(std::declval<formula_of<Sampler, Kind>>())...));

// Whether each evaluation of a sampler's inner steps that reads the prediction reads both x0 and
// eps. v and velocity mix them: a step along v moves x by them for as long as the step is, where
// one to alpha x0 + sigma eps puts it there.
template <class... S> constexpr bool reads_both_or_none(list<S...>) {
  constexpr bool mixed =
      ((std::is_same_v<S, sym::v> || std::is_same_v<S, sym::velocity>) || ... || false);
  constexpr bool of_x0 = (std::is_same_v<S, sym::x0> || ... || false);
  constexpr bool of_eps =
      ((std::is_same_v<S, sym::eps> || std::is_same_v<S, sym::score>) || ... || false);
  return of_x0 == of_eps && !mixed;
}
template <class... E> constexpr bool each_reads_both(step_of<E...>*) {
  return (reads_both_or_none(decltype(mentioned(std::declval<E>())){}) && ...);
}
template <class Kind> inline constexpr bool is_inner = false;
template <int Before> inline constexpr bool is_inner<inner_step<Before>> = true;
template <class Sampler, class... Kind> constexpr bool takes_x0_and_eps(list<Kind...>) {
  return ((!is_inner<Kind> || each_reads_both(static_cast<formula_of<Sampler, Kind>*>(nullptr))) &&
          ...);
}

// Whether an inner step of a sampler reads x0: else a threshold that leaves eps limits nothing
// there.
template <class... S> constexpr bool reads_x0(list<S...>) {
  return ((std::is_same_v<S, sym::x0> || std::is_same_v<S, sym::v> ||
           std::is_same_v<S, sym::velocity>) ||
          ... || false);
}
template <class Sampler, class... Kind> constexpr bool takes_x0(list<Kind...>) {
  return ((is_inner<Kind> &&
           reads_x0(decltype(mentioned(std::declval<formula_of<Sampler, Kind>>())){})) ||
          ...);
}

// What a sampler does before a step's first evaluation: part of the kernel before it.
template <class Sampler> auto mentioned_on_entering() {
  if constexpr (has_enter<Sampler>)
    return decltype(mentioned(enter_of_sampler(std::declval<Sampler const&>(), level{}, level{},
                                               std::declval<path const&>()))){};
  else return list<>{};
}

}  // namespace tweedie::detail
