// A plan: a pipeline on a grid. Every number of every step, computed in double before the loop,
// rounded once.
//
// Immutable: threads may share it. What changes while sampling is in a `state`. The stages' types
// are forgotten here; pipelines/plan.hpp makes a plan out of a typed pipeline,
// pipelines/run_time.hpp out of stages that are chosen at run time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include <tweedie/dsl/any_program.hpp>
#include <tweedie/dsl/level.hpp>
#include <tweedie/dsl/placement.hpp>
#include <tweedie/dsl/same.hpp>
#include <tweedie/dsl/stage.hpp>
#include <tweedie/dsl/statement.hpp>
#include <tweedie/pipelines/state.hpp>

namespace tweedie {

struct rows;
namespace detail {
struct launch_numbers;
}

/// A program that can run on a state: compiled, or a list of terms that is followed at run time.
class runnable {
 public:
  virtual ~runnable() = default;
  virtual any_program const& program() const = 0;
  virtual void launch(detail::launch_numbers numbers, state& s, rows const& r) const = 0;
  /// Whether the compiler has made a kernel of it.
  virtual bool is_compiled() const = 0;
  /// Whether it has a kernel for devices: one that nvcc has compiled.
  virtual bool runs_on_devices() const = 0;
};
using any_code = std::shared_ptr<runnable const>;

/// A program with the network before it, as one kernel: pipelines/plan.hpp makes it of an inlined
/// network.
class inlined_evaluation {
 public:
  virtual ~inlined_evaluation() = default;
  virtual void launch(batch const& b, detail::launch_numbers numbers, state& s,
                      rows const& r) const = 0;
};

/// What a plan needs of a state, and what it makes of the network.
struct plan_layout {
  std::size_t branches = 1;    ///< of the network
  std::size_t extras = 0;      ///< outputs that a guidance asks elsewhere
  std::size_t conditions = 1;  ///< labels of a sample
  std::size_t keeps = 0, past_x0 = 0, past_eps = 0, memories = 0;
  std::vector<std::uint32_t> streams = {};  ///< of noise that the caller gives
  std::size_t scratches = 0;                ///< buffers that reductions run over
  std::size_t inputs = 0;                   ///< net_in<k>; 0: the network sees x
  bool input_per_branch = false;
  bool learns_variance = false, uses_known = false, uses_mask = false;
  bool noise_given = false;
  bool enters = false;  ///< whether the sampler changes x before each step
  element_type input = element_type::float32, output = element_type::float32;

  std::size_t outputs() const { return branches + extras + learns_variance; }
  friend bool operator==(plan_layout const&, plan_layout const&) = default;
};

/// What a plan calls.
struct plan_calls {
  std::function<void(batch const&)> network;
  std::function<void(batch const&)> extras;  ///< what the guidance asks elsewhere
  std::function<void(noise_request const&)> noise;
  /// Throws where the network or the guidance cannot take such samples or labels.
  std::function<void(std::span<std::size_t const>, std::span<int const>)> check;
  /// What the first three can do on a device.
  std::function<device_use()> network_use = nothing, extras_use = nothing, noise_use = nothing;
  detail::callee asked_network = {}, asked_extras = {};  ///< what the first two are

 private:
  static device_use nothing() { return {}; }
};

namespace detail {

/// What is finite of a pipeline's stages at a level.
struct finite_parts {
  std::string predicts;  ///< the prediction's name
  bool x0, eps;          ///< that follow from it
  bool weight;           ///< of the guidance
  bool guided_in_x0, guided_in_eps;
};
/// The sentence about the stage that is not finite; "" where none of these is.
std::string why_not_finite(level t, finite_parts const& parts);

}  // namespace detail

/// A loop over all steps that was recorded on a device, from the start on: one launch repeats it
/// for the next batch, whose seeds, ids and conditions are written to the device before.
class recorded_loop {
 public:
  /// Enqueues the whole loop and waits for nothing: the samples will be those of result(). Throws
  /// tweedie::error, with nothing done, where the request has another shape than the loop was
  /// recorded for, or does not fit.
  void launch(request const& r, conditions const& given = {labels{no_label}});
  /// The same, and waits for the samples. Its steps and its progress are not asked.
  images sample(request const& r, conditions const& given = {labels{no_label}}) {
    launch(r, given);
    return take(state_);
  }
  /// The state at its end.
  state const& result() const { return state_; }

 private:
  friend class any_plan;
  recorded_loop(state s, plan_layout layout, plan_calls calls)
      : state_(std::move(s)), layout_(std::move(layout)), calls_(std::move(calls)) {}

  state state_;
  plan_layout layout_;
  plan_calls calls_;  ///< the network lives as long as what was recorded of it
  std::unique_ptr<recording> recording_;
};

class any_plan {
 public:
  /// Whether the loop over the steps asks the host nothing, so that it can be captured as a graph.
  static constexpr bool is_capturable = true;

  /// A kind of step, one of its evaluations, with or without guidance: what runs after the network.
  struct structure {
    any_code code;
    std::string kind;            ///< "step", "last step, sigma = 0"
    std::size_t evaluation = 0;  ///< of the step
    bool guided = true;
    bool is_used = false;  ///< by a row of the plan
    /// The same with the network inlined; null where the network is called.
    std::shared_ptr<inlined_evaluation const> inlined = {};
  };

  /// One evaluation of the network and what runs after it.
  struct row {
    std::size_t structure = 0;  ///< index in structures()
    std::size_t step = 0;   ///< it belongs to the step from levels()[step] to levels()[step + 1]
    std::size_t first = 0;  ///< of its numbers
    std::size_t count = 0;
    int branches = 1;
    level where;          ///< the level the network sees
    bool extras = false;  ///< whether the guidance asks another network
  };

  std::vector<level> const& levels() const { return levels_; }
  std::size_t steps() const { return levels_.size() - 1; }
  std::size_t network_evaluations() const { return rows_.size(); }
  std::vector<row> const& rows() const { return rows_; }
  /// Those that the pipeline has, whether or not this grid uses them.
  std::vector<structure> const& structures() const { return structures_; }
  any_program const& program(row const& r) const {
    return structures_[r.structure].code->program();
  }
  /// The coefficients of a row, in double; the kernel takes them rounded.
  std::span<double const> numbers(row const& r) const {
    return {numbers_.data() + r.first, r.count};
  }
  std::span<float const> rounded(row const& r) const {
    return {rounded_.data() + r.first, r.count};
  }
  plan_layout const& layout() const { return layout_; }
  /// Whether no structure draws noise.
  bool is_deterministic() const;

  /// The start: x_T from N(0, I), scaled by sigma_T where alpha = 1 (variance exploding). Throws
  /// tweedie::error where the request, the labels or the network do not fit each other, or not the
  /// place.
  state start(request const& r, conditions const& given = {labels{no_label}},
              placement const& where = default_placement()) const;

  /// The start at q(x_t | x0) of the plan's first level, from clean samples: img2img (Meng et al.
  /// 2022, SDEdit).
  state start_from(images const& clean, request r, conditions const& given = {labels{no_label}},
                   placement const& where = default_placement()) const;

  /// The start at x_t itself: samples that are at the plan's first level already, such as clean
  /// ones that are to be encoded.
  state start_at(images const& x_t, request r, conditions const& given = {labels{no_label}},
                 placement const& where = default_placement()) const;

  /// One step: for each of its evaluations, the network once and one kernel; or the kernel alone,
  /// where the network is a part of it. Throws where the state is another plan's.
  void advance(state& s) const {
    if (s.where.on_device()) check_place(s.where);  // it may have been moved there
    each_row_of_step(s, [&](row const& r, std::span<level const> seen) {
      if (structures_[r.structure].inlined) return apply_inlined(r, s, seen);
      evaluate(r, s, seen);
      apply(r, s);
    });
  }
  /// The same with another network.
  template <class Net> void advance(state& s, Net const& network) const {
    if (detail::calls_nothing(network))
      throw error("an empty network was given, expected one that can be called");
    each_row_of_step(s, [&](row const& r, std::span<level const> seen) {
      evaluate(r, s, seen, network);
      apply(r, s);
    });
  }

  /// What the network is asked at a row; `seen` are the samples' levels.
  batch batch_of(row const& r, state& s, std::span<level const> seen) const;

  /// The network at a row: its branches, and what the guidance asks elsewhere.
  template <class Net>
  void evaluate(row const& r, state& s, std::span<level const> seen, Net const& network) const {
    batch const b = batch_of(r, s, seen);
    network(b);
    settle(s);
    if (r.extras) {
      evaluate_extras(b, s);
      settle(s);
    }
    if (s.where.on_device()) s.where.memory->check_done("the network");
  }
  void evaluate(row const& r, state& s, std::span<level const> seen) const {
    evaluate(r, s, seen, calls_.network);
  }

  /// The kernel of a row alone, on a state whose network has written its output. Of the state it is
  /// only asked whether this plan started it.
  void apply(row const& r, state& s) const;

  /// Throws tweedie::error where not all that the plan runs and calls can run there.
  void check_place(placement const& where) const;

  /// Throws where the state is another plan's.
  bool finished(state const& s) const {
    check(s);
    return s.evaluated >= rows_.size();
  }

  /// The step that comes next for a state. Throws where the state is another plan's, or not between
  /// two steps.
  std::size_t step_of(state const& s) const;

  /// From a state to the end.
  images run(state s, std::function<void(std::size_t, std::size_t)> const& progress = {}) const;

  images sample(request const& r, conditions const& given = {labels{no_label}},
                placement const& where = default_placement()) const {
    return run(start(r, given, where), r.progress);
  }
  /// `plan.sample(request, on(stream))`: without conditions, on a device.
  images sample(request const& r, placement const& where) const {
    return sample(r, {labels{no_label}}, where);
  }

  /// The loop as one launch. It runs once for the request, so that what the network prepares at its
  /// first call is not recorded, and once more to be written down. Throws tweedie::error where the
  /// place is the host, the network waits for the device or was not made for one.
  recorded_loop record(request const& r, conditions const& given, placement const& where) const;
  recorded_loop record(request const& r, placement const& where) const {
    return record(r, {labels{no_label}}, where);
  }

  /// A number that differs between plans: of their levels, programs, coefficients and layouts. A
  /// state carries that of the plan that started it.
  std::uint64_t fingerprint() const { return fingerprint_; }

  /// Whether it asks the network, and its guidance the network, that another plan asks.
  detail::callee::answer asks_as(any_plan const& other) const;

  /// Throws where a guidance that is on sometimes is on at no level that the network sees. `given`
  /// says when it is on, `expected` what would be.
  void check_guided(std::string const& given, std::string const& expected) const;
  /// The same of times of a schedule that goes to `end`.
  void check_guided(std::string const& given, double end) const;

 protected:
  any_plan(plan_layout layout, plan_calls calls, std::vector<level> levels);

  /// The order in which the `count` evaluations of step k are done. Throws where there is none, or
  /// where the last is not done `last_once` and has to be.
  std::vector<std::size_t> order_of_step(std::size_t k, std::size_t count,
                                         std::vector<repetition> const& repetitions,
                                         bool last_once) const;

  /// Rows are added step by step, from the first on. Throws where a number is not finite; `why` may
  /// know a sentence.
  void begin_step() { first_row_.push_back(rows_.size()); }
  void add_row(row r, std::span<double const> numbers,
               std::function<std::string(double)> const& why = {});
  /// After the last row.
  void take_fingerprint();

  /// What runs at a start, with its numbers.
  struct start_code {
    any_code code;
    std::vector<float> numbers;
  };

  plan_layout layout_;
  plan_calls calls_;
  std::vector<level> levels_;
  std::vector<structure> structures_;
  start_code fresh_;     ///< x of noise, and what the network sees of it
  start_code entering_;  ///< what is done to x before the first evaluation; no code: nothing

 private:
  state allocate(request const& r, conditions const& given, placement const& where) const;
  /// Where the host shares the memory, nothing of what others enqueued is left to do.
  static void settle(state const& s) {
    if (s.where.on_device() && s.where.for_hosts()) s.where.memory->wait();
  }
  /// What follows allocate at a fresh start.
  void draw(state& s) const;
  noise_request asked(state& s, std::uint32_t stream, buffer& to) const;
  void enter(state& s) const;
  void evaluate_extras(batch b, state& s) const;
  template <class F> void each_row_of_step(state& s, F f) const {
    std::size_t const k = step_of(s);
    if (s.where.on_device()) s.where.memory->check_ready();
    std::vector<level> seen;
    for (std::size_t i = first_row_[k]; i < first_row_[k + 1]; ++i) {
      seen.assign(s.samples, rows_[i].where);
      f(rows_[i], seen);
    }
  }
  /// evaluate() and apply() as one kernel.
  void apply_inlined(row const& r, state& s, std::span<level const> seen) const;
  /// Around the kernel of a row: the noise that the caller gives, and what is counted.
  void give_noise(state& s) const;
  static void count_evaluation(state& s);
  void check(state const& s) const;
  void check_plan_of(state const& s) const {
    if (s.plan != fingerprint_) refuse(s);
  }
  [[noreturn]] void refuse(state const& s) const;

  std::vector<row> rows_;
  std::vector<std::size_t> first_row_;
  std::vector<double> numbers_;
  std::vector<float> rounded_;
  std::uint64_t fingerprint_ = 0;
};

/// One paragraph per structure that the grid uses, with the numbers of its first row.
std::string explain(any_plan const& p);
/// One paragraph for each evaluation of the step from levels()[step].
std::string explain_step(any_plan const& p, std::size_t step);
/// The same as LaTeX: an `aligned` environment for each structure, or of the step's evaluations.
std::string latex(any_plan const& p);
std::string latex_step(any_plan const& p, std::size_t step);

}  // namespace tweedie
