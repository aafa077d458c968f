#include <tweedie/pipelines/ready/recipe.hpp>

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <tweedie/pipelines/ready/programs.hpp>
#include <tweedie/samplers/repaint.hpp>
#include <tweedie/schedules/check.hpp>

namespace tweedie::ready {
namespace {

/// RePaint around a sampler of one evaluation that looks at no level before.
template <class S> inline constexpr bool can_repaint = !requires(S const& s, level t) {
  s.step(t, t, t);
}
&&requires(S const& s, level t) {
  { s.step(t, t) } -> std::same_as<decltype(s.step(t, t))>;
  requires std::tuple_size_v<decltype(s.step(t, t).evaluations)>
  == 1;
};

tweedie::any_sampler sampler_of(recipe const& r) {
  return std::visit(
      [&]<class S>(S const& s) {
        if (r.resamplings > 0) {
          if constexpr (can_repaint<S>)
            return forget_sampler(tweedie::samplers::repaint{s, r.resamplings});
          else
            throw error(fmt::format(
                "inpainting was asked of {}; expected a sampler of one evaluation that remembers "
                "no step, such as ddim, ddim_eta, ancestral or euler_maruyama",
                name_in(samplers, r.sampler)));
        }
        return forget_sampler(s);
      },
      r.sampler);
}

/// Throws where a guidance of x0 and eps apart meets a sampler whose steps read one of them.
void check_guidance(recipe const& r) {
  bool const apart = std::visit(
      []<class G>(G const&) {
        return tweedie::detail::guides_x0<G> && tweedie::detail::guides_eps<G>;
      },
      r.guidance);
  auto const takes_both = []<class S>(S const&) {
    return tweedie::detail::takes_x0_and_eps<S>(tweedie::detail::kinds_of_step<S>{});
  };
  if (!apart || std::visit(takes_both, r.sampler)) return;
  std::vector<std::string_view> there;
  std::apply(
      [&](auto const&... one) {
        ((takes_both(one.value) ? there.push_back(one.name) : void()), ...);
      },
      samplers);
  throw error(fmt::format(
      "the guidance {} was given with the sampler {}: it guides x0 and eps apart, and "
      "this sampler's steps read only one of them or a mixture, so that it would be another "
      "guidance or none; expected one of the samplers {}",
      name_in(guidances, r.guidance), name_in(samplers, r.sampler), fmt::join(there, ", ")));
}

/// The times between which the recipe's guidance is on.
std::optional<recipe::interval> times_of(recipe const& r, double end) {
  if (!r.within || !r.within->of_share) return r.within;
  return recipe::interval{r.within->lo * end, r.within->hi * end};
}

tweedie::any_guidance guidance_of(recipe const& r, double end) {
  auto const times = times_of(r, end);
  return std::visit(
      [&](auto const& g) {
        return times ? forget_guidance(guidance::within{g, times->lo, times->hi})
                     : forget_guidance(g);
      },
      r.guidance);
}

tweedie::any_threshold threshold_of(recipe const& r) {
  return std::visit(
      []<class T>(T const& t) {
        if constexpr (std::is_same_v<T, no_threshold>) return tweedie::any_threshold{};
        else return forget_threshold(t);
      },
      r.threshold);
}

}  // namespace

any_network network_of_caller() {
  // One for all plans, so that a continuous batch knows that theirs is the same.
  static any_network const of_caller{[](batch const&) {
                                       throw error(
                                           "the network of a plan that its caller drives was "
                                           "called; expected the caller's, by the loop");
                                     },
                                     {}};
  return of_caller;
}

bool can_inpaint(recipe const& r) {
  return std::visit([]<class S>(S const&) { return can_repaint<S>; }, r.sampler);
}

bool draws_noise(recipe const& r) {
  return std::ranges::any_of(sampler_of(r).mentioned, &symbol_id::is_noise);
}

std::vector<level> levels_of(recipe const& r, schedule_choice const& schedule) {
  // Each as its own type: a grid may ask for a schedule's sigma_min.
  return std::visit([&](auto const& g, auto const& of) { return grids::levels_of(g, of, r.steps); },
                    r.grid, r.schedule ? *r.schedule : schedule);
}

any_plan make_plan(recipe const& r, schedule_choice const& schedule,
                   prediction_choice const& predicts, any_network const& network, bool encoding) {
  check_guidance(r);
  schedule_choice const on = r.schedule ? *r.schedule : schedule;
  std::visit([](auto const& s) { tweedie::schedules::check(s); }, on);
  auto levels = levels_of(r, schedule);
  if (encoding) std::ranges::reverse(levels);
  double const end = std::visit([](auto const& s) { return s.end(); }, on);
  path const between =
      std::visit([](auto const& s) { return tweedie::schedules::path_along(s); }, on);
  auto const prediction = std::visit([](auto const& p) { return forget_prediction(p); },
                                     r.predicts ? *r.predicts : predicts);
  any_stages const stages{prediction, guidance_of(r, end), threshold_of(r), sampler_of(r)};
  any_plan plan = build_plan(stages, network, std::move(levels), between, compiled_programs());
  if (auto const times = times_of(r, end))
    plan.check_guided(fmt::format("within = [{}, {}]", times->lo, times->hi), end);
  return plan;
}

}  // namespace tweedie::ready
