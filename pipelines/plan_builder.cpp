#include <tweedie/pipelines/plan_builder.hpp>

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>

#include <fmt/format.h>

#include <tweedie/dsl/lowering/lower.hpp>
#include <tweedie/pipelines/check_numbers.hpp>

namespace tweedie {
namespace {

bool has(std::vector<symbol_id> const& some, symbol_id s) {
  return std::ranges::find(some, s) != some.end();
}
/// The largest index of a word that is there, -1 if it is not.
int largest(std::vector<symbol_id> const& some, sym::word w) {
  int r = -1;
  for (symbol_id s : some)
    if (s.is == w) r = std::max(r, int{s.index});
  return r;
}

/// The streams of noise that the caller is asked for.
std::vector<std::uint32_t> streams_of(any_stages const& s) {
  std::vector<std::uint32_t> r;
  if (s.noise)
    for (symbol_id one : s.sampler.mentioned)
      if (one.is_noise()) r.push_back(one.index);
  std::ranges::sort(r);
  r.erase(std::unique(r.begin(), r.end()), r.end());
  return r;
}

state_layout layout_of(any_stages const& s) {
  bool const writes_input =
      s.predicts.input_of || s.buffers.input != element_type::float32 || s.buffers.duplicates;
  auto const past = [&](sym::word w) {
    return static_cast<std::size_t>(std::max(0, largest(s.sampler.mentioned, w)));
  };
  return {.branches = s.guidance.branches,
          .extras = s.guidance.extras,
          .conditions = s.guidance.conditions,
          .keeps = static_cast<std::size_t>(1 + largest(s.sampler.assigned, sym::word::keep)),
          .past_x0 = past(sym::word::past_x0),
          .past_eps = past(sym::word::past_eps),
          .memories = s.guidance.memories,
          .streams = streams_of(s),
          .inputs = !writes_input          ? std::size_t{0}
                    : s.buffers.duplicates ? s.guidance.branches
                                           : std::size_t{1},
          .input_per_branch = s.buffers.duplicates,
          .learns_variance = has(s.sampler.mentioned, sym::raw_variance::id),
          .uses_known = has(s.sampler.mentioned, sym::known::id),
          .uses_mask = has(s.sampler.mentioned, sym::mask::id),
          .noise_given = static_cast<bool>(s.noise),
          .enters = static_cast<bool>(s.sampler.enter),
          .input = s.buffers.input,
          .output = s.buffers.output};
}

/// Throws where something that a plan calls is not there.
void check_whole(any_stages const& s, any_network const& network) {
  auto const check = [](bool there, char const* what) {
    if (!there) throw error(fmt::format("{} was given, expected one that can be called", what));
  };
  check(static_cast<bool>(network.call), "an empty network");
  check(s.predicts.x0_of && s.predicts.eps_of, "a prediction without x0_of or eps_of");
  check(s.sampler.step && s.sampler.last, "a sampler without step or last");
  check(s.guidance.extras == 0 || s.guidance.evaluate, "a guidance without evaluate");
}

/// Throws where a network was trained on another schedule than that of the levels at which it is
/// asked, by more than rounding to float32 leaves.
void check_trained(any_network const& network, std::vector<level> const& levels) {
  if (!network.trained) return;
  known_schedule const& on = *network.trained;
  auto const near = [](double a, double b) {
    return std::abs(a - b) <= 1e-3 * std::max(std::abs(a), std::abs(b)) + 1e-9;
  };
  auto const refuse = [&](level const& l, std::string const& other) {
    throw error(fmt::format(
        "'{}' was trained on the schedule {}, by its card, and was given to a pipeline on another "
        "one: at t = {:.6g} that has alpha = {:.6g} and sigma = {:.6g}, and the card's {}; "
        "expected "
        "the card's schedule",
        on.said.source, on.words, l.t, l.alpha, l.sigma, other));
  };
  for (level const& l : levels) {
    if (l.sigma == 0) continue;  // nobody asks there
    if (on.said.counts_time) {
      if (!(l.t >= 0 && l.t <= on.end * (1 + 1e-9)))
        refuse(l, fmt::format("ends at t = {:.6g}", on.end));
      level const own = on.levels.at(std::min(l.t, on.end));
      if (!(near(own.alpha, l.alpha) && near(own.sigma, l.sigma)))
        refuse(l, fmt::format("has alpha = {:.6g} and sigma = {:.6g}", own.alpha, own.sigma));
    } else if (l.alpha > 0) {
      // Beyond its ends the network was not trained, and a consistency model is asked there.
      double const rho = std::clamp(l.rho(), on.levels.at(0).rho(), on.levels.noisiest);
      if (!(rho > 0 && rho == l.rho())) continue;
      level const own = on.levels.at_rho(rho);
      if (!near(own.alpha, l.alpha))
        refuse(l, fmt::format("has alpha = {:.6g} at that sigma / alpha", own.alpha));
    }
  }
}

}  // namespace

void detail::check_network(any_network const& network, std::string_view predicts,
                           std::vector<level> const& levels) {
  if (!network.predicts.empty() && network.predicts != predicts)
    throw error(fmt::format(
        "a network that predicts {} was given to a pipeline that takes it for {}; expected "
        "predicts::{}",
        network.predicts, predicts, network.predicts));
  check_trained(network, levels);
}

namespace {

std::shared_ptr<plan_calls const> calls_of(any_stages const& s, any_network const& network) {
  check_whole(s, network);
  auto const calls = std::make_shared<plan_calls>();
  plan_calls& c = *calls;
  c.network = network.call;
  c.asked_network = network.asks ? network.asks : detail::callee(network.call.shared());
  c.asked_extras = s.guidance.asks;
  c.extras = s.guidance.evaluate;
  c.noise = s.noise;
  if (network.use) c.network_use = network.use;
  if (s.guidance.evaluates) c.extras_use = s.guidance.evaluates;
  if (s.draws) c.noise_use = s.draws;
  if (network.check || network.check_arrays || s.guidance.check_request)
    c.check = [network = network.check, of_arrays = network.check_arrays,
               guidance = s.guidance.check_request, branches = s.guidance.branches,
               without = s.guidance.branches - s.guidance.conditions](auto shape, auto given,
                                                                      auto arrays) {
      if (network) network(shape, given, branches);
      if (of_arrays) of_arrays(arrays, without);
      if (guidance) guidance(shape, given);
    };
  return calls;
}

/// The indices of `count` evaluations in the order they are done.
std::vector<std::size_t> unrolled(std::size_t count, std::vector<repetition> const& repetitions) {
  std::vector<std::vector<std::size_t>> blocks;
  for (std::size_t i = 0; i < count; ++i) blocks.push_back({i});
  auto const joined = [&](std::size_t from, std::size_t to) {
    std::vector<std::size_t> all;
    for (std::size_t i = from; i <= to; ++i)
      all.insert(all.end(), blocks[i].begin(), blocks[i].end());
    return all;
  };
  for (repetition const& r : repetitions) {
    auto const once = joined(r.to, r.after);
    for (std::size_t i = r.to; i <= r.after; ++i) blocks[i].clear();
    for (int n = 0; n < r.times; ++n)
      blocks[r.to].insert(blocks[r.to].end(), once.begin(), once.end());
  }
  return joined(0, count - 1);
}

/// A step's formula with the name of its kind.
struct kind_of_step {
  std::string name;
  any_step step;
  bool is_last = false;
};

/// A program with its numbers.
struct numbered_program {
  any_program program;
  std::vector<double> numbers;
};

/// Asks stages whose types are hidden (any_stages) for their formulas.
struct said_by_values {
  any_stages const& stages;
  path const& between;

  lowering::stage_formulas formulas(lowering::ir& p, level t, bool guided) const {
    lowering::stage_formulas to;
    to.t = t;
    to.noise_given = static_cast<bool>(stages.noise);
    auto const predicted = [&](any_prediction const& one) {
      lowering::range const x0 = one.x0_of(p, t);
      to.predicts.add({x0, one.eps_of(p, t)});
    };
    predicted(stages.predicts);
    for (any_prediction const& one : stages.of_branches) predicted(one);
    any_guidance const& g = stages.guidance;
    if (guided && g.remember) g.remember(p, t, to.remember);
    if (guided && g.raw_of) to.guided_raw = g.raw_of(p, t);
    if (guided && g.x0_of) to.guided_x0 = g.x0_of(p, t);
    if (guided && g.eps_of) to.guided_eps = g.eps_of(p, t);
    if (stages.threshold.x0_of) {
      to.threshold_x0 = stages.threshold.x0_of(p, t);
      to.threshold_eps = stages.threshold.eps_of(p, t);
    }
    return to;
  }
  void enter(lowering::ir& p, level t, level next, lowering::statements& to) const {
    stages.sampler.enter(p, t, next, between, to);
  }
  lowering::range input(lowering::ir& p, level t) const {
    return stages.predicts.input_of ? stages.predicts.input_of(p, t) : put(p, sym::x{});
  }
};

/// The program of an ir over what the network's buffers hold, with its numbers. Throws where a
/// symbol is assigned twice, or an evaluation is longer than there is room for.
numbered_program assembled(lowering::ir& p, any_buffers const& buffers) {
  numbered_program r;
  auto const value = assemble(p, [&](double c) { r.numbers.push_back(c); });
  if (value.exceeded != lowering::limit::none) {
    auto const& [most, what] = lowering::capacity_of(value.exceeded);
    throw error(
        fmt::format("an evaluation has more in it than fits: {} {} are the most", most, what));
  }
  if (value.assigns_twice)
    throw error(fmt::format("a step assigns each symbol once, this one assigns {} twice",
                            name_of(value.twice)));
  r.program = detail::program_of(value);
  auto const check_index = [](symbol_id one) {
    if (int const most = sym::about_word(one.is).count; one.index >= most)
      throw error(
          fmt::format("an evaluation has {}, expected an index below {}", name_of(one), most));
  };
  for (symbol_id one : value.symbols) check_index(one);
  for (lowering::program_line const& l : value.lines) check_index(l.target);
  auto const store = [&](any_symbol& s) {
    if (s.id.is == sym::word::net_in) s.element = buffers.input;
    if (s.id.is == sym::word::out) s.element = buffers.output;
  };
  for (any_kernel& k : r.program.kernels) {
    for (any_symbol& s : k.reads) store(s);
    for (any_line& l : k.writes) store(l.target);
  }
  return r;
}

kind_of_step kind_of_step_at(any_sampler const& sampler, lowering::ir& p,
                             std::vector<level> const& levels, std::size_t k, path const& between) {
  level const* const at = &levels[k];
  if (levels[k + 1].sigma == 0)
    return {detail::last_step::name(), sampler.last(p, at, between), true};
  if (sampler.first && (levels[k].alpha == 0 || levels[k + 1].alpha == 0))
    return {detail::first_step::name(), sampler.first(p, at, between)};
  int const before = std::min(static_cast<int>(k), sampler.longest);
  return {detail::name_of_inner(before), sampler.step(p, before, at, between)};
}

/// Builds a plan: the starts, then step by step a row for each evaluation.
class plan_builder {
 public:
  plan_builder(any_stages const& stages, any_network const& network, std::vector<level> levels,
               path const& between, compiled_programs compiled)
      : stages_(stages), between_(between), compiled_(compiled) {
    p_.layout = layout_of(stages);
    p_.calls = calls_of(stages, network);
    p_.levels = std::move(levels);
    p_.stages = std::make_shared<any_stages const>(stages);
    later_ = {p_.layout.enters, static_cast<int>(p_.layout.inputs), p_.layout.past_x0 > 0,
              p_.layout.past_eps > 0};
  }

  /// The structures that there can be.
  void declare(std::span<declared_structure const> all, std::span<any_inlined const> inlined) {
    for (declared_structure const& d : all)
      p_.structures.push_back(
          {{std::shared_ptr<void>(), &d.code}, d.kind(), d.evaluation, d.guided});
    for (std::size_t i = 0; i < inlined.size(); ++i) p_.structures[i].inlined = inlined[i];
    is_closed_ = !all.empty();
  }

  void check() {
    if (p_.levels.size() < 2)
      throw error(
          fmt::format("a grid of {} level(s) was given, expected two or more", p_.levels.size()));
    detail::check_order(p_.levels);
    if (p_.layout.enters && p_.levels.back().sigma != 0)
      throw error(
          "a grid that ends at a noisy level was given, expected one that ends at the clean level: "
          "the sampler adds noise before each step, also before one that is not there");
    if (!is_closed_) detail::check_stages(stages_, p_.levels);  // else fits.hpp has checked them
    for (auto const* check : {&stages_.predicts.check, &stages_.guidance.check,
                              &stages_.threshold.check, &stages_.sampler.check})
      if (*check) (*check)();
    detail::check_predictions(stages_, *ir_, p_.levels);
    check_guidance_is_seen();
    check_threshold_is_seen();
  }

  any_plan build() {
    for (plan_structure const& s : p_.structures)
      p_.layout.scratches = std::max(p_.layout.scratches, s.code->program().scratches());
    add_starts();
    for (std::size_t k = 0; k < steps(); ++k) add_step(k);
    p_.first_row.push_back(p_.rows.size());
    return any_plan(std::move(p_));
  }

 private:
  std::size_t steps() const { return p_.levels.size() - 1; }

  void check_guidance_is_seen() const {
    if (stages_.guidance.x0_of && stages_.guidance.eps_of && !stages_.sampler.takes_both)
      throw error(
          "a guidance that guides x0 and eps apart, such as cfg_plus_plus, was given with a "
          "sampler whose steps read only one of them or a mixture, so that it would be another "
          "guidance or none; expected a sampler in x0 and eps, such as ddim");
  }
  void check_threshold_is_seen() {
    if (!stages_.threshold.x0_of || stages_.sampler.takes_x0) return;
    ir_->back_to({});
    auto const kept = stages_.threshold.eps_of(*ir_, p_.levels[0]);
    lowering::term const& first = ir_->terms[kept.first];
    if (kept.size() == 1 && first.symbol == sym::eps::id && first.c == 1)
      throw error(
          "a threshold that leaves eps, such as clip_x0_only, was given with a sampler whose steps "
          "read eps alone, so that it would limit nothing; expected thresholds::clip, or a sampler "
          "that reads x0, such as ddim");
  }

  kind_of_step kind_at(std::size_t k) {
    ir_->back_to({});
    return kind_of_step_at(stages_.sampler, *ir_, p_.levels, k, between_);
  }
  /// The level of an evaluation of step k.
  level where(kind_of_step const& kind, std::size_t evaluation, std::size_t k) const {
    return kind.step.evaluations[evaluation].where.value_or(p_.levels[k]);
  }
  /// What the kernel before step k must know of it: its levels, and the level of its first
  /// evaluation.
  detail::upcoming upcoming_at(std::size_t k) {
    if (k >= steps()) return {p_.levels.back(), p_.levels.back(), p_.levels.back()};
    detail::upcoming next{p_.levels[k], p_.levels[k], p_.levels[k + 1]};
    auto const kind = kind_at(k);
    auto const order = unrolled(kind.step.evaluations.size(), kind.step.repetitions);
    if (!order.empty()) next.where = where(kind, order[0], k);
    return next;
  }

  void add_starts() {
    detail::upcoming const next = upcoming_at(0);
    p_.fresh = start_of(p_.levels[0].prior_deviation(), !p_.layout.enters, next);
    if (p_.layout.enters || p_.layout.inputs > 0) p_.entering = start_of({}, true, next);
  }
  start_code start_of(std::optional<double> deviation, bool first_step,
                      detail::upcoming const& next) {
    ir_->back_to({});
    lower_start(*ir_, said_by_values{stages_, between_}, later_, deviation, p_.layout.noise_given,
                first_step, next);
    auto made = assembled(*ir_, stages_.buffers);
    if (!std::ranges::all_of(made.numbers,
                             [](double c) { return std::isfinite(static_cast<float>(c)); }))
      throw error(
          fmt::format("before the first step, at t = {} (alpha = {}, sigma = {}): the sampler's "
                      "enter has a number that is not finite",
                      p_.levels[0].t, p_.levels[0].alpha, p_.levels[0].sigma));
    return {find(std::move(made.program)), {made.numbers.begin(), made.numbers.end()}};
  }

  void add_step(std::size_t k) {
    p_.first_row.push_back(p_.rows.size());
    detail::upcoming next = upcoming_at(k + 1);
    level const after = next.where;
    auto const kind = kind_at(k);
    auto const after_formulas = ir_->here();
    for (auto const& one : kind.step.evaluations)
      if (one.where) detail::check_is_on_path(*one.where, between_);
    auto const order = order_of(kind, k);
    for (std::size_t i = 0; i < order.size(); ++i) {
      bool const last = i + 1 == order.size();
      next.where = last ? after : where(kind, order[i + 1], k);
      ir_->back_to(after_formulas);
      add_evaluation(kind, k, order[i], next, last ? p_.levels[k + 1] : next.where);
    }
  }

  /// The order in which the evaluations of a step are done.
  std::vector<std::size_t> order_of(kind_of_step const& kind, std::size_t k) const {
    std::size_t const count = kind.step.evaluations.size();
    auto const refuse = [&](std::string const& what) {
      throw error(fmt::format("step {} of {}: {}", k + 1, steps(), what));
    };
    for (repetition const& r : kind.step.repetitions)
      if (r.times < 0)
        refuse(fmt::format("{} repetitions were given, expected 0 or more", r.times));
    auto order = unrolled(count, kind.step.repetitions);
    if (order.empty())
      refuse("0 repetitions were given and nothing besides, expected one evaluation at least");
    // The last evaluation also enters the next step, and in a last step stores nothing for later:
    // it must be done exactly once.
    bool const stores = p_.layout.inputs + p_.layout.past_x0 + p_.layout.past_eps > 0;
    bool const last_once = p_.layout.enters || (kind.is_last && stores);
    if (last_once && std::ranges::count(order, count - 1) != 1)
      refuse(
          "its last evaluation is repeated, expected one that is done once, since the sampler "
          "enters the next step or the network sees another input after it");
    return order;
  }

  /// The row of one evaluation of a step, on the way to s.
  void add_evaluation(kind_of_step const& kind, std::size_t k, std::size_t evaluation,
                      detail::upcoming const& next, level s) {
    level const t = where(kind, evaluation, k);
    bool const guided = !stages_.guidance.on || stages_.guidance.on(t);
    bool const final = evaluation + 1 == kind.step.evaluations.size();
    auto const after_formulas = ir_->here();
    auto const lower = [&](bool with_guidance) {
      ir_->back_to(after_formulas);
      lower_among(*ir_, said_by_values{stages_, between_}, later_, t, with_guidance,
                  kind.step.evaluations[evaluation].statements, final, !kind.is_last || !final,
                  next);
    };
    lower(guided);
    // Of what exceeds a limit `assembled` below throws.
    if (stages_.checks_share && ir_->exceeded() == lowering::limit::none)
      detail::check_share(*ir_, stages_, t, s,
                          guided ? std::function([&] { lower(false); }) : nullptr);
    auto made = assembled(*ir_, stages_.buffers);
    check_finite(made.numbers, t, k);
    std::size_t const of = structure_of(std::move(made.program), kind.name, evaluation, guided);
    p_.structures[of].is_used = true;
    p_.rows.push_back({.structure = of,
                       .step = k,
                       .first = p_.numbers.size(),
                       .count = made.numbers.size(),
                       .branches = guided ? static_cast<int>(p_.layout.branches) : 1,
                       .where = t,
                       .to = p_.levels[k + 1],
                       .extras = guided && p_.layout.extras > 0});
    p_.numbers.insert(p_.numbers.end(), made.numbers.begin(), made.numbers.end());
  }

  void check_finite(std::vector<double> const& numbers, level t, std::size_t k) const {
    for (double c : numbers)
      if (!std::isfinite(static_cast<float>(c))) {
        std::string why = detail::why_not_finite(stages_, t);
        if (why.empty())
          why = fmt::format(
              "the sampler has the coefficient {}, expected one that is finite in float32",
              std::isnan(c) ? std::abs(c) : c);  // NaN has a sign that says nothing
        throw error(fmt::format("step {} of {}, from t = {} to t = {} (alpha = {}, sigma = {}): {}",
                                k + 1, steps(), p_.levels[k].t, p_.levels[k + 1].t, t.alpha,
                                t.sigma, why));
      }
  }

  std::size_t structure_of(any_program program, std::string const& kind, std::size_t evaluation,
                           bool guided) {
    auto const there = std::ranges::find_if(p_.structures, [&](plan_structure const& s) {
      return s.kind == kind && s.evaluation == evaluation && s.guided == guided &&
             s.code->program() == program;
    });
    auto const index = static_cast<std::size_t>(there - p_.structures.begin());
    if (there != p_.structures.end()) return index;
    if (is_closed_)
      throw std::logic_error(
          fmt::format("{}, evaluation {}: the run time fused another program than the compiler",
                      kind, evaluation));
    p_.layout.scratches = std::max(p_.layout.scratches, program.scratches());
    p_.structures.push_back({find(std::move(program)), kind, evaluation, guided});
    return index;
  }

  any_code find(any_program program) const {
    auto const there =
        std::ranges::find_if(compiled_, [&](any_code const& c) { return c->program() == program; });
    return there != compiled_.end() ? *there : list_of_terms(std::move(program));
  }

  any_stages const& stages_;
  path const& between_;
  compiled_programs compiled_;
  bool is_closed_ = false;  ///< all structures are declared: the pipeline is typed
  lowering::stored_for_later later_;
  std::unique_ptr<lowering::ir> ir_ = std::make_unique<lowering::ir>();
  plan_parts p_;
};

}  // namespace

any_plan build_plan(any_stages const& stages, any_network const& network, std::vector<level> levels,
                    path const& between, compiled_programs compiled,
                    std::span<declared_structure const> declared,
                    std::span<any_inlined const> inlined) {
  detail::check_network(network, stages.predicts.name, levels);
  plan_builder builder(stages, network, std::move(levels), between, compiled);
  builder.declare(declared, inlined);
  builder.check();
  return builder.build();
}

any_plan::preview any_plan::preview_of(row const& r) const {
  level const t = r.where;
  path const none{};
  auto const p = std::make_unique<lowering::ir>();
  auto formulas =
      said_by_values{*of_.stages, none}.formulas(*p, t, of_.structures[r.structure].guided);
  formulas.remember = {};  // the guidance's memory stays as it is
  lowering::statements all;
  all.add(lowering::copy_of(*p, sym::x0::id, sym::x0::id));
  lower_evaluation(*p, formulas, all);
  auto made = assembled(*p, of_.stages->buffers);
  for (double c : made.numbers)
    if (!std::isfinite(static_cast<float>(c)))
      throw error(fmt::format("x0 at t = {:g} (alpha = {:g}, sigma = {:g}): {}", t.t, t.alpha,
                              t.sigma, detail::why_not_finite(*of_.stages, t)));
  return {list_of_terms(std::move(made.program)), std::move(made.numbers)};
}

}  // namespace tweedie
