#include <tweedie/pipelines/driven_loop.hpp>

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include <tweedie/dsl/base/error.hpp>

namespace tweedie {

driven_loop::driven_loop(any_plan const& plan, state s) : plan_(plan), state_(std::move(s)) {
  if (!plan_.finished(state_)) plan_.step_of(state_);
  if (state_.where.on_device()) plan_.check_place(state_.where, false);  // the network is not asked
}

batch const* driven_loop::next() {
  if (plan_.finished(state_)) return nullptr;
  if (!is_asked_) {
    any_plan::row const& r = plan_.rows()[state_.evaluated];
    seen_.assign(state_.samples, r.where);
    to_.assign(state_.samples, r.to);
    asked_ = plan_.batch_of(r, state_, seen_, to_);
    is_asked_ = true;
  }
  return &asked_;
}

void driven_loop::answer() {
  if (!is_asked_)
    throw error(
        "an answer was given to a loop that has asked nothing; expected one after each next()");
  any_plan::row const& r = plan_.rows()[state_.evaluated];
  // The network has answered; what the guidance asks another one is still to come.
  plan_.evaluate(r, state_, seen_, to_, [](batch const&) {});
  plan_.apply(r, state_);
  is_asked_ = false;  // last: if this throws, the answer may be given again
}

void driven_loop::check_output() const {
  if (!is_asked_ || asked_.on_device || !asked_.out) return;
  for (std::size_t row = 0; row < asked_.rows(); ++row) {
    std::span<float const> const out = asked_.out_of(row);
    auto const bad = std::ranges::find_if(out, [](float a) { return !std::isfinite(a); });
    if (bad == out.end()) continue;
    throw error(fmt::format(
        "the network's output is {} at step {} of {} (t = {:g}), in sample {}{}, element {}; "
        "expected finite numbers",
        *bad, step(), plan_.steps(), asked_.level_of(row).t, row % asked_.samples,
        asked_.branches > 1 ? fmt::format(" of branch {}", row / asked_.samples) : "",
        bad - out.begin()));
  }
}

std::size_t driven_loop::step() const {
  return plan_.finished(state_) ? plan_.steps() : plan_.rows()[state_.evaluated].step;
}

bool driven_loop::is_between_steps() const {
  if (is_asked_) return false;
  std::size_t const k = state_.evaluated;
  return plan_.finished(state_) || k == 0 || plan_.rows()[k].step != plan_.rows()[k - 1].step;
}

}  // namespace tweedie
