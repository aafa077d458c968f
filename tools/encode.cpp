// tweedie encode and interpolate: pictures to their noise along the deterministic flow, and back
// from between two of them (Song et al. 2021, DDIM, sections 4.3 and 5.3).
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>

#include <tweedie/pipelines/slerp.hpp>

#include "checks.hpp"
#include "drawing.hpp"
#include "interrupt.hpp"
#include "tool.hpp"

namespace tweedie::tool {
namespace {

struct options {
  pipeline_options pipeline;
  loop_options loop;
  std::string model, in, out, label = "none";
  long long count = 10;
};

/// A model ready to encode and decode with the same options.
struct both_ways {
  loaded_model m;
  std::vector<int> labels;
  double guidance;
  ready::recipe recipe;
  std::optional<any_plan> encoder, decoder;

  explicit both_ways(options const& o) : m(load(o.model)) {
    labels = labels_of(o.label, m);
    bool const labelled = labels[0] != no_label;
    guidance = o.pipeline.guidance.value_or(0);
    if (guidance != 0 && !labelled)
      throw error(fmt::format("--guidance {} was given for pictures without a label; expected 0",
                              guidance));
    check_conditional(guidance, m);
    if (!m.conditions.empty())
      throw error(fmt::format("'{}' takes the condition '{}'; expected a network of labels alone",
                              o.model, m.conditions[0]));
    auto const network = network_of(m, o.loop.engine);
    recipe = recipe_of(o.pipeline, guidance);
    check_labelled(o.pipeline, recipe, labelled);
    auto const schedule = schedule_of(m.schedule, o.model);
    auto const predicts = prediction_of("'" + o.model + "': predicts", m.predicts);
    check_model(recipe, o.model, schedule, predicts);
    check_ends(o.pipeline.grid, schedule);
    auto const plan = [&](bool encoding) {
      return ready::make_plan(recipe, schedule.which, predicts, network, encoding);
    };
    char const* const name = ready::name_in(ready::samplers, recipe.sampler);
    if (ready::draws_noise(recipe))
      throw error(fmt::format(
          "--sampler {} was given, which draws noise; expected ddim, euler, heun or rk4", name));
    decoder = plan(false);
    try {
      encoder = plan(true);
    } catch (error const& e) {  // such as a sampler that cannot leave the clean end
      throw error(fmt::format("--sampler {} was given to encode: {}", name, e.what()));
    }
  }

  /// One label for all, or one for each.
  std::vector<int> labels_for(std::size_t count) const {
    if (labels.size() != 1 && labels.size() != count)
      throw error(fmt::format("{} labels were given for {} pictures; expected one, or one for each",
                              labels.size(), count));
    std::vector<int> r(count);
    for (std::size_t i = 0; i < count; ++i) r[i] = labels[labels.size() == 1 ? 0 : i];
    return r;
  }

  /// Pictures along the flow. Those that are finished when it is interrupted are kept beside `out`,
  /// where it is given.
  std::optional<images> go(char const* what, any_plan const& plan, images const& from,
                           std::vector<int> const& given, options const& o,
                           std::string const& out = "") {
    auto const& config = m.shape;
    double seconds = 0;
    auto settings = settings_of(what, m, recipe, given, o.loop);
    settings.emplace_back("start", hash_of(from.data));
    return run_plan(
        what, plan, config,
        {.count = from.count(),
         .batch = static_cast<std::size_t>(o.loop.batch),
         .labels = given,
         .out = out,
         .finished = out.empty() ? images{} : read_finished(o.loop, from.count(), config, settings),
         .given = settings},
        [&](any_plan const& p, request r, std::size_t begin, conditions const& one) {
          return p.start_at(slice(from, begin, r.shape[0]), r, one);
        },
        seconds);
  }
};

int encode(options const& o) {
  if (std::filesystem::path(o.out).extension() != ".npy")
    throw error(fmt::format("--out '{}' was given; expected a name that ends in .npy", o.out));
  check_output(o.out, {o.model, o.in, o.loop.finished});
  both_ways both(o);
  auto const pictures = read_pictures("--in", o.in, both.m.shape, both.m.range);
  check_room(o.out, pictures.count(), both.m.shape, 0);
  auto const latents =
      both.go("encode", *both.encoder, pictures, both.labels_for(pictures.count()), o, o.out);
  if (!latents) return interrupted_exit_code();
  write_pictures(o.out, *latents, 0);
  fmt::print("'{}': {} picture{} encoded by {}\n", o.out, latents->count(),
             latents->count() == 1 ? "" : "s", words_of(both.recipe));
  return 0;
}

int interpolate(options const& o) {
  check_output(o.out, {o.model, o.in, o.loop.finished});
  both_ways both(o);
  check_picture(o.out, both.m);
  auto const ends = read_pictures("--between", o.in, both.m.shape, both.m.range);
  if (ends.count() != 2)
    throw error(fmt::format("--between '{}' has {} picture(s); expected two", o.in, ends.count()));
  auto const given = both.labels_for(2);
  auto const count = static_cast<std::size_t>(o.count);
  check_room(o.out, count, both.m.shape, count);
  auto const latents = both.go("encode", *both.encoder, ends, given, o);
  if (!latents) return interrupted_exit_code();
  images between{latents->shape, {}};
  std::vector<int> labels;
  between.shape[0] = count;
  for (std::size_t i = 0; i < count; ++i) {
    double const share = static_cast<double>(i) / static_cast<double>(count - 1);
    auto const one = slerp(slice(*latents, 0, 1), slice(*latents, 1, 1), share);
    between.data.insert(between.data.end(), one.data.begin(), one.data.end());
    labels.push_back(given[share < 0.5 ? 0 : 1]);
  }
  auto const pictures = both.go("decode", *both.decoder, between, labels, o, o.out);
  if (!pictures) return interrupted_exit_code();
  write_pictures(o.out, *pictures, count, both.m.range.value_or(std::pair{-1.0, 1.0}));
  fmt::print("'{}': {} pictures between two, by {}\n", o.out, count, words_of(both.recipe));
  return 0;
}

void add_shared(CLI::App& app, options& o) {
  app.add_option("--model", o.model, model_help)->required();
  o.pipeline.usual_clip = 0;  // a clipped flow has no way back
  add_pipeline_options(app, o.pipeline, "0", "0");
  app.add_option("--label", o.label, "none, or the classes of the pictures, one for all or each")
      ->capture_default_str();
  add_loop_options(app, o.loop);
}

}  // namespace

action add_encode(CLI::App& app, std::string const&) {
  auto const o = std::make_shared<options>();
  add_shared(app, *o);
  app.add_option("--in", o->in, "x.png, x.jpg, x.npy or test:3,7 (pictures of the test set)")
      ->required();
  app.add_option(
         "--out", o->out,
         "x.npy: what `tweedie sample --from` decodes, with the same sampler, grid and steps")
      ->required();
  return [o] { return encode(*o); };
}

action add_interpolate(CLI::App& app, std::string const&) {
  auto const o = std::make_shared<options>();
  add_shared(app, *o);
  app.add_option("--between", o->in, "two pictures: x.npy or test:3,7 (of the test set)")
      ->required();
  add_whole(app, "--count", o->count, 2, 10'000, "pictures, the two ends among them");
  app.add_option("--out", o->out, "x.png, one row, or x.npy, floats in [-1, 1]")->required();
  return [o] { return interpolate(*o); };
}

}  // namespace tweedie::tool
