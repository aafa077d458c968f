#include <tweedie/pipelines/driven_loop.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include <tweedie/dsl/base/error.hpp>
#include <tweedie/dsl/base/half.hpp>
#include <tweedie/dsl/device/launch.hpp>

namespace tweedie {
namespace {

/// By the exponent's bits, all ones: a loop that is computed many elements at a time.
template <class T, class Bits>
std::optional<detail::output_element> first_of_type(batch const& b, Bits all_ones) {
  constexpr auto but_the_sign = static_cast<Bits>(std::numeric_limits<Bits>::max() / 2);
  for (std::size_t row = 0; row < b.rows(); ++row) {
    auto const out = b.output_of<T>(row);
    Bits largest = 0;
    for (T const& a : out)
      largest = std::max(largest, static_cast<Bits>(std::bit_cast<Bits>(a) & but_the_sign));
    if (largest < all_ones) continue;
    auto const bad = std::ranges::find_if(out, [](T a) { return !std::isfinite(to_float(a)); });
    float const value = to_float(*bad);
    // NaN has a sign that says nothing.
    return detail::output_element{row, static_cast<std::size_t>(bad - out.begin()),
                                  std::isnan(value) ? std::abs(value) : value};
  }
  return {};
}

}  // namespace

void detail::mark_unwritten(batch const& asked, element_type output) {
  if (asked.on_device) return;
  // All bits are a NaN of any of the types.
  std::size_t const element = output == element_type::float32 ? 4 : 2;
  for (std::size_t row = 0; row < asked.rows(); ++row)
    std::memset(static_cast<char*>(asked.output) + row * asked.pitch * element, 0xff, element);
  if (asked.variance)
    for (std::size_t row = 0; row < asked.samples; ++row)
      asked.variance[row * asked.pitch] = std::numeric_limits<float>::quiet_NaN();
}

std::optional<detail::output_element> detail::first_not_finite(batch const& asked,
                                                               element_type output) {
  constexpr std::uint32_t of_float32 = 0x7f800000;
  constexpr std::uint16_t of_bfloat16 = 0x7f80, of_float16 = 0x7c00;
  if (asked.on_device) return {};
  if (output == element_type::bfloat16) return first_of_type<bfloat16>(asked, of_bfloat16);
  if (output == element_type::float16) return first_of_type<float16>(asked, of_float16);
  return first_of_type<float>(asked, of_float32);
}

driven_loop::driven_loop(any_plan const& plan, state s, std::span<double const> times)
    : plan_(plan), times_(times), state_(std::move(s)) {
  if (!plan_.finished(state_)) plan_.step_of(state_);
  if (state_.where.on_device()) plan_.check_place(state_.where, false);  // the network is not asked
  if (!times.empty() && times.size() != plan.network_evaluations())
    throw error(fmt::format("{} times were given to a loop, expected {}, one for each evaluation",
                            times.size(), plan.network_evaluations()));
}

driven_loop any_plan::steps(state s) const& { return {*this, std::move(s)}; }

void driven_loop::check_is_here() const {
  if (state_.plan == 0)
    throw error(
        "a loop without a state was asked on: it was moved, or leave() took it; expected the loop "
        "that has it now");
}

question const* driven_loop::next() {
  check_is_here();
  if (is_asked_)
    throw error(fmt::format(
        "the next question was asked for before the one of step {} of {} (t = {:g}) was answered; "
        "expected answer() between them",
        step(), plan_.steps(), asked_.time));
  if (plan_.finished(state_)) return nullptr;
  any_plan::row const& r = plan_.rows()[state_.evaluated];
  seen_.assign(state_.samples, r.where);
  to_.assign(state_.samples, r.to);
  static_cast<batch&>(asked_) = plan_.batch_of(r, state_, seen_, to_);
  asked_.time = times_.empty() ? r.where.t : times_[state_.evaluated];
  // The first one: later the output of before may stand, which a caller may leave on purpose.
  if (std::exchange(is_fresh_, false)) {
    batch all = asked_;
    all.branches = plan_.layout().branches;
    detail::mark_unwritten(all, plan_.layout().output);
  }
  is_asked_ = true;
  has_extras_ = false;
  return &asked_;
}

void driven_loop::answer() {
  check_output();
  answer_unchecked();
}

void driven_loop::answer_unchecked() {
  if (!is_asked_)
    throw error(
        "an answer was given to a loop that has asked nothing; expected one after each next()");
  any_plan::row const& r = plan_.rows()[state_.evaluated];
  state_.settle("the network");
  evaluate_extras();
  plan_.apply(r, state_);
  is_asked_ = false;  // last: if this throws, the answer may be given again
}

// They depend on x alone, so that a preview's are the answer's.
void driven_loop::evaluate_extras() {
  if (has_extras_) return;
  if (plan_.rows()[state_.evaluated].extras) plan_.evaluate_extras(asked_, state_);
  has_extras_ = true;
}

void driven_loop::check_output() const {
  if (!is_asked_) return;
  auto const bad = detail::first_not_finite(asked_, plan_.layout().output);
  if (!bad) return;
  throw error(fmt::format(
      "the network's output is {} at step {} of {} (t = {:g}), in sample {}{}, element {}; "
      "expected finite numbers",
      bad->value, step(), plan_.steps(), asked_.time, bad->row % asked_.samples,
      asked_.branches > 1 ? fmt::format(" of branch {}", bad->row / asked_.samples) : "",
      bad->element));
}

float const* driven_loop::x0_rows() {
  check_is_here();
  if (!is_asked_)
    throw error(
        "x0 was asked for before the network was; expected next(), then its output, then x0()");
  if (state_.where.on_device() && !state_.where.for_hosts())
    throw error(
        "x0 was asked of a loop on a device; expected one on the host: no compiler has seen its "
        "program, and a list of terms is followed on the host alone");
  any_plan::row const& r = plan_.rows()[state_.evaluated];
  any_plan::preview const made = plan_.preview_of(r);
  std::vector<float> const numbers(made.numbers.begin(), made.numbers.end());
  // Buffers that no kernel keeps anything in.
  std::size_t const n = state_.samples * state_.pitch;
  if (state_.x0.size() < n) state_.x0 = buffer(n, state_.where);
  std::size_t const scratches = made.code->program().scratches();
  while (state_.scratch.size() < scratches) state_.scratch.emplace_back(n, state_.where);
  if (scratches > 0 && state_.reduced.size() == 0)
    state_.reduced = buffer(sym::most_reductions * state_.samples, state_.where);
  state_.settle("the network");
  evaluate_extras();
  made.code->launch({numbers.data()}, state_, state_.kernel_rows());
  state_.settle("the preview");
  return state_.x0.data();
}

images driven_loop::x0() {
  float const* const rows = x0_rows();
  images r{{state_.samples}, std::vector<float>(state_.samples * state_.elements)};
  r.shape.insert(r.shape.end(), state_.shape.begin(), state_.shape.end());
  for (std::size_t i = 0; i < state_.samples; ++i)
    std::copy_n(rows + i * state_.pitch, state_.elements, r.data.data() + i * state_.elements);
  return r;
}

state driven_loop::leave() {
  check_is_here();
  is_asked_ = false;
  return std::exchange(state_, {});
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
