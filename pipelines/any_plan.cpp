#include <tweedie/pipelines/any_plan.hpp>

#include <algorithm>
#include <bit>
#include <cmath>

#include <fmt/format.h>

#include <tweedie/dsl/launch.hpp>
#include <tweedie/pipelines/noising.hpp>

namespace tweedie {
namespace {

tweedie::rows rows_of(state const& s) {
  return {.count = s.samples, .pitch = s.pitch, .keys = s.keys.data(), .elements = s.elements};
}

}  // namespace

any_plan::any_plan(plan_layout layout, plan_calls calls, std::vector<level> levels)
    : layout_(std::move(layout)), calls_(std::move(calls)), levels_(std::move(levels)) {
  if (levels_.size() < 2)
    throw error(
        fmt::format("a grid of {} level(s) was given, expected two or more", levels_.size()));
  if (layout_.enters && levels_.back().sigma != 0)
    throw error(
        "a grid that ends at a noisy level was given, expected one that ends at the clean level: "
        "the sampler adds noise before each step, also before one that is not there");
}

std::string detail::why_not_finite(level t, finite_parts const& parts) {
  if (!parts.x0 || !parts.eps)
    return fmt::format(
        "predicts::{} gives no finite {} there; use a prediction that is defined at this level, "
        "such as v, or a grid without it",
        parts.predicts, parts.x0 ? "eps" : "x0");
  if (!parts.weight) return "the guidance has a weight that is not finite";
  bool const no_x0 = parts.guided_in_eps && !parts.guided_in_x0 && t.alpha == 0;
  bool const no_eps = parts.guided_in_x0 && !parts.guided_in_eps && t.sigma == 0;
  if (no_x0 || no_eps)
    return fmt::format(
        "the guidance is in {}, from which {} does not follow there; leave the level to "
        "guidance::within or use a grid without it",
        no_eps ? "x0" : "eps", no_eps ? "eps" : "x0");
  if (t.sigma == 0)
    return "the sampler has no finite step from the clean end, where sigma is 0; encode with "
           "samplers::ddim{} or another that leaves it, or begin at a noisy level";
  return "";
}

std::vector<std::size_t> any_plan::order_of_step(std::size_t k, std::size_t count,
                                                 std::vector<repetition> const& repetitions,
                                                 bool last_once) const {
  for (repetition const& r : repetitions)
    if (r.times < 0)
      throw error(fmt::format("step {} of {}: {} repetitions were given, expected 0 or more", k + 1,
                              steps(), r.times));
  auto const order = detail::unrolled(count, repetitions);
  if (order.empty())
    throw error(
        fmt::format("step {} of {}: 0 repetitions were given and nothing besides, expected one "
                    "evaluation at least",
                    k + 1, steps()));
  // Entering the next step, and what a last step leaves out, belong to the last evaluation alone.
  if (last_once && std::ranges::count(order, count - 1) != 1)
    throw error(fmt::format(
        "step {} of {}: its last evaluation is repeated, expected one that is done "
        "once, since the sampler enters the next step or the network sees another input "
        "after it",
        k + 1, steps()));
  return order;
}

void any_plan::add_row(row r, std::span<double const> numbers,
                       std::function<std::string(double)> const& why) {
  for (double c : numbers)
    if (!std::isfinite(static_cast<float>(c))) {
      std::string const where = fmt::format(
          "step {} of {}, from t = {} to t = {} (alpha = {}, sigma = {})", r.step + 1, steps(),
          levels_[r.step].t, levels_[r.step + 1].t, r.where.alpha, r.where.sigma);
      std::string const known = why ? why(c) : std::string();
      throw error(fmt::format(
          "{}: {}", where,
          !known.empty()
              ? known
              : fmt::format("the sampler has the coefficient {}, expected a finite one", c)));
    }
  r.first = numbers_.size();
  r.count = numbers.size();
  rows_.push_back(r);
  numbers_.insert(numbers_.end(), numbers.begin(), numbers.end());
  for (double c : numbers) rounded_.push_back(static_cast<float>(c));
}

bool any_plan::is_deterministic() const {
  return std::ranges::all_of(structures_,
                             [](structure const& s) { return s.code->program().noises() == 0; });
}

state any_plan::allocate(request const& r, conditions const& given) const {
  state s = detail::make_state(r, given, layout_.conditions);
  // A network that knows what it can take says so before anything is drawn.
  if (calls_.check) calls_.check(r.shape, given.of_all());
  std::size_t const n = s.x.size();
  s.branches = layout_.branches;
  s.outputs = layout_.outputs();
  s.out = buffer(layout_.outputs() * n);
  s.keep.assign(layout_.keeps, buffer(n));
  s.past_x0.assign(layout_.past_x0, buffer(n));
  s.past_eps.assign(layout_.past_eps, buffer(n));
  s.memory.assign(layout_.memories, buffer(n));
  for (std::uint32_t k : layout_.streams) {
    s.given_noise.resize(std::max<std::size_t>(s.given_noise.size(), k + 1));
    s.given_noise[k] = buffer(n);
  }
  s.scratch.assign(layout_.scratches, buffer(n));
  if (layout_.scratches > 0) s.reduced = buffer(sym::most_reductions * s.samples);
  s.net_in = buffer(layout_.inputs * n);
  detail::take_known(s, r, layout_.uses_known);
  detail::take_mask(s, r, layout_.uses_mask);
  return s;
}

state any_plan::start(request const& r, conditions const& given) const {
  state s = allocate(r, given);
  if (layout_.noise_given)
    calls_.noise(noise_request{.keys = s.keys,
                               .stream = start_stream,
                               .elements = s.elements,
                               .pitch = s.pitch,
                               .to = s.x.data()});
  fresh_.code->launch({fresh_.numbers.data()}, s, rows_of(s));
  if (layout_.enters) enter(s);
  return s;
}

state any_plan::start_from(images const& clean, request r, conditions const& given) const {
  r.shape = clean.shape;
  state s = allocate(r, given);
  add_noise(s, clean, levels_[0]);
  enter(s);
  return s;
}

state any_plan::start_at(images const& x_t, request r, conditions const& given) const {
  r.shape = x_t.shape;
  state s = allocate(r, given);
  detail::put(s, x_t);
  enter(s);
  return s;
}

// What enters the first step draws other noise than what the first evaluation's kernel draws.
void any_plan::enter(state& s) const {
  if (!entering_.code) return;
  tweedie::rows rows = rows_of(s);
  std::vector<sample_key> keys = s.keys;
  for (sample_key& key : keys) key.step = ~std::uint32_t{0};
  rows.keys = keys.data();
  entering_.code->launch({entering_.numbers.data()}, s, rows);
}

batch any_plan::batch_of(row const& r, state& s, std::span<level const> seen) const {
  void const* const input = layout_.inputs > 0 ? s.net_in.data() : s.x.data();
  auto const branches = static_cast<std::size_t>(r.branches);
  return {.samples = s.samples,
          .branches = branches,
          .shape = s.shape,
          .elements = s.elements,
          .pitch = s.pitch,
          .x = layout_.input == element_type::float32 ? static_cast<float const*>(input) : nullptr,
          .out = layout_.output == element_type::float32 ? s.out.data() : nullptr,
          .levels = seen.data(),
          .labels = s.labels.data(),
          .conditions = layout_.conditions,
          .variance = layout_.learns_variance ? s.pointer(sym::out_variance{}) : nullptr,
          .input = input,
          .output = s.out.data(),
          .input_rows = layout_.input_per_branch ? s.samples * branches : s.samples};
}

void any_plan::evaluate_extras(batch b, state& s) const {
  b.branches = layout_.extras;
  b.x = s.x.data();
  b.input = b.x;
  b.input_rows = s.samples;
  b.out = s.pointer(sym::grad{});
  b.output = b.out;
  b.variance = nullptr;
  calls_.extras(b);
}

void any_plan::apply(row const& r, state& s) const {
  for (std::uint32_t k : layout_.streams)
    calls_.noise(noise_request{.keys = s.keys,
                               .stream = k,
                               .elements = s.elements,
                               .pitch = s.pitch,
                               .to = s.given_noise[k].data()});
  structures_[r.structure].code->launch({rounded_.data() + r.first}, s, rows_of(s));
  ++s.evaluated;
  // The noise of the next evaluation is another: its counter is the evaluation's index in the plan.
  for (sample_key& key : s.keys) ++key.step;
}

void any_plan::check(state const& s) const {
  std::size_t const n = s.samples * s.pitch;
  auto const fits = [&](std::vector<buffer> const& b, std::size_t count) {
    return b.size() >= count &&
           std::ranges::all_of(b, [&](buffer const& one) { return one.size() >= n; });
  };
  if (s.x.size() < n || s.out.size() < layout_.outputs() * n || !fits(s.keep, layout_.keeps) ||
      !fits(s.past_x0, layout_.past_x0) || !fits(s.past_eps, layout_.past_eps) ||
      !fits(s.memory, layout_.memories) ||
      !std::ranges::all_of(layout_.streams,
                           [&](std::uint32_t k) {
                             return k < s.given_noise.size() && s.given_noise[k].size() >= n;
                           }) ||
      !fits(s.scratch, layout_.scratches) || s.net_in.size() < layout_.inputs * n ||
      (layout_.scratches > 0 && s.reduced.size() < sym::most_reductions * s.samples) ||
      (layout_.uses_known && s.known.size() < n) ||
      (layout_.uses_mask && (s.mask_period == 0 || s.elements % s.mask_period != 0)) ||
      s.keys.size() != s.samples || s.labels.size() != s.samples * layout_.conditions)
    throw error(
        fmt::format("a state of {} samples with {} kept buffers and histories of {} and {} was "
                    "given; expected one that this plan's start() made, with room for {} branches, "
                    "{} kept buffers and histories of {} and {}",
                    s.samples, s.keep.size(), s.past_x0.size(), s.past_eps.size(), layout_.branches,
                    layout_.keeps, layout_.past_x0, layout_.past_eps));
}

std::size_t any_plan::step_of(state const& s) const {
  check(s);
  auto const at = std::ranges::lower_bound(first_row_, s.evaluated);
  if (at == first_row_.end() || *at != s.evaluated || at + 1 == first_row_.end())
    throw error(fmt::format(
        "a state after {} evaluations was given, expected one between two of the plan's {} steps",
        s.evaluated, steps()));
  return static_cast<std::size_t>(at - first_row_.begin());
}

images any_plan::run(state s, std::function<void(std::size_t, std::size_t)> const& progress) const {
  while (!finished(s)) {
    std::size_t const k = step_of(s);
    advance(s);
    if (progress) progress(k + 1, steps());
  }
  return take(s);
}

// FNV-1a over everything that a state's meaning depends on.
std::uint64_t any_plan::fingerprint() const {
  std::uint64_t h = 0xcbf29ce484222325u;
  auto const add = [&](std::uint64_t word) {
    for (int i = 0; i < 8; ++i, word >>= 8) h = (h ^ (word & 0xff)) * 0x100000001b3u;
  };
  for (level const& l : levels_)
    for (double d : {l.t, l.alpha, l.sigma}) add(std::bit_cast<std::uint64_t>(d));
  for (row const& r : rows_) {
    for (any_kernel const& k : program(r).kernels)
      for (auto const* lines : {&k.uniform, &k.nodes, &k.writes, &k.reductions})
        for (any_line const& l : *lines) {
          add(static_cast<std::uint64_t>(l.target.rank));
          for (char const* name = l.function    ? l.function->name
                                  : l.reduction ? l.reduction->name
                                                : "";
               *name; ++name)
            add(static_cast<unsigned char>(*name));
          for (any_sum const& sum : l.sums)
            for (any_symbol const& s : sum) add(static_cast<std::uint64_t>(s.rank));
        }
    add(static_cast<std::uint64_t>(r.branches));
    for (double c : numbers(r)) add(std::bit_cast<std::uint64_t>(c));
  }
  return h;
}

}  // namespace tweedie
