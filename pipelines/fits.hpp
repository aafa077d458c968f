// Whether each stage of a pipeline is what its kind says: what is asked of it is there, in the form
// in which it is called, and its formulas read what is there to be read. The first thing that is
// not so is one sentence.
//
// Each answer depends on one stage's type, so that it costs a program once and not once a pipeline.
#pragma once

#include <concepts>
#include <cstddef>
#include <iterator>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include <tweedie/dsl/language/batch.hpp>
#include <tweedie/pipelines/compiled.hpp>
#include <tweedie/pipelines/reads.hpp>
#include <tweedie/pipelines/steps.hpp>

namespace tweedie::detail {

/// Whether all symbols of a list are allowed: `allowed` is asked of each.
template <class Allowed, class... S>
constexpr bool only(list<S...>, [[maybe_unused]] Allowed allowed) {
  return (allowed(S::id) && ...);
}
/// The symbols that a value of a stage mentions.
template <assignable Value> constexpr auto mentioned_in() {
  if constexpr (symbol<Value>) return list<Value>{};
  else return decltype(mentioned(std::declval<Value>())){};
}

/// Of what is needed of a stage, the first that is not so; as many as there are where all are.
template <std::size_t N> constexpr std::size_t first_wrong(bool const (&needs)[N]) {
  std::size_t i = 0;
  while (i < N && needs[i]) ++i;
  return i;
}

// What a stage is asked, as the type of its answer; void where it has none.

template <class S> constexpr auto x0_of() {
  if constexpr (requires(S const& s, level const t) { s.x0_of(t); })
    return std::type_identity<decltype(std::declval<S const&>().x0_of(level{}))>{};
  else return std::type_identity<void>{};
}
template <class S> constexpr auto eps_of() {
  if constexpr (requires(S const& s, level const t) { s.eps_of(t); })
    return std::type_identity<decltype(std::declval<S const&>().eps_of(level{}))>{};
  else return std::type_identity<void>{};
}
template <class S> constexpr auto raw_of() {
  if constexpr (requires(S const& s, level const t) { s.raw_of(t); })
    return std::type_identity<decltype(std::declval<S const&>().raw_of(level{}))>{};
  else return std::type_identity<void>{};
}
template <class S> using x0_value = typename decltype(x0_of<S>())::type;
template <class S> using eps_value = typename decltype(eps_of<S>())::type;
template <class S> using raw_value = typename decltype(raw_of<S>())::type;

template <class S> constexpr bool schedule_fits() {
  constexpr bool at = requires(S const& s, double t) {
    { s.at(t) } -> std::same_as<level>;
  };
  constexpr bool end = requires(S const& s) {
    { s.end() } -> std::same_as<double>;
  };
  constexpr bool steps = requires(S const& s) {
    { s.table_steps() } -> std::same_as<int>;
  };
  constexpr bool inverse = requires(S const& s, double rho) {
    { s.t_of_rho(rho) } -> std::same_as<double>;
  };
  constexpr bool clean = requires(S const& s) {
    { s.clean() } -> std::same_as<level>;
  };
  constexpr bool needs[] = {at, end, steps, inverse, clean};
  constexpr std::size_t wrong = first_wrong(needs);
  static_assert(wrong != 0,
                "a schedule needs level at(double t) const: alpha, sigma and their derivatives "
                "at the time t");
  static_assert(wrong != 1, "a schedule needs double end() const: its largest time");
  static_assert(wrong != 2,
                "a schedule needs int table_steps() const: the steps of a table, 0 in continuous "
                "time");
  static_assert(wrong != 3,
                "a schedule needs double t_of_rho(double rho) const: the time at which sigma / "
                "alpha is rho");
  static_assert(wrong != 4,
                "a schedule needs level clean() const: the level of clean samples, alpha = 1 and "
                "sigma = 0");
  return wrong == std::size(needs);
}

template <class P> constexpr bool prediction_fits() {
  constexpr bool named = requires(P const& p) { std::string(p.name); };
  constexpr bool both = !std::is_void_v<x0_value<P>> && !std::is_void_v<eps_value<P>>;
  constexpr bool forms = linear<x0_value<P>> && linear<eps_value<P>>;
  constexpr bool of_raw = [] {
    if constexpr (both && forms)
      return only(mentioned_in<x0_value<P>>(), of_x_and_raw) &&
             only(mentioned_in<eps_value<P>>(), of_x_and_raw);
    else return true;
  }();
  constexpr bool sees_x = [] {
    if constexpr (scales_input<P>) {
      using input = decltype(std::declval<P const&>().input_of(level{}));
      if constexpr (linear<input>)
        return only(mentioned_in<input>(), [](symbol_id s) { return s == sym::x::id; });
      else return false;
    } else return true;
  }();
  constexpr auto input = [](auto& p, auto&... a) -> decltype(void(p.input_of(a...))) {};
  constexpr bool scales = scales_input<P> || !answers_somehow<P>(input);
  constexpr bool needs[] = {named, both, forms, of_raw, sees_x, scales};
  constexpr std::size_t wrong = first_wrong(needs);
  static_assert(wrong != 0,
                "a parameterization needs a name, which errors call it by: static constexpr char "
                "const* name");
  static_assert(wrong != 1,
                "a parameterization needs x0_of(level) const and eps_of(level) const, forms over x "
                "and raw: neither follows from the other where alpha or sigma is 0");
  static_assert(
      wrong != 2,
      "a parameterization's x0_of(level) and eps_of(level) are forms, linear in x and raw: "
      "what limits x0 is a threshold");
  static_assert(wrong != 3,
                "a parameterization's x0_of(level) and eps_of(level) may use only x and raw");
  static_assert(wrong != 4,
                "a parameterization's input_of(level), what the network sees, is a number times x");
  static_assert(wrong != 5,
                "a parameterization's input_of would never be called: it is auto input_of(level t) "
                "const, a number times x");
  return wrong == std::size(needs);
}

/// Whether a parameterization says what its network is trained on.
template <class P> constexpr bool target_fits() {
  constexpr bool there = requires(P const& p, level t) { p.target(t); };
  constexpr bool of_both = [] {
    if constexpr (there) {
      using target = decltype(std::declval<P const&>().target(level{}));
      if constexpr (linear<target>) return only(mentioned_in<target>(), of_x0_and_eps);
      else return false;
    } else return true;
  }();
  static_assert(there,
                "an objective trains a network on target(level) const, a form over x0 and eps, "
                "which this parameterization lacks");
  static_assert(of_both,
                "a parameterization's target(level) is a form over x0 and eps, and over score, v "
                "and velocity, which follow from them");
  return there && of_both;
}

template <class G> constexpr bool guidance_formulas_fit();

template <class G> constexpr bool guidance_fits() {
  constexpr bool counted = [] {
    if constexpr (requires { typename std::integral_constant<int, G::branches>; })
      return G::branches >= 0;
    else return false;
  }();
  constexpr bool guides = !std::is_void_v<raw_value<G>> || !std::is_void_v<x0_value<G>> ||
                          !std::is_void_v<eps_value<G>>;
  constexpr bool values = (std::is_void_v<raw_value<G>> || assignable<raw_value<G>>)&&(
      std::is_void_v<x0_value<G>> || assignable<x0_value<G>>)&&(std::is_void_v<eps_value<G>> ||
                                                                assignable<eps_value<G>>);
  // In a form in which none is called.
  constexpr auto raw = [](auto& g, auto&... a) -> decltype(void(g.raw_of(a...))) {};
  constexpr auto x0 = [](auto& g, auto&... a) -> decltype(void(g.x0_of(a...))) {};
  constexpr auto eps = [](auto& g, auto&... a) -> decltype(void(g.eps_of(a...))) {};
  constexpr auto kept = [](auto& g, auto&... a) -> decltype(void(g.remember(a...))) {};
  constexpr bool changes =
      (!guides_raw<G> && answers_somehow<G>(raw)) || (!guides_x0<G> && answers_somehow<G>(x0)) ||
      (!guides_eps<G> && answers_somehow<G>(eps)) || (!remembers<G> && answers_somehow<G>(kept));
  constexpr bool switched = hears_on<G>();
  constexpr bool asks = extras_of<G>() == 0 || requires(G const& g, batch const& b) {
    g.evaluate(b);
  };
  constexpr bool asked = extras_of<G>() > 0 || !requires(G & g, batch const& b) { g.evaluate(b); };
  constexpr bool needs[] = {counted, !changes, guides, values, asks, asked, switched};
  constexpr std::size_t wrong = first_wrong(needs);
  static_assert(wrong != 0,
                "a guidance says how many branches of the network it takes: static constexpr int "
                "branches = 2 are the conditional and the unconditional one");
  static_assert(wrong != 1,
                "a guidance's raw_of, x0_of, eps_of and remember are const and take a level: auto "
                "raw_of(level t) const; this one has one that would never be called");
  static_assert(
      wrong != 2,
      "a guidance needs raw_of(level) const, or x0_of(level) const or eps_of(level) const: "
      "without one of these names it guides nothing");
  static_assert(wrong != 3,
                "a guidance's raw_of, x0_of and eps_of return a form or a node, as out<1> + s * "
                "(out<0> - out<1>) or pointwise(f, out<0>, out<1>)");
  static_assert(
      wrong != 4,
      "a guidance with extras asks for them: void evaluate(batch const&) const, called as "
      "a network is");
  static_assert(wrong != 5,
                "a guidance with evaluate(batch const&) says how many outputs that writes: static "
                "constexpr int extras = 1");
  static_assert(wrong != 6,
                "a guidance's on would never be called: it is bool on(level t) const, whether the "
                "guidance is on at t");
  if constexpr (wrong == std::size(needs)) return guidance_formulas_fit<G>();
  else return false;
}

/// Whether a guidance's remember(level) is a step of one evaluation.
template <class G> constexpr bool remembers_by_a_step() {
  if constexpr (remembers<G>) {
    using step = decltype(std::declval<G const&>().remember(level{}));
    if constexpr (is_step<step>) return evaluations_in(static_cast<step*>(nullptr)) == 1;
    else return false;
  } else return true;
}

template <class G>
inline constexpr guidance_reads there_for{
    .branches = G::branches, .outputs = G::branches + extras_of<G>(), .memories = [] {
      if constexpr (remembers_by_a_step<G>())
        return static_cast<int>(decltype(remembered_by<G>())::size);
      else return 0;
    }()};

template <class Value> constexpr auto symbols_if_any() {
  if constexpr (std::is_void_v<Value>) return list<>{};
  else return mentioned_in<Value>();
}
template <class G> constexpr auto symbols_remembered() {
  if constexpr (remembers<G> && remembers_by_a_step<G>())
    return decltype(mentioned(std::declval<G const&>().remember(level{}))){};
  else return list<>{};
}
template <class G> constexpr bool keeps_memories_alone() {
  if constexpr (remembers_by_a_step<G>())
    return only(decltype(remembered_by<G>()){}, [](symbol_id s) { return there_for<G>.memory(s); });
  else return false;
}

/// Whether raw, or what follows from it, is among what is mentioned.
template <class... S> constexpr bool reads_raw(list<S...>) {
  return ((S::id == sym::raw::id || of_x0_and_eps(S::id)) || ... || false);
}

/// Whether what a guidance's formulas mention has each branch in it; where raw stays out<0> that
/// is.
template <class G, class Late, class... S> constexpr bool each_branch_read(list<S...>) {
  if constexpr (G::branches >= 1 && G::branches <= 20) {
    bool read[G::branches] = {};
    read[0] = std::is_void_v<raw_value<G>> && reads_raw(Late{});
    auto const mark = [&](symbol_id s) {
      if (guidance_reads::is_of_branch(s) && s.index < G::branches) read[s.index] = true;
    };
    (mark(S::id), ...);
    for (bool one : read)
      if (!one) return false;
  }
  return true;
}
template <class G> constexpr bool guidance_formulas_fit() {
  constexpr auto const& there = there_for<G>;
  using early = decltype(concat(symbols_if_any<raw_value<G>>(), symbols_remembered<G>()));
  using late = decltype(concat(symbols_if_any<x0_value<G>>(), symbols_if_any<eps_value<G>>()));
  using all = decltype(concat(early{}, late{}));
  constexpr bool sized = there.branches >= 1 && there.outputs <= 20 && conditions_of<G>() >= 1;
  constexpr bool written = only(
      all{}, [](symbol_id s) { return there_for<G>.output(s) || !guidance_reads::is_output(s); });
  constexpr bool kept = only(
      all{}, [](symbol_id s) { return there_for<G>.memory(s) || !guidance_reads::is_memory(s); });
  using heeded = decltype(concat(symbols_if_any<raw_value<G>>(), late{}));
  constexpr bool heeds =
      there.memories == 0 || !only(heeded{}, [](symbol_id s) { return !there_for<G>.memory(s); });
  constexpr bool first_known = only(early{}, [](symbol_id s) { return there_for<G>.early(s); });
  constexpr bool then_known = only(late{}, [](symbol_id s) { return there_for<G>.late(s); });
  constexpr bool all_read = each_branch_read<G, late>(all{});
  constexpr bool raw_read = std::is_void_v<raw_value<G>> || late::size == 0 || reads_raw(late{});
  constexpr bool needs[] = {sized,
                            conditions_of<G>() <= there.branches,
                            keeps_memories_alone<G>(),
                            written,
                            kept,
                            first_known,
                            then_known,
                            heeds,
                            all_read,
                            raw_read};
  constexpr std::size_t wrong = first_wrong(needs);
  static_assert(
      wrong != 0,
      "a guidance takes one branch and one condition or more, and branches and extras are "
      "20 at most");
  static_assert(
      wrong != 1,
      "a guidance has as many branches as conditions, or more: each condition's labels go "
      "to a branch of their own");
  static_assert(wrong != 2,
                "a guidance's remember(level) returns tweedie::step(memory<0> = ..., memory<1> = "
                "...), and nothing but the memories from 0 on");
  static_assert(
      wrong != 3,
      "a guidance reads an output that nobody writes: out<i>, branch_x0<i> and "
      "branch_eps<i> take i below branches + extras, and grad is the first of the extras");
  static_assert(wrong != 4, "a guidance reads a memory<k> that its remember(level) does not write");
  static_assert(wrong != 5,
                "a guidance's raw_of(level) and remember(level) may use x, out<i>, branch_x0<i>, "
                "branch_eps<i>, grad and memory<k>: x0 and eps are made of what raw_of gives");
  static_assert(wrong != 6,
                "a guidance's x0_of(level) and eps_of(level) may use x, raw, x0, eps, score, v, "
                "velocity, out<i>, branch_x0<i>, branch_eps<i>, grad and memory<k>");
  static_assert(
      wrong != 7,
      "a guidance remembers what it never reads: memory<k> stands in its raw_of, x0_of or "
      "eps_of, or there is no remember(level)");
  static_assert(
      wrong != 8,
      "a guidance never reads one of its branches, which the network is asked for in vain: "
      "out<i>, branch_x0<i> or branch_eps<i> stands in its formulas for each i below branches");
  static_assert(
      wrong != 9,
      "a guidance has a raw_of that is read by nothing: its x0_of and eps_of, which come after it, "
      "use raw, x0, eps, score, v or velocity, or it has no raw_of");
  return wrong == std::size(needs);
}

template <class T> constexpr bool threshold_fits() {
  constexpr bool both = !std::is_void_v<x0_value<T>> && !std::is_void_v<eps_value<T>>;
  constexpr bool values = assignable<x0_value<T>> && linear<eps_value<T>>;
  constexpr bool of_stages = [] {
    if constexpr (both && values)
      return only(mentioned_in<x0_value<T>>(), read_by_threshold) &&
             only(mentioned_in<eps_value<T>>(), read_by_threshold);
    else return true;
  }();
  constexpr bool needs[] = {both, values, of_stages};
  constexpr std::size_t wrong = first_wrong(needs);
  static_assert(wrong != 0,
                "a threshold needs x0_of(level) const and eps_of(level) const, which is +eps where "
                "eps stays as it is, and (x - t.alpha * x0) / t.sigma_below() where it follows x0");
  static_assert(wrong != 1,
                "a threshold's x0_of(level) returns a form or a node such as clamp(x0, -1, 1), its "
                "eps_of(level) a form, in which x0 is the new one");
  static_assert(wrong != 2,
                "a threshold may use x, x0, eps, raw, score, v and velocity: it stands between "
                "guidance and sampler, and knows neither branches nor noise");
  return wrong == std::size(needs);
}

/// What a network's buffers may hold.
template <class T>
inline constexpr bool is_element =
    std::is_same_v<T, float> || std::is_same_v<T, bfloat16> || std::is_same_v<T, float16>;

template <class N> constexpr bool network_fits() {
  constexpr bool called = std::invocable<N const&, batch const&>;
  constexpr bool checks = hears_request<N>();
  using buffers = decltype(buffers_of<N>());
  constexpr bool held = is_element<typename buffers::input> && is_element<typename buffers::output>;
  constexpr bool needs[] = {called, checks, held};
  constexpr std::size_t wrong = first_wrong(needs);
  static_assert(wrong != 0,
                "a network is called with a tweedie::batch const& and is const itself: void "
                "operator()(batch const& b) const");
  static_assert(wrong != 1,
                "a network's check would never be called: it is void check(std::span<std::size_t "
                "const> shape, std::span<int const> labels, int branches) const");
  static_assert(wrong != 2,
                "a network's input and output are float, bfloat16 or float16, which its buffers "
                "hold");
  return wrong == std::size(needs);
}
/// Whether a network that says what it answers answers what the pipeline takes it for.
template <class N, class Predicts> constexpr bool answers_as() {
  using own = typename prediction_of<N>::type;
  constexpr bool same = [] {
    if constexpr (std::is_void_v<own>) return true;
    else return std::is_base_of_v<own, Predicts>;  // itself, or what it is made of
  }();
  static_assert(same,
                "the network says that it answers another prediction than the pipeline's: give the "
                "stage predicts::... that its `using prediction = ...` names");
  return same;
}
template <class N> constexpr bool noise_fits() {
  constexpr bool called = std::invocable<N const&, noise_request const&>;
  static_assert(called,
                "a source of noise is called with a tweedie::noise_request const& and is const "
                "itself: void operator()(noise_request const& r) const");
  return called;
}

template <class S> constexpr bool check_is_called();

/// Whether a grid has levels for a schedule.
template <class Grid, class Schedule> constexpr bool grid_fits() {
  constexpr bool there = requires(Grid const& g, Schedule const& s, int evaluations) {
    { g.levels(s, evaluations) } -> std::same_as<std::vector<level>>;
  };
  static_assert(there,
                "a grid needs std::vector<level> levels(schedule, int evaluations) const for this "
                "schedule, from noisy to clean: a template, if it is for any schedule");
  if constexpr (there) return check_is_called<Grid>();
  return there;
}

// What a statement may read: what the stages answer; of the past, what has been seen; what earlier
// evaluations of the step kept; what earlier statements of the evaluation named.
template <class Kept, class Named, int Seen> struct readable {
  static constexpr bool seen(symbol_id s) {
    return (s.is == sym::word::past_x0 || s.is == sym::word::past_eps) && s.index > 0 &&
           s.index <= Seen;
  }
  template <class S>
  static constexpr bool has =
      (S::id.is_answered() && !guidance_reads::is_of_branch(S::id)) || S::id.is_noise() ||
      S::id.is_broadcast() || std::is_same_v<S, sym::x> || std::is_same_v<S, sym::known> ||
      seen(S::id) || mentions<S>(Kept{}) || mentions<S>(Named{});
};
template <class Allowed, class... S> constexpr bool only_of(list<S...>) {
  return (Allowed::template has<S> && ...);
}

template <template <class> class Keep, class... S>
auto filter(list<S...>)
    -> decltype(concat(std::conditional_t<Keep<S>::value, list<S>, list<>>{}...));
template <class S> struct is_name : std::bool_constant<S::id.is_node()> {};
template <class S> struct is_kept : std::bool_constant<S::id.is_buffer()> {};

template <class Kept, class Named, int Seen> constexpr bool reads_defined(list<>) { return true; }
template <class Kept, class Named, int Seen, class Statement, class... Rest>
constexpr bool reads_defined(list<Statement, Rest...>) {
  using named = decltype(concat(Named{}, filter<is_name>(assigned(std::declval<Statement>()))));
  return only_of<readable<Kept, Named, Seen>>(decltype(mentioned(std::declval<Statement>())){}) &&
         reads_defined<Kept, named, Seen>(list<Rest...>{});
}

template <class Kept, int Seen> constexpr bool steps_defined(step_of<>*) { return true; }
template <class Kept, int Seen, class... Statement, class... Rest>
constexpr bool steps_defined(step_of<evaluation<Statement...>, Rest...>*) {
  using kept =
      decltype(concat(Kept{}, filter<is_kept>(assigned(std::declval<evaluation<Statement...>>()))));
  return reads_defined<Kept, list<>, Seen>(list<Statement...>{}) &&
         steps_defined<kept, Seen + 1>(static_cast<step_of<Rest...>*>(nullptr));
}

// A sampler that keeps values across steps may read them as soon as there was a step before.
template <class Sampler, class Kind> auto kept_before() {
  if constexpr (keeps_across_steps<Sampler>() && (Kind::before > 0 || Kind::is_last))
    return filter<is_kept>(all_assigned<Sampler>(kinds_of_step<Sampler>{}));
  else return list<>{};
}
template <class Sampler, class... Kind> constexpr bool all_defined(list<Kind...>) {
  return (steps_defined<decltype(kept_before<Sampler, Kind>()), Kind::before>(
              static_cast<formula_of<Sampler, Kind>*>(nullptr)) &&
          ...);
}

template <class Sampler, class... Kind> constexpr bool all_steps(list<Kind...>) {
  return (is_step<formula_of<Sampler, Kind>> && ...);
}
template <class Sampler, class... Kind> constexpr bool all_assign_x(list<Kind...>) {
  return (mentions<sym::x>(decltype(assigned(std::declval<formula_of<Sampler, Kind>>())){}) && ...);
}

/// Whether first, last or enter are there in a form in which no step is taken.
template <class S> constexpr bool has_lost_ends() {
  constexpr bool last = requires(S const& s, level t) { s.last(t, t); }
  || requires(S const& s, level t, path const& p) { s.last(t, t, p); };
  constexpr bool lost_first =
      !has_first<S> &&
      (
          requires(S & s, level t) { s.first(t, t); } || requires(S & s, level t) { s.first(t); } ||
          requires(S & s) { s.first(); } ||
          requires(S & s, level t, path const& p) { s.first(t, t, p); });
  constexpr bool lost_last =
      !last &&
      (
          requires(S & s, level t) { s.last(t, t); } || requires(S & s, level t) { s.last(t); } ||
          requires(S & s) { s.last(); } || requires(S & s, level t) { s.last(t, t, t); });
  constexpr bool lost_enter = !has_enter<S> && (
                                                   requires(S & s, level t) { s.enter(t, t); } ||
                                                   requires(S & s, level t) { s.enter(t); } ||
                                                   requires(S & s) { s.enter(); });
  return lost_first || lost_last || lost_enter;
}

/// Whether what comes before a step reads nothing of the step: x there is not the network's yet.
template <class S> constexpr bool enters_with_noise() {
  if constexpr (has_enter<S>) {
    using entering = decltype(enter_of_sampler(std::declval<S const&>(), level{}, level{},
                                               std::declval<path const&>()));
    if constexpr (!is_step<entering>) return false;
    else if constexpr (evaluations_in(static_cast<entering*>(nullptr)) != 1) return false;
    else
      return only(decltype(assigned(std::declval<entering>())){},
                  [](symbol_id s) { return s == sym::x::id || s.is_node(); }) &&
             only(decltype(mentioned(std::declval<entering>())){}, [](symbol_id s) {
               return s.is_noise() || s.is_node() ||
                      is_any_of(s, {sym::x::id, sym::known::id, sym::mask::id});
             });
  } else return true;
}

template <class S> constexpr bool sampler_fits() {
  constexpr bool steps = longest<S>() >= 0;
  static_assert(
      steps,
      "a sampler needs step(level t, level s) const: it is taken before its histories are filled");
  if constexpr (steps) {
    using kinds = kinds_of_step<S>;
    constexpr bool whole = all_steps<S>(kinds{});
    static_assert(whole,
                  "a sampler's step returns tweedie::step(...) or stages(at(level, ...), ...)");
    if constexpr (whole) {
      constexpr bool lost = has_lost_ends<S>();
      constexpr bool moves = all_assign_x<S>(kinds{});
      constexpr bool stores = only(decltype(all_assigned<S>(kinds{})){}, [](symbol_id s) {
        return s == sym::x::id || s.is_node() || s.is == sym::word::keep;
      });
      constexpr bool defined = all_defined<S>(kinds{});
      constexpr bool enters = enters_with_noise<S>();
      constexpr bool needs[] = {!lost, moves, stores, defined, enters};
      constexpr std::size_t wrong = first_wrong(needs);
      static_assert(wrong != 0,
                    "a sampler's first, last or enter would never be called: it is written "
                    "first(level t, level s) const, and so are the others, last and enter with a "
                    "path const& besides if they want one");
      static_assert(
          wrong != 1,
          "a sampler's step assigns x, this one has a step, a first or a last that leaves "
          "it where it was: write x = ... in one of its evaluations");
      static_assert(wrong != 2,
                    "a sampler's step assigns x, keep<k> and let<k>, and no other symbol");
      static_assert(
          wrong != 3,
          "a sampler uses a symbol that nobody defines: it may use x, x0, eps, score, v, "
          "velocity, raw, noise, known and mask, past_x0<k> and past_eps<k> for the k levels "
          "that its "
          "step takes before t, a keep<k> of an earlier evaluation of the step and a "
          "let<k> of an earlier statement");
      static_assert(wrong != 4,
                    "a sampler's enter returns tweedie::step(x = ...) over x and noise, known and "
                    "mask: the network is asked after it, so that x0 and eps are not there yet");
      return wrong == std::size(needs);
    }
  }
  return false;
}

/// Whether a stage's check(), if it has one, is called.
template <class S> constexpr bool check_is_called() {
  constexpr bool checked = is_kind<S, kinds::network> || hears_check<S>();
  static_assert(checked,
                "a stage's check is void check() const, which throws a tweedie::error where its "
                "parameters make none: this one has another form and would not be heard");
  return checked;
}

/// What a stage without a kind of its own could be.
template <class S> inline constexpr bool answers_as_schedule = requires(S const& s, double t) {
  { s.at(t) } -> std::same_as<level>;
};
template <class S> inline constexpr bool answers_as_guidance = requires(S const& s, level const t) {
  s.raw_of(t);
};

}  // namespace tweedie::detail
