// One evaluation of the network as one fused program: what the stages answer at its level, then the
// sampler's statements.
#pragma once

#include <concepts>
#include <tuple>
#include <type_traits>
#include <utility>

#include <tweedie/dsl/detail/apply.hpp>
#include <tweedie/dsl/fuse.hpp>
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
  using of = std::conditional_t<is_family<sym::net_in<0>, S>, Input,
                                std::conditional_t<is_family<sym::out<0>, S>, Output, float>>;
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

template <class Guidance>
inline constexpr bool can_be_off = requires(Guidance const& g, level const t) {
  { g.on(t) } -> std::same_as<bool>;
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
concept guides_raw = requires(G const& g, level const t) {
  g.raw_of(t);
};
template <class G>
concept guides_x0 = requires(G const& g, level const t) {
  g.x0_of(t);
};
template <class G>
concept guides_eps = requires(G const& g, level const t) {
  g.eps_of(t);
};
template <class G>
concept remembers = requires(G const& g, level const t) {
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
      return detail::apply(
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
      return answer_by(x0_now.before, (x - t.alpha * x0_now.value) / t.sigma_below());
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

}  // namespace detail

}  // namespace tweedie
