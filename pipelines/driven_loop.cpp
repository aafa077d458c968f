#include <tweedie/pipelines/driven_loop.hpp>

#include <utility>

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
    asked_ = plan_.batch_of(r, state_, seen_);
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
  plan_.evaluate(r, state_, seen_, [](batch const&) {});
  plan_.apply(r, state_);
  is_asked_ = false;  // last: if this throws, the answer may be given again
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
