// The loop over a plan's steps, driven by its caller: for a network in a runtime of its own, which
// wants buffers and no callback.
//
//   driven_loop loop(plan, plan.start(request, labels));
//   while (batch const* ask = loop.next()) {
//     run(ask->x, ask->levels, ask->out);  // whatever fills out
//     loop.answer();
//   }
//   images const pictures = loop.samples();
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include <tweedie/dsl/language/batch.hpp>
#include <tweedie/pipelines/any_plan.hpp>

namespace tweedie {

class driven_loop {
 public:
  /// The plan has to outlive the loop; its own network is never called. Throws tweedie::error if
  /// the state is another plan's, or not between two steps.
  driven_loop(any_plan const& plan, state s);
  driven_loop(any_plan const&& plan, state s) = delete;  // it would be gone
  driven_loop(driven_loop&& other) noexcept
      : plan_(other.plan_),
        state_(std::move(other.state_)),
        seen_(std::move(other.seen_)),
        to_(std::move(other.to_)),
        asked_(other.asked_),
        is_asked_(std::exchange(other.is_asked_, false)) {}
  driven_loop(driven_loop const&) = delete;  // a question points into its own loop

  /// What the network is asked next; null at the end. Every question has the same buffers, so that
  /// a runtime may bind them once. Until `answer` it is the same question.
  batch const* next();

  /// Call it when the output is written: the kernel of the evaluation runs, after what the plan's
  /// guidance asks another network. Throws tweedie::error if nothing was asked.
  void answer();

  /// Before `answer`: throws tweedie::error, which names the step, the sample and the element, if
  /// the output that was written to the host's memory has a value that is not finite.
  void check_output() const;

  /// Steps that are done, and whether the loop stands between two of them.
  std::size_t step() const;
  bool is_between_steps() const;
  /// The state, which can be saved between two steps, and gone on with later.
  state const& now() const { return state_; }
  /// The rows of x as they are now, `now().pitch` floats apart; between two evaluations they may be
  /// changed.
  float* x() { return state_.x.data(); }
  /// x, without the padding of its rows: the samples, at the end.
  images samples() const { return take(state_); }

 private:
  any_plan const& plan_;
  state state_;
  std::vector<level> seen_, to_;  ///< what the levels of a question point at
  batch asked_;
  bool is_asked_ = false;
};

}  // namespace tweedie
