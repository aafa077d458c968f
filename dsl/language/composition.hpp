// How stages are put together: schedule | parameterization | guidance | ...
//
// A stage carries a nominal kind. Where it has none (a user's own sampler, a lambda as a network)
// what it offers tells: `step(level, level)` makes a sampler, `x0_of(level)` a parameterization, a
// call with a batch a network. operator| takes anything; the pipeline checks what it got one by
// one, so that each mistake is one sentence.
#pragma once

#include <concepts>
#include <cstddef>
#include <span>
#include <tuple>
#include <type_traits>
#include <utility>

#include <tweedie/dsl/language/batch.hpp>
#include <tweedie/dsl/language/level.hpp>
#include <tweedie/dsl/language/path.hpp>
#include <tweedie/dsl/language/stage.hpp>

namespace tweedie {

namespace detail {

template <class Stage> constexpr auto find_kind() {
  if constexpr (requires { typename Stage::kind; }) return typename Stage::kind{};
  else if constexpr (requires(Stage const& s, level const t) { s.step(t, t); })
    return kinds::sampler{};
  else if constexpr (requires(Stage const& s, level const t, path const& p) { s.step(t, t, p); })
    return kinds::sampler{};
  else if constexpr (requires(Stage const& s, level const t) { s.x0_of(t); })
    return kinds::parameterization{};
  else if constexpr (std::invocable<Stage const&, batch const&>) return kinds::network{};
  else return kinds::unknown{};
}

// What is there in a form in which nobody calls it. What a constraint takes away is not there.

/// Whether `ask` can ask a stage that is not const, with a level, a number, two levels or nothing.
template <class Stage, class Ask> constexpr bool answers_somehow(Ask) {
  return std::is_invocable_v<Ask, Stage&, level&> || std::is_invocable_v<Ask, Stage&, double&> ||
         std::is_invocable_v<Ask, Stage&> || std::is_invocable_v<Ask, Stage&, level&, level&>;
}
/// `on`, which is bool on(level) const.
template <class S> constexpr bool hears_on() {
  constexpr bool called = requires(S const& s, level const t) {
    { s.on(t) } -> std::same_as<bool>;
  };
  return called || !answers_somehow<S>([](auto& s, auto&... a) -> decltype(void(s.on(a...))) {});
}
/// `check` of a stage, which is void check() const.
template <class S> constexpr bool hears_check() {
  constexpr bool called = requires(S const& s) {
    { s.check() } -> std::same_as<void>;
  };
  return called || !requires(S & s) { s.check(); };
}
/// `check` of a network: void check(shape, labels, branches) const.
template <class N> constexpr bool hears_request() {
  using shape = std::span<std::size_t const>;
  using given = std::span<int const>;
  constexpr bool called = requires(N const& n, shape s, given l) {
    { n.check(s, l, 1) } -> std::same_as<void>;
  };
  constexpr bool other = requires(N & n, shape s, given l) { n.check(s, l, 1); }
  || requires(N & n, shape s, given l) { n.check(s, l); }
  || requires(N & n, shape s) { n.check(s); }
  || requires(N & n) { n.check(); };
  return called || !other;
}

}  // namespace detail

template <class Stage> using kind_of = decltype(detail::find_kind<std::remove_cvref_t<Stage>>());

/// What a network, a guidance's own evaluation or a source of noise can do on a device. One that
/// enqueues its work on the stream of its batch says `static constexpr bool enqueues = true;`, and
/// `is_capturable = false` where that cannot be recorded as a graph: where it waits for the device,
/// or does something else the next time. One that knows only at run time, or asks another, has
/// `device_use on_devices() const` instead, which is called where a plan is given a device.
struct device_use {
  bool enqueues = false;
  bool is_capturable = false;
  /// Where it does not enqueue: the end of the sentence that refuses it, a literal, or null.
  char const* why_not = nullptr;
};
template <class Stage> constexpr device_use device_use_of(Stage const& stage) {
  if constexpr (requires { stage.on_devices(); }) return stage.on_devices();
  else {
    device_use r;
    if constexpr (requires { Stage::enqueues; }) r.enqueues = r.is_capturable = Stage::enqueues;
    if constexpr (requires { Stage::is_capturable; })
      r.is_capturable = r.enqueues && Stage::is_capturable;
    return r;
  }
}

template <class Stage, class Kind>
inline constexpr bool is_kind = std::is_same_v<kind_of<Stage>, Kind>;

namespace detail {
/// What a network says that it answers, `using prediction = predicts::v`; void if it does not say.
/// What wraps a network says it of that one, void if it does not say.
template <class Network> struct prediction_of { using type = void; };
template <class Network>
requires(
    !std::is_void_v<typename Network::prediction> &&
    is_kind<typename Network::prediction, kinds::parameterization>) struct prediction_of<Network> {
  using type = typename Network::prediction;
};
}  // namespace detail

/// Stages in the order in which they were written. Defined in pipelines/pipeline.hpp.
template <class... Stages> struct pipeline;

template <class T> inline constexpr bool is_pipeline = false;
template <class... Stages> inline constexpr bool is_pipeline<pipeline<Stages...>> = true;

template <class... Stages, class Next>
constexpr auto operator|(pipeline<Stages...> const& p, Next next) {
  return [&]<std::size_t... I>(std::index_sequence<I...>) {
    return pipeline<Stages..., Next>{{std::get<I>(p.stages)..., std::move(next)}};
  }
  (std::index_sequence_for<Stages...>{});
}

// Of two stages one may be none: the pipeline says so.
template <class First, class Next>
requires(!is_pipeline<First> &&
         !(is_kind<First, kinds::unknown> && is_kind<Next, kinds::unknown>)) constexpr auto
operator|(First first, Next next) {
  return pipeline<First, Next>{{std::move(first), std::move(next)}};
}

// Found by argument-dependent lookup from the folders' namespaces.
namespace schedules {
using tweedie::operator|;
namespace continuous {
using tweedie::operator|;
}
}  // namespace schedules
namespace predicts {
using tweedie::operator|;
}
namespace guidance {
using tweedie::operator|;
}
namespace thresholds {
using tweedie::operator|;
}
namespace samplers {
using tweedie::operator|;
}
namespace networks {
using tweedie::operator|;
}

}  // namespace tweedie
