#include <tweedie/pipelines/any_stages.hpp>

#include <fmt/format.h>

#include <tweedie/dsl/base/error.hpp>
#include <tweedie/pipelines/reads.hpp>

namespace tweedie {
namespace {

using detail::guidance_reads;
using lowering::ir, lowering::range;

template <class F> void each_symbol(ir const& p, range form, F const& f) {
  for (int i = form.first; i < form.end; ++i) f(p.terms[i].symbol);
}
template <class F> void each_symbol(ir const& p, int at, F const& f) {
  lowering::expression const& e = p.expressions[at];
  each_symbol(p, e.terms, f);
  for (int i = e.arguments.first; i < e.arguments.end; ++i) each_symbol(p, i, f);
}

void check_prediction(any_prediction const& of, ir& p, level t) {
  auto const check = [&](char const* what, range f) {
    each_symbol(p, f, [&](symbol_id s) {
      if (!detail::of_x_and_raw(s))
        throw error(fmt::format("predicts::{}: {} reads {}, expected x and raw alone", of.name,
                                what, name_of(s)));
    });
  };
  check("x0_of", of.x0_of(p, t));
  check("eps_of", of.eps_of(p, t));
}

void check_guidance(any_guidance const& g, ir& p, level t) {
  guidance_reads const there{.branches = static_cast<int>(g.branches),
                             .outputs = static_cast<int>(g.branches + g.extras),
                             .memories = static_cast<int>(g.memories)};
  auto const check = [&](char const* what, int e, bool late) {
    each_symbol(p, e, [&](symbol_id s) {
      if (late ? there.late(s) : there.early(s)) return;
      throw error(fmt::format(
          "a guidance: {} reads {}, expected what is there{}: x, the outputs of {} branch(es) and "
          "{} extra(s), {} memories{}",
          what, name_of(s), late ? "" : " before x0 and eps are", there.branches, g.extras,
          there.memories, late ? ", raw, x0 and eps" : ""));
    });
  };
  if (g.raw_of) check("raw_of", g.raw_of(p, t), false);
  if (g.x0_of) check("x0_of", g.x0_of(p, t), true);
  if (g.eps_of) check("eps_of", g.eps_of(p, t), true);
  lowering::statements kept;
  if (g.remember) g.remember(p, t, kept);
  for (lowering::statement const& s : kept) {
    if (!there.memory(s.target))
      throw error(fmt::format("a guidance: remember assigns {}, expected memory<k> with k below {}",
                              name_of(s.target), there.memories));
    check("remember", s.value, false);
  }
}

void check_threshold(any_threshold const& h, ir& p, level t) {
  auto const check = [&](char const* what, auto value) {
    each_symbol(p, value, [&](symbol_id s) {
      if (!detail::read_by_threshold(s))
        throw error(fmt::format(
            "a threshold: {} reads {}, expected x, x0, eps, raw, score, v and velocity alone", what,
            name_of(s)));
    });
  };
  check("x0_of", h.x0_of(p, t));
  check("eps_of", h.eps_of(p, t));
}

}  // namespace

void detail::check_stages(any_stages const& s, std::vector<level> const& levels) {
  any_guidance const& g = s.guidance;
  if (g.branches < 1 || g.branches + g.extras > 20)
    throw error(fmt::format(
        "a guidance of {} branch(es) and {} extra(s) was given, expected 1 branch or more and 20 "
        "in all",
        g.branches, g.extras));
  if (g.conditions < 1 || g.conditions > g.branches)
    throw error(fmt::format(
        "a guidance of {} condition(s) and {} branch(es) was given, expected a branch for each",
        g.conditions, g.branches));
  if (g.branches + g.extras > 1 && !g.raw_of && !g.x0_of && !g.eps_of)
    throw error("a guidance without raw_of, x0_of and eps_of was given, expected one of them");
  if (g.extras > 0 && !g.evaluate)
    throw error("a guidance with extras was given without evaluate, expected what asks for them");
  if (g.memories > 0 && !g.remember)
    throw error("a guidance with memories was given without remember, expected what writes them");
  if (!s.of_branches.empty() && s.of_branches.size() != g.branches + g.extras)
    throw error(fmt::format(
        "{} predictions were given for the branches, expected one for each of {} and {} extra(s)",
        s.of_branches.size(), g.branches, g.extras));
  if (static_cast<bool>(s.threshold.x0_of) != static_cast<bool>(s.threshold.eps_of))
    throw error("a threshold with one of x0_of and eps_of was given, expected both or neither");
  auto const p = std::make_unique<ir>();
  for (level const& t : levels) {
    p->back_to({});
    check_prediction(s.predicts, *p, t);
    check_guidance(g, *p, t);
    if (s.threshold.x0_of) check_threshold(s.threshold, *p, t);
  }
}

}  // namespace tweedie
