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

template <class Guidance> auto remembered_by() {
  if constexpr (remembers<Guidance>)
    return decltype(assigned(std::declval<Guidance const&>().remember(level{}))){};
  else return list<>{};
}
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
      std::max(0, detail::largest_index<sym::word::past_x0>(mentioned{}));
  static constexpr int past_eps =
      std::max(0, detail::largest_index<sym::word::past_eps>(mentioned{}));
  static constexpr int keeps = 1 + detail::largest_index<sym::word::keep>(
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
  static constexpr bool noise_given = !std::is_same_v<decltype(Stages::noise), drawn_noise>;

  using structures = decltype(detail::structures_of<Stages>(kinds{}));

  template <class Structure>
  using statements_of = std::remove_cvref_t<
      decltype(std::get<Structure::evaluation>(
                   std::declval<detail::formula_of<sampler, typename Structure::kind>>()
                       .evaluations)
                   .statements)>;
  static constexpr lowering::stored_for_later later{enters, inputs, past_x0 > 0, past_eps > 0};
  static constexpr detail::upcoming any_next{lowering::any_level, lowering::any_level,
                                             lowering::any_level};
  static auto entering_in() {
    if constexpr (enters)
      return std::type_identity<decltype(detail::entering(std::declval<sampler const&>(), level{},
                                                          level{}, std::declval<path const&>()))>{};
    else return std::type_identity<std::tuple<>>{};
  }
  using entering = typename decltype(entering_in())::type;

  /// An evaluation with what is stored for later ones.
  template <class Structure> struct formulas {
    using kind = typename Structure::kind;
    Stages const* stages = nullptr;
    level t = lowering::any_level;
    statements_of<Structure> from = {};
    path const* between = nullptr;
    detail::upcoming next = any_next;
    using functions = decltype(lowering::functions_among<Structure::guided, Stages,
                                                         statements_of<Structure>, entering>());
    constexpr void lower(lowering::ir& p) const {
      constexpr bool final =
          Structure::evaluation + 1 ==
          detail::evaluations_in(static_cast<detail::formula_of<sampler, kind>*>(nullptr));
      lowering::statements all;
      put_all(p, from, all);
      lower_among(p, lowering::said_by_types<Stages>{stages, between}, later, t, Structure::guided,
                  all, final, !kind::is_last || !final, next);
    }
  };
  template <class Structure> using lowered = lowering::lowered<formulas<Structure>, buffers>;
  template <class Structure> using program_of = typename lowered<Structure>::program;

  template <class... S> static auto programs_in(list<S...>) -> list<program_of<S>...>;
  using programs = decltype(programs_in(structures{}));

  /// What runs at a start: x of noise, or as it is, and what comes before the first evaluation.
  template <bool Fresh, bool FirstStep> struct start_formulas {
    using functions = lowering::functions_of<entering>;
    static constexpr void lower(lowering::ir& p) {
      lower_start(p, lowering::said_by_types<Stages>{}, later,
                  Fresh ? std::optional(1.0) : std::nullopt, noise_given, FirstStep, any_next);
    }
  };
  template <bool Fresh, bool FirstStep>
  using start = typename lowering::lowered<start_formulas<Fresh, FirstStep>, buffers>::program;
  static auto starts_in() {
    if constexpr (enters) return list<start<true, false>, start<false, true>>{};
    else if constexpr (writes_input) return list<start<true, true>, start<false, true>>{};
    else return list<start<true, false>>{};
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
