#include <tweedie/pipelines/ready/recipe.hpp>

#include <algorithm>

#include <fmt/format.h>

#include <tweedie/pipelines/ready/programs.hpp>
#include <tweedie/samplers/repaint.hpp>

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

tweedie::any_guidance guidance_of(recipe const& r) {
  return std::visit(
      [&](auto const& g) {
        return r.within ? forget_guidance(guidance::within{g, r.within->lo, r.within->hi})
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

bool can_inpaint(recipe const& r) {
  return std::visit([]<class S>(S const&) { return can_repaint<S>; }, r.sampler);
}

std::vector<level> levels_of(recipe const& r, schedule_choice const& schedule) {
  // Each as its own type: a grid may ask for a schedule's sigma_min.
  return std::visit([&](auto const& g, auto const& of) { return g.levels(of, r.steps); }, r.grid,
                    r.schedule ? *r.schedule : schedule);
}

run_time_plan make_plan(recipe const& r, schedule_choice const& schedule,
                        prediction_choice const& predicts, any_network const& network,
                        bool encoding) {
  auto levels = levels_of(r, schedule);
  if (encoding) std::ranges::reverse(levels);
  schedule_choice const on = r.schedule ? *r.schedule : schedule;
  path const between{
      .at = [on](double t) { return std::visit([t](auto const& s) { return s.at(t); }, on); },
      .at_rho =
          [on](double rho) {
            return std::visit([rho](auto const& s) { return s.at(s.t_of_rho(rho)); }, on);
          },
      .noisiest = std::visit([](auto const& s) { return s.at(s.end()).rho(); }, on)};
  auto const prediction = std::visit([](auto const& p) { return forget_prediction(p); },
                                     r.predicts ? *r.predicts : predicts);
  return {{prediction, guidance_of(r), threshold_of(r), sampler_of(r)},
          network,
          std::move(levels),
          between,
          compiled_programs()};
}

}  // namespace tweedie::ready
