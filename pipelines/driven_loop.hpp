// The loop over a plan's steps, driven by its caller: for a network in a runtime of its own, which
// wants buffers and no callback.
//
//   auto loop = plan.steps(plan.start(request, labels));
//   while (auto const* ask = loop.next()) {
//     run(ask->x, ask->time, ask->out);  // whatever fills out
//     loop.answer();
//   }
//   images const pictures = loop.samples();
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <tweedie/dsl/language/batch.hpp>
#include <tweedie/pipelines/any_plan.hpp>

namespace tweedie {

/// What the network is asked, all samples at one level.
struct question : batch {
  double time = 0;  ///< what the network is told: the level's t, or what the loop was given
};

namespace detail {
/// An element of a network's output, as a float.
struct output_element {
  std::size_t row, element;
  float value;
};
/// The first that is not finite, of an output in the host's memory; nothing on a device.
std::optional<output_element> first_not_finite(batch const& asked, element_type output);
/// Puts a NaN into each row of an output in the host's memory, so that a row that nobody writes is
/// met by the look at it.
void mark_unwritten(batch const& asked, element_type output);
}  // namespace detail

class driven_loop {
 public:
  /// The plan has to outlive the loop; its own network is never called. `times` are what the
  /// network is told at each of the plan's evaluations, and have to outlive the loop; empty: the
  /// levels' t. Throws tweedie::error if the state is another plan's, or not between two steps.
  driven_loop(any_plan const& plan, state s, std::span<double const> times = {});
  driven_loop(any_plan const&& plan, state s, std::span<double const> = {}) = delete;  // gone
  driven_loop(any_plan const& plan, state s, std::vector<double>&& times) = delete;
  driven_loop(driven_loop&& other) noexcept
      : plan_(other.plan_),
        times_(other.times_),
        state_(std::exchange(other.state_, {})),
        seen_(std::move(other.seen_)),
        to_(std::move(other.to_)),
        asked_(other.asked_),
        is_asked_(std::exchange(other.is_asked_, false)),
        is_fresh_(other.is_fresh_),
        has_extras_(other.has_extras_) {}
  driven_loop(driven_loop const&) = delete;  // a question points into its own loop

  /// What the network is asked next; null at the end. Every question has the same buffers, so that
  /// a runtime may bind them once, and holds until `answer`. Throws tweedie::error if the one
  /// before was not answered.
  question const* next();

  /// Call it when the output is written: the kernel of the evaluation runs, after what the plan's
  /// guidance asks another network. Throws tweedie::error if nothing was asked, or as
  /// `check_output` does: then the question stands, and its output may be written again.
  void answer();
  /// The same without a look at the output: what is not finite goes on into the samples.
  void answer_unchecked();

  /// Throws tweedie::error, which names the step, the sample and the element, if the output that
  /// was written to the host's memory has a value that is not finite.
  void check_output() const;

  /// Between the output and `answer`: x0 as the sampler is about to see it, through the guidance
  /// and the threshold; of a method with several evaluations that of this one. One kernel more, and
  /// nothing of the loop changes. Throws tweedie::error if nothing was asked, and on a device.
  images x0();
  /// The same in rows `now().pitch` floats apart, which lie still until the next such call.
  float const* x0_rows();

  /// Steps that are done, and whether the loop stands between two of them.
  std::size_t step() const;
  bool is_between_steps() const;
  /// The question that waits for its answer; null if none does.
  question const* asked() const { return is_asked_ ? &asked_ : nullptr; }
  /// The state, which can be saved between two steps, and gone on with later.
  state const& now() const { return state_; }
  /// The state itself, without a copy: this loop is over. What was asked and not answered is asked
  /// again by the loop that goes on.
  state leave();
  /// The rows of x as they are now, `now().pitch` floats apart; until x0() or answer() they may be
  /// changed.
  float* x() { return state_.x.data(); }
  /// x, without the padding of its rows: the samples, at the end.
  images samples() const { return take(state_); }

 private:
  void check_is_here() const;
  void evaluate_extras();

  any_plan const& plan_;
  std::span<double const> times_;
  state state_;
  std::vector<level> seen_, to_;  ///< what the levels of a question point at
  question asked_;
  bool is_asked_ = false;
  bool is_fresh_ = true;     ///< nothing was ever asked
  bool has_extras_ = false;  ///< what the guidance asks another network is there
};

}  // namespace tweedie
