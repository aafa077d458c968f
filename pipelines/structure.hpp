// The kinds of step that a pipeline has, and what each becomes: one fused program per evaluation of
// the network.
//
// A sampler's step before a clean end is its `last`, from alpha = 0 its `first`, and `step` with as
// many levels as have been seen otherwise. Where a guidance is off the step is a structure of its
// own, without the unconditional branch.
#pragma once

#include <array>
#include <cstddef>
#include <tuple>
#include <type_traits>
#include <utility>

#include <boost/hana/length.hpp>
#include <boost/hana/set.hpp>
#include <boost/hana/tuple.hpp>

#include <tweedie/dsl/fuse.hpp>
#include <tweedie/dsl/path.hpp>
#include <tweedie/dsl/stage.hpp>

namespace tweedie {

/// No threshold.
struct no_threshold {};
/// Noise is drawn by Philox inside the kernels.
struct drawn_noise {};

/// How a network reads and writes: what its buffers hold, and whether each branch has an input of
/// its own.
template <class Input, class Output, bool Duplicates> struct network_buffers {
  using input = Input;
  using output = Output;
  static constexpr bool duplicates = Duplicates;
  static constexpr bool plain =
      std::is_same_v<Input, float> && std::is_same_v<Output, float> && !Duplicates;
  /// What a symbol's buffer holds.
  template <class S>
  using of =
      std::conditional_t < S::rank >= sym::net_in<0>::rank &&S::rank < sym::net_in<0>::rank + 20,
        Input,
        std::conditional_t<S::rank >= sym::out<0>::rank &&
                           S::rank<sym::out<0>::rank + 20, Output, float>>;
};

namespace detail {

template <class Network> constexpr auto buffers_of() {
  auto const input = [] {
    if constexpr (requires { typename Network::input; }) return typename Network::input{};
    else return float{};
  }();
  auto const output = [] {
    if constexpr (requires { typename Network::output; }) return typename Network::output{};
    else return float{};
  }();
  constexpr bool duplicates = requires { requires Network::input_per_branch; };
  return network_buffers<std::remove_const_t<decltype(input)>,
                         std::remove_const_t<decltype(output)>, duplicates>{};
}

}  // namespace detail

/// The stages of a complete pipeline, each in its place.
template <class Schedule, class Predicts, class Guidance, class Threshold, class Sampler,
          class Noise = drawn_noise, class Buffers = network_buffers<float, float, false>>
struct stage_set {
  using buffers = Buffers;
  Schedule schedule;
  Predicts predicts;
  Guidance guidance;
  Threshold threshold;
  Sampler sampler;
  Noise noise = {};
};

namespace detail {

// Kinds of step. `levels` points at the level t the step starts from; the levels before and after
// lie around it.

template <int Before> struct inner_step {
  static constexpr bool is_last = false;
  static constexpr int before = Before;
  static std::string name() {
    return Before == 0   ? "step"
           : Before == 1 ? "step, one level before t"
                         : "step, several levels before t";
  }
  template <class Sampler>
  static auto formula(Sampler const& s, level const* levels, path const& p) {
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
      if constexpr (requires { s.step(levels[static_cast<std::ptrdiff_t>(I) - Before]..., p); })
        return s.step(levels[static_cast<std::ptrdiff_t>(I) - Before]..., p);
      else return s.step(levels[static_cast<std::ptrdiff_t>(I) - Before]...);
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
    using namespace symbols;
    if constexpr (requires { s.last(levels[0], levels[1], p); })
      return s.last(levels[0], levels[1], p);
    else if constexpr (requires { s.last(levels[0], levels[1]); })
      return s.last(levels[0], levels[1]);
    else return step(x = levels[1].alpha * x0);
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

template <class Sampler> inline constexpr bool has_first = requires(Sampler const& s, level l) {
  s.first(l, l);
};

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

template <class... S> list<S...> mentioned(form<S...>);
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
template <class... S>
auto mentioned(evaluation<S...>) -> decltype(concat(mentioned(std::declval<S>())...));
template <class... E>
auto mentioned(step_of<E...>) -> decltype(concat(mentioned(std::declval<E>())...));

/// The largest K of a family of symbols with ranks Base + K, -1 where none is there.
template <int Base, class... S> constexpr int largest_index(list<S...>) {
  int r = -1;
  ((r = S::rank >= Base && S::rank < Base + 100 && S::rank - Base > r ? S::rank - Base : r), ...);
  return r;
}

template <class Sampler, class... Kind>
auto all_mentioned(list<Kind...>)
    -> decltype(concat(mentioned(std::declval<formula_of<Sampler, Kind>>())...));

template <class Target, class V> list<Target> assigned(assignment<Target, V>);
template <class... S>
auto assigned(evaluation<S...>) -> decltype(concat(assigned(std::declval<S>())...));
template <class... E>
auto assigned(step_of<E...>) -> decltype(concat(assigned(std::declval<E>())...));
template <class Sampler, class... Kind>
auto all_assigned(list<Kind...>)
    -> decltype(concat(assigned(std::declval<formula_of<Sampler, Kind>>())...));

template <class Guidance> inline constexpr bool can_be_off = requires(Guidance const& g, level t) {
  g.on(t);
};

// What the stages make of a single branch, for a guidance whose formula is in x0 or eps; and the
// noise that the caller gives, under its own symbols.
template <class Stages> struct stage_branches {
  Stages const* stages;
  level t;

  template <int I> auto predicts_of() const {
    if constexpr (requires { stages->guidance.template predicts_of<I>(stages->predicts); })
      return stages->guidance.template predicts_of<I>(stages->predicts);
    else return stages->predicts;
  }
  template <int I> auto of_branch() const {
    return make_answers(t, lift(sym::out<I>{}), form<>{}, form<>{});
  }
  template <int I> auto x0_of() const {
    return substitute(of_branch<I>(), lift(predicts_of<I>().x0_of(t)));
  }
  template <int I> auto eps_of() const {
    return substitute(of_branch<I>(), lift(predicts_of<I>().eps_of(t)));
  }
  template <int K>
  auto noise_of(sym::noise_stream<K>) const
      requires(!std::is_same_v<decltype(Stages::noise), drawn_noise>) {
    return lift(sym::given_noise<K>{});
  }
};

/// The form that answers a symbol, and the lines that come before it.
template <class Before, class Value> struct answered {
  Before before;
  Value value;
};

/// A value of a stage: a form stays one, an expression becomes a node under `Name`.
template <class Name, class A, class Before, class Value>
auto answer_of_stage(A const& a, Before const& before, Value const& value) {
  if constexpr (linear<Value>)
    return answered<Before, decltype(substitute(a, lift(value)))>{before,
                                                                  substitute(a, lift(value))};
  else {
    auto const one = lower<Before::nodes, Before::reduced>(a, assignment<Name, Value>{value});
    using type = std::remove_const_t<decltype(one)>;
    auto const lines = make_lowered<type::nodes, type::reduced>(
        std::tuple_cat(before.lines, one.lines), before.value);
    return answered<std::remove_const_t<decltype(lines)>, form<Name>>{lines, lift(Name{})};
  }
}
template <class Before, class Value> answered<Before, Value> answer_by(Before before, Value value) {
  return {before, value};
}

template <class G>
concept guides_raw = requires(G const& g, level t) {
  g.raw_of(t);
};
template <class G>
concept guides_x0 = requires(G const& g, level t) {
  g.x0_of(t);
};
template <class G>
concept guides_eps = requires(G const& g, level t) {
  g.eps_of(t);
};
template <class G>
concept remembers = requires(G const& g, level t) {
  g.remember(t);
};

/// What the kernel after an evaluation has to know of what comes next.
struct upcoming {
  level where;  ///< the level the network sees next
  level t, s;   ///< the next step's
};

/// One evaluation fused: the stages' answers at its level, then its statements. `Stored` are the
/// statements with what is stored for later evaluations.
template <bool Guided, class Stages, class... Stored>
auto fuse_evaluation(Stages const& stages, level t, std::tuple<Stored...> const& stored) {
  using namespace symbols;
  using guidance_type = std::remove_cvref_t<decltype(stages.guidance)>;
  stage_branches<Stages> const branches{&stages, t};
  auto const of_branches = make_answers(t, lift(out<0>), form<>{}, form<>{}, branches);

  // What the guidance remembers is made of the branches.
  auto const remembered = [&] {
    if constexpr (Guided && remembers<guidance_type>)
      return std::apply(
          [&](auto const&... s) {
            return lower_all<0, 0>(of_branches, std::tuple<>{}, std::tuple<>{}, s...);
          },
          std::get<0>(stages.guidance.remember(t).evaluations).statements);
    else return nothing_before;
  }();
  auto const raw_now = [&] {
    if constexpr (Guided && guides_raw<guidance_type>)
      return answer_of_stage<sym::guided_raw>(of_branches, remembered, stages.guidance.raw_of(t));
    else return answer_by(remembered, lift(out<0>));
  }();
  auto const of_raw = make_answers(t, raw_now.value, form<>{}, form<>{}, branches);
  auto const predicted =
      make_answers(t, raw_now.value, substitute(of_raw, lift(stages.predicts.x0_of(t))),
                   substitute(of_raw, lift(stages.predicts.eps_of(t))), branches);

  // A guidance in x0 or eps stands after the parameterization; of the two, what it does not give
  // follows from x = alpha x0 + sigma eps.
  constexpr bool in_x0 = Guided && guides_x0<guidance_type>;
  constexpr bool in_eps = Guided && guides_eps<guidance_type>;
  auto const x0_now = [&] {
    if constexpr (in_x0)
      return answer_of_stage<sym::guided_x0>(predicted, raw_now.before, stages.guidance.x0_of(t));
    else return answer_by(raw_now.before, predicted.x0);
  }();
  auto const eps_now = [&] {
    if constexpr (in_eps)
      return answer_of_stage<sym::guided_eps>(predicted, x0_now.before, stages.guidance.eps_of(t));
    else if constexpr (in_x0)
      return answer_by(x0_now.before, (x - t.alpha * x0_now.value) / t.sigma);
    else return answer_by(x0_now.before, predicted.eps);
  }();
  auto const guided = [&] {
    if constexpr (in_eps && !in_x0)
      return make_answers(t, raw_now.value, (x - t.sigma * eps_now.value) / t.alpha, eps_now.value,
                          branches);
    else return make_answers(t, raw_now.value, x0_now.value, eps_now.value, branches);
  }();

  if constexpr (std::is_same_v<std::remove_cvref_t<decltype(stages.threshold)>, no_threshold>) {
    return fuse(guided, eps_now.before, stored);
  } else {
    auto const clipped =
        answer_of_stage<sym::thresholded>(guided, eps_now.before, stages.threshold.x0_of(t));
    auto const halfway = make_answers(t, raw_now.value, clipped.value, guided.eps, branches);
    auto const after =
        make_answers(t, raw_now.value, clipped.value,
                     substitute(halfway, lift(stages.threshold.eps_of(t))), branches);
    return fuse(after, clipped.before, stored);
  }
}

/// A kind of step, one of its evaluations, with or without guidance: one kernel.
template <class Kind, std::size_t Evaluation, bool Guided> struct structure {
  using kind = Kind;
  static constexpr std::size_t evaluation = Evaluation;
  static constexpr bool guided = Guided;
};

template <class Kind, class Guidance, std::size_t... E>
auto structures_of_kind(std::index_sequence<E...>) {
  if constexpr (can_be_off<Guidance>)
    return concat(list<structure<Kind, E, true>, structure<Kind, E, false>>{}...);
  else return list<structure<Kind, E, true>...>{};
}

template <class... E> constexpr std::size_t evaluations_in(step_of<E...>*) { return sizeof...(E); }

template <class Stages, class... Kind> auto structures_of(list<Kind...>) {
  using sampler = decltype(Stages::sampler);
  return concat(decltype(structures_of_kind<Kind, decltype(Stages::guidance)>(
      std::make_index_sequence<evaluations_in(
          static_cast<formula_of<sampler, Kind>*>(nullptr))>{})){}...);
}

// What a sampler does before a step's first evaluation: part of the kernel before it.
template <class Sampler> inline constexpr bool has_enter = requires(Sampler const& s, level l) {
  s.enter(l, l);
}
|| requires(Sampler const& s, level l, path const& p) { s.enter(l, l, p); };
template <class Sampler> auto enter_of(Sampler const& s, level t, level next, path const& p) {
  if constexpr (requires { s.enter(t, next, p); }) return s.enter(t, next, p);
  else return s.enter(t, next);
}
template <class Sampler> auto mentioned_on_entering() {
  if constexpr (has_enter<Sampler>)
    return decltype(mentioned(
        enter_of(std::declval<Sampler const&>(), level{}, level{}, std::declval<path const&>()))){};
  else return list<>{};
}

template <class Guidance> constexpr int extras_of() {
  if constexpr (requires { Guidance::extras; }) return Guidance::extras;
  else return 0;
}
template <class Guidance> constexpr int conditions_of() {
  if constexpr (requires { Guidance::conditions; }) return Guidance::conditions;
  else return 1;
}
template <class Guidance> auto remembered_by() {
  if constexpr (remembers<Guidance>)
    return decltype(assigned(std::declval<Guidance const&>().remember(level{}))){};
  else return list<>{};
}
template <class Predicts>
inline constexpr bool scales_input = requires(Predicts const& p, level t) {
  p.input_of(t);
};

template <class S, class... All> constexpr bool mentions(list<All...>) {
  return (std::is_same_v<S, All> || ...);
}

}  // namespace detail

/// What an evaluation's kernels do to memory and to the generator, known at compile time.
struct kernel_facts {
  std::size_t reads = 0;              ///< buffers loaded, each once a kernel
  std::size_t writes = 0;             ///< buffers stored
  std::size_t bytes_per_element = 0;  ///< float32 traffic
  std::size_t noise_streams = 0;      ///< normals drawn per element
  std::size_t kernels = 1;  ///< one, and one more for each `reduce` that waits for another
  constexpr bool deterministic() const { return noise_streams == 0; }
};

/// Everything a set of stages compiles to.
template <class Stages> struct compiled {
  using sampler = decltype(Stages::sampler);
  using guidance = decltype(Stages::guidance);
  using kinds = detail::kinds_of_step<sampler>;
  using mentioned = decltype(detail::concat(detail::all_mentioned<sampler>(kinds{}),
                                            detail::mentioned_on_entering<sampler>()));
  static constexpr int longest = detail::longest<sampler>();
  static constexpr int past_x0 =
      std::max(0, detail::largest_index<sym::past_x0<0>::rank>(mentioned{}));
  static constexpr int past_eps =
      std::max(0, detail::largest_index<sym::past_eps<0>::rank>(mentioned{}));
  static constexpr int keeps = 1 + detail::largest_index<sym::keep<0>::rank>(
                                       decltype(detail::all_assigned<sampler>(kinds{})){});
  static constexpr int branches = guidance::branches;  ///< of the network
  static constexpr int extras =
      detail::extras_of<guidance>();  ///< outputs a guidance asks elsewhere
  static constexpr int conditions = detail::conditions_of<guidance>();  ///< labels of a sample
  static constexpr int memories = decltype(detail::remembered_by<guidance>())::size;
  static constexpr bool enters = detail::has_enter<sampler>;
  using buffers = typename Stages::buffers;
  /// Whether the network sees another buffer than x.
  static constexpr bool writes_input = detail::scales_input<decltype(Stages::predicts)> ||
                                       !std::is_same_v<typename buffers::input, float> ||
                                       buffers::duplicates;
  static_assert(extras == 0 || std::is_same_v<typename buffers::output, float>,
                "a guidance that asks another network needs a network that writes floats");
  static constexpr int inputs = !writes_input ? 0 : buffers::duplicates ? branches : 1;
  static constexpr bool learns_variance = detail::mentions<sym::raw_variance>(mentioned{});
  static constexpr bool uses_known = detail::mentions<sym::known>(mentioned{});
  static constexpr bool uses_mask = detail::mentions<sym::mask>(mentioned{});
  static constexpr bool noise_given = !std::is_same_v<decltype(Stages::noise), drawn_noise>;
  /// Streams of noise that the sampler's formulas name: 0 .. streams - 1.
  static constexpr int streams =
      noise_given ? 1 + detail::largest_index<sym::noise_stream<0>::rank>(mentioned{}) : 0;

  using structures = decltype(detail::structures_of<Stages>(kinds{}));

  /// The statements of an evaluation with what is stored for later ones: the past, and what the
  /// network will see.
  template <class Structure, class Statements>
  static auto stored(Stages const& stages, Statements const& statements, path const& p,
                     detail::upcoming const& next) {
    using namespace symbols;
    using kind = typename Structure::kind;
    constexpr bool final =
        Structure::evaluation + 1 ==
        detail::evaluations_in(static_cast<detail::formula_of<sampler, kind>*>(nullptr));
    // Nothing comes after the last evaluation of the last step that could read it.
    constexpr bool goes_on = !kind::is_last || !final;
    auto const x0s = [] {
      if constexpr (past_x0 > 0 && goes_on)
        return std::tuple{assignment<sym::past_x0<0>, form<sym::x0>>{lift(x0)}};
      else return std::tuple<>{};
    }();
    auto const epss = [] {
      if constexpr (past_eps > 0 && goes_on)
        return std::tuple{assignment<sym::past_eps<0>, form<sym::eps>>{lift(eps)}};
      else return std::tuple<>{};
    }();
    auto const entered = [&] {
      if constexpr (enters && goes_on && final)
        return detail::statements_then(statements, entering(stages, p, next));
      else return statements;
    }();
    auto const seen = [&] {
      if constexpr (writes_input && goes_on)
        return detail::statements_then(entered, input(stages, next.where));
      else return entered;
    }();
    return std::tuple_cat(seen, x0s, epss);
  }

  /// What a sampler does to x before the step from next.t to next.s.
  static auto entering(Stages const& stages, path const& p, detail::upcoming const& next) {
    return std::get<0>(detail::enter_of(stages.sampler, next.t, next.s, p).evaluations).statements;
  }
  /// What the network sees at a level.
  static auto input(Stages const& stages, level t) {
    auto const form = [&] {
      if constexpr (detail::scales_input<decltype(Stages::predicts)>)
        return lift(stages.predicts.input_of(t));
      else return lift(sym::x{});
    }();
    return [&]<int... B>(std::integer_sequence<int, B...>) {
      return std::tuple<assignment<sym::net_in<B>, std::remove_const_t<decltype(form)>>...>{
          assignment<sym::net_in<B>, std::remove_const_t<decltype(form)>>{form}...};
    }
    (std::make_integer_sequence<int, inputs>{});
  }
  /// The statements of a start, and of what follows before the first evaluation.
  template <class... S>
  static auto started(Stages const& stages, std::tuple<S...> const& statements, path const& p,
                      detail::upcoming const& next) {
    auto const entered = [&] {
      if constexpr (enters) return detail::statements_then(statements, entering(stages, p, next));
      else return statements;
    }();
    if constexpr (writes_input) return detail::statements_then(entered, input(stages, next.where));
    else return entered;
  }

  /// The fused program of a structure with its numbers.
  template <class Structure, class Statements>
  static auto fuse(Stages const& stages, level t, Statements const& statements, path const& p,
                   detail::upcoming const& next) {
    return detail::fuse_evaluation<Structure::guided>(
        stages, t, stored<Structure>(stages, statements, p, next));
  }

  template <class Structure>
  using statements_of = std::remove_cvref_t<
      decltype(std::get<Structure::evaluation>(
                   std::declval<detail::formula_of<sampler, typename Structure::kind>>()
                       .evaluations)
                   .statements)>;
  template <class Program> static constexpr auto in_buffers() {
    if constexpr (buffers::plain) return std::type_identity<Program>{};
    else return std::type_identity<stored_as<buffers, Program>>{};
  }
  template <class Structure>
  using program_of =
      typename decltype(in_buffers<typename decltype(fuse<Structure>(
                            std::declval<Stages const&>(), level{},
                            std::declval<statements_of<Structure> const&>(),
                            std::declval<path const&>(), detail::upcoming{}))::type>())::type;

  template <class... S> static auto programs_in(list<S...>) -> list<program_of<S>...>;
  using programs = decltype(programs_in(structures{}));

  template <class... P> static constexpr std::size_t distinct_in(list<P...>) {
    return decltype(boost::hana::length(boost::hana::to_set(boost::hana::tuple_t<P...>)))::value;
  }
  /// Kernels the compiler makes: equal programs are one.
  static constexpr std::size_t distinct = distinct_in(programs{});

  template <class... P>
  static constexpr std::array<kernel_facts, sizeof...(P)> facts_in(list<P...>) {
    return {kernel_facts{P::reads, P::writes, P::bytes_per_element, P::noises, P::kernels}...};
  }
  static constexpr auto facts = facts_in(programs{});

  template <class... P> static constexpr std::size_t most_scratches(list<P...>) {
    return std::max({std::size_t{0}, scratches_of<P>()...});
  }
  static constexpr std::size_t scratches = most_scratches(programs{});
};

}  // namespace tweedie
