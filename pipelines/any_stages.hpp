// Stages whose types are forgotten: what a plan asks of each, as functions. A pipeline of these is
// put together at run time; pipelines/plan_builder.hpp makes its plan.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <tweedie/dsl/base/same.hpp>
#include <tweedie/dsl/kernel/bodies.hpp>
#include <tweedie/dsl/language/composition.hpp>
#include <tweedie/dsl/language/path.hpp>
#include <tweedie/dsl/lowering/typed.hpp>
#include <tweedie/pipelines/any_plan.hpp>
#include <tweedie/pipelines/compiled.hpp>

namespace tweedie {

template <class Signature> class shared_call;
/// A function of something shared: a std::function that costs the compiler little.
template <class R, class... A> class shared_call<R(A...)> {
 public:
  shared_call() = default;
  /// call(self, arguments...); a lambda without captures is such a pointer.
  shared_call(std::shared_ptr<void const> self, R (*call)(void const* self, A...))
      : self_(std::move(self)), call_(call) {}
  /// Anything that can be called; what calls nothing, as an empty std::function, leaves it empty.
  template <class F>
  requires std::is_invocable_r_v<R, F const&, A...> &&
      (!std::is_same_v<F, shared_call>)shared_call(F f) {
    if (detail::calls_nothing(f)) return;
    self_ = std::make_shared<F const>(std::move(f));
    call_ = [](void const* self, A... a) -> R { return (*static_cast<F const*>(self))(a...); };
  }

  R operator()(A... a) const { return call_(self_.get(), a...); }
  explicit operator bool() const { return call_ != nullptr; }
  /// What its copies share.
  std::shared_ptr<void const> const& shared() const { return self_; }

 private:
  std::shared_ptr<void const> self_;
  R (*call_)(void const*, A...) = nullptr;
};

// What a stage says at a level it puts into an ir, where it is a range of terms (a form) or the
// place of an expression: `put(ir, 2 * x)`, `put_expression(ir, clamp(x0, -1, 1))`.
using any_form = shared_call<lowering::range(lowering::ir&, level)>;
using any_expression = shared_call<int(lowering::ir&, level)>;

/// What a network predicts: affine in x and raw, the numbers are data.
struct any_prediction {
  std::string name;
  any_form x0_of, eps_of;  ///< over x and raw
  any_form input_of;       ///< what the network sees; empty: x
  shared_call<void()> check;
};

struct any_guidance {
  std::size_t branches = 1, extras = 0, conditions = 1, memories = 0;
  // Each may be empty.
  shared_call<bool(level)> on;  ///< where it is off sometimes
  any_expression raw_of, x0_of, eps_of;
  shared_call<void(lowering::ir&, level, lowering::statements&)> remember;
  shared_call<void(batch const&)> evaluate;
  shared_call<device_use()> evaluates;  ///< what that can do on a device
  detail::callee asks;                  ///< the network that is evaluated
  shared_call<void()> check;
  shared_call<void(std::span<std::size_t const>, std::span<int const>)> check_request;
};

/// Empty functions: none.
struct any_threshold {
  any_expression x0_of;
  any_form eps_of;
  shared_call<void()> check;
};

/// A step whose formulas are in an ir.
struct any_step {
  struct evaluation {
    std::optional<level> where;
    lowering::statements statements;
  };
  std::vector<evaluation> evaluations;
  std::vector<repetition> repetitions;
};

struct any_sampler {
  int longest = 0;                   ///< levels before t that its longest step takes
  std::vector<symbol_id> mentioned;  ///< the symbols that its formulas read
  std::vector<symbol_id> assigned;   ///< and write
  bool takes_both = true;            ///< whether each evaluation of its steps reads x0 and eps
  bool takes_x0 = true;              ///< whether any does
  shared_call<any_step(lowering::ir&, int before, level const* t, path const&)> step;
  shared_call<any_step(lowering::ir&, level const* t, path const&)> first;  ///< may be empty
  shared_call<any_step(lowering::ir&, level const* t, path const&)> last;
  /// May be empty.
  shared_call<void(lowering::ir&, level t, level s, path const&, lowering::statements&)> enter;
  shared_call<void()> check;
};

/// What the network reads and writes, and whether each branch has an input of its own.
struct any_buffers {
  element_type input = element_type::float32, output = element_type::float32;
  bool duplicates = false;
};

/// The stages of a pipeline in their places.
struct any_stages {
  any_prediction predicts;
  any_guidance guidance;
  any_threshold threshold;
  any_sampler sampler;
  std::vector<any_prediction> of_branches = {};        ///< empty: every branch predicts the same
  shared_call<void(noise_request const&)> noise = {};  ///< empty: drawn by Philox in the kernels
  shared_call<device_use()> draws = {};                ///< what it can do on a device
  any_buffers buffers = {};
  /// Whether a step that enlarges the network's errors beyond measure is refused.
  bool checks_share = true;
};

namespace detail {

/// Throws tweedie::error where a stage lacks a formula that it needs, or reads at one of the levels
/// what is not there: what the compiler says of typed stages (pipelines/fits.hpp).
void check_stages(any_stages const& stages, std::vector<level> const& levels);

/// A stage, or what it is a part of, kept alive: one type for all, which spares the compiler much.
using owner = std::shared_ptr<void const>;
/// What a shared_call shares.
template <class Stage> Stage const& of(void const* self) {
  return *static_cast<Stage const*>(self);
}

template <class Stage> shared_call<void()> check_of(owner const& s, Stage const&) {
  if constexpr (requires(Stage const& stage) { stage.check(); })
    return {s, [](void const* self) { of<Stage>(self).check(); }};
  else return {};
}

template <class... S> std::vector<symbol_id> ids_of(list<S...>) { return {S::id...}; }

template <class... E> any_step put_step(lowering::ir& p, step_of<E...> const& step) {
  any_step r{{}, step.repetitions};
  r.evaluations.resize(sizeof...(E));
  [&]<std::size_t... I>(std::index_sequence<I...>) {
    ((r.evaluations[I].where = std::get<I>(step.evaluations).where,
      put_all(p, std::get<I>(step.evaluations).statements, r.evaluations[I].statements)),
     ...);
  }
  (std::index_sequence_for<E...>{});
  return r;
}

}  // namespace detail

// Each stage without its type; `shared` points at it and is shared by its functions.

template <class P> any_prediction forget_prediction(detail::owner shared, P const& stage) {
  any_prediction r{
      .name = std::string(stage.name), .x0_of = {}, .eps_of = {}, .input_of = {}, .check = {}};
  using lowering::ir;
  r.x0_of = {shared,
             [](void const* self, ir& p, level t) { return put(p, detail::of<P>(self).x0_of(t)); }};
  r.eps_of = {shared, [](void const* self, ir& p, level t) {
                return put(p, detail::of<P>(self).eps_of(t));
              }};
  if constexpr (detail::scales_input<P>)
    r.input_of = {shared, [](void const* self, ir& p, level t) {
                    return put(p, detail::of<P>(self).input_of(t));
                  }};
  r.check = detail::check_of(shared, stage);
  return r;
}

template <class G> any_guidance forget_guidance(detail::owner shared, G const& stage) {
  using namespace detail;
  using lowering::ir;
  any_guidance r;
  r.branches = G::branches;
  r.extras = extras_of<G>();
  r.conditions = conditions_of<G>();
  r.memories = decltype(remembered_by<G>())::size;
  if constexpr (can_be_off<G>)
    r.on = {shared, [](void const* self, level t) { return of<G>(self).on(t); }};
  if constexpr (guides_raw<G>)
    r.raw_of = {shared, [](void const* self, ir& p, level t) {
                  return put_expression(p, of<G>(self).raw_of(t));
                }};
  if constexpr (guides_x0<G>)
    r.x0_of = {shared, [](void const* self, ir& p, level t) {
                 return put_expression(p, of<G>(self).x0_of(t));
               }};
  if constexpr (guides_eps<G>)
    r.eps_of = {shared, [](void const* self, ir& p, level t) {
                  return put_expression(p, of<G>(self).eps_of(t));
                }};
  if constexpr (remembers<G>)
    r.remember = {shared, [](void const* self, ir& p, level t, lowering::statements& to) {
                    put_all(p, remembered(of<G>(self), t), to);
                  }};
  if constexpr (extras_of<G>() > 0) {
    r.evaluate = {shared, [](void const* self, batch const& b) { of<G>(self).evaluate(b); }};
    r.evaluates = {shared, [](void const* self) { return device_use_of(of<G>(self)); }};
    if constexpr (requires { stage.asks(); }) {
      if (calls_nothing(stage.asks()))
        throw error("a guidance with an empty network was given, expected one that can be called");
      r.asks = {owner(shared, &stage.asks()), stage.asks()};
    } else r.asks = {shared, stage};
  }
  if constexpr (requires(std::span<std::size_t const> s, std::span<int const> l) {
                  stage.check(s, l);
                })
    r.check_request = {shared, [](void const* self, std::span<std::size_t const> s,
                                  std::span<int const> l) { of<G>(self).check(s, l); }};
  r.check = check_of(shared, stage);
  return r;
}

template <class T> any_threshold forget_threshold(detail::owner shared, T const& stage) {
  using lowering::ir;
  any_threshold r;
  r.x0_of = {shared, [](void const* self, ir& p, level t) {
               return put_expression(p, detail::of<T>(self).x0_of(t));
             }};
  r.eps_of = {shared, [](void const* self, ir& p, level t) {
                return put(p, detail::of<T>(self).eps_of(t));
              }};
  r.check = detail::check_of(shared, stage);
  return r;
}

template <class S> any_sampler forget_sampler(detail::owner shared, S const& stage) {
  using namespace detail;
  using lowering::ir;
  using kinds = kinds_of_step<S>;
  any_sampler r;
  r.longest = longest<S>();
  r.mentioned = ids_of(decltype(concat(all_mentioned<S>(kinds{}), mentioned_on_entering<S>())){});
  r.assigned = ids_of(decltype(all_assigned<S>(kinds{})){});
  r.takes_both = takes_x0_and_eps<S>(kinds{});
  r.takes_x0 = takes_x0<S>(kinds{});
  r.step = {
      shared, [](void const* self, ir& p, int before, level const* t, path const& between) {
        any_step step;
        [&]<int... B>(std::integer_sequence<int, B...>) {
          ((B == before ? void(step = put_step(p, inner_step<B>::formula(of<S>(self), t, between)))
                        : void()),
           ...);
        }
        (std::make_integer_sequence<int, longest<S>() + 1>{});
        return step;
      }};
  if constexpr (has_first<S>)
    r.first = {shared, [](void const* self, ir& p, level const* t, path const& between) {
                 return put_step(p, first_step::formula(of<S>(self), t, between));
               }};
  r.last = {shared, [](void const* self, ir& p, level const* t, path const& between) {
              return put_step(p, last_step::formula(of<S>(self), t, between));
            }};
  if constexpr (has_enter<S>)
    r.enter = {
        shared, [](void const* self, ir& p, level t, level next, path const& between,
                   lowering::statements& to) {
          put_all(
              p,
              std::get<0>(enter_of_sampler(of<S>(self), t, next, between).evaluations).statements,
              to);
        }};
  r.check = check_of(shared, stage);
  return r;
}

template <class P> any_prediction forget_prediction(P p) {
  auto const shared = std::make_shared<P const>(std::move(p));
  return forget_prediction(shared, *shared);
}
template <class G> any_guidance forget_guidance(G g) {
  auto const shared = std::make_shared<G const>(std::move(g));
  return forget_guidance(shared, *shared);
}
template <class T> any_threshold forget_threshold(T t) {
  auto const shared = std::make_shared<T const>(std::move(t));
  return forget_threshold(shared, *shared);
}
template <class S> any_sampler forget_sampler(S s) {
  auto const shared = std::make_shared<S const>(std::move(s));
  return forget_sampler(shared, *shared);
}

namespace detail {

/// What each branch predicts, where a guidance says that they differ.
template <class Stages> std::vector<any_prediction> predictions_of_branches(Stages const& s) {
  std::vector<any_prediction> r;
  if constexpr (requires { s.guidance.template predicts_of<0>(s.predicts); })
    [&]<int... I>(std::integer_sequence<int, I...>) {
      (r.push_back(forget_prediction(s.guidance.template predicts_of<I>(s.predicts))), ...);
    }
  (std::make_integer_sequence<int, decltype(s.guidance)::branches +
                                       extras_of<std::remove_cvref_t<decltype(s.guidance)>>()>{});
  return r;
}

}  // namespace detail

/// The stages of a typed pipeline, which `whole` keeps alive.
template <class S, class P, class G, class T, class A, class N, class B>
any_stages forget_stages(detail::owner const& whole, stage_set<S, P, G, T, A, N, B> const& s) {
  auto const part = [&](void const* stage) { return detail::owner(whole, stage); };
  any_stages r{.predicts = forget_prediction(part(&s.predicts), s.predicts),
               .guidance = forget_guidance(part(&s.guidance), s.guidance),
               .threshold = {},
               .sampler = forget_sampler(part(&s.sampler), s.sampler),
               .of_branches = detail::predictions_of_branches(s),
               .noise = {},
               .draws = {},
               .buffers = {detail::element_type_of<typename B::input>(),
                           detail::element_type_of<typename B::output>(), B::duplicates}};
  if constexpr (!std::is_same_v<T, no_threshold>)
    r.threshold = forget_threshold(part(&s.threshold), s.threshold);
  if constexpr (!std::is_same_v<N, drawn_noise>) {
    if (detail::calls_nothing(s.noise))
      throw error("an empty source of noise was given, expected one that can be called");
    r.noise = {part(&s.noise),
               [](void const* self, noise_request const& asked) { detail::of<N>(self)(asked); }};
    r.draws = {part(&s.noise), [](void const* self) { return device_use_of(detail::of<N>(self)); }};
  }
  return r;
}
/// `forget_stages(pipeline.stage_set())`
template <class S, class P, class G, class T, class A, class N, class B>
any_stages forget_stages(stage_set<S, P, G, T, A, N, B> s) {
  auto const shared = std::make_shared<decltype(s) const>(std::move(s));
  return forget_stages(shared, *shared);
}

}  // namespace tweedie
