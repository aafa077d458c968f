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
#include <tweedie/dsl/stage.hpp>

namespace tweedie {

/// The stages of a complete pipeline, each in its place.
template <class Schedule, class Predicts, class Guidance, class Threshold, class Sampler>
struct stage_set {
  Schedule schedule;
  Predicts predicts;
  Guidance guidance;
  Threshold threshold;
  Sampler sampler;
};

/// No threshold.
struct no_threshold {};

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
  template <class Sampler> static auto formula(Sampler const& s, level const* levels) {
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
      return s.step(levels[static_cast<std::ptrdiff_t>(I) - Before]...);
    }
    (std::make_index_sequence<Before + 2>{});
  }
};

struct first_step {
  static constexpr bool is_last = false;
  static constexpr int before = 0;
  static std::string name() { return "first step, alpha = 0"; }
  template <class Sampler> static auto formula(Sampler const& s, level const* levels) {
    return s.first(levels[0], levels[1]);
  }
};

struct last_step {
  static constexpr bool is_last = true;
  static constexpr int before = 0;
  static std::string name() { return "last step, sigma = 0"; }
  template <class Sampler> static auto formula(Sampler const& s, level const* levels) {
    using namespace symbols;
    if constexpr (requires { s.last(levels[0], levels[1]); }) return s.last(levels[0], levels[1]);
    else return step(x = levels[1].alpha * x0);
  }
};

/// How many levels before t the sampler's longest `step` takes; -1 without any step(t, s).
template <class Sampler, int Before = 0> constexpr int longest() {
  constexpr bool takes = []<std::size_t... I>(std::index_sequence<I...>) {
    return requires(Sampler const& s, level const* l) { s.step(l[I]...); };
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
using formula_of =
    decltype(Kind::formula(std::declval<Sampler const&>(), std::declval<level const*>()));

// What a sampler's formulas mention, before anything is answered.

template <class... S> list<S...> mentioned(form<S...>);
template <class F, class... Forms>
auto mentioned(pointwise_node<F, Forms...>)
    -> decltype(concat(mentioned(std::declval<Forms>())...));
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

/// One evaluation fused: the stages' answers at its level, its statements, and what is stored for
/// later evaluations.
template <bool Guided, int PastX0, int PastEps, bool Store, class Stages, class... Statements>
auto fuse_evaluation(Stages const& stages, level t, std::tuple<Statements...> const& statements) {
  using namespace symbols;
  auto const raw_form = [&] {
    if constexpr (Guided) return lift(stages.guidance.raw_of(t));
    else return lift(out<0>);
  }();
  auto const of_raw = make_answers(t, raw_form, form<>{}, form<>{});
  auto const before = make_answers(t, raw_form, substitute(of_raw, lift(stages.predicts.x0_of(t))),
                                   substitute(of_raw, lift(stages.predicts.eps_of(t))));
  auto const stored = [&] {  // for the evaluations to come
    auto const x0s = [] {
      if constexpr (PastX0 > 0 && Store)
        return std::tuple{assignment<sym::past_x0<0>, form<sym::x0>>{lift(x0)}};
      else return std::tuple<>{};
    }();
    auto const epss = [] {
      if constexpr (PastEps > 0 && Store)
        return std::tuple{assignment<sym::past_eps<0>, form<sym::eps>>{lift(eps)}};
      else return std::tuple<>{};
    }();
    return std::tuple_cat(statements, x0s, epss);
  }();
  if constexpr (std::is_same_v<decltype(stages.threshold), no_threshold>) {
    return fuse(before, std::tuple<>{}, stored);
  } else {
    auto const clipped = stages.threshold.x0_of(t);
    auto const node = lower(
        before, assignment<sym::thresholded, std::remove_const_t<decltype(clipped)>>{clipped});
    auto const halfway = make_answers(t, raw_form, lift(sym::thresholded{}), before.eps);
    auto const after = make_answers(t, raw_form, lift(sym::thresholded{}),
                                    substitute(halfway, lift(stages.threshold.eps_of(t))));
    return fuse(after, std::tuple{node}, stored);
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

}  // namespace detail

/// What a kernel does to memory and to the generator, known at compile time.
struct kernel_facts {
  std::size_t reads = 0;              ///< buffers loaded, each once
  std::size_t writes = 0;             ///< buffers stored
  std::size_t bytes_per_element = 0;  ///< float32 traffic
  std::size_t noise_streams = 0;      ///< normals drawn per element
  constexpr bool deterministic() const { return noise_streams == 0; }
};

/// Everything a set of stages compiles to.
template <class Stages> struct compiled {
  using sampler = decltype(Stages::sampler);
  using kinds = detail::kinds_of_step<sampler>;
  using mentioned = decltype(detail::all_mentioned<sampler>(kinds{}));
  static constexpr int longest = detail::longest<sampler>();
  static constexpr int past_x0 =
      std::max(0, detail::largest_index<sym::past_x0<0>::rank>(mentioned{}));
  static constexpr int past_eps =
      std::max(0, detail::largest_index<sym::past_eps<0>::rank>(mentioned{}));
  static constexpr int keeps = 1 + detail::largest_index<sym::keep<0>::rank>(
                                       decltype(detail::all_assigned<sampler>(kinds{})){});
  static constexpr int branches = decltype(Stages::guidance)::branches;

  using structures = decltype(detail::structures_of<Stages>(kinds{}));

  /// The fused program of a structure with its numbers.
  template <class Structure, class Statements>
  static auto fuse(Stages const& stages, level t, Statements const& statements) {
    using kind = typename Structure::kind;
    // Nothing comes after the last evaluation of the last step that could read it.
    constexpr bool store =
        !kind::is_last ||
        Structure::evaluation + 1 <
            detail::evaluations_in(static_cast<detail::formula_of<sampler, kind>*>(nullptr));
    return detail::fuse_evaluation<Structure::guided, past_x0, past_eps, store>(stages, t,
                                                                                statements);
  }

  template <class Structure>
  using statements_of = std::remove_cvref_t<
      decltype(std::get<Structure::evaluation>(
                   std::declval<detail::formula_of<sampler, typename Structure::kind>>()
                       .evaluations)
                   .statements)>;
  template <class Structure>
  using program_of =
      typename decltype(fuse<Structure>(std::declval<Stages const&>(), level{},
                                        std::declval<statements_of<Structure> const&>()))::type;

  template <class... S> static auto programs_in(list<S...>) -> list<program_of<S>...>;
  using programs = decltype(programs_in(structures{}));

  template <class... P> static constexpr std::size_t distinct_in(list<P...>) {
    return decltype(boost::hana::length(boost::hana::to_set(boost::hana::tuple_t<P...>)))::value;
  }
  /// Kernels the compiler makes: equal programs are one.
  static constexpr std::size_t distinct = distinct_in(programs{});

  template <class... P>
  static constexpr std::array<kernel_facts, sizeof...(P)> facts_in(list<P...>) {
    return {kernel_facts{P::reads, P::writes, P::bytes_per_element, P::noises}...};
  }
  static constexpr auto facts = facts_in(programs{});
};

}  // namespace tweedie
