// tweedie sample: pictures from a model file, which says what its network predicts and on which
// schedule.
#include <fmt/format.h>

#include <memory>

#include <tweedie/networks/unet_network.hpp>

#include "checks.hpp"
#include "drawing.hpp"
#include "interrupt.hpp"
#include "tool.hpp"

namespace tweedie::tool {
namespace {

struct options {
  pipeline_options pipeline;
  std::string model, out, label, inpaint, known, from;
  long long count = 100, batch = 50, threads = 1, columns = 0, resamplings = 10;
  std::uint64_t seed = 0;
};

/// Known pictures and where they are known; nothing without --inpaint.
struct known_part {
  images pictures, mask;
};

known_part read_known(options const& o, networks::unet_config const& c) {
  if (o.inpaint.empty() != o.known.empty())
    throw error(o.inpaint.empty()
                    ? "--known was given without --inpaint; expected both, or none of them"
                    : "--inpaint was given without --known; expected the pictures that are known");
  if (o.inpaint.empty()) return {};
  return {read_pictures("--known", o.known, c), read_mask("--inpaint", o.inpaint, c)};
}

int run(options const& o) {
  check_output(o.out);
  check_whole("--count", o.count, 1, 10'000'000);
  check_whole("--batch", o.batch, 1, 65536);
  check_whole("--threads", o.threads, 1, 1024);
  check_whole("--columns", o.columns, 0, 10'000);
  check_whole("--resamplings", o.resamplings, 1, 1000);

  auto const m = networks::load_model(o.model);
  auto const& config = m.network->config();
  bool const conditional = config.classes > 0;
  auto const chosen_labels =
      labels_of(o.label.empty() ? (conditional && o.from.empty() ? "all" : "none") : o.label, m);
  bool const labelled = chosen_labels[0] != no_label;
  double const guidance = o.pipeline.guidance.value_or(labelled ? usual_guidance : 0);
  if (guidance != 0 && !conditional)
    throw error(
        fmt::format("--guidance {} was given, but the network of '{}' is unconditional; expected 0",
                    guidance, o.model));
  if (guidance != 0 && !labelled)
    throw error(
        fmt::format("--guidance {} was given for pictures without a label; expected 0", guidance));
  auto const known = read_known(o, config);
  bool const inpainting = !o.inpaint.empty();
  auto recipe = recipe_of(o.pipeline, guidance);
  if (!o.pipeline.file.empty() && recipe.guidance.index() != 0 && !labelled)
    throw error(fmt::format(
        "--recipe {} was given, which guides, for pictures without a label; expected --label",
        o.pipeline.file));
  recipe.resamplings = inpainting ? static_cast<int>(o.resamplings) : 0;
  if (inpainting && !can_inpaint(recipe))
    throw error(
        fmt::format("--inpaint was given with --sampler {}; expected one of a single evaluation "
                    "that remembers no step: ddim, ddim_eta, ancestral, euler or euler_maruyama",
                    ready::name_in(ready::samplers, recipe.sampler)));
  if (!o.from.empty() && std::filesystem::path(o.from).extension() != ".npy")
    throw error(fmt::format("--from '{}' was given; expected a name that ends in .npy", o.from));
  images const latents = o.from.empty() ? images{} : read_latents("--from", o.from, config);
  if (!o.from.empty() && chosen_labels.size() > latents.count())
    throw error(fmt::format("{} labels were given for {} pictures; expected one, or one for each",
                            chosen_labels.size(), latents.count()));
  if (inpainting && known.pictures.count() > static_cast<std::size_t>(o.count))
    throw error(fmt::format("--count {} was given for {} known pictures; expected as many or more",
                            o.count, known.pictures.count()));
  if (inpainting && !o.from.empty())
    throw error("--from was given with --inpaint; expected one of them");

  networks::unet::set_threads(static_cast<int>(o.threads));
  timed_network network{networks::unet_network{m.network}};
  auto const predicts = prediction_of("'" + o.model + "': predicts", m.predicts);
  auto const schedule = schedule_of(m.schedule, o.model);
  check_model(recipe, o.model, schedule, predicts);
  auto const plan = ready::make_plan(recipe, schedule.which, predicts, forget_network(network));

  loop_options loop{.count = static_cast<std::size_t>(o.count),
                    .batch = static_cast<std::size_t>(o.batch),
                    .seed = o.seed,
                    .labels = {}};
  if (!o.from.empty()) loop.count = latents.count();
  for (std::size_t i = 0; i < loop.count; ++i)
    loop.labels.push_back(chosen_labels[i * chosen_labels.size() / loop.count]);
  double seconds = 0;  // in the loop, the network's share of it in network.seconds
  auto const result = run_plan(
      "sample", plan, config, loop,
      [&](any_plan const& p, request r, std::size_t begin, labels const& given) {
        if (!o.from.empty()) return p.start_at(slice(latents, begin, r.shape[0]), r, given);
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

  std::size_t columns = static_cast<std::size_t>(o.columns);
  std::size_t const rows = chosen_labels.size();
  if (columns == 0 && rows > 1 && loop.count % rows == 0) columns = loop.count / rows;
  write_pictures(o.out, *result, columns);
  fmt::print(
      "'{}': {} picture{} by {}{}, from {} on {}: {:.1f} s, {:.3g} pictures/s, network "
      "{:.2f} %, sampler {:.2f} %\n",
      o.out, loop.count, loop.count == 1 ? "" : "s", words_of(recipe),
      inpainting ? fmt::format(", RePaint with {} resamplings", o.resamplings) : "", m.predicts,
      m.schedule.name, seconds, static_cast<double>(loop.count) / seconds,
      100 * *network.seconds / seconds, 100 * (seconds - *network.seconds) / seconds);
  return 0;
}

}  // namespace

action add_sample(CLI::App& app, std::string const&) {
  auto const o = std::make_shared<options>();
  app.add_option("--model", o->model, "the model file of tweedie train")->required();
  add_pipeline_options(app, o->pipeline);
  app.add_option("--label", o->label,
                 "all, none, or classes by number or name with commas between: rows of the "
                 "picture (all)");
  auto* count = app.add_option("--count", o->count, "pictures, shared out among the labels")
                    ->capture_default_str();
  add_seed(app, o->seed, "of the noise; picture i has its own, whatever the batch");
  app.add_option("--batch", o->batch, "pictures at a time")->capture_default_str();
  app.add_option("--threads", o->threads, "threads")->capture_default_str();
  app.add_option("--columns", o->columns, "of a PNG (one row per label, else about square)");
  auto* inpaint = app.add_option(
      "--inpaint", o->inpaint,
      "mask.png: white where --known is kept, black where it is drawn anew, by RePaint");
  app.add_option("--known", o->known,
                 "x.png, x.npy or test:3,7 (pictures of the test set), over and over");
  app.add_option("--resamplings", o->resamplings, "of RePaint: times each step is done")
      ->capture_default_str()
      ->needs(inpaint);
  app.add_option("--from", o->from, "x.npy of tweedie encode: decode these in place of noise")
      ->excludes(count);
  app.add_option("--out", o->out, "x.png, one grid, or x.npy, floats in [-1, 1]")->required();
  return [o] { return run(*o); };
}

}  // namespace tweedie::tool
