// What a pipeline compiles to: one fused program for each kind of step and each of its evaluations.
//
// Where a guidance is off the step is a structure of its own, without the unconditional branch.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <tuple>
#include <type_traits>
#include <utility>

#include <boost/hana/length.hpp>
#include <boost/hana/set.hpp>
#include <boost/hana/tuple.hpp>

#include <tweedie/pipelines/any_plan.hpp>
#include <tweedie/pipelines/evaluation.hpp>
#include <tweedie/pipelines/steps.hpp>

namespace tweedie {

namespace detail {

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
inline constexpr bool scales_input = requires(Predicts const& p, level const t) {
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
  std::size_t bytes_per_element = 0;  ///< traffic with memory
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

  /// What runs at a start: x of noise, or as it is, and what comes before the first evaluation.
  template <class Statements>
  using start_of =
      typename decltype(in_buffers<typename decltype(tweedie::fuse(
                            make_answers(level{}, form<>{}, form<>{}, form<>{},
                                         detail::stage_branches<Stages>{}),
                            nothing_before, std::declval<Statements const&>()))::type>())::type;
  template <class... Statement>
  using started_of = decltype(started(std::declval<Stages const&>(),
                                      std::declval<std::tuple<Statement...> const&>(),
                                      std::declval<path const&>(), detail::upcoming{}));
  static auto starts_in() {
    using drawn =
        std::conditional_t<noise_given, form<sym::x>, form<sym::noise_stream<start_stream>>>;
    using fresh = assignment<sym::x, drawn>;
    if constexpr (enters) return list<start_of<std::tuple<fresh>>, start_of<started_of<>>>{};
    else if constexpr (writes_input)
      return list<start_of<started_of<fresh>>, start_of<started_of<>>>{};
    else return list<start_of<std::tuple<fresh>>>{};
  }
  using starts = decltype(starts_in());

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
};

}  // namespace tweedie
