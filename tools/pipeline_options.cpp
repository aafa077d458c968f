#include "pipeline_options.hpp"

#include "checks.hpp"

namespace tweedie::tool {
namespace {

using samplers::variance;
std::initializer_list<named<variance>> const variance_choices{{"beta_tilde", variance::beta_tilde},
                                                              {"beta", variance::beta}};

ready::sampler_choice sampler_of(pipeline_options const& o) {
  auto sampler = ready::choose("--sampler", o.sampler, ready::samplers);
  bool const has_eta = std::visit(
      [&](auto& s) {
        if constexpr (requires { s.eta; }) {
          if (o.eta) s.eta = *o.eta;
          return true;
        } else return false;
      },
      sampler);
  if (o.eta && !has_eta)
    throw error(fmt::format(
        "--eta {} was given, but {} has no eta; expected --sampler ddim_eta or sde_dpmpp_2m",
        *o.eta, o.sampler));
  if (o.eta)
    std::visit(
        [&](auto const& s) {
          try {
            if constexpr (requires { s.check(); }) s.check();
          } catch (error const& e) {
            throw error(fmt::format("--eta {} was given: {}", *o.eta, e.what()));
          }
        },
        sampler);
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

void add_pipeline_options(CLI::App& app, pipeline_options& o, std::string const& clip_without,
                          std::string const& guidance_without) {
  auto const any = [](double) { return true; };
  auto* file = app.add_option("--recipe", o.file,
                              "x.toml or x.json, or the name of a shipped recipe: the pipeline, in "
                              "place of the options from --sampler to --rescale");
  auto const add = [&](CLI::Option* one) { one->excludes(file); };
  add(app.add_option("--sampler", o.sampler, names_of_list(ready::samplers))
          ->capture_default_str());
  add_grid_options(app, o.grid);
  for (char const* name : {"--steps", "--grid", "--sigma-min", "--sigma-max"})
    add(app.get_option(name));
  add(add_number(app, "--guidance", o.guidance, "a finite number", any,
                 "w of (1 + w) conditional - w unconditional; 0: the conditional network alone (" +
                     guidance_without + ")"));
  add(add_number(
      app, "--eta", o.eta, "a number of 0 or more", [](double eta) { return eta >= 0; },
      "noise of ddim_eta and sde_dpmpp_2m: 0 none, 1 as ancestral (1)"));
  add(app.add_option("--variance", o.variance,
                     "of ancestral's noise: " + list_of(variance_choices) + " (beta_tilde)"));
  add(add_number(
      app, "--clip", o.clip, "a number above 0, or 0 for none", [](double c) { return c >= 0; },
      "x0 is clipped to [-clip, clip]; 0: not (" + clip_without + ")"));
  add(add_number(
      app, "--dynamic", o.dynamic, "a quantile above 0, at most 1",
      [](double q) { return q > 0 && q <= 1; },
      "dynamic thresholding in place of the clip, at this quantile of |x0|; 0.995 in "
      "Imagen"));
  add(add_number(
      app, "--rescale", o.rescale, "0 to 1", [](double p) { return p >= 0 && p <= 1; },
      "phi: how far the guided output gets the conditional one's deviation; 0: not"));
}

ready::recipe recipe_of(pipeline_options const& o, double guidance) {
  if (!o.file.empty()) {
    for (auto const& shipped : ready::shipped_recipes())
      if (o.file == shipped.name)
        return ready::parse_recipe(shipped.text, ready::recipe_format::toml, o.file);
    if (std::filesystem::path(o.file).extension().empty()) {
      std::vector<std::string_view> names;
      for (auto const& shipped : ready::shipped_recipes()) names.push_back(shipped.name);
      throw error(fmt::format("--recipe '{}' was given; {}; or a file that ends in .toml or .json",
                              o.file, ready::expected_names(o.file, names)));
    }
    return ready::read_recipe(o.file);
  }
  ready::recipe r;
  r.sampler = sampler_of(o);
  r.grid = grid_of(o.grid);
  r.steps = static_cast<int>(o.grid.steps);
  if (o.dynamic && o.clip)
    throw error(fmt::format("--dynamic {} and --clip {} were given; expected one of them",
                            *o.dynamic, *o.clip));
  if (o.rescale != 0 && guidance == 0)
    throw error(fmt::format("--rescale {} was given without a guidance; expected --guidance too",
                            o.rescale));
  if (o.rescale != 0) r.guidance = guidance::rescaled{.s = 1 + guidance, .phi = o.rescale};
  else if (guidance != 0) r.guidance = guidance::classifier_free{.w = guidance};
  if (o.dynamic) r.threshold = thresholds::dynamic{*o.dynamic};
  else if (double const c = o.clip.value_or(o.usual_clip)) r.threshold = thresholds::clip{c};
  return r;
}

void check_conditional(double guidance, loaded_model const& m) {
  if (guidance == 0 || m.can_be_guided) return;
  if (m.classes == 0 && m.conditions.empty())
    throw error(
        fmt::format("--guidance {} was given, but the network of '{}' is unconditional; expected 0",
                    guidance, m.path));
  throw error(
      fmt::format("--guidance {} was given, but the card of '{}' does not say what the "
                  "network is told without a condition (null); expected 0",
                  guidance, m.path));
}

void check_labelled(pipeline_options const& o, ready::recipe const& r, bool labelled) {
  if (!o.file.empty() && r.guidance.index() != 0 && !labelled)
    throw error(fmt::format(
        "--recipe {} was given, which guides, for pictures without a label; expected --label",
        o.file));
}

void check_model(ready::recipe const& r, std::string const& model, any_schedule const& schedule,
                 ready::prediction_choice const& predicts) {
  if (r.predicts && r.predicts->index() != predicts.index())
    throw error(
        fmt::format("the recipe predicts {}, the network of '{}' predicts {}; expected the "
                    "same, or a recipe without predicts",
                    ready::name_in(ready::predictions, *r.predicts), model,
                    ready::name_in(ready::predictions, predicts)));
  if (!r.schedule) return;
  auto const given = ready::describe(*r.schedule);
  auto const of_model = describe(schedule);
  if (!(given == of_model))
    throw error(
        fmt::format("the recipe's schedule is {}, that of '{}' is {}; expected the same, "
                    "or a recipe without a schedule",
                    ready::in_words(given), model, ready::in_words(of_model)));
}

any_network timed(any_network network, std::shared_ptr<double> seconds) {
  network.call = {[call = network.call, seconds](batch const& b) {
    auto const begin = std::chrono::steady_clock::now();
    call(b);
    *seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  }};
  return network;
}

}  // namespace tweedie::tool
