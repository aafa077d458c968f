// A loop over all steps that was recorded on a device (a CUDA graph), from the start on: one launch
// repeats it for the next batch, whose seeds, ids and conditions are written to the device before.
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include <tweedie/dsl/device/placement.hpp>
#include <tweedie/pipelines/state.hpp>
#include <tweedie/pipelines/state_layout.hpp>

namespace tweedie {

struct plan_calls;

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
  recorded_loop(state s, state_layout layout, std::shared_ptr<plan_calls const> calls)
      : state_(std::move(s)), layout_(std::move(layout)), calls_(std::move(calls)) {}

  state state_;
  state_layout layout_;
  std::shared_ptr<plan_calls const> calls_;  ///< the network lives as long as what was recorded
  std::unique_ptr<recording> recording_;
};

}  // namespace tweedie
