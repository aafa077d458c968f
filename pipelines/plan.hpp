// A plan: a pipeline on a grid. Every number of every step, computed in double before the loop,
// rounded once.
//
// Immutable: threads may share it. What changes while sampling is in a `state`.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include <fmt/format.h>

#include <tweedie/dsl/launch.hpp>
#include <tweedie/pipelines/noising.hpp>
#include <tweedie/pipelines/state.hpp>
#include <tweedie/pipelines/structure.hpp>

namespace tweedie {

template <class Stages, class Network> class plan {
 public:
  using code = compiled<Stages>;

  /// One evaluation of the network and the kernel after it.
  struct row {
    std::size_t structure = 0;  ///< index in code::structures
    std::size_t step = 0;   ///< it belongs to the step from levels()[step] to levels()[step + 1]
    std::size_t first = 0;  ///< of its numbers
    std::size_t count = 0;
    int branches = 1;
    level where;  ///< the level the network sees
  };

  /// Levels from noisy to clean; throws tweedie::error where a number of a step is not finite.
  plan(Stages stages, Network network, std::vector<level> levels)
      : stages_(std::move(stages)), network_(std::move(network)), levels_(std::move(levels)) {
    check_stage(stages_.guidance);
    check_stage(stages_.threshold);
    check_stage(stages_.sampler);
    if (levels_.size() < 2)
      throw error(
          fmt::format("a grid of {} level(s) was given, expected two or more", levels_.size()));
    for (std::size_t k = 0; k + 1 < levels_.size(); ++k) {
      first_row_.push_back(rows_.size());
      add_step(k, typename code::kinds{});
    }
    first_row_.push_back(rows_.size());
  }

  std::vector<level> const& levels() const { return levels_; }
  std::size_t steps() const { return levels_.size() - 1; }
  std::size_t network_evaluations() const { return rows_.size(); }
  std::vector<row> const& rows() const { return rows_; }
  Stages const& stages() const { return stages_; }
  Network const& network() const { return network_; }

  /// Calls f(program, structure, numbers) with the program of a row, what it is for, and its
  /// numbers in double.
  template <class F> void visit(row const& r, F&& f) const {
    visit(r, f, typename code::structures{}, typename code::programs{});
  }

  /// The same plan entered at step k: the levels from there on, histories empty.
  plan from(std::size_t k) const {
    if (k >= steps())
      throw error(fmt::format("step {} was asked for, the plan has steps 0 to {}", k, steps() - 1));
    return {stages_, network_, {levels_.begin() + static_cast<std::ptrdiff_t>(k), levels_.end()}};
  }

  /// The start: x_T from N(0, I), scaled by sigma_T where alpha = 1 (variance exploding).
  state start(request const& r, labels const& conditions = {no_label}) const {
    using namespace symbols;
    state s = allocate(r, conditions);
    double const scale = levels_[0].alpha == 1 ? levels_[0].sigma : 1;
    launch(step(x = scale * noise_stream<start_stream>), bindings{bind(x, s.x.data())}, rows_of(s));
    return s;
  }

  /// The start at q(x_t | x0) of the plan's first level, from clean samples: img2img (Meng et al.
  /// 2022, SDEdit).
  state start_from(images const& clean, request r, labels const& conditions = {no_label}) const {
    r.shape = clean.shape;
    state s = allocate(r, conditions);
    add_noise(s, clean, levels_[0]);
    return s;
  }

  /// One step: for each of its evaluations, the network once and one kernel.
  void advance(state& s) const { advance(s, network_); }
  template <class Net> void advance(state& s, Net const& network) const {
    check(s);
    std::size_t const k = first_row_index(s);
    std::vector<level> seen(s.samples);
    for (std::size_t i = first_row_[k]; i < first_row_[k + 1]; ++i) {
      row const& r = rows_[i];
      std::ranges::fill(seen, r.where);
      network(batch{.samples = s.samples,
                    .branches = static_cast<std::size_t>(r.branches),
                    .shape = s.shape,
                    .elements = s.elements,
                    .pitch = s.pitch,
                    .x = s.x.data(),
                    .out = s.out.data(),
                    .levels = seen.data(),
                    .labels = s.labels.data()});
      apply(r, s);
    }
  }

  /// The kernel of a row alone, on a state whose network has written its output. The state is not
  /// checked: it is one that `start` made for this plan.
  void apply(row const& r, state& s) const {
    dispatch(r, s, typename code::programs{});
    ++s.evaluated;
    // The noise of the next evaluation is another: its counter is the evaluation's index in the
    // plan.
    for (sample_key& key : s.keys) ++key.step;
  }

  bool finished(state const& s) const { return s.evaluated >= rows_.size(); }

  /// From a state to the end.
  images run(state s, std::function<void(std::size_t, std::size_t)> const& progress = {}) const {
    while (!finished(s)) {
      std::size_t const k = first_row_index(s);
      advance(s);
      if (progress) progress(k + 1, steps());
    }
    return take(s);
  }

  images sample(request const& r, labels const& conditions = {no_label}) const {
    return run(start(r, conditions), r.progress);
  }

 private:
  tweedie::rows rows_of(state const& s) const {
    return {.count = s.samples, .pitch = s.pitch, .keys = s.keys.data()};
  }

  state allocate(request const& r, labels const& conditions) const {
    state s = detail::make_state(r, conditions);
    // A network that knows what it can take says so before anything is drawn.
    if constexpr (requires { network_.check(r.shape, conditions, code::branches); })
      network_.check(r.shape, conditions, code::branches);
    s.out = buffer(code::branches * s.x.size());
    s.keep.assign(code::keeps, buffer(s.x.size()));
    s.past_x0.assign(code::past_x0, buffer(s.x.size()));
    s.past_eps.assign(code::past_eps, buffer(s.x.size()));
    return s;
  }

  /// Throws where a state was made for a plan of another kind.
  void check(state const& s) const {
    std::size_t const n = s.samples * s.pitch;
    auto const fits = [&](std::vector<buffer> const& b, int count) {
      return b.size() >= static_cast<std::size_t>(count) &&
             std::ranges::all_of(b, [&](buffer const& one) { return one.size() >= n; });
    };
    if (s.x.size() < n || s.out.size() < code::branches * n || !fits(s.keep, code::keeps) ||
        !fits(s.past_x0, code::past_x0) || !fits(s.past_eps, code::past_eps) ||
        s.keys.size() != s.samples || s.labels.size() != s.samples)
      throw error(
          fmt::format("a state of {} samples with {} kept buffers and histories of {} and {} was "
                      "given; expected one "
                      "that this plan's start() made, with room for {} branches, {} kept buffers "
                      "and histories of {} and {}",
                      s.samples, s.keep.size(), s.past_x0.size(), s.past_eps.size(), code::branches,
                      code::keeps, code::past_x0, code::past_eps));
  }

  std::size_t first_row_index(state const& s) const {
    auto const at = std::ranges::find(first_row_, s.evaluated);
    if (at == first_row_.end() || at + 1 == first_row_.end())
      throw error(fmt::format(
          "a state after {} evaluations was given, expected one between two of the plan's {} steps",
          s.evaluated, steps()));
    return static_cast<std::size_t>(at - first_row_.begin());
  }

  // A stage may have a check() that throws on values it cannot work with.
  template <class Stage> static void check_stage(Stage const& stage) {
    if constexpr (requires { stage.check(); }) stage.check();
  }

  template <class... Kind> void add_step(std::size_t k, list<Kind...>) {
    int const before = std::min(static_cast<int>(k), code::longest);
    auto const chosen = [&]<class K>(list<K>) {
      if (levels_[k + 1].sigma == 0) return std::is_same_v<K, detail::last_step>;
      if (detail::has_first<typename code::sampler> && levels_[k].alpha == 0)
        return std::is_same_v<K, detail::first_step>;
      return is_inner<K>(before);
    };
    (void)((chosen(list<Kind>{}) && (add_rows<Kind>(k), true)) || ...);
  }

  template <class K> static bool is_inner(int before) {
    return [&]<int... B>(std::integer_sequence<int, B...>) {
      return ((std::is_same_v<K, detail::inner_step<B>> && B == before) || ...);
    }
    (std::make_integer_sequence<int, code::longest + 1>{});
  }

  template <class Kind> void add_rows(std::size_t k) {
    auto const formula = Kind::formula(stages_.sampler, &levels_[k]);
    [&]<std::size_t... E>(std::index_sequence<E...>) {
      (add_row<Kind, E>(k, std::get<E>(formula.evaluations)), ...);
    }
    (std::make_index_sequence<std::tuple_size_v<decltype(formula.evaluations)>>{});
  }

  template <class Kind, std::size_t E, class Evaluation>
  void add_row(std::size_t k, Evaluation const& evaluation) {
    level const t = evaluation.where.value_or(levels_[k]);
    if constexpr (detail::can_be_off<decltype(Stages::guidance)>)
      if (!stages_.guidance.on(t)) {
        add_row<detail::structure<Kind, E, false>>(k, t, evaluation.statements, 1);
        return;
      }
    add_row<detail::structure<Kind, E, true>>(k, t, evaluation.statements, code::branches);
  }

  template <class Structure, class Statements>
  void add_row(std::size_t k, level t, Statements const& statements, int branches) {
    auto const f = code::template fuse<Structure>(stages_, t, statements);
    for (double c : f.c)
      if (!std::isfinite(static_cast<float>(c))) throw_not_finite(k, t, c);
    rows_.push_back({index_of<Structure>(typename code::structures{}), k, numbers_.size(),
                     f.c.size(), branches, t});
    numbers_.insert(numbers_.end(), f.c.begin(), f.c.end());
    for (double c : f.c) rounded_.push_back(static_cast<float>(c));
  }

  [[noreturn]] void throw_not_finite(std::size_t k, level t, double c) const {
    auto const finite = [](auto const& f) {
      return std::ranges::all_of(lift(f).c,
                                 [](double a) { return std::isfinite(static_cast<float>(a)); });
    };
    std::string const where =
        fmt::format("step {} of {}, from t = {} to t = {} (alpha = {}, sigma = {})", k + 1, steps(),
                    levels_[k].t, levels_[k + 1].t, t.alpha, t.sigma);
    if (!finite(stages_.predicts.x0_of(t)) || !finite(stages_.predicts.eps_of(t)))
      throw error(fmt::format(
          "{}: predicts::{} gives no finite {} there; use a prediction that is defined at this "
          "level, such as v, or a grid without it",
          where, stages_.predicts.name, finite(stages_.predicts.x0_of(t)) ? "eps" : "x0"));
    if (!finite(stages_.guidance.raw_of(t)))
      throw error(fmt::format("{}: the guidance has a weight that is not finite", where));
    throw error(
        fmt::format("{}: the sampler has the coefficient {}, expected a finite one", where, c));
  }

  template <class Structure, class... S> static constexpr std::size_t index_of(list<S...>) {
    std::size_t i = 0;
    (void)((std::is_same_v<S, Structure> || (++i, false)) || ...);
    return i;
  }

  template <class... P> void dispatch(row const& r, state& s, list<P...>) const {
    using function = void (*)(std::span<float const>, state&, tweedie::rows const&);
    static constexpr function kernels[] = {
        [](std::span<float const> n, state& to, tweedie::rows const& rows) {
          launch<P>(n, to, rows);
        }...};
    kernels[r.structure]({rounded_.data() + r.first, r.count}, s, rows_of(s));
  }

  template <class F, class... S, class... P>
  void visit(row const& r, F& f, list<S...>, list<P...>) const {
    std::size_t i = 0;
    std::span<double const> const numbers{numbers_.data() + r.first, r.count};
    ((i++ == r.structure ? f(P{}, S{}, numbers) : void()), ...);
  }

  Stages stages_;
  Network network_;
  std::vector<level> levels_;
  std::vector<row> rows_;
  std::vector<std::size_t> first_row_;
  std::vector<double> numbers_;
  std::vector<float> rounded_;
};

}  // namespace tweedie
