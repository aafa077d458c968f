// tweedie sample: pictures from a model file, which says what its network predicts and on which
// schedule.
#include <fmt/format.h>

#include <memory>

#include "checks.hpp"
#include "drawing.hpp"
#include "interrupt.hpp"
#include "tool.hpp"

namespace tweedie::tool {
namespace {

struct options {
  pipeline_options pipeline;
  loop_options loop;
  std::string model, out, label, inpaint, known, from;
  std::vector<std::string> conditions;
  long long count = 100, resamplings = 10;
  std::optional<long long> columns;
  std::uint64_t seed = 0;
  bool seed_given = false;
};

/// Known pictures and where they are known; nothing without --inpaint.
struct known_part {
  images pictures, mask;
};

known_part read_known(options const& o, loaded_model const& m) {
  if (o.inpaint.empty() != o.known.empty())
    throw error(o.inpaint.empty()
                    ? "--known was given without --inpaint; expected both, or none of them"
                    : "--inpaint was given without --known; expected the pictures that are known");
  if (o.inpaint.empty()) return {};
  return {read_pictures("--known", o.known, m.shape, m.range),
          read_mask("--inpaint", o.inpaint, m.shape)};
}

/// Throws where a grid begins inside of the schedule, at a level where pictures are still seen.
/// Hundreds of pixels are told from noise by their sum, and so at more noise than one number is.
void check_start(grid_options const& given, ready::recipe const& r, level first,
                 any_schedule const& schedule) {
  any_schedule const on = r.schedule ? any_schedule{*r.schedule} : schedule;
  double const least = std::min(10.0, on.at(on.end()).rho());
  if (first.rho() >= least * (1 - 1e-9)) return;
  if (given.sigma_max)
    throw error(
        fmt::format("--sigma-max {} was given; expected {:.3g} or more: below it pictures "
                    "are still seen, and noise is no start",
                    *given.sigma_max, least));
  throw error(fmt::format(
      "the grid {} with {} step{} begins at t = {:.6g} (sigma / alpha = {:.3g}), where pictures "
      "are "
      "still seen and noise is no start; expected {:.3g} or more, as trailing, uniform and karras "
      "have it",
      ready::name_in(ready::grids, r.grid), r.steps, r.steps == 1 ? "" : "s", first.t, first.rho(),
      least));
}

int run(options o) {
  std::vector<std::string> read{o.model, o.from, o.known, o.inpaint, o.loop.finished};
  for (auto const& one : o.conditions) read.push_back(one.substr(one.find('=') + 1));
  check_output(o.out, read);
  if (o.columns && std::filesystem::path(o.out).extension() == ".npy")
    throw error(fmt::format("--columns {} was given for --out '{}', which has none; expected .png",
                            *o.columns, o.out));
  if (!o.from.empty() && !o.inpaint.empty())
    throw error("--from was given with --inpaint; expected one of them");
  bool const decoding = !o.from.empty();

  auto const m = load(o.model);
  auto const& config = m.shape;
  check_picture(o.out, m);
  bool const few = m.classes > 0 && m.classes <= 1000;  // else a row for each is no picture
  auto const chosen_labels =
      labels_of(o.label.empty() ? (few && !decoding ? "all" : "none") : o.label, m);
  bool const labelled = chosen_labels[0] != no_label || !o.conditions.empty();
  // What was encoded is decoded by the same flow: as it is, where nothing else is asked for.
  double const guidance =
      o.pipeline.guidance.value_or(labelled && !decoding && m.can_be_guided ? usual_guidance : 0);
  o.pipeline.usual_clip = decoding ? 0 : usual_clip_of(m);
  check_conditional(guidance, m);
  if (guidance != 0 && !labelled)
    throw error(
        fmt::format("--guidance {} was given for pictures without a label; expected 0", guidance));
  auto const known = read_known(o, m);
  bool const inpainting = !o.inpaint.empty();
  auto recipe = recipe_of(o.pipeline, guidance);
  auto arrays = read_conditions(
      o.conditions, m,
      decoding ? read_latents("--from", o.from, config).count() : static_cast<std::size_t>(o.count),
      recipe.guidance.index() != 0);
  check_labelled(o.pipeline, recipe, labelled);
  recipe.resamplings = inpainting ? static_cast<int>(o.resamplings) : 0;
  if (inpainting && !can_inpaint(recipe))
    throw error(
        fmt::format("--inpaint was given with --sampler {}; expected one of a single evaluation "
                    "that remembers no step: ddim, ddim_eta, ancestral, euler or euler_maruyama",
                    ready::name_in(ready::samplers, recipe.sampler)));
  images const latents = decoding ? read_latents("--from", o.from, config) : images{};
  if (inpainting && known.pictures.count() > static_cast<std::size_t>(o.count))
    throw error(fmt::format("--count {} was given for {} known pictures; expected as many or more",
                            o.count, known.pictures.count()));
  auto const network_seconds = std::make_shared<double>(0);
  auto const predicts = prediction_of("'" + o.model + "': predicts", m.predicts);
  auto const schedule = schedule_of(m.schedule, o.model);
  check_model(recipe, o.model, schedule, predicts);
  check_ends(o.pipeline.grid, schedule);
  std::size_t const count = decoding ? latents.count() : static_cast<std::size_t>(o.count);
  auto const network =
      network_of(m, o.loop.engine, rows_of(count, static_cast<std::size_t>(o.loop.batch), recipe));
  auto const plan =
      ready::make_plan(recipe, schedule.which, predicts, timed(network, network_seconds));
  if (!decoding) check_start(o.pipeline.grid, recipe, plan.levels()[0], schedule);
  if (decoding && o.seed_given && plan.is_deterministic())
    throw error(fmt::format("--seed {} was given with --from and --sampler {}, which draw no noise",
                            o.seed, ready::name_in(ready::samplers, recipe.sampler)));

  std::size_t const rows = chosen_labels.size();
  std::size_t columns = static_cast<std::size_t>(o.columns.value_or(0));
  if (columns == 0 && rows > 1 && count % rows == 0) columns = count / rows;
  check_room(o.out, count, config, columns);
  auto asked = settings_of("sample", m, recipe, chosen_labels, o.loop);
  asked.emplace_back("count", std::to_string(count));
  asked.emplace_back("seed", std::to_string(o.seed));
  if (decoding) asked.emplace_back("--from", hash_of(latents.data));
  if (inpainting) {
    asked.emplace_back("--known", hash_of(known.pictures.data));
    asked.emplace_back("--inpaint", hash_of(known.mask.data));
    asked.emplace_back("resamplings", std::to_string(o.resamplings));
  }
  for (auto const& [name, array] : arrays)
    asked.emplace_back("--condition " + name, hash_of(array.data));
  loop const all{.count = count,
                 .batch = static_cast<std::size_t>(o.loop.batch),
                 .seed = o.seed,
                 .labels = spread(o.label, chosen_labels, count),
                 .arrays = std::move(arrays),
                 .out = o.out,
                 .finished = read_finished(o.loop, count, config, asked),
                 .given = asked};
  auto const drawn =
      static_cast<double>(count - (o.loop.finished.empty() ? 0 : all.finished.count()));
  double seconds = 0;  // in the loop, the network's share of it in network.seconds
  auto const result = run_plan(
      "sample", plan, config, all,
      [&](any_plan const& p, request r, std::size_t begin, conditions const& given) {
        if (decoding) return p.start_at(slice(latents, begin, r.shape[0]), r, given);
        if (inpainting) {  // the known pictures over and over
          r.mask = known.mask;
          r.known.shape = r.shape;
          for (std::size_t i = 0; i < r.shape[0]; ++i) {
            auto const one = known.pictures[(begin + i) % known.pictures.count()];
            r.known.data.insert(r.known.data.end(), one.begin(), one.end());
          }
        }
        return p.start(r, given);
      },
      seconds);
  if (!result) return interrupted_exit_code();

  write_pictures(o.out, *result, columns, m.range.value_or(std::pair{-1.0, 1.0}));
  fmt::print(
      "'{}': {} picture{} by {}{}, from {} on {}: {:.1f} s, {:.3g} pictures/s, network "
      "{:.2f} %, sampler {:.2f} %\n",
      o.out, count, count == 1 ? "" : "s", words_of(recipe),
      inpainting ? fmt::format(", RePaint with {} resamplings", o.resamplings) : "", m.predicts,
      m.schedule.name, seconds, drawn / seconds, 100 * *network_seconds / seconds,
      100 * (seconds - *network_seconds) / seconds);
  return 0;
}

}  // namespace

action add_sample(CLI::App& app, std::string const&) {
  auto const o = std::make_shared<options>();
  app.add_option("--model", o->model, model_help)->required();
  add_pipeline_options(app, o->pipeline, "1; of --from: 0",
                       fmt::format("with a label: {}; of --from: 0", usual_guidance));
  app.add_option(
      "--label", o->label,
      "all, none, or classes by number or name with commas between: rows of the "
      "picture (all; of --from: none). They are shared out in order: a,b on six pictures "
      "is a,a,a,b,b,b");
  auto* count = add_whole(app, "--count", o->count, 1, 10'000'000,
                          "pictures, shared out evenly among the labels");
  auto* seed = add_seed(app, o->seed, "of the noise; picture i has its own, whatever the batch");
  add_loop_options(app, o->loop);
  add_whole(app, "--columns", o->columns, 1, 10'000,
            "of a PNG (one row per label, else about square)");
  app.add_option("--condition", o->conditions,
                 "a row for each picture or one for all: what a file with a card takes besides "
                 "labels, by the "
                 "names of its card; one at a time, --condition a=x.npy --condition b=y.npy")
      ->option_text("NAME=x.npy");
  auto* inpaint = app.add_option(
      "--inpaint", o->inpaint,
      "mask.png or .npy: white where --known is kept, black where it is drawn anew, by RePaint");
  app.add_option("--known", o->known,
                 "x.png, x.jpg, x.npy or test:3,7 (pictures of the test set), over and over");
  add_whole(app, "--resamplings", o->resamplings, 1, 1000, "of RePaint: times each step is done")
      ->needs(inpaint);
  app.add_option("--from", o->from,
                 "x.npy of tweedie encode: decode these in place of noise. With the same sampler, "
                 "grid and steps it is the inverse of encode")
      ->excludes(count);
  app.add_option("--out", o->out, "x.png, one grid, or x.npy, floats in [-1, 1]")->required();
  return [o, seed] {
    o->seed_given = seed->count() > 0;
    return run(*o);
  };
}

}  // namespace tweedie::tool
