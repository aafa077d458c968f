#include "pipeline_options.hpp"

#include <algorithm>
#include <cmath>

#include "checks.hpp"

namespace tweedie::tool {
namespace {

using samplers::variance;
std::initializer_list<named<variance>> const variance_choices{{"beta_tilde", variance::beta_tilde},
                                                              {"beta", variance::beta}};

any_sampler sampler_of(pipeline_options const& o) {
  auto sampler = choose("--sampler", o.sampler, sampler_choices);
  if (auto* with_eta = std::get_if<samplers::ddim_eta>(&sampler)) {
    if (o.eta) with_eta->eta = *o.eta;
    if (!(with_eta->eta >= 0 && with_eta->eta <= 1))
      throw error(fmt::format("--eta {} was given; expected 0 to 1", with_eta->eta));
  } else if (o.eta) {
    throw error(fmt::format("--eta {} was given, but {} has no eta; expected --sampler ddim_eta",
                            *o.eta, o.sampler));
  }
  if (auto* ancestral = std::get_if<samplers::ancestral>(&sampler)) {
    if (!o.variance.empty())
      ancestral->variance = choose("--variance", o.variance, variance_choices);
  } else if (!o.variance.empty()) {
    throw error(
        fmt::format("--variance {} was given, but {} has none; expected --sampler ancestral",
                    o.variance, o.sampler));
  }
  return sampler;
}

}  // namespace

void add_pipeline_options(CLI::App& app, pipeline_options& o) {
  app.add_option("--sampler", o.sampler, list_of(sampler_choices))->capture_default_str();
  add_grid_options(app, o.grid);
  app.add_option("--guidance", o.guidance,
                 fmt::format("w of (1 + w) conditional - w unconditional; 0: the conditional "
                             "network alone (with a label: {})",
                             usual_guidance));
  app.add_option("--eta", o.eta, "noise of ddim_eta: 0 none, 1 as ancestral (1)");
  app.add_option("--variance", o.variance,
                 "of ancestral's noise: " + list_of(variance_choices) + " (beta_tilde)");
  app.add_option("--clip", o.clip, "x0 is clipped to [-clip, clip]; 0: not")->capture_default_str();
  app.add_option("--dynamic", o.dynamic,
                 "dynamic thresholding in place of the clip, at this quantile of |x0|; 0.995 in "
                 "Imagen");
  app.add_option("--rescale", o.rescale,
                 "phi: how far the guided output gets the conditional one's deviation; 0: not");
}

std::unique_ptr<any_plan> make_plan(pipeline_options const& o, chosen const& c) {
  auto const sampler = sampler_of(o);
  auto levels = levels_of(o.grid, c.schedule);
  if (!std::isfinite(c.guidance))
    throw error(fmt::format("--guidance {} was given; expected a finite number", c.guidance));
  if (!(o.clip >= 0 && std::isfinite(o.clip)))
    throw error(
        fmt::format("--clip {} was given; expected a number above 0, or 0 for none", o.clip));
  if (o.dynamic && !(*o.dynamic > 0 && *o.dynamic <= 1))
    throw error(
        fmt::format("--dynamic {} was given; expected a quantile above 0, at most 1", *o.dynamic));
  if (!(o.rescale >= 0 && o.rescale <= 1))
    throw error(fmt::format("--rescale {} was given; expected 0 to 1", o.rescale));
  if (o.rescale != 0 && c.guidance == 0)
    throw error(fmt::format("--rescale {} was given without a guidance; expected --guidance too",
                            o.rescale));
  if (o.rescale != 0 && (o.dynamic || o.clip == 0))
    throw error(fmt::format("--rescale {} was given with {}; expected it with --clip", o.rescale,
                            o.dynamic ? "--dynamic" : "--clip 0"));
  if (c.resamplings > 0 && (o.dynamic || o.rescale != 0 || o.clip == 0))
    throw error(fmt::format("--inpaint was given with {}; expected it with --clip",
                            o.dynamic     ? "--dynamic"
                            : o.clip == 0 ? "--clip 0"
                                          : "--rescale"));
  bool const can = std::visit([]<class S>(S const&) { return can_repaint<S>; }, sampler);
  if (c.resamplings > 0 && !can)
    throw error(
        fmt::format("--inpaint was given with --sampler {}; expected ddim, ddim_eta, ancestral or "
                    "euler_maruyama",
                    o.sampler));
  stages s{c.schedule,    {c.predicts},           c.guidance,
           o.rescale,     o.dynamic ? 0 : o.clip, o.dynamic.value_or(0),
           c.resamplings, std::move(levels),      c.network};
  if (c.encoding) std::ranges::reverse(s.levels);
  return std::visit([&](auto one) { return make_plan(one, s); }, sampler);
}

std::string words_of(pipeline_options const& o, double guidance) {
  std::string words = o.sampler + ", " + words_of(o.grid);
  if (o.eta) words += fmt::format(", eta {}", *o.eta);
  if (!o.variance.empty()) words += ", variance " + o.variance;
  words += guidance != 0 ? fmt::format(", guidance {}", guidance) : ", no guidance";
  if (o.rescale != 0) words += fmt::format(", rescale {}", o.rescale);
  if (o.dynamic) words += fmt::format(", dynamic threshold {}", *o.dynamic);
  else words += o.clip != 0 ? fmt::format(", clip {}", o.clip) : ", no clip";
  return words;
}

}  // namespace tweedie::tool
