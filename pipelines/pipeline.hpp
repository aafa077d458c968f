// schedule | parameterization | guidance | threshold | sampler | network
//
// Guidance and threshold may be left out; the order is free. A pipeline is a value; on a grid it
// becomes a plan.
#pragma once

#include <algorithm>
#include <tuple>

#include <tweedie/networks/guidance.hpp>
#include <tweedie/pipelines/plan.hpp>
#include <tweedie/schedules/check.hpp>
#include <tweedie/schedules/grids/uniform.hpp>

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
/// The first stage of a kind, or a default.
template <class Kind, class Default, class... Stages>
constexpr auto pick(std::tuple<Stages...> const& stages) {
  constexpr std::size_t i = place_of<Kind, Stages...>();
  if constexpr (i == sizeof...(Stages)) return Default{};
  else return std::get<i>(stages);
}

/// A guidance whose times are shares of the schedule's, in times; any other as it is.
template <class Guidance, class Schedule>
constexpr auto on_schedule(Guidance const& g, Schedule const& s) {
  if constexpr (requires { g.on_schedule(s); }) return g.on_schedule(s);
  else return g;
}

template <class Allowed, class... S> constexpr bool only(list<S...>) {
  return (Allowed::template has<S> && ...);
}
struct x_and_raw {
  template <class S>
  static constexpr bool has = std::is_same_v<S, sym::x> || std::is_same_v<S, sym::raw>;
};

// What a statement may read: what the stages answer; of the past, what has been seen; what earlier
// evaluations of the step kept; what earlier statements of the evaluation named.
template <class Kept, class Named, int Seen> struct readable {
  static constexpr bool seen(int rank, int base) { return rank > base && rank <= base + Seen; }
  template <class S>
  static constexpr bool has =
      is_answered<S> || is_noise<S> || is_broadcast<S> || std::is_same_v<S, sym::x> ||
      std::is_same_v<S, sym::known> || seen(S::rank, sym::past_x0<0>::rank) ||
      seen(S::rank, sym::past_eps<0>::rank) || among<S>(Kept{}) || among<S>(Named{});
};

template <class S> struct is_name : std::bool_constant<is_node<S>> {};

template <class Kept, class Named, int Seen> constexpr bool reads_defined(list<>) { return true; }
template <class Kept, class Named, int Seen, class Statement, class... Rest>
constexpr bool reads_defined(list<Statement, Rest...>) {
  using named = decltype(concat(Named{}, filter<is_name>(assigned(std::declval<Statement>()))));
  return only<readable<Kept, Named, Seen>>(decltype(mentioned(std::declval<Statement>())){}) &&
         reads_defined<Kept, named, Seen>(list<Rest...>{});
}

template <class Kept, int Seen> constexpr bool steps_defined(step_of<>*) { return true; }
template <class Kept, int Seen, class... Statement, class... Rest>
constexpr bool steps_defined(step_of<evaluation<Statement...>, Rest...>*) {
  using kept =
      decltype(concat(Kept{}, filter<loads>(assigned(std::declval<evaluation<Statement...>>()))));
  return reads_defined<Kept, list<>, Seen>(list<Statement...>{}) &&
         steps_defined<kept, Seen + 1>(static_cast<step_of<Rest...>*>(nullptr));
}

// A sampler that keeps values across steps may read them as soon as there was a step before.
template <class Sampler> constexpr bool keeps_across_steps() {
  if constexpr (requires { Sampler::keeps_across_steps; }) return Sampler::keeps_across_steps;
  else return false;
}
template <class Sampler, class Kind> auto kept_before() {
  if constexpr (keeps_across_steps<Sampler>() && (Kind::before > 0 || Kind::is_last))
    return filter<loads>(all_assigned<Sampler>(kinds_of_step<Sampler>{}));
  else return list<>{};
}
template <class Sampler, class... Kind> constexpr bool all_defined(list<Kind...>) {
  return (steps_defined<decltype(kept_before<Sampler, Kind>()), Kind::before>(
              static_cast<formula_of<Sampler, Kind>*>(nullptr)) &&
          ...);
}

template <class T> inline constexpr bool is_step = is_repeating_step<T>;
template <class... E> inline constexpr bool is_step<step_of<E...>> = true;
template <class Sampler, class... Kind> constexpr bool all_steps(list<Kind...>) {
  return (is_step<formula_of<Sampler, Kind>> && ...);
}

// A sampler that chooses its own levels, sample by sample, while it runs (pipelines/adaptive.hpp).
template <class... Stages> constexpr bool chooses_levels() {
  using s = decltype(pick<kinds::sampler, int>(std::declval<std::tuple<Stages...> const&>()));
  if constexpr (requires { s::is_capturable; }) return !s::is_capturable;
  else return false;
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

}  // namespace detail

template <class... Stages> struct pipeline {
  std::tuple<Stages...> stages;

  /// Whether the sampler chooses its own levels: then there is `sample`, but no plan.
  static constexpr bool is_adaptive = detail::chooses_levels<Stages...>();
  /// Whether the loop over the steps can be captured as a graph, since it asks the host nothing.
  static constexpr bool is_capturable = !is_adaptive;

  /// Whether the stages fit together. Where they don't, one static_assert says what is missing.
  static constexpr bool fits() {
    constexpr int schedules = detail::count_of<kinds::schedule, Stages...>;
    constexpr int predictions = detail::count_of<kinds::parameterization, Stages...>;
    constexpr int samplers = detail::count_of<kinds::sampler, Stages...>;
    constexpr int networks = detail::count_of<kinds::network, Stages...>;
    constexpr int guidances = detail::count_of<kinds::guidance, Stages...>;
    constexpr int thresholds = detail::count_of<kinds::threshold, Stages...>;
    constexpr int sources = detail::count_of<kinds::noise, Stages...>;
    constexpr bool known = detail::count_of<kinds::unknown, Stages...> == 0;
    constexpr bool grids = detail::count_of < kinds::grid, Stages... >> 0;
    static_assert(!grids,
                  "a pipeline has a grid among its stages, where there is no place for it: give it "
                  "to the plan, pipeline.plan(grids::karras{}, 18)");
    static_assert(
        known,
        "a pipeline has a stage that is none: a sampler has step(level t, level s), a "
        "network is called with a tweedie::batch const& (if its body does not compile, mend "
        "that first)");
    if constexpr (known && !grids) {
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
              static_assert(
                  sources < 2,
                  "a pipeline has one source of noise, this one has several: remove all but one");
              if constexpr (guidances < 2 && thresholds < 2 && sources < 2)
                return knows_conditions() && symbols_fit();
            }
          }
        }
      }
    }
    return false;
  }

  /// The stages in their places, and the network.
  auto stage_set() const {
    auto make = []<class S, class P, class G, class T, class A, class N>(S s, P p, G of, T t, A a,
                                                                         N n) {
      using buffers = decltype(detail::buffers_of<decltype(detail::pick<kinds::network, int>(
                                   std::declval<std::tuple<Stages...> const&>()))>());
      auto const g = detail::on_schedule(of, s);
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

  /// The pipeline on a grid: `plan(grids::karras{}, 18)`. Throws tweedie::error where the grid does
  /// not fit the schedule or a number of a step is not finite.
  template <class Grid> auto plan(Grid const& grid, int evaluations) const {
    return on_levels([&](auto const& schedule) { return grid.levels(schedule, evaluations); });
  }
  auto plan(int evaluations) const { return plan(grids::uniform{}, evaluations); }

  /// The same grid from its clean end to its noisy one: `start_at` clean samples and `run` encode
  /// them (Song et al. 2021, DDIM, section 4.3). Needs a deterministic sampler, as a type.
  template <class Grid> auto encoder(Grid const& grid, int evaluations) const {
    constexpr bool straight = is_deterministic;
    static_assert(straight,
                  "encoding follows the deterministic flow, this sampler draws noise: write "
                  "samplers::ddim{}, or another that draws none");
    if constexpr (straight)
      return on_levels([&](auto const& schedule) {
        auto levels = grid.levels(schedule, evaluations);
        std::ranges::reverse(levels);
        return levels;
      });
    else return detail::no_plan{};
  }
  auto encoder(int evaluations) const { return encoder(grids::uniform{}, evaluations); }

  /// Samples on the uniform grid, or by adaptive steps.
  images sample(request const& r, conditions const& given = {labels{no_label}},
                placement const& where = default_placement()) const {
    if constexpr (!fits()) return {};
    else if constexpr (is_adaptive) {
      if (!where.for_hosts())
        throw error(
            "adaptive steps were asked for on a device, expected a sampler with a grid: their host "
            "reads the size of each error");
      auto const s = stage_set();
      return s.sampler.integrate(s, network(), r, given).samples;
    } else return plan(r.steps).sample(r, given, where);
  }
  /// `sample(request, on(stream))`: without conditions, on a device.
  images sample(request const& r, placement const& where) const {
    return sample(r, {labels{no_label}}, where);
  }

 private:
  static constexpr bool knows_conditions() {
    using all = std::tuple<Stages...> const&;
    using guide = decltype(detail::pick<kinds::guidance, guidance::none>(std::declval<all>()));
    using net = decltype(detail::pick<kinds::network, int>(std::declval<all>()));
    constexpr bool knows = [] {
      if constexpr (requires { net::is_conditional; }) return net::is_conditional;
      else return true;
    }();
    constexpr bool can = knows || guide::branches == 1;
    static_assert(can,
                  "the guidance asks the network with and without a condition, and this network "
                  "takes none: remove the guidance, or give a network that is conditional");
    return can;
  }

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
    constexpr bool steps = is_adaptive || detail::longest<s>() >= 0;
    static_assert(
        steps,
        "a sampler needs step(level t, level s): it is taken before its histories are filled");
    if constexpr (is_adaptive) return of_raw;
    else if constexpr (of_raw && steps) {
      using kinds = detail::kinds_of_step<s>;
      constexpr bool whole = detail::all_steps<s>(kinds{});
      static_assert(whole,
                    "a sampler's step returns tweedie::step(...) or stages(at(level, ...), ...)");
      if constexpr (whole) {
        constexpr bool all = detail::all_defined<s>(kinds{});
        static_assert(
            all,
            "a sampler uses a symbol that nobody defines: it may use x, x0, eps, score, v, "
            "velocity, raw, noise, known and mask, past_x0<k> and past_eps<k> for the k levels "
            "that its "
            "step takes before t, a keep<k> of an earlier evaluation of the step and a "
            "let<k> of an earlier statement");
        return all && guidance_fits();
      }
    }
    return false;
  }

  static constexpr bool guidance_fits() {
    using all = std::tuple<Stages...> const&;
    using g = decltype(detail::pick<kinds::guidance, guidance::none>(std::declval<all>()));
    using s = decltype(detail::pick<kinds::sampler, int>(std::declval<all>()));
    if constexpr (!(detail::guides_x0<g> && detail::guides_eps<g>)) return true;
    else {
      constexpr bool both = detail::takes_x0_and_eps<s>(detail::kinds_of_step<s>{});
      static_assert(both,
                    "a guidance that guides x0 and eps apart, such as cfg_plus_plus, needs a "
                    "sampler whose steps read both: one in x and eps, or in x and x0, makes "
                    "another guidance of it, or none; write samplers::ddim{}");
      return both;
    }
  }

  template <class Levels> auto on_levels(Levels levels) const {
    static_assert(!is_adaptive,
                  "adaptive steps have no grid, and so no plan: call sample(request), or use a "
                  "sampler with step(level t, level s)");
    if constexpr (fits() && !is_adaptive) {
      auto const s = stage_set();
      auto const& schedule = s.schedule;
      schedules::check(schedule);
      auto const on = levels(schedule);
      schedules::check_levels(schedule, on);
      tweedie::plan<std::remove_const_t<decltype(s)>, decltype(network())> r(
          s, network(), on,
          {.at = [schedule](double t) { return schedule.at(t); },
           .at_rho = [schedule](double rho) { return schedule.at(schedule.t_of_rho(rho)); }});
      if constexpr (requires { s.guidance.when(); })
        r.check_guided(s.guidance.when(), schedule.end());
      return r;
    } else return detail::no_plan{};
  }
};

}  // namespace tweedie
