// A plan: the stages of a pipeline on a grid, with all numbers worked out. It is a value, and
// nothing in it changes: it may be shared by threads. Whether its programs were chosen by the
// compiler or at run time is not told apart here; pipelines/plan_builder.hpp makes it.
//
// What it does stands in files of their own: start.cpp, loop.cpp, recorded_loop.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include <tweedie/dsl/base/same.hpp>
#include <tweedie/dsl/device/placement.hpp>
#include <tweedie/dsl/language/composition.hpp>
#include <tweedie/dsl/language/level.hpp>
#include <tweedie/dsl/lowering/any_program.hpp>
#include <tweedie/pipelines/recorded_loop.hpp>
#include <tweedie/pipelines/state.hpp>
#include <tweedie/pipelines/state_layout.hpp>

namespace tweedie {

struct any_stages;
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
using any_inlined = std::shared_ptr<inlined_evaluation const>;

/// What a plan calls.
struct plan_calls {
  std::function<void(batch const&)> network;
  std::function<void(batch const&)> extras;  ///< what the guidance asks elsewhere
  std::function<void(noise_request const&)> noise;
  samples_check check;  ///< of the network and the guidance
  /// What the first three can do on a device.
  std::function<device_use()> network_use = nothing, extras_use = nothing, noise_use = nothing;
  detail::callee asked_network = {}, asked_extras = {};  ///< what the first two are

 private:
  static device_use nothing() { return {}; }
};

/// A kind of step, one of its evaluations, with or without guidance: what runs after the network.
struct plan_structure {
  any_code code;
  std::string kind;            ///< "step", "last step, sigma = 0"
  std::size_t evaluation = 0;  ///< of the step
  bool guided = true;
  bool is_used = false;  ///< by a row of the plan
  /// The same with the network inlined; null where the network is called.
  any_inlined inlined = {};
};

/// One evaluation of the network and what runs after it.
struct plan_row {
  std::size_t structure = 0;  ///< index in structures()
  std::size_t step = 0;       ///< it belongs to the step from levels()[step] to levels()[step + 1]
  std::size_t first = 0;      ///< of its numbers
  std::size_t count = 0;
  int branches = 1;
  level where;          ///< the level the network sees
  level to = {};        ///< where its step ends
  bool extras = false;  ///< whether the guidance asks another network
};

/// What runs at a start, with its numbers.
struct start_code {
  any_code code;
  std::vector<float> numbers;
};

/// All that a plan consists of.
struct plan_parts {
  state_layout layout;
  std::shared_ptr<plan_calls const> calls;
  std::vector<level> levels;
  std::vector<plan_structure> structures;
  std::vector<plan_row> rows;
  std::vector<std::size_t> first_row;  ///< of each step, and how many there are
  std::vector<double> numbers;         ///< of all rows
  start_code fresh;                    ///< x of noise, and what the network sees of it
  start_code entering;  ///< what is done to x before the first evaluation; no code: nothing
  std::shared_ptr<any_stages const> stages;  ///< what a preview is made of
};

namespace detail {
/// Differs between plans of other levels, programs, coefficients or layouts.
std::uint64_t fingerprint_of(plan_parts const& p);
}  // namespace detail

class driven_loop;

class any_plan {
 public:
  using structure = plan_structure;
  using row = plan_row;
  using network_function = std::function<void(batch const&)>;
  using progress = std::function<void(std::size_t, std::size_t)>;

  explicit any_plan(plan_parts of);

  /// Whether the loop over the steps asks the host nothing, so that it can be captured as a graph.
  static constexpr bool is_capturable = true;

  std::vector<level> const& levels() const { return of_.levels; }
  std::size_t steps() const { return of_.levels.size() - 1; }
  std::size_t network_evaluations() const { return of_.rows.size(); }
  std::vector<row> const& rows() const { return of_.rows; }
  /// Those that the pipeline has, whether or not this grid uses them.
  std::vector<structure> const& structures() const { return of_.structures; }
  any_program const& program(row const& r) const {
    return of_.structures[r.structure].code->program();
  }
  /// The coefficients of a row, in double; the kernel takes them rounded.
  std::span<double const> numbers(row const& r) const {
    return {of_.numbers.data() + r.first, r.count};
  }
  std::span<float const> rounded(row const& r) const {
    return {rounded_.data() + r.first, r.count};
  }
  state_layout const& layout() const { return of_.layout; }
  /// Whether no structure draws noise.
  bool is_deterministic() const;
  /// Whether the kernel after an evaluation, counted from 0, asks the caller for noise.
  bool asks_for_noise(std::size_t evaluation) const;

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
  void advance(state& s) const;
  /// The same with another network.
  template <class Net> void advance(state& s, Net const& network) const {
    if (detail::calls_nothing(network))
      throw error("an empty network was given, expected one that can be called");
    advance_by(s, std::cref(network));
  }

  /// What the network is asked at a row; `seen` are the samples' levels, `to` those that their
  /// steps go to, if there are steps.
  batch batch_of(row const& r, state& s, std::span<level const> seen,
                 std::span<level const> to = {}) const;

  /// The network at a row: its branches, and what the guidance asks elsewhere.
  void evaluate(row const& r, state& s, std::span<level const> seen,
                std::span<level const> to) const {
    evaluate_by(r, s, seen, to, of_.calls->network);
  }
  template <class Net>
  void evaluate(row const& r, state& s, std::span<level const> seen, std::span<level const> to,
                Net const& network) const {
    evaluate_by(r, s, seen, to, std::cref(network));
  }

  /// The kernel of a row alone, on a state whose network has written its output. Of the state it is
  /// only asked whether this plan started it.
  void apply(row const& r, state& s) const;

  /// A program that stores x0 in state::x0, and its numbers.
  struct preview {
    any_code code;
    std::vector<double> numbers;
  };
  /// x0 as the sampler sees it at a row, through the guidance and the threshold, of the network's
  /// output there. Throws tweedie::error where it is not finite: of eps at alpha = 0.
  preview preview_of(row const& r) const;

  /// The loop over the steps that are left of a state, for a caller who brings the network's
  /// output: pipelines/driven_loop.hpp. The plan has to outlive it. Throws where the state is
  /// another plan's, or not between two steps.
  driven_loop steps(state s) const&;
  driven_loop steps(state s) const&& = delete;  // the plan would be gone

  /// Throws tweedie::error where not all that the plan runs and calls can run there.
  void check_place(placement const& where) const { check_place(where, true); }

  /// Throws where the state is another plan's.
  bool finished(state const& s) const {
    check(s);
    return s.evaluated >= of_.rows.size();
  }

  /// The step that comes next for a state. Throws where the state is another plan's, or not between
  /// two steps.
  std::size_t step_of(state const& s) const;

  /// From a state to the end.
  images run(state s, progress const& report = {}) const;

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

  /// Asks the network and the guidance whether they can take a state's samples, labels and other
  /// conditions, as at the start. Throws where they cannot.
  void check_samples(state const& s) const;

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

 private:
  friend class driven_loop;  // which asks no network of the plan's
  state allocate(request const& r, conditions const& given, placement const& where) const;
  /// What follows allocate at a fresh start.
  void draw(state& s) const;
  void enter(state& s) const;
  /// The steps from one to another.
  void go(state& s, std::size_t from, std::size_t to, network_function const& network,
          progress const& report = {}) const;
  void evaluate_by(row const& r, state& s, std::span<level const> seen, std::span<level const> to,
                   network_function const& network) const;
  /// Whether the plan's own network is among what is called.
  void check_place(placement const& where, bool own_network) const;
  void advance_by(state& s, network_function const& network) const;
  void apply_inlined(row const& r, state& s, std::span<level const> seen,
                     std::span<level const> to) const;
  void evaluate_extras(batch b, state& s) const;
  void give_noise(any_program const& program, state& s) const;
  void add_given_noise(state& s, images const& clean) const;
  void check(state const& s) const;
  [[noreturn]] void refuse(state const& s) const;
  std::span<row const> rows_of_step(std::size_t k) const {
    return {of_.rows.data() + of_.first_row[k], of_.first_row[k + 1] - of_.first_row[k]};
  }

  plan_parts of_;
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
