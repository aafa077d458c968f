// Guidance: how the branches of a network, out<0> conditional and out<1> unconditional, make one
// output.
//
// The two published conventions differ by one: eps = (1 + w) eps_c - w eps_u of Ho & Salimans 2022,
// eq. 6, and eps = eps_u + s (eps_c - eps_u) of Saharia et al. 2022 (Imagen), eq. 2 with s = 1 + w.
// Each has its own name: a guidance with a w is the unguided network at 0, one with an s at 1.
// Those with a paper of their own are in guidances/.
#pragma once

#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <string>
#include <type_traits>

#include <fmt/format.h>

#include <tweedie/dsl/base/error.hpp>
#include <tweedie/dsl/language/composition.hpp>
#include <tweedie/dsl/language/hooks.hpp>
#include <tweedie/dsl/language/symbols.hpp>

namespace tweedie::guidance {

using namespace symbols;

namespace detail {

inline void check_weight(char const* guidance, char const* name, double value) {
  if (!std::isfinite(value))
    throw error(fmt::format("guidance::{}: a weight {} = {} was given, expected a finite one",
                            guidance, name, value));
}
inline void check_share(char const* guidance, char const* name, double value) {
  if (!(value >= 0 && value <= 1))
    throw error(
        fmt::format("guidance::{}: {} = {} was given, expected 0 to 1", guidance, name, value));
}

/// A guidance whose times are shares of the schedule's, in times; any other as it is.
template <class Guidance, class Schedule>
constexpr auto in_times(Guidance const& g, Schedule const& s) {
  if constexpr (requires { g.on_schedule(s); }) return g.on_schedule(s);
  else return g;
}

}  // namespace detail

/// The network as it is, with the condition it is given.
struct none {
  using kind = kinds::guidance;
  static constexpr char const* name = "guidance::none";
  static constexpr int branches = 1;
  auto raw_of(level) const { return +out<0>; }
};

/// (1 + w) conditional - w unconditional: w = 0 is the conditional network (Ho & Salimans 2022, eq.
/// 6).
struct classifier_free {
  using kind = kinds::guidance;
  static constexpr char const* name = "guidance::classifier_free";
  static constexpr int branches = 2;
  double w = 1;
  static constexpr auto fields = std::tuple{field{"w", &classifier_free::w}};
  void check() const { detail::check_weight("classifier_free", "w", w); }
  auto raw_of(level) const { return (1 + w) * out<0> - w * out<1>; }
};

/// unconditional + s (conditional - unconditional): s = 1 is the conditional network (Imagen and
/// most tools).
struct classifier_free_scale {
  using kind = kinds::guidance;
  static constexpr char const* name = "guidance::classifier_free_scale";
  static constexpr int branches = 2;
  double s = 2;
  static constexpr auto fields = std::tuple{field{"s", &classifier_free_scale::s}};
  void check() const { detail::check_weight("classifier_free_scale", "s", s); }
  auto raw_of(level) const { return out<1> + s * (out<0> - out<1>); }
};

/// A guidance that is on where lo <= t <= hi only (Kynkaanniemi et al. 2024). Outside, the first
/// branch is the network's output, and nothing else is evaluated: steps there are a structure of
/// their own. What the guidance remembers waits.
template <class Guidance> struct within {
  using kind = kinds::guidance;
  static constexpr char const* name = "guidance::within";
  static constexpr int branches = [] {
    if constexpr (requires { Guidance::branches; }) return Guidance::branches;
    else return -1;  // which no pipeline takes
  }();
  static constexpr int conditions = tweedie::detail::conditions_of<Guidance>();
  static constexpr int extras = tweedie::detail::extras_of<Guidance>();
  Guidance guidance;
  double lo = 0;  ///< in the schedule's own time: 1 .. T on a table
  double hi = std::numeric_limits<double>::infinity();
  static constexpr auto fields = std::tuple{field{"guidance", &within::guidance},
                                            field{"lo", &within::lo}, field{"hi", &within::hi}};
  void check() const {
    if (!(lo <= hi))
      throw error(fmt::format(
          "guidance::within: from t = {} to t = {} was given, expected lo <= hi", lo, hi));
    tweedie::detail::call_check(guidance);
  }
  /// Where a guidance within has an `on` of its own, both hold.
  bool on(level t) const {
    static_assert(tweedie::detail::hears_on<Guidance>(),
                  "a guidance's on would never be called: it is bool on(level t) const, whether "
                  "the guidance is on at t");
    static_assert(tweedie::detail::hears_check<Guidance>(),
                  "a stage's check is void check() const, which throws a tweedie::error where its "
                  "parameters make none: this one has another form and would not be heard");
    return lo <= t.t && t.t <= hi && tweedie::detail::is_on(guidance, t);
  }
  /// With times for shares in what stands within.
  template <class Schedule>
  auto on_schedule(Schedule const& schedule) const requires requires(Guidance const& g) {
    g.on_schedule(schedule);
  }
  {
    auto const inner = guidance.on_schedule(schedule);
    return within<std::remove_const_t<decltype(inner)>>{inner, lo, hi};
  }
  /// When it is on, in words.
  std::string when() const { return fmt::format("guidance::within from t = {} to t = {}", lo, hi); }

  // All else is the guidance's own.
  constexpr device_use on_devices() const { return device_use_of(guidance); }
  auto raw_of(level t) const requires requires(Guidance const& g) { g.raw_of(t); }
  { return guidance.raw_of(t); }
  auto x0_of(level t) const requires requires(Guidance const& g) { g.x0_of(t); }
  { return guidance.x0_of(t); }
  auto eps_of(level t) const requires requires(Guidance const& g) { g.eps_of(t); }
  { return guidance.eps_of(t); }
  auto remember(level t) const requires requires(Guidance const& g) { g.remember(t); }
  { return guidance.remember(t); }
  template <int I, class P> auto predicts_of(P own) const requires requires(Guidance const& g) {
    g.template predicts_of<I>(own);
  }
  { return guidance.template predicts_of<I>(own); }
  auto const& asks() const requires requires(Guidance const& g) { g.asks(); }
  { return guidance.asks(); }
  void evaluate(batch const& b) const requires requires(Guidance const& g) { g.evaluate(b); }
  { guidance.evaluate(b); }
  void check(std::span<std::size_t const> shape, std::span<int const> labels) const requires
      requires(Guidance const& g) {
    g.check(shape, labels);
  }
  { guidance.check(shape, labels); }
};
template <class Guidance> within(Guidance, double, double) -> within<Guidance>;

/// The same with lo and hi as shares of the schedule's time, 0 the clean end and 1 the noisy one:
/// `within_share{classifier_free{2}, 0.2, 0.8}` is `within{classifier_free{2}, 200, 800}` on a
/// table of 1000.
template <class Guidance> struct within_share : within<Guidance> {
  static constexpr char const* name = "guidance::within_share";
  within_share(Guidance of, double from, double to) : within<Guidance>{of, from, to} {}
  void check() const {
    if (!(this->lo >= 0 && this->lo <= this->hi && this->hi <= 1))
      throw error(
          fmt::format("guidance::within_share: {} to {} was given, expected shares of the "
                      "schedule's time, 0 <= lo <= hi <= 1",
                      this->lo, this->hi));
    within<Guidance>::check();
  }
  template <class Schedule> auto on_schedule(Schedule const& schedule) const {
    check();
    auto const inner = detail::in_times(this->guidance, schedule);
    return within<std::remove_const_t<decltype(inner)>>{inner, this->lo * schedule.end(),
                                                        this->hi * schedule.end()};
  }
};
template <class Guidance> within_share(Guidance, double, double) -> within_share<Guidance>;

}  // namespace tweedie::guidance
