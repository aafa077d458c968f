// Stages whose types are forgotten: what a plan asks of each, as functions. A pipeline of these is
// put together at run time; pipelines/run_time.hpp makes its plan.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <tweedie/dsl/any_statement.hpp>
#include <tweedie/dsl/path.hpp>
#include <tweedie/dsl/stage.hpp>
#include <tweedie/pipelines/any_plan.hpp>
#include <tweedie/pipelines/structure.hpp>

namespace tweedie {

/// What a network predicts: affine in x and raw, the numbers are data.
struct any_prediction {
  std::string name;
  std::function<any_form(level)> x0_of, eps_of;  ///< over x and raw
  std::function<any_form(level)> input_of;       ///< what the network sees; empty: x
  std::function<void()> check;
};

struct any_guidance {
  std::size_t branches = 1, extras = 0, conditions = 1, memories = 0;
  // Each may be empty.
  std::function<bool(level)> on;  ///< where it is off sometimes
  std::function<any_expression(level)> raw_of, x0_of, eps_of;
  std::function<std::vector<any_statement>(level)> remember;
  std::function<void(batch const&)> evaluate;
  std::function<void()> check;
  std::function<void(std::span<std::size_t const>, std::span<int const>)> check_request;
};

/// Empty functions: none.
struct any_threshold {
  std::function<any_expression(level)> x0_of;
  std::function<any_form(level)> eps_of;
  std::function<void()> check;
};

struct any_sampler {
  int longest = 0;             ///< levels before t that its longest step takes
  std::vector<int> mentioned;  ///< ranks of the symbols that its formulas read
  std::vector<int> assigned;   ///< and write
  std::function<any_step(int before, level const* t, path const&)> step;
  std::function<any_step(level const* t, path const&)> first;  ///< may be empty
  std::function<any_step(level const* t, path const&)> last;
  std::function<std::vector<any_statement>(level t, level s, path const&)> enter;  ///< may be empty
  std::function<void()> check;
};

/// The stages of a pipeline in their places.
struct any_stages {
  any_prediction predicts;
  any_guidance guidance;
  any_threshold threshold;
  any_sampler sampler;
};

namespace detail {

// forget(stage) by kind. The stage is shared by its functions.

template <class Stage> std::function<void()> check_of(std::shared_ptr<Stage const> s) {
  if constexpr (requires { s->check(); }) return [s] { s->check(); };
  else return {};
}

template <class... S> std::vector<int> ranks_of(list<S...>) { return {S::rank...}; }

}  // namespace detail

template <class P> any_prediction forget_prediction(P of) {
  auto const p = std::make_shared<P const>(std::move(of));
  any_prediction r{std::string(P::name),
                   [p](level t) { return forget(p->x0_of(t)); },
                   [p](level t) { return forget(p->eps_of(t)); },
                   {},
                   detail::check_of(p)};
  if constexpr (detail::scales_input<P>)
    r.input_of = [p](level t) { return forget(p->input_of(t)); };
  return r;
}

template <class G> any_guidance forget_guidance(G of) {
  using namespace detail;
  auto const g = std::make_shared<G const>(std::move(of));
  any_guidance r;
  r.branches = G::branches;
  r.extras = extras_of<G>();
  r.conditions = conditions_of<G>();
  r.memories = decltype(remembered_by<G>())::size;
  if constexpr (can_be_off<G>) r.on = [g](level t) { return g->on(t); };
  if constexpr (guides_raw<G>) r.raw_of = [g](level t) { return expression_of(g->raw_of(t)); };
  if constexpr (guides_x0<G>) r.x0_of = [g](level t) { return expression_of(g->x0_of(t)); };
  if constexpr (guides_eps<G>) r.eps_of = [g](level t) { return expression_of(g->eps_of(t)); };
  if constexpr (remembers<G>)
    r.remember = [g](level t) {
      return forget(std::get<0>(g->remember(t).evaluations).statements);
    };
  if constexpr (extras_of<G>() > 0) r.evaluate = [g](batch const& b) { g->evaluate(b); };
  if constexpr (requires(std::span<std::size_t const> s, std::span<int const> l) {
                  g->check(s, l);
                })
    r.check_request = [g](std::span<std::size_t const> s, std::span<int const> l) {
      g->check(s, l);
    };
  r.check = check_of(g);
  return r;
}

template <class T> any_threshold forget_threshold(T of) {
  auto const s = std::make_shared<T const>(std::move(of));
  return {[s](level t) { return detail::expression_of(s->x0_of(t)); },
          [s](level t) { return forget(s->eps_of(t)); }, detail::check_of(s)};
}

template <class S> any_sampler forget_sampler(S of) {
  using namespace detail;
  auto const s = std::make_shared<S const>(std::move(of));
  using kinds = kinds_of_step<S>;
  any_sampler r;
  r.longest = longest<S>();
  r.mentioned = ranks_of(decltype(concat(all_mentioned<S>(kinds{}), mentioned_on_entering<S>())){});
  r.assigned = ranks_of(decltype(all_assigned<S>(kinds{})){});
  r.step = [s](int before, level const* t, path const& p) {
    any_step step;
    [&]<int... B>(std::integer_sequence<int, B...>) {
      ((B == before ? void(step = forget(inner_step<B>::formula(*s, t, p))) : void()), ...);
    }
    (std::make_integer_sequence<int, longest<S>() + 1>{});
    return step;
  };
  if constexpr (has_first<S>)
    r.first = [s](level const* t, path const& p) { return forget(first_step::formula(*s, t, p)); };
  r.last = [s](level const* t, path const& p) { return forget(last_step::formula(*s, t, p)); };
  if constexpr (has_enter<S>)
    r.enter = [s](level t, level next, path const& p) {
      return forget(std::get<0>(enter_of(*s, t, next, p).evaluations).statements);
    };
  r.check = check_of(s);
  return r;
}

/// The stages of a typed pipeline: `forget_stages(pipeline.stage_set())`.
template <class S, class P, class G, class T, class A, class N, class B>
any_stages forget_stages(stage_set<S, P, G, T, A, N, B> const& s) {
  static_assert(std::is_same_v<N, drawn_noise> && B::plain,
                "a pipeline that is put together at run time draws its noise by Philox, and its "
                "network reads and writes float32");
  any_threshold threshold;
  if constexpr (!std::is_same_v<T, no_threshold>) threshold = forget_threshold(s.threshold);
  return {forget_prediction(s.predicts), forget_guidance(s.guidance), threshold,
          forget_sampler(s.sampler)};
}

}  // namespace tweedie
