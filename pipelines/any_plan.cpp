#include <tweedie/pipelines/any_plan.hpp>

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace tweedie {

any_plan::any_plan(plan_parts of) : of_(std::move(of)) {
  for (double c : of_.numbers) rounded_.push_back(static_cast<float>(c));
  fingerprint_ = detail::fingerprint_of(of_);
}

void any_plan::check(state const& s) const {
  if (s.plan == 0) refuse(s);
  layout().check(s);
  if (s.plan != fingerprint_) refuse(s);
}

void any_plan::refuse(state const& s) const {
  std::string const expected = fmt::format(
      "expected one that this plan's start() made: {} steps from t = {:.6g} to t = {:.6g}", steps(),
      of_.levels.front().t, of_.levels.back().t);
  if (s.plan == 0) throw error("a state that no plan has started was given; " + expected);
  throw error(fmt::format("a state of another plan, after {} evaluations there, was given; {}",
                          s.evaluated, expected));
}

void any_plan::check_samples(state const& s) const {
  if (!of_.calls->check) return;
  std::vector<std::size_t> shape{s.samples};
  shape.insert(shape.end(), s.shape.begin(), s.shape.end());
  of_.calls->check(shape, s.labels, s.arrays);
}

std::size_t any_plan::step_of(state const& s) const {
  check(s);
  auto const at = std::ranges::lower_bound(of_.first_row, s.evaluated);
  if (at == of_.first_row.end() || *at != s.evaluated || at + 1 == of_.first_row.end())
    throw error(fmt::format(
        "a state after {} evaluations was given, expected one between two of the plan's {} steps",
        s.evaluated, steps()));
  return static_cast<std::size_t>(at - of_.first_row.begin());
}

bool any_plan::is_deterministic() const {
  return std::ranges::all_of(of_.structures,
                             [](structure const& s) { return s.code->program().noises() == 0; });
}

void any_plan::check_place(placement const& where, bool own_network) const {
  if (where.on_device()) where.memory->check_ready();
  if (where.for_hosts()) return;
  auto const check_use = [](device_use const& use, char const* what, char const* expected) {
    if (use.enqueues) return;
    throw error(fmt::format("{} for hosts was given to a plan on a device{}{}", what,
                            use.why_not ? ": " : ", expected one that enqueues its work on ",
                            use.why_not ? use.why_not : expected));
  };
  constexpr char const* of_a_network =
      "batch.stream and says so: static constexpr bool enqueues = true";
  if (own_network) check_use(of_.calls->network_use(), "a network", of_a_network);
  if (layout().extras > 0)
    check_use(of_.calls->extras_use(), "a guidance that asks a network", of_a_network);
  if (layout().noise_given)
    check_use(of_.calls->noise_use(), "a source of noise",
              "noise_request.device_stream and says so, or none: a device draws its own");
  auto const check_code = [](any_code const& code, std::string const& kind) {
    if (!code || code->runs_on_devices()) return;
    throw error(
        kind +
        (code->is_compiled()
             ? ": a program that was compiled for the host alone was given to a plan on a device; "
               "expected one that nvcc has compiled: put the pipeline together in a .cu file"
             : ": a program that no compiler has seen was given to a plan on a device; expected a "
               "compiled one, since a list of terms is followed on the host alone"));
  };
  check_code(of_.fresh.code, "start");
  check_code(of_.entering.code, "start");
  for (structure const& s : of_.structures)
    if (s.is_used) check_code(s.code, s.kind);
}

detail::callee::answer any_plan::asks_as(any_plan const& other) const {
  using answer = detail::callee::answer;
  answer const network = compare(of_.calls->asked_network, other.of_.calls->asked_network);
  if (network != answer::same || layout().extras == 0) return network;
  return compare(of_.calls->asked_extras, other.of_.calls->asked_extras);
}

void any_plan::check_guided(std::string const& given, std::string const& expected) const {
  if (std::ranges::any_of(of_.rows,
                          [&](row const& r) { return of_.structures[r.structure].guided; }))
    return;
  auto const [first, last] =
      std::ranges::minmax(of_.rows, {}, [](row const& r) { return r.where.t; });
  throw error(fmt::format(
      "{} was given, which is off wherever this plan asks the network, from t = {:.6g} to t = "
      "{:.6g}; expected {}",
      given, first.where.t, last.where.t, expected));
}

void any_plan::check_guided(std::string const& given, double end) const {
  check_guided(given, fmt::format("times of the schedule, 0 to {} here, or shares of it by "
                                  "within_share",
                                  end));
}

}  // namespace tweedie
