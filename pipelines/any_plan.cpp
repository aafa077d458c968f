#include <tweedie/pipelines/any_plan.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <new>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <tweedie/dsl/launch.hpp>
#include <tweedie/pipelines/noising.hpp>

namespace tweedie {
namespace {

tweedie::rows rows_of(state& s) {
  placed_keys const keys = s.keys_for_kernels();
  return {.count = s.samples,
          .pitch = s.pitch,
          .keys = keys.first,
          .elements = s.elements,
          .step = keys.step,
          .on = s.where};
}

/// Throws unless each level is one, and all fall in noise or all rise.
void check_order(std::vector<level> const& levels) {
  auto const told = [](level const& l) {
    return fmt::format("t = {} (alpha = {}, sigma = {})", l.t, l.alpha, l.sigma);
  };
  for (std::size_t k = 0; k < levels.size(); ++k) {
    level const& l = levels[k];
    if (!(std::isfinite(l.t) && std::isfinite(l.alpha) && std::isfinite(l.sigma) && l.alpha >= 0 &&
          l.sigma >= 0 && l.alpha + l.sigma > 0))
      throw error(fmt::format(
          "level {} of a grid is {}, expected finite alpha and sigma, 0 or more, not both 0", k,
          told(l)));
  }
  // rho = sigma / alpha, without the division.
  auto const is_noisier = [](level const& a, level const& b) {
    return a.sigma * b.alpha > b.sigma * a.alpha;
  };
  bool const rises = is_noisier(levels.back(), levels.front());
  for (std::size_t k = 1; k < levels.size(); ++k)
    if (!(rises ? is_noisier(levels[k], levels[k - 1]) : is_noisier(levels[k - 1], levels[k])))
      throw error(fmt::format(
          "level {} of a grid, {}, does not lie {} the one before it, {}; expected levels that {} "
          "in noise from one to the next",
          k, told(levels[k]), rises ? "above" : "below", told(levels[k - 1]),
          rises ? "rise" : "fall"));
}

}  // namespace

any_plan::any_plan(plan_layout layout, plan_calls calls, std::vector<level> levels)
    : layout_(std::move(layout)), calls_(std::move(calls)), levels_(std::move(levels)) {
  if (levels_.size() < 2)
    throw error(
        fmt::format("a grid of {} level(s) was given, expected two or more", levels_.size()));
  check_order(levels_);
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
      double const shown = std::isnan(c) ? std::abs(c) : c;  // NaN has a sign that says nothing
      std::string const known = why ? why(shown) : std::string();
      throw error(fmt::format(
          "{}: {}", where,
          !known.empty()
              ? known
              : fmt::format(
                    "the sampler has the coefficient {}, expected one that is finite in float32",
                    shown)));
    }
  r.first = numbers_.size();
  r.count = numbers.size();
  rows_.push_back(r);
  structures_[r.structure].is_used = true;
  numbers_.insert(numbers_.end(), numbers.begin(), numbers.end());
  for (double c : numbers) rounded_.push_back(static_cast<float>(c));
}

bool any_plan::is_deterministic() const {
  return std::ranges::all_of(structures_,
                             [](structure const& s) { return s.code->program().noises() == 0; });
}

void any_plan::check_place(placement const& where) const {
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
  check_use(calls_.network_use(), "a network", of_a_network);
  if (layout_.extras > 0)
    check_use(calls_.extras_use(), "a guidance that asks a network", of_a_network);
  if (layout_.noise_given)
    check_use(calls_.noise_use(), "a source of noise",
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
  check_code(fresh_.code, "start");
  check_code(entering_.code, "start");
  for (structure const& s : structures_)
    if (s.is_used) check_code(s.code, s.kind);
}

state any_plan::allocate(request const& r, conditions const& given, placement const& where) const
    try {
  check_place(where);
  state s = detail::make_state(r, given, layout_.conditions, where);
  s.plan = fingerprint_;
  // A network that knows what it can take says so before anything is drawn.
  if (calls_.check) calls_.check(r.shape, given.of_all());
  std::size_t const n = s.x.size();
  auto const room = [&](std::size_t floats) { return buffer(floats, where); };
  s.branches = layout_.branches;
  s.outputs = layout_.outputs();
  s.out = room(layout_.outputs() * n);
  for (auto [all, count] : {std::pair{&s.keep, layout_.keeps},
                            {&s.past_x0, layout_.past_x0},
                            {&s.past_eps, layout_.past_eps},
                            {&s.memory, layout_.memories},
                            {&s.scratch, layout_.scratches}})
    for (std::size_t i = 0; i < count; ++i) all->push_back(room(n));
  for (std::uint32_t k : layout_.streams) {
    s.given_noise.resize(std::max<std::size_t>(s.given_noise.size(), k + 1));
    s.given_noise[k] = room(n);
  }
  if (layout_.scratches > 0) s.reduced = room(sym::most_reductions * s.samples);
  s.net_in = room(layout_.inputs * n);
  detail::take_known(s, r, layout_.uses_known);
  detail::take_mask(s, r, layout_.uses_mask);
  return s;
} catch (std::bad_alloc const&) {
  throw error(fmt::format(
      "shape = {{{}}} was given, for which there is not enough memory; expected fewer samples",
      fmt::join(r.shape, ", ")));
}

noise_request any_plan::asked(state& s, std::uint32_t stream, buffer& to) const {
  return {.keys = s.keys,
          .stream = stream,
          .elements = s.elements,
          .pitch = s.pitch,
          .to = to.data(),
          .on_device = s.where.on_device(),
          .device_stream = s.where.on_device() ? s.where.memory->stream() : nullptr};
}

void any_plan::draw(state& s) const {
  if (layout_.noise_given) {
    calls_.noise(asked(s, start_stream, s.x));
    settle(s);
  }
  fresh_.code->launch({fresh_.numbers.data()}, s, rows_of(s));
  if (layout_.enters) enter(s);
}

state any_plan::start(request const& r, conditions const& given, placement const& where) const {
  detail::check_pure_noise(levels_[0], "a start from noise");
  state s = allocate(r, given, where);
  draw(s);
  s.tell_device();
  return s;
}

namespace {

/// A request's shape may be left out where samples are given, which are finite.
void take_shape(request& r, images const& given, char const* what) {
  if (!r.shape.empty() && r.shape != given.shape)
    throw error(
        fmt::format("shape = {{{}}} was given with {} of shape {{{}}}, expected the same, or none",
                    fmt::join(r.shape, ", "), what, fmt::join(given.shape, ", ")));
  auto const bad = std::ranges::find_if(given.data, [](float a) { return !std::isfinite(a); });
  if (bad != given.data.end())
    throw error(fmt::format("{}: value {} is {}, expected finite ones", what,
                            bad - given.data.begin(), *bad));
  r.shape = given.shape;
}

}  // namespace

state any_plan::start_from(images const& clean, request r, conditions const& given,
                           placement const& where) const {
  take_shape(r, clean, "clean samples");
  state s = allocate(r, given, where);
  add_noise(s, clean, levels_[0]);
  enter(s);
  s.tell_device();
  return s;
}

state any_plan::start_at(images const& x_t, request r, conditions const& given,
                         placement const& where) const {
  take_shape(r, x_t, "samples x_t");
  state s = allocate(r, given, where);
  detail::put(s, x_t);
  enter(s);
  s.tell_device();
  return s;
}

// What enters the first step draws other noise than what the first evaluation's kernel draws.
void any_plan::enter(state& s) const {
  if (!entering_.code) return;
  tweedie::rows rows = rows_of(s);
  --rows.step;  // every key is at 0: the last of all steps
  entering_.code->launch({entering_.numbers.data()}, s, rows);
}

batch any_plan::batch_of(row const& r, state& s, std::span<level const> seen) const {
  check_plan_of(s);
  bool const on_device = s.where.on_device();
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
          .input_rows = layout_.input_per_branch ? s.samples * branches : s.samples,
          .on_device = on_device,
          .stream = on_device ? s.where.memory->stream() : nullptr,
          .device_labels = s.device_labels()};
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
  check_plan_of(s);
  give_noise(s);
  structures_[r.structure].code->launch({rounded_.data() + r.first}, s, rows_of(s));
  count_evaluation(s);
}

void any_plan::apply_inlined(row const& r, state& s, std::span<level const> seen) const {
  batch const b = batch_of(r, s, seen);
  if (r.extras) {
    evaluate_extras(b, s);
    settle(s);
    if (s.where.on_device()) s.where.memory->check_done("the guidance's network");
  }
  give_noise(s);
  structures_[r.structure].inlined->launch(b, {rounded_.data() + r.first}, s, rows_of(s));
  count_evaluation(s);
}

void any_plan::give_noise(state& s) const {
  for (std::uint32_t k : layout_.streams) {
    calls_.noise(asked(s, k, s.given_noise[k]));
    settle(s);
    if (s.where.on_device()) s.where.memory->check_done("the source of noise");
  }
}

void any_plan::count_evaluation(state& s) {
  ++s.evaluated;
  // The noise of the next evaluation is another: its counter is the evaluation's index in the plan.
  for (sample_key& key : s.keys) ++key.step;
}

void any_plan::check(state const& s) const {
  if (s.plan == 0) refuse(s);
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
  check_plan_of(s);
}

void any_plan::refuse(state const& s) const {
  std::string const expected = fmt::format(
      "expected one that this plan's start() made: {} steps from t = {:.6g} to t = {:.6g}", steps(),
      levels_.front().t, levels_.back().t);
  if (s.plan == 0) throw error("a state that no plan has started was given; " + expected);
  throw error(fmt::format("a state of another plan, after {} evaluations there, was given; {}",
                          s.evaluated, expected));
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

recorded_loop any_plan::record(request const& r, conditions const& given,
                               placement const& where) const {
  if (!where.on_device())
    throw error("a loop on the host was to be recorded, expected one on a device: on(stream)");
  check_place(where);
  auto const refuse = [](char const* what) {
    throw error(
        fmt::format("{} was to be recorded, expected one that only enqueues its work, the "
                    "same each time, and does not say is_capturable = false",
                    what));
  };
  if (!calls_.network_use().is_capturable) refuse("a network that cannot be");
  if (layout_.extras > 0 && !calls_.extras_use().is_capturable)
    refuse("a guidance whose network cannot be");
  if (layout_.noise_given)
    throw error(
        "a loop whose noise is the caller's own was to be recorded, expected one that draws it: a "
        "recording would repeat the same keys; remove noise_from");
  recorded_loop loop(start(r, given, where), layout_, calls_);
  state& s = loop.state_;
  std::vector<sample_key> const keys = s.keys;
  auto const run_steps = [&] {
    while (!finished(s)) advance(s);
  };
  run_steps();
  s.keys = keys;
  s.evaluated = 0;
  s.forget_device();
  s.tell_device();
  where.memory->begin_recording();
  try {
    // What a guidance remembers is 0 at first.
    for (buffer& b : s.memory) where.memory->zero(b.data(), b.size() * sizeof(float));
    draw(s);
    run_steps();
  } catch (...) {
    where.memory->drop_recording();
    throw;
  }
  loop.recording_ = where.memory->end_recording();
  // What was recorded was not done: the samples are those of the run before.
  return loop;
}

void recorded_loop::launch(request const& r, conditions const& given) {
  state of = detail::make_samples(r, given, layout_.conditions);
  if (of.samples != state_.samples || of.shape != state_.shape)
    throw error(fmt::format(
        "{} samples of shape {{{}}} were asked of a loop that was recorded for {} of shape {{{}}}, "
        "expected as many of that shape",
        of.samples, fmt::join(of.shape, ", "), state_.samples, fmt::join(state_.shape, ", ")));
  if (calls_.check) calls_.check(r.shape, given.of_all());
  detail::take_known(of, r, layout_.uses_known);
  detail::take_mask(of, r, layout_.uses_mask);
  if (of.mask_period != state_.mask_period || of.mask_stride != state_.mask_stride)
    throw error(
        "a mask of another shape than the recorded loop's was given, expected one of its shape");
  state_.where.memory->check_ready();
  auto const evaluated = static_cast<std::uint32_t>(state_.evaluated);
  state_.known.put(0, of.known.data(), of.known.size());
  state_.mask.put(0, of.mask.data(), of.mask.size());
  state_.keys = of.keys;
  state_.labels = of.labels;
  state_.tell_device();
  recording_->launch();
  for (sample_key& key : state_.keys) key.step += evaluated;
}

// Everything that a state's meaning depends on, mixed into one number: FNV-1a's step, word by word.
void any_plan::take_fingerprint() {
  struct mixer {
    std::uint64_t h = 0xcbf29ce484222325u;
    void add(std::uint64_t word) {
      h = (h ^ word) * 0x100000001b3u;
      h ^= h >> 32;  // a product moves bits upwards alone
    }
    void add(double d) { add(std::bit_cast<std::uint64_t>(d)); }
    void add(char const* name) {
      while (*name) add(std::uint64_t{static_cast<unsigned char>(*name++)});
    }
    void add(symbol_id s) {  // by its name: another word changes no fingerprint
      add(sym::about_word(s.is).name);
      add(std::uint64_t{s.index});
    }
    void add(any_line const& l) {
      add(l.target.id);
      add(l.function ? l.function->name : l.reduction ? l.reduction->name : "");
      for (any_sum const& sum : l.sums)
        for (any_symbol const& s : sum) add(s.id);
    }
  };
  mixer all;
  for (level const& l : levels_)
    for (double d : {l.t, l.alpha, l.sigma}) all.add(d);
  plan_layout const& of = layout_;
  for (std::size_t n :
       {of.branches, of.extras, of.conditions, of.keeps, of.past_x0, of.past_eps, of.memories,
        of.inputs, std::size_t{of.learns_variance}, std::size_t{of.uses_known},
        std::size_t{of.uses_mask}, std::size_t{of.noise_given}, static_cast<std::size_t>(of.input)})
    all.add(std::uint64_t{n});
  std::vector<std::uint64_t> of_programs;
  for (structure const& s : structures_) {
    mixer one;
    for (any_kernel const& k : s.code->program().kernels)
      for (auto const* lines : {&k.uniform, &k.nodes, &k.writes, &k.reductions})
        for (any_line const& l : *lines) one.add(l);
    of_programs.push_back(one.h);
  }
  for (row const& r : rows_) {
    all.add(of_programs[r.structure]);
    all.add(static_cast<std::uint64_t>(r.branches));
    for (double c : numbers(r)) all.add(c);
  }
  fingerprint_ = all.h;
}

detail::callee::answer any_plan::asks_as(any_plan const& other) const {
  using answer = detail::callee::answer;
  answer const network = compare(calls_.asked_network, other.calls_.asked_network);
  if (network != answer::same || layout_.extras == 0) return network;
  return compare(calls_.asked_extras, other.calls_.asked_extras);
}

void any_plan::check_guided(std::string const& given, std::string const& expected) const {
  if (std::ranges::any_of(rows_, [&](row const& r) { return structures_[r.structure].guided; }))
    return;
  auto const [first, last] = std::ranges::minmax(rows_, {}, [](row const& r) { return r.where.t; });
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
