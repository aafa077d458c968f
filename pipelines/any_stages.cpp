#include <tweedie/pipelines/any_stages.hpp>

#include <fmt/format.h>

#include <tweedie/dsl/error.hpp>
#include <tweedie/pipelines/reads.hpp>

namespace tweedie {
namespace {

using detail::guidance_reads;

template <class F> void each_symbol(any_expression const& e, F const& f) {
  for (any_term const& t : e.form) f(t.symbol.rank);
  for (any_expression const& one : e.arguments) each_symbol(one, f);
}
template <class F> void each_symbol(any_form const& form, F const& f) {
  for (any_term const& t : form) f(t.symbol.rank);
}

void check_prediction(any_prediction const& p, level t) {
  auto const check = [&](char const* what, any_form const& f) {
    each_symbol(f, [&](int rank) {
      if (!detail::of_x_and_raw(rank))
        throw error(fmt::format("predicts::{}: {} reads {}, expected x and raw alone", p.name, what,
                                name_of(rank)));
    });
  };
  check("x0_of", p.x0_of(t));
  check("eps_of", p.eps_of(t));
}

void check_guidance(any_guidance const& g, level t) {
  guidance_reads const there{.branches = static_cast<int>(g.branches),
                             .outputs = static_cast<int>(g.branches + g.extras),
                             .memories = static_cast<int>(g.memories)};
  auto const check = [&](char const* what, any_expression const& e, bool late) {
    each_symbol(e, [&](int rank) {
      if (late ? there.late(rank) : there.early(rank)) return;
      throw error(fmt::format(
          "a guidance: {} reads {}, expected what is there{}: x, the outputs of {} branch(es) and "
          "{} extra(s), {} memories{}",
          what, name_of(rank), late ? "" : " before x0 and eps are", there.branches, g.extras,
          there.memories, late ? ", raw, x0 and eps" : ""));
    });
  };
  if (g.raw_of) check("raw_of", g.raw_of(t), false);
  if (g.x0_of) check("x0_of", g.x0_of(t), true);
  if (g.eps_of) check("eps_of", g.eps_of(t), true);
  if (g.remember)
    for (any_statement const& s : g.remember(t)) {
      if (!there.memory(s.target.rank))
        throw error(
            fmt::format("a guidance: remember assigns {}, expected memory<k> with k below {}",
                        name_of(s.target.rank), there.memories));
      check("remember", s.value, false);
    }
}

void check_threshold(any_threshold const& h, level t) {
  auto const check = [](char const* what, auto const& value) {
    each_symbol(value, [&](int rank) {
      if (!detail::read_by_threshold(rank))
        throw error(fmt::format(
            "a threshold: {} reads {}, expected x, x0, eps, raw, score, v and velocity alone", what,
            name_of(rank)));
    });
  };
  check("x0_of", h.x0_of(t));
  check("eps_of", h.eps_of(t));
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
  if (static_cast<bool>(s.threshold.x0_of) != static_cast<bool>(s.threshold.eps_of))
    throw error("a threshold with one of x0_of and eps_of was given, expected both or neither");
  for (level const& t : levels) {
    check_prediction(s.predicts, t);
    check_guidance(g, t);
    if (s.threshold.x0_of) check_threshold(s.threshold, t);
  }
}

}  // namespace tweedie
