#include <tweedie/pipelines/run_time.hpp>

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <stdexcept>

#include <fmt/format.h>

#include <tweedie/dsl/lowering/lower.hpp>

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

plan_layout layout_of(any_stages const& s) {
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

plan_calls calls_of(any_stages const& s, any_network const& network) {
  check_whole(s, network);
  plan_calls c;
  c.network = network.call;
  c.asked_network = network.asks ? network.asks : detail::callee(network.call.shared());
  c.asked_extras = s.guidance.asks;
  c.extras = s.guidance.evaluate;
  c.noise = s.noise;
  if (network.use) c.network_use = network.use;
  if (s.guidance.evaluates) c.extras_use = s.guidance.evaluates;
  if (s.draws) c.noise_use = s.draws;
  if (network.check || s.guidance.check_request)
    c.check = [network = network.check, guidance = s.guidance.check_request,
               branches = s.guidance.branches](auto shape, auto given) {
      if (network) network(shape, given, branches);
      if (guidance) guidance(shape, given);
    };
  return c;
}

/// Throws where a sampler asks the network at a level that is none of the schedule's.
void check_stage(level w, path const& between) {
  if (!between.at || w.sigma == 0) return;  // the clean level may lie below time 0
  level const there = between.at(w.t);
  auto const apart = [](double a, double b) {
    return !(std::abs(a - b) <= 1e-3 * (std::abs(b) + 1e-3));
  };
  if (apart(w.alpha, there.alpha) || apart(w.sigma, there.sigma))
    throw error(
        fmt::format("the sampler's at(...) has the level t = {} (alpha = {:.4g}, sigma = {:.4g}), "
                    "where the schedule's is "
                    "alpha = {:.4g}, sigma = {:.4g}; expected one of its levels, as path::at and "
                    "path::at_rho give them",
                    w.t, w.alpha, w.sigma, there.alpha, there.sigma));
}

/// Throws where x0 and eps, as a parameterization derives them, do not make up x: alpha x0 + sigma
/// eps. A divisor may be kept from 0 at the ends, so that it is asked of most levels.
void check_predictions(any_stages const& stages, lowering::ir& p,
                       std::vector<level> const& levels) {
  std::size_t wrong = 0, asked = 0;
  std::string first;
  for (level const& t : levels) {
    if (t.alpha == 0 || t.sigma == 0) continue;  // one of them has no part in x there
    p.back_to({});
    auto const x0 = stages.predicts.x0_of(p, t), eps = stages.predicts.eps_of(p, t);
    auto const sum = [&](symbol_id s, double& size) {
      double r = 0;
      auto const add = [&](lowering::range f, double factor) {
        for (int i = f.first; i < f.end; ++i)
          if (double const c = factor * p.terms[i].c; p.terms[i].symbol == s)
            r += c, size += std::abs(c);
      };
      add(x0, t.alpha), add(eps, t.sigma);
      return r;
    };
    double of_x = 1, of_raw = 0;  // what cancels leaves some rounding of its size
    double const x = sum(sym::x::id, of_x), raw = sum(sym::raw::id, of_raw);
    ++asked;
    if (!(std::isfinite(of_x) && std::isfinite(of_raw) &&
          (std::abs(x - 1) > 1e-6 * of_x || std::abs(raw) > 1e-6 * of_raw)))
      continue;
    if (wrong++ == 0)
      first = fmt::format(
          "predicts::{}: at t = {} alpha x0_of + sigma eps_of is {:.6g} x + {:.6g} raw, expected "
          "x: the two derive x0 and eps of x = alpha x0 + sigma eps from what the network gives",
          stages.predicts.name, t.t, x, raw);
  }
  if (2 * wrong > asked) throw error(first);
}

/// How much of what the network gives enters x at most: the largest coefficient, in lines of x, of
/// an output or of what an earlier evaluation kept of one. What a threshold or another node bounds
/// is not asked.
double largest_share(lowering::ir const& p) {
  auto const is_x = [](symbol_id s) { return s == sym::x::id || s.is == sym::word::arrived; };
  double r = 0;
  for (lowering::lines const* lines : {&p.computed, &p.stored})
    for (lowering::line const& l : *lines) {
      if (!is_x(l.target) || l.by.reduces()) continue;
      for (int s = l.sums.first; s < l.sums.end; ++s)
        for (int i = p.sums[s].first; i < p.sums[s].end; ++i) {
          auto const [c, of] = p.terms[i];
          if (of.is == sym::word::out || of == sym::guided_raw::id || of == sym::guided_eps::id ||
              of.is == sym::word::past_eps || of.is == sym::word::keep)
            r = std::max(r, std::abs(c));
        }
    }
  return r;
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

/// What stages say whose types are forgotten.
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
  if (value.full)
    throw error(
        "an evaluation has more in it than fits: 200 lines, 6000 terms of sums, 400 symbols and "
        "1000 parameters of functions are the most");
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

kind_of_step kind_at(any_sampler const& sampler, lowering::ir& p, std::vector<level> const& levels,
                     std::size_t k, path const& between) {
  level const* const at = &levels[k];
  if (levels[k + 1].sigma == 0)
    return {detail::last_step::name(), sampler.last(p, at, between), true};
  if (sampler.first && (levels[k].alpha == 0 || levels[k + 1].alpha == 0))
    return {detail::first_step::name(), sampler.first(p, at, between)};
  int const before = std::min(static_cast<int>(k), sampler.longest);
  return {detail::name_of_inner(before), sampler.step(p, before, at, between)};
}

bool all_finite(lowering::ir const& p, lowering::range f) {
  for (int i = f.first; i < f.end; ++i)
    if (!std::isfinite(static_cast<float>(p.terms[i].c))) return false;
  return true;
}

std::string why_not_finite(any_stages const& s, level t) {
  auto const p = std::make_unique<lowering::ir>();
  bool weight = true;
  if (s.guidance.raw_of) weight = all_finite(*p, p->expressions[s.guidance.raw_of(*p, t)].terms);
  return detail::why_not_finite(t, {.predicts = s.predicts.name,
                                    .x0 = all_finite(*p, s.predicts.x0_of(*p, t)),
                                    .eps = all_finite(*p, s.predicts.eps_of(*p, t)),
                                    .weight = weight,
                                    .guided_in_x0 = static_cast<bool>(s.guidance.x0_of),
                                    .guided_in_eps = static_cast<bool>(s.guidance.eps_of)});
}

/// The largest factor, over the size of x where the step arrives, that an error of the network may
/// be multiplied with. The steps of every sampler on every schedule that reaches rho = 157, as the
/// linear one does, stay below; nothing that was learned is as exact as 1 / 256.
constexpr double largest_factor = 256;

/// `unguided` makes the same evaluation without the guidance, in the place of this one.
void check_share(lowering::ir& p, any_stages const& stages, level t, level s,
                 std::function<void()> const& unguided) {
  // What raw comes to in a form.
  auto const of_raw_in = [&](lowering::range f) {
    double r = 0;
    for (int i = f.first; i < f.end; ++i)
      if (p.terms[i].symbol == sym::raw::id) r += p.terms[i].c;
    return std::abs(r);
  };
  // A score is smaller than eps by sigma.
  double const of_raw = std::max(1.0, of_raw_in(stages.predicts.eps_of(p, t)));
  auto const factor_of_lines = [&] { return largest_share(p) / s.scale() / of_raw; };
  double const factor = factor_of_lines();
  if (!(factor > largest_factor && std::isfinite(static_cast<float>(factor))))
    return;  // what is not finite has its own
  bool const of_prediction = of_raw_in(stages.predicts.x0_of(p, t)) > largest_factor / 2;
  // Where the network's own share is large too, a weight of 1 is no cause.
  bool of_guidance = false;
  if (unguided) {
    unguided();
    of_guidance = factor_of_lines() <= largest_factor / 16;
  }
  throw error(fmt::format(
      "what the network gives at t = {} (alpha = {:.3g}, sigma = {:.3g}) would enter x at t = {} "
      "with the factor {:.4g}, and its errors too, expected {} at most: {}",
      t.t, t.alpha, t.sigma, s.t, factor, largest_factor,
      of_guidance
          ? std::string("the guidance makes it so much larger; use a smaller weight, or leave "
                        "these levels to guidance::within")
      : of_prediction
          ? fmt::format("predicts::{} says next to nothing of x0 there; use a threshold such as "
                        "thresholds::clip, a prediction such as v, or a grid that begins lower, "
                        "such as grids::karras",
                        stages.predicts.name)
          : "the sampler's step is too long there; use one that is regular at both ends, such as "
            "samplers::heun or ddim, more steps, or a grid such as grids::karras"));
}

any_code find(any_program program, compiled_programs compiled) {
  auto const there =
      std::ranges::find_if(compiled, [&](any_code const& c) { return c->program() == program; });
  return there != compiled.end() ? *there : list_of_terms(std::move(program));
}

}  // namespace

run_time_plan::run_time_plan(any_stages const& stages, any_network const& network,
                             std::vector<level> levels, path const& between,
                             compiled_programs compiled,
                             std::span<declared_structure const> declared)
    : any_plan(layout_of(stages), calls_of(stages, network), std::move(levels)) {
  bool const is_open = declared.empty();
  for (declared_structure const& d : declared)
    structures_.push_back({{std::shared_ptr<void>(), &d.code}, d.kind(), d.evaluation, d.guided});
  if (is_open) detail::check_stages(stages, levels_);
  for (auto const* check : {&stages.predicts.check, &stages.guidance.check, &stages.threshold.check,
                            &stages.sampler.check})
    if (*check) (*check)();
  auto const ir = std::make_unique<lowering::ir>();
  check_predictions(stages, *ir, levels_);
  if (stages.guidance.x0_of && stages.guidance.eps_of && !stages.sampler.takes_both)
    throw error(
        "a guidance that guides x0 and eps apart, such as cfg_plus_plus, was given with a sampler "
        "whose steps read only one of them or a mixture, so that it would be another guidance or "
        "none; "
        "expected a sampler in x0 and eps, such as ddim");
  if (stages.threshold.x0_of && !stages.sampler.takes_x0) {
    ir->back_to({});
    auto const kept = stages.threshold.eps_of(*ir, levels_[0]);
    lowering::term const& first = ir->terms[kept.first];
    if (kept.size() == 1 && first.symbol == sym::eps::id && first.c == 1)
      throw error(
          "a threshold that leaves eps, such as clip_x0_only, was given with a sampler whose steps "
          "read eps alone, so that it would limit nothing; expected thresholds::clip, or a sampler "
          "that reads x0, such as ddim");
  }
  said_by_values const said{stages, between};
  lowering::stored_for_later const later{layout_.enters, static_cast<int>(layout_.inputs),
                                         layout_.past_x0 > 0, layout_.past_eps > 0};
  std::size_t scratches = 0;
  for (structure const& s : structures_)
    scratches = std::max(scratches, s.code->program().scratches());

  auto const upcoming_at = [&](std::size_t k) -> detail::upcoming {
    if (k >= steps()) return {levels_.back(), levels_.back(), levels_.back()};
    detail::upcoming next{levels_[k], levels_[k], levels_[k + 1]};
    ir->back_to({});
    auto const kind = kind_at(stages.sampler, *ir, levels_, k, between);
    auto const order = detail::unrolled(kind.step.evaluations.size(), kind.step.repetitions);
    if (!order.empty()) next.where = kind.step.evaluations[order[0]].where.value_or(levels_[k]);
    return next;
  };
  auto const start_of = [&](std::optional<double> deviation, bool first_step,
                            detail::upcoming const& next) {
    ir->back_to({});
    lower_start(*ir, said, later, deviation, layout_.noise_given, first_step, next);
    auto made = assembled(*ir, stages.buffers);
    if (!std::ranges::all_of(made.numbers,
                             [](double c) { return std::isfinite(static_cast<float>(c)); }))
      throw error(
          fmt::format("before the first step, at t = {} (alpha = {}, sigma = {}): the sampler's "
                      "enter has a number that is not finite",
                      levels_[0].t, levels_[0].alpha, levels_[0].sigma));
    return start_code{find(std::move(made.program), compiled),
                      {made.numbers.begin(), made.numbers.end()}};
  };
  detail::upcoming next = upcoming_at(0);
  fresh_ = start_of(levels_[0].prior_deviation(), !layout_.enters, next);
  if (layout_.enters || layout_.inputs > 0) entering_ = start_of({}, true, next);

  for (std::size_t k = 0; k < steps(); ++k) {
    begin_step();
    next = upcoming_at(k + 1);
    level const after = next.where;
    ir->back_to({});
    auto const kind = kind_at(stages.sampler, *ir, levels_, k, between);
    auto const formulas = ir->here();
    auto const& evaluations = kind.step.evaluations;
    auto const order = order_of_step(
        k, evaluations.size(), kind.step.repetitions,
        layout_.enters ||
            (kind.is_last && layout_.inputs + layout_.past_x0 + layout_.past_eps > 0));
    auto const where = [&](std::size_t e) { return evaluations[e].where.value_or(levels_[k]); };
    for (auto const& one : evaluations)
      if (one.where) check_stage(*one.where, between);
    for (std::size_t i = 0; i < order.size(); ++i) {
      std::size_t const e = order[i];
      level const t = where(e);
      next.where = i + 1 < order.size() ? where(order[i + 1]) : after;
      bool const guided = !stages.guidance.on || stages.guidance.on(t);
      bool const final = e + 1 == evaluations.size();
      auto const lower = [&](bool with_guidance) {
        ir->back_to(formulas);
        lower_among(*ir, said, later, t, with_guidance, evaluations[e].statements, final,
                    !kind.is_last || !final, next);
      };
      lower(guided);
      if (!ir->full())  // else what follows says it
        check_share(*ir, stages, t, i + 1 < order.size() ? next.where : levels_[k + 1],
                    guided ? std::function([&] { lower(false); }) : nullptr);
      auto const fused = assembled(*ir, stages.buffers);
      auto const same = [&](structure const& s) {
        return s.kind == kind.name && s.evaluation == e && s.guided == guided &&
               s.code->program() == fused.program;
      };
      auto const there = std::ranges::find_if(structures_, same);
      auto const index = static_cast<std::size_t>(there - structures_.begin());
      if (there == structures_.end()) {
        if (!is_open)
          throw std::logic_error(
              fmt::format("{}, evaluation {}: the run time fused another program than the compiler",
                          kind.name, e));
        scratches = std::max(scratches, fused.program.scratches());
        structures_.push_back({find(fused.program, compiled), kind.name, e, guided});
      }
      add_row({.structure = index,
               .step = k,
               .branches = guided ? static_cast<int>(layout_.branches) : 1,
               .where = t,
               .extras = guided && layout_.extras > 0},
              fused.numbers, [&](double) { return why_not_finite(stages, t); });
    }
  }
  begin_step();
  layout_.scratches = scratches;
  take_fingerprint();
}

}  // namespace tweedie
