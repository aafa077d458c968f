#include <tweedie/pipelines/check_numbers.hpp>

#include <algorithm>
#include <cmath>
#include <memory>

#include <fmt/format.h>

#include <tweedie/dsl/base/error.hpp>
#include <tweedie/dsl/lowering/lower.hpp>

namespace tweedie {

void detail::check_order(std::vector<level> const& levels) {
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

void detail::check_is_on_path(level w, path const& between) {
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

void detail::check_predictions(any_stages const& stages, lowering::ir& p,
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

namespace {

/// The largest coefficient with which the network's output enters x: itself (out, guided values),
/// or by what an earlier evaluation stored of it (past_eps, keep). Outputs inside nodes such as
/// clamp do not count, nor does past_x0, which is of the data's size.
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

/// The largest factor, over the size of x where the step arrives, that an error of the network may
/// be multiplied with. The steps of every sampler on every schedule that reaches rho = 157, as the
/// linear one does, stay below; no trained network is accurate to 1 / 256.
constexpr double largest_factor = 256;

bool all_finite(lowering::ir const& p, lowering::range f) {
  for (int i = f.first; i < f.end; ++i)
    if (!std::isfinite(static_cast<float>(p.terms[i].c))) return false;
  return true;
}

}  // namespace

void detail::check_share(lowering::ir& p, any_stages const& stages, level t, level s,
                         std::function<void()> const& unguided) {
  // The coefficient of raw in a form.
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
    return;  // plan_builder::check_finite refuses what is not finite
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

std::string detail::why_not_finite(any_stages const& s, level t) {
  auto const p = std::make_unique<lowering::ir>();
  bool const x0 = all_finite(*p, s.predicts.x0_of(*p, t)),
             eps = all_finite(*p, s.predicts.eps_of(*p, t));
  if (!x0 || !eps)
    return fmt::format(
        "predicts::{} gives no finite {} there; use a prediction that is defined at this level, "
        "such as v, or a grid without it",
        s.predicts.name, x0 ? "eps" : "x0");
  any_guidance const& g = s.guidance;
  if (g.raw_of && !all_finite(*p, p->expressions[g.raw_of(*p, t)].terms))
    return "the guidance has a weight that is not finite";
  bool const no_x0 = g.eps_of && !g.x0_of && t.alpha == 0;
  bool const no_eps = g.x0_of && !g.eps_of && t.sigma == 0;
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

}  // namespace tweedie
