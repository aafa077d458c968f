// A typed pipeline on a grid: the programs are the compiler's, their numbers are computed here, and
// all else is what any plan is (pipelines/any_plan.hpp).
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <fmt/format.h>

#include <tweedie/dsl/launch.hpp>
#include <tweedie/pipelines/any_plan.hpp>
#include <tweedie/pipelines/noising.hpp>
#include <tweedie/pipelines/structure.hpp>

namespace tweedie {

namespace detail {

/// A program that the compiler has made a kernel of.
template <class Program> class compiled_code final : public runnable {
 public:
  any_program const& program() const override { return describe<Program>(); }
  void launch(launch_numbers numbers, state& s, rows const& r) const override {
    launch_numbered<Program>(numbers, s, r);
  }
  bool is_compiled() const override { return true; }
};
/// One object for all plans; its pointer owns nothing.
template <class Program> any_code code_of() {
  static compiled_code<Program> const one;
  return {std::shared_ptr<void>(), &one};
}

}  // namespace detail

template <class Stages, class Network> class plan : public any_plan {
  struct parts {
    Stages stages;
    Network network;
  };

 public:
  using code = compiled<Stages>;

  /// Levels from noisy to clean, or (for encoding) from clean to noisy; throws tweedie::error where
  /// a number of a step is not finite. `between` answers for the levels between those.
  plan(Stages stages, Network network, std::vector<level> levels, path between = {})
      : plan(std::make_shared<parts const>(parts{std::move(stages), std::move(network)}),
             std::move(levels), std::move(between)) {}

  Stages const& stages() const { return parts_->stages; }
  Network const& network() const { return parts_->network; }

  /// Calls f(program, structure, numbers) with the program of a row, what it is for, and its
  /// numbers in double.
  template <class F> void visit(row const& r, F&& f) const {
    visit(r, f, typename code::structures{}, typename code::programs{});
  }

  /// The same plan entered at step k: the levels from there on, histories empty.
  plan from(std::size_t k) const {
    if (k >= steps())
      throw error(fmt::format("step {} was asked for, the plan has steps 0 to {}", k, steps() - 1));
    return {parts_, {levels_.begin() + static_cast<std::ptrdiff_t>(k), levels_.end()}, between_};
  }

 private:
  plan(std::shared_ptr<parts const> of, std::vector<level> levels, path between)
      : any_plan(code::layout(), calls_of(of), std::move(levels)),
        parts_(std::move(of)),
        between_(std::move(between)) {
    check_stage(stages().predicts);
    check_stage(stages().guidance);
    check_stage(stages().threshold);
    check_stage(stages().sampler);
    add_structures(typename code::structures{}, typename code::programs{});
    detail::upcoming next = upcoming_at(0);
    add_starts(next);
    for (std::size_t k = 0; k < steps(); ++k) {
      begin_step();
      next = upcoming_at(k + 1);
      for_kind(k, [&]<class Kind>(Kind) { add_rows<Kind>(k, next); });
    }
    begin_step();
  }

  static plan_calls calls_of(std::shared_ptr<parts const> const& of) {
    plan_calls c;
    c.network = [of](batch const& b) { of->network(b); };
    if constexpr (code::extras > 0)
      c.extras = [of](batch const& b) { of->stages.guidance.evaluate(b); };
    if constexpr (code::noise_given)
      c.noise = [of](noise_request const& r) { of->stages.noise(r); };
    constexpr bool network_checks =
        requires(std::span<std::size_t const> s, std::span<int const> l) {
      of->network.check(s, l, code::branches);
    };
    constexpr bool guidance_checks =
        requires(std::span<std::size_t const> s, std::span<int const> l) {
      of->stages.guidance.check(s, l);
    };
    if constexpr (network_checks || guidance_checks)
      c.check = [of](std::span<std::size_t const> shape, std::span<int const> given) {
        if constexpr (network_checks) of->network.check(shape, given, code::branches);
        if constexpr (guidance_checks) of->stages.guidance.check(shape, given);
      };
    return c;
  }

  // A stage may have a check() that throws on values it cannot work with.
  template <class Stage> static void check_stage(Stage const& stage) {
    if constexpr (requires { stage.check(); }) stage.check();
  }

  template <class... S, class... P> void add_structures(list<S...>, list<P...>) {
    (structures_.push_back(
         {detail::code_of<P>(), S::kind::name(), S::evaluation, static_cast<bool>(S::guided)}),
     ...);
  }

  /// What runs at the start of a sample, and what comes before its first evaluation.
  void add_starts(detail::upcoming const& next) {
    using namespace symbols;
    double const scale = levels_[0].alpha == 1 ? levels_[0].sigma : 1;
    auto const fresh = [&] {
      if constexpr (code::noise_given) return tweedie::step(x = scale * x);
      else return tweedie::step(x = scale * noise_stream<start_stream>);
    }();
    auto const statements = std::get<0>(fresh.evaluations).statements;
    if constexpr (code::enters) fresh_ = start_code_of(statements);
    else fresh_ = start_code_of(code::started(stages(), statements, between_, next));
    if constexpr (code::enters || code::writes_input)
      entering_ = start_code_of(code::started(stages(), std::tuple<>{}, between_, next));
  }
  template <class Statements> start_code start_code_of(Statements const& statements) const {
    detail::stage_branches<Stages> const branches{&stages(), levels_[0]};
    auto const f = fuse(make_answers(levels_[0], form<>{}, form<>{}, form<>{}, branches),
                        nothing_before, statements);
    using fused = typename std::remove_const_t<decltype(f)>::type;
    using program = typename decltype(code::template in_buffers<fused>())::type;
    return {detail::code_of<program>(), {f.c.begin(), f.c.end()}};
  }

  /// Calls f(kind) with the kind of step k.
  template <class F> void for_kind(std::size_t k, F f) const {
    int const before = std::min(static_cast<int>(k), code::longest);
    auto const chosen = [&]<class K>(list<K>) {
      if (levels_[k + 1].sigma == 0) return std::is_same_v<K, detail::last_step>;
      if (detail::has_first<typename code::sampler> &&
          (levels_[k].alpha == 0 || levels_[k + 1].alpha == 0))
        return std::is_same_v<K, detail::first_step>;
      return is_inner<K>(before);
    };
    [&]<class... Kind>(list<Kind...>) {
      (void)((chosen(list<Kind>{}) && (f(Kind{}), true)) || ...);
    }(typename code::kinds{});
  }

  template <class K> static bool is_inner(int before) {
    return [&]<int... B>(std::integer_sequence<int, B...>) {
      return ((std::is_same_v<K, detail::inner_step<B>> && B == before) || ...);
    }
    (std::make_integer_sequence<int, code::longest + 1>{});
  }

  /// What comes before the first evaluation of step k; nothing where there is none.
  detail::upcoming upcoming_at(std::size_t k) const {
    detail::upcoming next;
    if (k + 1 >= levels_.size()) return {levels_.back(), levels_.back(), levels_.back()};
    next.where = next.t = levels_[k];
    next.s = levels_[k + 1];
    if constexpr (code::writes_input)
      for_kind(k, [&]<class Kind>(Kind) {
        auto const formula = Kind::formula(stages().sampler, &levels_[k], between_);
        auto const order = detail::unrolled(where_of(k, formula).size(), formula.repetitions);
        if (!order.empty()) next.where = where_of(k, formula)[order[0]];
      });
    return next;
  }

  /// The level that each evaluation of step k sees.
  template <class Step> auto where_of(std::size_t k, Step const& formula) const {
    return std::apply(
        [&](auto const&... e) {
          return std::array<level, sizeof...(e)>{e.where.value_or(levels_[k])...};
        },
        formula.evaluations);
  }

  template <class Kind> void add_rows(std::size_t k, detail::upcoming next) {
    auto const formula = Kind::formula(stages().sampler, &levels_[k], between_);
    auto const where = where_of(k, formula);
    level const after = next.where;
    auto const order = order_of_step(
        k, where.size(), formula.repetitions,
        code::enters ||
            (Kind::is_last && (code::writes_input || code::past_x0 + code::past_eps > 0)));
    for (std::size_t i = 0; i < order.size(); ++i) {
      next.where = i + 1 < order.size() ? where[order[i + 1]] : after;
      [&]<std::size_t... E>(std::index_sequence<E...>) {
        (void)((E == order[i] &&
                (add_row<Kind, E>(k, where[E], std::get<E>(formula.evaluations), next), true)) ||
               ...);
      }
      (std::make_index_sequence<where.size()>{});
    }
  }

  template <class Kind, std::size_t E, class Evaluation>
  void add_row(std::size_t k, level t, Evaluation const& evaluation, detail::upcoming const& next) {
    if constexpr (detail::can_be_off<decltype(Stages::guidance)>)
      if (!stages().guidance.on(t)) {
        add_row<detail::structure<Kind, E, false>>(k, t, evaluation.statements, next, 1, false);
        return;
      }
    add_row<detail::structure<Kind, E, true>>(k, t, evaluation.statements, next, code::branches,
                                              code::extras > 0);
  }

  template <class Structure, class Statements>
  void add_row(std::size_t k, level t, Statements const& statements, detail::upcoming const& next,
               int branches, bool extras) {
    auto const f = code::template fuse<Structure>(stages(), t, statements, between_, next);
    any_plan::add_row({.structure = index_of<Structure>(typename code::structures{}),
                       .step = k,
                       .branches = branches,
                       .where = t,
                       .extras = extras},
                      f.c, [&](double) { return why_not_finite(t); });
  }

  /// Which stage it is that has no finite number at a level; "" where none is known.
  std::string why_not_finite(level t) const {
    auto const finite = [](auto const& f) {
      return std::ranges::all_of(lift(f).c,
                                 [](double a) { return std::isfinite(static_cast<float>(a)); });
    };
    auto const& predicts = stages().predicts;
    bool raw = true;
    if constexpr (requires { lift(stages().guidance.raw_of(t)); })
      raw = finite(stages().guidance.raw_of(t));
    return detail::why_not_finite(t,
                                  {.predicts = std::string(predicts.name),
                                   .x0 = finite(predicts.x0_of(t)),
                                   .eps = finite(predicts.eps_of(t)),
                                   .weight = raw,
                                   .guided_in_x0 = detail::guides_x0<typename code::guidance>,
                                   .guided_in_eps = detail::guides_eps<typename code::guidance>});
  }

  template <class Structure, class... S> static constexpr std::size_t index_of(list<S...>) {
    std::size_t i = 0;
    (void)((std::is_same_v<S, Structure> || (++i, false)) || ...);
    return i;
  }

  template <class F, class... S, class... P>
  void visit(row const& r, F& f, list<S...>, list<P...>) const {
    std::size_t i = 0;
    ((i++ == r.structure ? f(P{}, S{}, numbers(r)) : void()), ...);
  }

  std::shared_ptr<parts const> parts_;
  path between_;
};

}  // namespace tweedie
