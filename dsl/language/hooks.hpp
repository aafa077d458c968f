// What a stage may have and need not: each such member is named here once, with what is done where
// it is not there. A stage that wraps another one asks by the same functions.
//
//   check()                   of every stage   throws if its parameters make no sense; else nothing
//   check(shape, labels, n)   of a network     throws if it cannot take such samples; else nothing
//   check_arrays(arrays)      of a network     throws if it cannot take such ones; else nothing
//   check_arrays(arrays, n)   of a network     the same with how many branches have no condition
//   predicted()               of a network     the name of what it predicts; else not known
//   trained_on()              of a network     the schedule that it was trained on; else not known
//   is_conditional            of a network     whether it takes labels; else it does
//   input_of(level)           of a prediction  what the network sees; else x
//   conditions, extras        of a guidance    labels, outputs of a second network; else 1 and 0
//   on(level)                 of a guidance    whether it guides there; else always
//   raw_of, x0_of, eps_of     of a guidance    what it guides; the others are as predicted
//   remember(level)           of a guidance    what it keeps for the next evaluation; else nothing
//   step(..., path)           of a sampler     with levels of its own; else step(...)
//   first(t, s)               of a sampler     the step from alpha = 0; else step
//   last(t, s)                of a sampler     the step to sigma = 0; else x = s.alpha * x0
//   enter(t, s)               of a sampler     what is done to x before a step; else nothing
//   keeps_across_steps        of a sampler     whether keep<k> outlives a step; else it does not
#pragma once

#include <concepts>
#include <cstddef>
#include <span>
#include <string>

#include <tweedie/dsl/base/error.hpp>
#include <tweedie/dsl/language/batch.hpp>
#include <tweedie/dsl/language/level.hpp>
#include <tweedie/dsl/language/path.hpp>
#include <tweedie/dsl/language/statement.hpp>

namespace tweedie::detail {

template <class Stage> constexpr void call_check(Stage const& stage) {
  if constexpr (requires { stage.check(); }) stage.check();
}

// ---- Networks ----

template <class Network>
inline constexpr bool checks_requests = requires(Network const& n,
                                                 std::span<std::size_t const> shape,
                                                 std::span<int const> labels) {
  n.check(shape, labels, 1);
};
template <class Network>
void check_request(Network const& n, std::span<std::size_t const> shape,
                   std::span<int const> labels, int branches) {
  if constexpr (checks_requests<Network>) n.check(shape, labels, branches);
}
template <class Network>
inline constexpr bool checks_arrays_of_branches = requires(Network const& n,
                                                           std::span<named_array const> arrays) {
  n.check_arrays(arrays, 0);
};
template <class Network>
inline constexpr bool checks_arrays = checks_arrays_of_branches<Network> ||
                                      requires(Network const& n,
                                               std::span<named_array const> arrays) {
  n.check_arrays(arrays);
};
/// `without`: branches that are asked without a condition.
template <class Network>
void check_arrays(Network const& n, std::span<named_array const> arrays, int without) {
  if constexpr (checks_arrays_of_branches<Network>) n.check_arrays(arrays, without);
  else if constexpr (checks_arrays<Network>) n.check_arrays(arrays);
}
template <class Network> std::string name_of_predicted(Network const& n) {
  if constexpr (requires { std::string(n.predicted()); }) return std::string(n.predicted());
  else return {};
}
template <class Network> inline constexpr bool names_schedule = requires(Network const& n) {
  n.trained_on();
};
/// `check_arrays` of a network that reads none.
inline void refuse_arrays(char const* network, std::span<named_array const> arrays) {
  if (!arrays.empty())
    throw error(std::string(network) + ": a condition '" + arrays[0].name +
                "' was given, but the network takes labels alone");
}
template <class Network> constexpr bool is_conditional() {
  if constexpr (requires { Network::is_conditional; }) return Network::is_conditional;
  else return true;
}

// ---- Predictions ----

template <class Predicts>
inline constexpr bool scales_input = requires(Predicts const& p, level const t) {
  p.input_of(t);
};

// ---- Guidances ----

template <class Guidance> constexpr int conditions_of() {
  if constexpr (requires { Guidance::conditions; }) return Guidance::conditions;
  else return 1;
}
template <class Guidance> constexpr int extras_of() {
  if constexpr (requires { Guidance::extras; }) return Guidance::extras;
  else return 0;
}
template <class Guidance>
inline constexpr bool can_be_off = requires(Guidance const& g, level const t) {
  { g.on(t) } -> std::same_as<bool>;
};
template <class Guidance> bool is_on(Guidance const& g, level t) {
  if constexpr (can_be_off<Guidance>) return g.on(t);
  else return true;
}
template <class G>
concept guides_raw = requires(G const& g, level const t) {
  g.raw_of(t);
};
template <class G>
concept guides_x0 = requires(G const& g, level const t) {
  g.x0_of(t);
};
template <class G>
concept guides_eps = requires(G const& g, level const t) {
  g.eps_of(t);
};
template <class G>
concept remembers = requires(G const& g, level const t) {
  g.remember(t);
};

// ---- Samplers ----

/// The step over the levels, the last two of which are t and s.
template <class Sampler, class... Levels>
auto step_of_sampler(Sampler const& s, path const& p, Levels const&... levels) {
  if constexpr (requires { s.step(levels..., p); }) return s.step(levels..., p);
  else return s.step(levels...);
}
template <class Sampler>
inline constexpr bool has_first = requires(Sampler const& s, level const l) {
  s.first(l, l);
};
template <class Sampler, class... Path>
auto last_of_sampler(Sampler const& sampler, level t, level s, Path const&... p) {
  using namespace symbols;
  if constexpr (requires { sampler.last(t, s, p...); }) return sampler.last(t, s, p...);
  else if constexpr (requires { sampler.last(t, s); }) return sampler.last(t, s);
  else return step(x = s.alpha * x0);
}
template <class Sampler>
inline constexpr bool has_enter = requires(Sampler const& s, level const l) {
  s.enter(l, l);
}
|| requires(Sampler const& s, level const l, path const& p) { s.enter(l, l, p); };
template <class Sampler>
auto enter_of_sampler(Sampler const& sampler, level t, level s, path const& p) {
  if constexpr (requires { sampler.enter(t, s, p); }) return sampler.enter(t, s, p);
  else return sampler.enter(t, s);
}
template <class Sampler> constexpr bool keeps_across_steps() {
  if constexpr (requires { Sampler::keeps_across_steps; }) return Sampler::keeps_across_steps;
  else return false;
}

}  // namespace tweedie::detail
