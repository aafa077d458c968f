// schedule | parameterization | guidance | threshold | sampler | network
//
// Guidance and threshold may be left out; the order is free. A pipeline is a value; on a grid it
// becomes a plan.
#pragma once

#include <tuple>

#include <tweedie/networks/guidance.hpp>
#include <tweedie/pipelines/plan.hpp>
#include <tweedie/schedules/grids/uniform.hpp>

namespace tweedie {

namespace detail {

template <class Kind, class... Stages>
inline constexpr int count_of = (is_kind<Stages, Kind> + ... + 0);

/// The first stage of a kind, or a default.
template <class Kind, class Default, class Tuple> constexpr auto pick(Tuple const& stages) {
  return std::apply(
      [](auto const&... s) {
        auto const found = std::tuple_cat([&] {
          if constexpr (is_kind<decltype(s), Kind>) return std::tuple{s};
          else return std::tuple<>{};
        }()...);
        if constexpr (std::tuple_size_v<decltype(found)> == 0) return Default{};
        else return std::get<0>(found);
      },
      stages);
}

template <class Allowed, class... S> constexpr bool only(list<S...>) {
  return (Allowed::template has<S> && ...);
}
struct x_and_raw {
  template <class S>
  static constexpr bool has = std::is_same_v<S, sym::x> || std::is_same_v<S, sym::raw>;
};

// What a sampler's formula may mention: what the stages answer, and what the loop keeps.
template <class Kept> struct defined {
  static constexpr bool past(int rank) {
    return (rank > sym::past_x0<0>::rank && rank < sym::past_x0<0>::rank + 100) ||
           (rank > sym::past_eps<0>::rank && rank < sym::past_eps<0>::rank + 100);
  }
  template <class S>
  static constexpr bool has = is_answered<S> || is_noise<S> || std::is_same_v<S, sym::x> ||
                              past(S::rank) || among<S>(Kept{});
};

template <class Sampler, class... Kind> constexpr bool mentions_defined(list<Kind...>) {
  return (only<defined<decltype(assigned(std::declval<formula_of<Sampler, Kind>>()))>>(
              decltype(mentioned(std::declval<formula_of<Sampler, Kind>>())){}) &&
          ...);
}

// What plan() returns where the stages do not fit, so that the sentence is the only error.
struct no_plan {
  images sample(request const&, label = {}) const { return {}; }
  images sample(request const&, labels const&) const { return {}; }
};

}  // namespace detail

template <class... Stages> struct pipeline {
  std::tuple<Stages...> stages;

  /// Whether the stages fit together. Where they don't, one static_assert says what is missing.
  static constexpr bool fits() {
    constexpr int schedules = detail::count_of<kinds::schedule, Stages...>;
    constexpr int predictions = detail::count_of<kinds::parameterization, Stages...>;
    constexpr int samplers = detail::count_of<kinds::sampler, Stages...>;
    constexpr int networks = detail::count_of<kinds::network, Stages...>;
    constexpr int guidances = detail::count_of<kinds::guidance, Stages...>;
    constexpr int thresholds = detail::count_of<kinds::threshold, Stages...>;
    constexpr bool known = detail::count_of<kinds::unknown, Stages...> == 0;
    static_assert(known,
                  "a pipeline has a stage that is none: a sampler has step(level t, level s), a "
                  "network is called with "
                  "a tweedie::batch const&");
    if constexpr (known) {
      static_assert(schedules != 0, "a pipeline needs a schedule: write schedules::cosine{} | ...");
      static_assert(schedules < 2,
                    "a pipeline has one schedule, this one has several: remove all but one");
      if constexpr (schedules == 1) {
        static_assert(
            predictions != 0,
            "a pipeline needs what its network predicts: write ... | predicts::v{} | ...");
        static_assert(predictions < 2,
                      "a pipeline has one prediction, this one has several: remove all but one");
        if constexpr (predictions == 1) {
          static_assert(samplers != 0,
                        "a pipeline needs a sampler: write ... | samplers::ddim{} | ...");
          static_assert(samplers < 2,
                        "a pipeline has one sampler, this one has several: remove all but one");
          if constexpr (samplers == 1) {
            static_assert(
                networks != 0,
                "a pipeline needs a network: write ... | network, anything that is called with "
                "a tweedie::batch const&");
            static_assert(networks < 2,
                          "a pipeline has one network, this one has several: remove all but one");
            if constexpr (networks == 1) {
              static_assert(
                  guidances < 2,
                  "a pipeline has one guidance, this one has several: remove all but one");
              static_assert(
                  thresholds < 2,
                  "a pipeline has one threshold, this one has several: remove all but one");
              if constexpr (guidances < 2 && thresholds < 2) return symbols_fit();
            }
          }
        }
      }
    }
    return false;
  }

  /// The stages in their places, and the network.
  auto stage_set() const {
    auto make = []<class S, class P, class G, class T, class A>(S s, P p, G g, T t, A a) {
      return tweedie::stage_set<S, P, G, T, A>{s, p, g, t, a};
    };
    return make(detail::pick<kinds::schedule, int>(stages),
                detail::pick<kinds::parameterization, int>(stages),
                detail::pick<kinds::guidance, guidance::none>(stages),
                detail::pick<kinds::threshold, no_threshold>(stages),
                detail::pick<kinds::sampler, int>(stages));
  }
  /// What each structure does to memory and to the generator, known at compile time:
  /// `static_assert(decltype(pipeline)::facts()[0].reads == 3)`.
  static constexpr auto facts() {
    return compiled<decltype(std::declval<pipeline const&>().stage_set())>::facts;
  }
  /// No stage cuts a step: one kernel follows each evaluation of the network.
  static constexpr std::size_t kernels_per_evaluation = 1;

  auto network() const { return detail::pick<kinds::network, int>(stages); }

  /// The pipeline on a grid: `plan(grids::karras{}, 18)`. Throws tweedie::error where the grid does
  /// not fit the schedule or a number of a step is not finite.
  template <class Grid> auto plan(Grid const& grid, int evaluations) const {
    return on_levels([&](auto const& schedule) { return grid.levels(schedule, evaluations); });
  }
  auto plan(int evaluations) const { return plan(grids::uniform{}, evaluations); }

  /// Samples on the uniform grid.
  images sample(request const& r, label condition = {}) const {
    return sample(r, labels{condition.value});
  }
  images sample(request const& r, labels const& conditions) const {
    if constexpr (fits()) return plan(r.steps).sample(r, conditions);
    else return {};
  }

 private:
  static constexpr bool symbols_fit() {
    using p = decltype(detail::pick<kinds::parameterization, int>(
        std::declval<std::tuple<Stages...> const&>()));
    using s =
        decltype(detail::pick<kinds::sampler, int>(std::declval<std::tuple<Stages...> const&>()));
    constexpr bool of_raw =
        detail::only<detail::x_and_raw>(
            decltype(detail::mentioned(lift(std::declval<p const&>().x0_of(level{})))){}) &&
        detail::only<detail::x_and_raw>(
            decltype(detail::mentioned(lift(std::declval<p const&>().eps_of(level{})))){});
    static_assert(of_raw,
                  "a parameterization's x0_of(level) and eps_of(level) may use only x and raw");
    constexpr bool steps = detail::longest<s>() >= 0;
    static_assert(
        steps,
        "a sampler needs step(level t, level s): it is taken before its histories are filled");
    if constexpr (of_raw && steps) {
      constexpr bool all = detail::mentions_defined<s>(detail::kinds_of_step<s>{});
      static_assert(
          all,
          "a sampler uses a symbol that nobody defines: it may use x, x0, eps, score, v, velocity, "
          "raw, noise, "
          "past_x0<k> and past_eps<k> with k >= 1, and the keep<k> and let<k> that it assigns");
      return all;
    } else return false;
  }

  template <class Levels> auto on_levels(Levels levels) const {
    if constexpr (fits()) {
      auto const s = stage_set();
      return tweedie::plan<std::remove_const_t<decltype(s)>, decltype(network())>(
          s, network(), levels(s.schedule));
    } else return detail::no_plan{};
  }
};

}  // namespace tweedie
