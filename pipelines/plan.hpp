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
  /// Whether the loop over the steps asks the host nothing, so that it can be captured as a graph.
  static constexpr bool is_capturable = true;

  /// One evaluation of the network and the kernel after it.
  struct row {
    std::size_t structure = 0;  ///< index in code::structures
    std::size_t step = 0;   ///< it belongs to the step from levels()[step] to levels()[step + 1]
    std::size_t first = 0;  ///< of its numbers
    std::size_t count = 0;
    int branches = 1;
    level where;          ///< the level the network sees
    bool extras = false;  ///< whether the guidance asks another network
  };

  /// Levels from noisy to clean, or (for encoding) from clean to noisy; throws tweedie::error where
  /// a number of a step is not finite. `between` answers for the levels between those.
  plan(Stages stages, Network network, std::vector<level> levels, path between = {})
      : stages_(std::move(stages)),
        network_(std::move(network)),
        levels_(std::move(levels)),
        between_(std::move(between)) {
    check_stage(stages_.predicts);
    check_stage(stages_.guidance);
    check_stage(stages_.threshold);
    check_stage(stages_.sampler);
    if (levels_.size() < 2)
      throw error(
          fmt::format("a grid of {} level(s) was given, expected two or more", levels_.size()));
    if (code::enters && levels_.back().sigma != 0)
      throw error(
          "a grid that ends at a noisy level was given, expected one that ends at the clean level: "
          "the sampler adds noise before each step, also before one that is not there");
    for (std::size_t k = 0; k + 1 < levels_.size(); ++k) {
      first_row_.push_back(rows_.size());
      for_kind(k, [&]<class Kind>(Kind) { add_rows<Kind>(k); });
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
    return {stages_,
            network_,
            {levels_.begin() + static_cast<std::ptrdiff_t>(k), levels_.end()},
            between_};
  }

  /// The start: x_T from N(0, I), scaled by sigma_T where alpha = 1 (variance exploding).
  state start(request const& r, conditions const& given = {labels{no_label}}) const {
    using namespace symbols;
    state s = allocate(r, given);
    double const scale = levels_[0].alpha == 1 ? levels_[0].sigma : 1;
    if constexpr (code::noise_given) {
      stages_.noise(noise_request{.keys = s.keys,
                                  .stream = start_stream,
                                  .elements = s.elements,
                                  .pitch = s.pitch,
                                  .to = s.x.data()});
      launch_start(s, step(x = scale * x));
    } else if constexpr (code::enters) {
      launch(step(x = scale * noise_stream<start_stream>), bindings{bind(x, s.x.data())},
             rows_of(s));
      launch_start(s, step());
    } else launch_start(s, step(x = scale * noise_stream<start_stream>));
    return s;
  }

  /// The start at q(x_t | x0) of the plan's first level, from clean samples: img2img (Meng et al.
  /// 2022, SDEdit).
  state start_from(images const& clean, request r,
                   conditions const& given = {labels{no_label}}) const {
    r.shape = clean.shape;
    state s = allocate(r, given);
    add_noise(s, clean, levels_[0]);
    if constexpr (code::enters || code::writes_input) launch_start(s, step());
    return s;
  }

  /// The start at x_t itself: samples that are at the plan's first level already, such as clean
  /// ones that are to be encoded.
  state start_at(images const& x_t, request r, conditions const& given = {labels{no_label}}) const {
    r.shape = x_t.shape;
    state s = allocate(r, given);
    detail::put(s, x_t);
    if constexpr (code::enters || code::writes_input) launch_start(s, step());
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
      evaluate(r, s, seen, network);
      apply(r, s);
    }
  }

  /// What the network is asked at a row.
  batch batch_of(row const& r, state& s, std::vector<level> const& seen) const {
    constexpr bool input_is_float = std::is_same_v<typename code::buffers::input, float>;
    void const* const input = code::writes_input ? s.net_in.data() : s.x.data();
    return {.samples = s.samples,
            .branches = static_cast<std::size_t>(r.branches),
            .shape = s.shape,
            .elements = s.elements,
            .pitch = s.pitch,
            .x = input_is_float ? static_cast<float const*>(input) : nullptr,
            .out = std::is_same_v<typename code::buffers::output, float> ? s.out.data() : nullptr,
            .levels = seen.data(),
            .labels = s.labels.data(),
            .conditions = code::conditions,
            .variance = code::learns_variance ? s.pointer(sym::out_variance{}) : nullptr,
            .input = input,
            .output = s.out.data(),
            .input_rows = code::buffers::duplicates
                              ? s.samples * static_cast<std::size_t>(r.branches)
                              : s.samples};
  }

  /// The network at a row: its branches, and what the guidance asks elsewhere.
  template <class Net>
  void evaluate(row const& r, state& s, std::vector<level> const& seen, Net const& network) const {
    batch b = batch_of(r, s, seen);
    network(b);
    if constexpr (code::extras > 0)
      if (r.extras) {
        b.branches = code::extras;
        b.x = s.x.data();
        b.input = b.x;
        b.input_rows = s.samples;
        b.out = s.pointer(sym::grad{});
        b.output = b.out;
        b.variance = nullptr;
        stages_.guidance.evaluate(b);
      }
  }

  /// The kernel of a row alone, on a state whose network has written its output. The state is not
  /// checked: it is one that `start` made for this plan.
  void apply(row const& r, state& s) const {
    if constexpr (code::noise_given)
      for (int k = 0; k < code::streams; ++k)
        stages_.noise(noise_request{.keys = s.keys,
                                    .stream = static_cast<std::uint32_t>(k),
                                    .elements = s.elements,
                                    .pitch = s.pitch,
                                    .to = s.given_noise[static_cast<std::size_t>(k)].data()});
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

  images sample(request const& r, conditions const& given = {labels{no_label}}) const {
    return run(start(r, given), r.progress);
  }

 private:
  tweedie::rows rows_of(state const& s) const {
    return {.count = s.samples, .pitch = s.pitch, .keys = s.keys.data(), .elements = s.elements};
  }

  state allocate(request const& r, conditions const& given) const {
    state s = detail::make_state(r, given, code::conditions);
    // A network that knows what it can take says so before anything is drawn.
    if constexpr (requires { network_.check(r.shape, given.of_all(), code::branches); })
      network_.check(r.shape, given.of_all(), code::branches);
    // And so does what a guidance asks elsewhere.
    if constexpr (requires { stages_.guidance.check(r.shape, given.of_all()); })
      stages_.guidance.check(r.shape, given.of_all());
    constexpr std::size_t outputs =
        static_cast<std::size_t>(code::branches + code::extras) + code::learns_variance;
    s.branches = code::branches;
    s.out = buffer(outputs * s.x.size());
    s.keep.assign(code::keeps, buffer(s.x.size()));
    s.past_x0.assign(code::past_x0, buffer(s.x.size()));
    s.past_eps.assign(code::past_eps, buffer(s.x.size()));
    s.memory.assign(code::memories, buffer(s.x.size()));
    s.given_noise.assign(code::streams, buffer(s.x.size()));
    s.scratch.assign(code::scratches, buffer(s.x.size()));
    if constexpr (code::scratches > 0) s.reduced = buffer(sym::most_reductions * s.samples);
    if constexpr (code::writes_input) s.net_in = buffer(code::inputs * s.x.size());
    detail::take_known(s, r, code::uses_known);
    detail::take_mask(s, r, code::uses_mask);
    return s;
  }

  /// Runs what stands at the start of a sample and what comes before its first evaluation.
  template <class Step> void launch_start(state& s, Step const& first) const {
    auto const statements =
        code::started(stages_, std::get<0>(first.evaluations).statements, between_, upcoming_at(0));
    auto const f = [&] {
      detail::stage_branches<Stages> const branches{&stages_, levels_[0]};
      return fuse(make_answers(levels_[0], form<>{}, form<>{}, form<>{}, branches), nothing_before,
                  statements);
    }();
    using program =
        typename decltype(code::template in_buffers<typename decltype(f)::type>())::type;
    std::vector<float> numbers;
    for (double c : f.c) numbers.push_back(static_cast<float>(c));
    // What enters the first step draws other noise than what the first evaluation's kernel draws.
    tweedie::rows rows = rows_of(s);
    std::vector<sample_key> keys = s.keys;
    if constexpr (code::enters) {
      for (sample_key& key : keys) key.step = ~std::uint32_t{0};
      rows.keys = keys.data();
    }
    launch<program>(numbers, s, rows);
  }

  /// Throws where a state was made for a plan of another kind.
  void check(state const& s) const {
    std::size_t const n = s.samples * s.pitch;
    auto const fits = [&](std::vector<buffer> const& b, int count) {
      return b.size() >= static_cast<std::size_t>(count) &&
             std::ranges::all_of(b, [&](buffer const& one) { return one.size() >= n; });
    };
    if (s.x.size() < n ||
        s.out.size() < (code::branches + code::extras + code::learns_variance) * n ||
        !fits(s.keep, code::keeps) || !fits(s.past_x0, code::past_x0) ||
        !fits(s.past_eps, code::past_eps) || !fits(s.memory, code::memories) ||
        !fits(s.given_noise, code::streams) || !fits(s.scratch, code::scratches) ||
        s.net_in.size() < code::inputs * n ||
        (code::scratches > 0 && s.reduced.size() < sym::most_reductions * s.samples) ||
        (code::uses_known && s.known.size() < n) ||
        (code::uses_mask && (s.mask_period == 0 || s.elements % s.mask_period != 0)) ||
        s.keys.size() != s.samples || s.labels.size() != s.samples * code::conditions)
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
        auto const formula = Kind::formula(stages_.sampler, &levels_[k], between_);
        constexpr std::size_t count = std::tuple_size_v<decltype(formula.evaluations)>;
        auto const order = detail::unrolled(count, formula.repetitions);
        [&]<std::size_t... E>(std::index_sequence<E...>) {
          (void)((!order.empty() && E == order[0] &&
                  (next.where = std::get<E>(formula.evaluations).where.value_or(levels_[k]),
                   true)) ||
                 ...);
        }
        (std::make_index_sequence<count>{});
      });
    return next;
  }

  template <class Kind> void add_rows(std::size_t k) {
    auto const formula = Kind::formula(stages_.sampler, &levels_[k], between_);
    constexpr std::size_t count = std::tuple_size_v<decltype(formula.evaluations)>;
    for (repetition const& r : formula.repetitions)
      if (r.times < 0)
        throw error(fmt::format("step {} of {}: {} repetitions were given, expected 0 or more",
                                k + 1, steps(), r.times));
    auto const order = detail::unrolled(count, formula.repetitions);
    if (order.empty())
      throw error(
          fmt::format("step {} of {}: 0 repetitions were given and nothing besides, "
                      "expected one evaluation at least",
                      k + 1, steps()));
    // Entering the next step, and what a last step leaves out, belong to the last evaluation alone.
    if (std::ranges::count(order, count - 1) != 1 &&
        (code::enters ||
         (Kind::is_last && (code::writes_input || code::past_x0 + code::past_eps > 0))))
      throw error(
          fmt::format("step {} of {}: its last evaluation is repeated, expected one that is done "
                      "once, since the "
                      "sampler enters the next step or the network sees another input after it",
                      k + 1, steps()));
    std::array<level, count> where;
    [&]<std::size_t... E>(std::index_sequence<E...>) {
      ((where[E] = std::get<E>(formula.evaluations).where.value_or(levels_[k])), ...);
    }
    (std::make_index_sequence<count>{});
    for (std::size_t i = 0; i < order.size(); ++i) {
      detail::upcoming next = upcoming_at(k + 1);
      if (i + 1 < order.size()) next.where = where[order[i + 1]];
      [&]<std::size_t... E>(std::index_sequence<E...>) {
        (void)((E == order[i] &&
                (add_row<Kind, E>(k, where[E], std::get<E>(formula.evaluations), next), true)) ||
               ...);
      }
      (std::make_index_sequence<count>{});
    }
  }

  template <class Kind, std::size_t E, class Evaluation>
  void add_row(std::size_t k, level t, Evaluation const& evaluation, detail::upcoming const& next) {
    if constexpr (detail::can_be_off<decltype(Stages::guidance)>)
      if (!stages_.guidance.on(t)) {
        add_row<detail::structure<Kind, E, false>>(k, t, evaluation.statements, next, 1, false);
        return;
      }
    add_row<detail::structure<Kind, E, true>>(k, t, evaluation.statements, next, code::branches,
                                              true);
  }

  template <class Structure, class Statements>
  void add_row(std::size_t k, level t, Statements const& statements, detail::upcoming const& next,
               int branches, bool extras) {
    auto const f = code::template fuse<Structure>(stages_, t, statements, between_, next);
    for (double c : f.c)
      if (!std::isfinite(static_cast<float>(c))) throw_not_finite(k, t, c);
    rows_.push_back({index_of<Structure>(typename code::structures{}), k, numbers_.size(),
                     f.c.size(), branches, t, extras});
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
    if constexpr (requires { lift(stages_.guidance.raw_of(t)); })
      if (!finite(stages_.guidance.raw_of(t)))
        throw error(fmt::format("{}: the guidance has a weight that is not finite", where));
    constexpr bool in_x0 = detail::guides_x0<typename code::guidance>;
    constexpr bool in_eps = detail::guides_eps<typename code::guidance>;
    if ((in_eps && !in_x0 && t.alpha == 0) || (in_x0 && !in_eps && t.sigma == 0))
      throw error(fmt::format(
          "{}: the guidance is in {}, from which {} does not follow there; leave the level to "
          "guidance::within or use a grid without it",
          where, in_x0 ? "x0" : "eps", in_x0 ? "eps" : "x0"));
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
  path between_;
  std::vector<row> rows_;
  std::vector<std::size_t> first_row_;
  std::vector<double> numbers_;
  std::vector<float> rounded_;
};

}  // namespace tweedie
