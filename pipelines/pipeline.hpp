// schedule | parameterization | guidance | threshold | sampler | network
//
// Guidance and threshold may be left out; the order is free. A pipeline is a value; on a grid it
// becomes a plan.
#pragma once

#include <algorithm>
#include <tuple>
#include <type_traits>
#include <utility>

#include <fmt/format.h>

#include <tweedie/dsl/language/hooks.hpp>
#include <tweedie/dsl/language/stage_format.hpp>
#include <tweedie/guidances/guidance.hpp>
#include <tweedie/pipelines/adaptive.hpp>
#include <tweedie/pipelines/fits.hpp>
#include <tweedie/pipelines/plan.hpp>
#include <tweedie/schedules/check.hpp>
#include <tweedie/schedules/grids/usual.hpp>

namespace tweedie {

namespace detail {

template <class Kind, class... Stages>
inline constexpr int count_of = (is_kind<Stages, Kind> + ... + 0);

/// Where the first stage of a kind is; behind the last where there is none.
template <class Kind, class... Stages> constexpr std::size_t place_of() {
  std::size_t i = 0;
  (void)((is_kind<Stages, Kind> || (++i, false)) || ...);
  return i;
}
/// Whether one of the stages that are none answers as `Resembles` asks.
template <template <class> class Resembles, class... Stages>
inline constexpr bool any_unknown =
    ((is_kind<Stages, kinds::unknown> && Resembles<Stages>::value) || ...);
template <class S> using like_schedule = std::bool_constant<answers_as_schedule<S>>;
template <class S> using like_guidance = std::bool_constant<answers_as_guidance<S>>;

/// What can be wrong with which stages there are.
enum class fault {
  none,
  grid_among_stages,
  schedule_without_kind,
  guidance_without_kind,
  no_stage,
  no_schedule,
  several_schedules,
  no_prediction,
  several_predictions,
  no_sampler,
  several_samplers,
  no_network,
  several_networks,
  several_guidances,
  several_thresholds,
  several_sources
};
/// The first that is.
template <class... Stages> constexpr fault fault_of() {
  constexpr auto count = []<class Kind>(Kind) { return count_of<Kind, Stages...>; };
  struct kind_of_stages {
    int count;
    fault none, several;
  };
  if (count(kinds::grid{}) > 0) return fault::grid_among_stages;
  if (any_unknown<like_schedule, Stages...>) return fault::schedule_without_kind;
  if (any_unknown<like_guidance, Stages...>) return fault::guidance_without_kind;
  kind_of_stages const all[] = {
      {count(kinds::schedule{}), fault::no_schedule, fault::several_schedules},
      {count(kinds::parameterization{}), fault::no_prediction, fault::several_predictions},
      {count(kinds::sampler{}), fault::no_sampler, fault::several_samplers},
      {count(kinds::network{}), fault::no_network, fault::several_networks},
      {count(kinds::guidance{}), fault::none, fault::several_guidances},
      {count(kinds::threshold{}), fault::none, fault::several_thresholds},
      {count(kinds::noise{}), fault::none, fault::several_sources}};
  std::size_t known = 0;
  for (kind_of_stages const& k : all) known += static_cast<std::size_t>(k.count);
  if (known != sizeof...(Stages)) return fault::no_stage;
  for (kind_of_stages const& k : all) {
    if (k.count == 0 && k.none != fault::none) return k.none;
    if (k.count > 1) return k.several;
  }
  return fault::none;
}

/// The first stage of a kind, or a default.
template <class Kind, class Default, class... Stages>
constexpr auto pick(std::tuple<Stages...> const& stages) {
  constexpr std::size_t i = place_of<Kind, Stages...>();
  if constexpr (i == sizeof...(Stages)) return Default{};
  else return std::get<i>(stages);
}

// A sampler that chooses its own levels, sample by sample, while it runs (pipelines/adaptive.hpp).
template <class... Stages> constexpr bool chooses_levels() {
  using s = decltype(pick<kinds::sampler, int>(std::declval<std::tuple<Stages...> const&>()));
  return requires { typename s::tableau; }
  &&requires { requires !s::is_capturable; };
}

struct facts_of_pipeline {
  std::size_t structures = 0, distinct = 0, evaluations = 0, last_evaluations = 0;
  kernel_facts step{.kernels = 0};
  int history = 0;
  bool deterministic = false, repeats = false;
};
/// What a pipeline's type says; nothing where its stages do not fit.
template <class Pipeline> constexpr facts_of_pipeline about() {
  facts_of_pipeline r;
  if constexpr (!Pipeline::is_adaptive && Pipeline::fits()) {
    using code = compiled<decltype(std::declval<Pipeline const&>().stage_set())>;
    using inner = inner_step<code::longest>;
    r.structures = code::structures::size;
    r.distinct = code::distinct;
    r.history = std::max(code::past_x0, code::past_eps);
    r.deterministic =
        std::ranges::all_of(code::facts, [](auto const& f) { return f.deterministic(); });
    [&]<class... S>(list<S...>) {
      std::size_t i = 0;
      auto const add = [&]<class One>(One) {
        kernel_facts const& f = code::facts[i++];
        if (!One::guided) return;
        if (One::kind::is_last) ++r.last_evaluations;
        if (!std::is_same_v<typename One::kind, inner>) return;
        ++r.evaluations;
        r.step.reads += f.reads;
        r.step.writes += f.writes;
        r.step.kernels += f.kernels;
        r.step.bytes_per_element += f.bytes_per_element;
        r.step.noise_streams += f.noise_streams;
      };
      (add(S{}), ...);
    }(typename code::structures{});
    r.repeats = is_repeating_step<formula_of<typename code::sampler, inner>> ||
                is_repeating_step<formula_of<typename code::sampler, last_step>>;
  }
  return r;
}

/// A number of evaluations that was forgotten.
struct not_given {};

// What plan() returns where the stages do not fit, so that the sentence is the only error.
struct no_plan {
  struct row {};
  std::vector<level> levels() const { return {}; }
  std::size_t steps() const { return 0; }
  std::size_t network_evaluations() const { return 0; }
  std::vector<row> rows() const { return {}; }
  no_plan from(std::size_t) const { return {}; }
  state start(request const&, conditions const& = {labels{}}, placement const& = {}) const {
    return {};
  }
  state start_at(images const&, request const&, conditions const& = {labels{}},
                 placement const& = {}) const {
    return {};
  }
  state start_from(images const&, request const&, conditions const& = {labels{}},
                   placement const& = {}) const {
    return {};
  }
  void advance(state&) const {}
  bool finished(state const&) const { return true; }
  images run(state const&) const { return {}; }
  images sample(request const&, conditions const& = {labels{}}, placement const& = {}) const {
    return {};
  }
  images sample(request const&, placement const&) const { return {}; }
};

inline std::string explain(no_plan const&) { return {}; }
inline std::string explain_step(no_plan const&, std::size_t) { return {}; }

}  // namespace detail

template <class... Stages> struct pipeline {
  std::tuple<Stages...> stages;

  /// Whether the sampler chooses its own levels: then there is `sample`, but no plan.
  static constexpr bool is_adaptive = detail::chooses_levels<Stages...>();
  /// Whether the loop over the steps can be captured as a graph, since it asks the host nothing.
  static constexpr bool is_capturable = !is_adaptive;

  /// Whether the stages fit together. Where they don't, one static_assert says what is missing.
  static constexpr bool fits() {
    using detail::fault;
    constexpr fault found = detail::fault_of<Stages...>();
    static_assert(found != fault::grid_among_stages,
                  "a pipeline has a grid among its stages, where there is no place for it: give it "
                  "to the plan, pipeline.plan(grids::karras{}, 18)");
    static_assert(found != fault::schedule_without_kind,
                  "a pipeline has a stage that answers as a schedule does and has no kind: write "
                  "using kind = kinds::schedule; in it");
    static_assert(found != fault::guidance_without_kind,
                  "a pipeline has a stage that answers as a guidance does and has no kind: write "
                  "using kind = kinds::guidance; in it");
    static_assert(
        found != fault::no_stage,
        "a pipeline has a stage that is none: a sampler has step(level t, level s) const, a "
        "network is called with a tweedie::batch const& and is const, all else has a kind, such as "
        "using kind = kinds::schedule (if a body does not compile, mend that first)");
    static_assert(found != fault::no_schedule,
                  "a pipeline needs a schedule: write schedules::cosine{} | ...");
    static_assert(found != fault::several_schedules,
                  "a pipeline has one schedule, this one has several: remove all but one");
    static_assert(found != fault::no_prediction,
                  "a pipeline needs what its network predicts: write ... | predicts::v{} | ...");
    static_assert(found != fault::several_predictions,
                  "a pipeline has one prediction, this one has several: remove all but one");
    static_assert(found != fault::no_sampler,
                  "a pipeline needs a sampler: write ... | samplers::ddim{} | ...");
    static_assert(found != fault::several_samplers,
                  "a pipeline has one sampler, this one has several: remove all but one");
    static_assert(found != fault::no_network,
                  "a pipeline needs a network: write ... | network, anything that is called with a "
                  "tweedie::batch const&");
    static_assert(found != fault::several_networks,
                  "a pipeline has one network, this one has several: remove all but one");
    static_assert(found != fault::several_guidances,
                  "a pipeline has one guidance, this one has several: remove all but one");
    static_assert(found != fault::several_thresholds,
                  "a pipeline has one threshold, this one has several: remove all but one");
    static_assert(found != fault::several_sources,
                  "a pipeline has one source of noise, this one has several: remove all but one");
    if constexpr (found == fault::none)
      if constexpr ((detail::check_is_called<Stages>() && ...)) return all_fit();
    return false;
  }

  /// The stages in their places, and the network.
  auto stage_set() const {
    auto make = []<class S, class P, class G, class T, class A, class N>(S s, P p, G of, T t, A a,
                                                                         N n) {
      using buffers = decltype(detail::buffers_of<decltype(detail::pick<kinds::network, int>(
                                   std::declval<std::tuple<Stages...> const&>()))>());
      auto const g = guidance::detail::in_times(of, s);
      return tweedie::stage_set<S, P, std::remove_const_t<decltype(g)>, T, A, N, buffers>{s, p, g,
                                                                                          t, a, n};
    };
    return make(detail::pick<kinds::schedule, int>(stages),
                detail::pick<kinds::parameterization, int>(stages),
                detail::pick<kinds::guidance, guidance::none>(stages),
                detail::pick<kinds::threshold, no_threshold>(stages),
                detail::pick<kinds::sampler, int>(stages),
                detail::pick<kinds::noise, drawn_noise>(stages));
  }
  /// What each structure does to memory and to the generator, known at compile time:
  /// `static_assert(p.facts()[0].reads == 3)`.
  static constexpr auto facts() {
    if constexpr (is_adaptive) return std::array<kernel_facts, 1>{};
    else if constexpr (fits())
      return compiled<decltype(std::declval<pipeline const&>().stage_set())>::facts;
    else return std::array<kernel_facts, 1>{};
  }

  /// Of a pipeline as a whole, constants of its type: `static_assert(p.kernels == 1)`. A
  /// step here is one that has seen all the levels its sampler looks back to, guided.
  static constexpr std::size_t structures = detail::about<pipeline>().structures;
  static constexpr std::size_t distinct_kernels = detail::about<pipeline>().distinct;
  static constexpr std::size_t kernels = detail::about<pipeline>().step.kernels;  ///< of a step
  static constexpr std::size_t reads = detail::about<pipeline>().step.reads;      ///< of a step
  static constexpr std::size_t writes = detail::about<pipeline>().step.writes;    ///< of a step
  static constexpr std::size_t bytes_per_element = detail::about<pipeline>().step.bytes_per_element;
  static constexpr int history = detail::about<pipeline>().history;  ///< evaluations remembered
  static constexpr bool is_deterministic = detail::about<pipeline>().deterministic;
  /// Evaluations of the network in n steps to a clean end, from a level where alpha > 0.
  static constexpr std::size_t network_evaluations(std::size_t n) {
    constexpr auto of = detail::about<pipeline>();
    static_assert(!of.repeats,
                  "how often the evaluations of this step are repeated is a value: ask the plan, "
                  "plan.network_evaluations()");
    return n == 0 ? 0 : (n - 1) * of.evaluations + of.last_evaluations;
  }

  auto network() const { return detail::pick<kinds::network, int>(stages); }

  /// `plan(n)` where n is no int, but becomes one: it is no grid.
  template <class Grid, class Evaluations>
  static constexpr bool is_a_number_alone =
      std::is_same_v<Evaluations, detail::not_given>&& std::is_convertible_v<Grid const&, int>;
  /// Whether a number of evaluations is one: a bool or a double would become an int in silence.
  template <class Evaluations>
  static constexpr bool is_whole = std::is_same_v<Evaluations, detail::not_given> ||
                                   (std::is_convertible_v<Evaluations const&, int> &&
                                    !std::is_floating_point_v<Evaluations> &&
                                    !std::is_same_v<Evaluations, bool> &&
                                    !std::is_same_v<Evaluations, char>);
  template <class Evaluations> static constexpr bool counts() {
    // Of what is no number at all the order of the arguments is the sentence.
    constexpr bool counted =
        is_whole<Evaluations> || !std::is_convertible_v<Evaluations const&, int>;
    static_assert(counted,
                  "a number of evaluations is an int: write plan(10) or plan(grids::karras{}, 10)");
    return is_whole<Evaluations>;
  }
  /// As an int. Throws where it is none.
  template <class Evaluations> static int count_of(Evaluations const& evaluations) {
    if constexpr (std::is_integral_v<Evaluations> && !std::is_same_v<Evaluations, char>)
      if (!std::in_range<int>(evaluations))
        throw error(fmt::format("{} steps were asked for, expected at most {}", evaluations,
                                grids::most_evaluations));
    return static_cast<int>(evaluations);
  }

  /// The pipeline on a grid: `plan(grids::karras{}, 18)`. Throws tweedie::error where the grid does
  /// not fit the schedule or a number of a step is not finite.
  template <class Grid, class Evaluations = detail::not_given>
  requires(!is_a_number_alone<Grid, Evaluations>) auto plan(
      Grid const& grid, Evaluations const& evaluations = {}) const {
    if constexpr (goes_with<Grid, Evaluations>())
      return on_levels([&](auto const& schedule) {
        return grids::levels_of(grid, schedule, count_of(evaluations));
      });
    else return detail::no_plan{};
  }
  /// On the schedule's usual grid: uniform, on edm karras.
  template <class Number = int>
  requires(is_a_number_alone<Number, detail::not_given>) auto plan(
      Number const& evaluations) const {
    if constexpr (counts<Number>()) return plan(grids::usual{}, count_of(evaluations));
    else return detail::no_plan{};
  }

  /// The same grid from its clean end to its noisy one: `start_at` clean samples and `run` encode
  /// them (Song et al. 2021, DDIM, section 4.3). Needs a deterministic sampler, as a type.
  template <class Grid, class Evaluations = detail::not_given>
  requires(!is_a_number_alone<Grid, Evaluations>) auto encoder(
      Grid const& grid, Evaluations const& evaluations = {}) const {
    constexpr bool on_a_grid = goes_with<Grid, Evaluations>();
    constexpr bool straight = !on_a_grid || is_deterministic;
    static_assert(straight,
                  "encoding follows the deterministic flow, this sampler draws noise: write "
                  "samplers::ddim{}, or another that draws none");
    if constexpr (straight && on_a_grid)
      return on_levels([&](auto const& schedule) {
        auto levels = grids::levels_of(grid, schedule, count_of(evaluations));
        std::ranges::reverse(levels);
        return levels;
      });
    else return detail::no_plan{};
  }
  template <class Number = int>
  requires(is_a_number_alone<Number, detail::not_given>) auto encoder(
      Number const& evaluations) const {
    if constexpr (counts<Number>()) return encoder(grids::usual{}, count_of(evaluations));
    else return detail::no_plan{};
  }

  /// Samples on the schedule's usual grid, or by adaptive steps.
  images sample(request const& r, conditions const& given = {labels{no_label}},
                placement const& where = default_placement()) const {
    if constexpr (!fits()) return {};
    else if constexpr (is_adaptive) {
      if (!where.for_hosts())
        throw error(
            "adaptive steps were asked for on a device, expected a sampler with a grid: their host "
            "reads the size of each error");
      return detail::integrate_adaptively(stage_set(), network(), r, given).samples;
    } else return plan(r.steps).sample(r, given, where);
  }
  /// `sample(request, on(stream))`: without conditions, on a device.
  images sample(request const& r, placement const& where) const {
    return sample(r, {labels{no_label}}, where);
  }
  template <class Grid>
  requires is_kind<Grid, kinds::grid> images sample(request const&, Grid const&,
                                                    conditions const& = {labels{}})
  const {
    static_assert(detail::never<Grid>,
                  "sample(request) takes no grid: write plan(grid, evaluations).sample(request)");
    return {};
  }

 private:
  template <class Kind, class Default>
  using stage_of =
      decltype(detail::pick<Kind, Default>(std::declval<std::tuple<Stages...> const&>()));

  static constexpr bool all_fit() {
    using schedule = stage_of<kinds::schedule, int>;
    using prediction = stage_of<kinds::parameterization, int>;
    using guide = stage_of<kinds::guidance, guidance::none>;
    using threshold = stage_of<kinds::threshold, no_threshold>;
    using sampler = stage_of<kinds::sampler, int>;
    using net = stage_of<kinds::network, int>;
    using source = stage_of<kinds::noise, drawn_noise>;
    if constexpr (detail::schedule_fits<schedule>())
      if constexpr (detail::prediction_fits<prediction>())
        if constexpr (detail::guidance_fits<guide>())
          if constexpr (detail::network_fits<net>())
            if constexpr (knows_conditions<guide, net>() && detail::answers_as<net, prediction>()) {
              constexpr bool clips = [] {
                if constexpr (std::is_same_v<threshold, no_threshold>) return true;
                else return detail::threshold_fits<threshold>();
              }();
              if constexpr (clips) {
                constexpr bool draws = [] {
                  if constexpr (std::is_same_v<source, drawn_noise>) return true;
                  else return detail::noise_fits<source>();
                }();
                if constexpr (is_adaptive || !draws) return draws;
                else if constexpr (detail::sampler_fits<sampler>())
                  return sees_guidance<guide, sampler>() && sees_threshold<threshold, sampler>();
              }
            }
    return false;
  }

  template <class Guide, class Net> static constexpr bool knows_conditions() {
    constexpr bool can = detail::is_conditional<Net>() || Guide::branches == 1;
    static_assert(can,
                  "the guidance asks the network with and without a condition, and this network "
                  "takes none: remove the guidance, or give a network that is conditional");
    return can;
  }

  /// Whether plan(grid, evaluations) is called with a grid and a number.
  template <class Grid, class Evaluations> static constexpr bool goes_with() {
    constexpr bool in_order = std::is_convertible_v<Evaluations const&, int>;
    static_assert(in_order,
                  "a plan takes the grid first and then the number of evaluations: write "
                  "plan(grids::karras{}, 10)");
    if constexpr (in_order) {
      if constexpr (counts<Evaluations>() && fits())
        return detail::grid_fits<Grid, stage_of<kinds::schedule, int>>();
    }
    return false;
  }

  /// Throws where a network of the pipeline's prediction has other parameters of it.
  template <class Predicts> void check_answers(Predicts const& predicts) const {
    if constexpr (requires {
                    requires std::is_same_v<std::remove_cvref_t<decltype(network().predicts)>,
                                            Predicts>;
                    Predicts::fields;
                  })
      if (auto const own = fmt::format("{}", network().predicts), of = fmt::format("{}", predicts);
          own != of)
        throw error(fmt::format(
            "the network answers {} and the pipeline takes it for {}; expected the same parameters",
            own, of));
  }

  /// Whether the sampler's formulas see what the threshold does, where it leaves eps.
  template <class Threshold, class Sampler> static constexpr bool sees_threshold() {
    if constexpr (std::is_same_v<Threshold, no_threshold>) return true;
    else if constexpr (std::is_same_v<decltype(lift(
                                          std::declval<Threshold const&>().eps_of(level{}))),
                                      form<sym::eps>>) {
      constexpr bool limits = detail::takes_x0<Sampler>(detail::kinds_of_step<Sampler>{});
      static_assert(
          limits,
          "a threshold that leaves eps, such as clip_x0_only, limits nothing of a sampler "
          "whose steps read eps alone: write thresholds::clip, or a sampler that reads "
          "x0, such as samplers::ddim{}");
      return limits;
    } else return true;
  }

  /// Whether the sampler's formulas see what the guidance does to x0 and to eps.
  template <class Guide, class Sampler> static constexpr bool sees_guidance() {
    if constexpr (detail::guides_x0<Guide> && detail::guides_eps<Guide>) {
      constexpr bool both = detail::takes_x0_and_eps<Sampler>(detail::kinds_of_step<Sampler>{});
      static_assert(both,
                    "a guidance that guides x0 and eps apart, such as cfg_plus_plus, needs a "
                    "sampler whose steps read both: one in x and eps, in x and x0, or along v, "
                    "makes another guidance of it, or none; write samplers::ddim{}");
      return both;
    } else return true;
  }

  template <class Levels> auto on_levels(Levels levels) const {
    static_assert(!is_adaptive,
                  "adaptive steps have no grid, and so no plan: call sample(request), or use a "
                  "sampler with step(level t, level s)");
    if constexpr (fits() && !is_adaptive) {
      auto const s = stage_set();
      auto const& schedule = s.schedule;
      schedules::check(schedule);
      detail::call_check(s.noise);
      check_answers(s.predicts);
      auto const on = levels(schedule);
      schedules::check_levels(schedule, on);
      tweedie::plan<std::remove_const_t<decltype(s)>, decltype(network())> r(
          s, network(), on, schedules::path_along(schedule));
      if constexpr (detail::can_be_off<std::remove_cvref_t<decltype(s.guidance)>>) {
        if constexpr (requires { s.guidance.when(); })
          r.check_guided(s.guidance.when(), schedule.end());
        else
          r.check_guided("a guidance of one's own",
                         "one whose on(level) is true somewhere, or guidance::none");
      }
      return r;
    } else return detail::no_plan{};
  }
};

}  // namespace tweedie
