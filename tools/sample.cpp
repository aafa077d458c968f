// tweedie sample: pictures from a model file, which says what its network predicts and on which
// schedule.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include <tweedie/io/npy.hpp>
#include <tweedie/io/png.hpp>
#include <tweedie/networks/unet_file.hpp>
#include <tweedie/networks/unet_network.hpp>

#include "checks.hpp"
#include "interrupt.hpp"
#include "pipeline_options.hpp"
#include "progress.hpp"
#include "tool.hpp"

namespace tweedie::tool {
namespace {

struct options {
  pipeline_options pipeline;
  std::string model, out, label;
  long long count = 100, batch = 50, threads = 1, columns = 0;
  std::uint64_t seed = 0;
};

/// The labels of `--label`: all, none, or classes by index or name between commas.
std::vector<int> labels_of(std::string const& text, networks::model const& m) {
  int const classes = m.network->config().classes;
  if (text == "none") return {no_label};
  if (classes == 0)
    throw error(
        fmt::format("--label {} was given, but the network is unconditional; expected none", text));
  std::vector<int> chosen;
  if (text == "all") {
    for (int i = 0; i < classes; ++i) chosen.push_back(i);
    return chosen;
  }
  for (auto const& word : CLI::detail::split(text, ',')) {
    auto const name = std::find(m.labels.begin(), m.labels.end(), word);
    int index = name == m.labels.end() ? -1 : static_cast<int>(name - m.labels.begin());
    if (index < 0 && !word.empty() && word.size() < 7 &&
        word.find_first_not_of("0123456789") == std::string::npos)
      index = std::stoi(word);
    if (index < 0 || index >= classes) {
      std::string names;
      for (auto const& label : m.labels) names += ", " + label;
      throw error(fmt::format("--label '{}' was given; expected all, none, or from 0 to {}{}", word,
                              classes - 1, names.empty() ? "" : ":" + names.substr(1)));
    }
    chosen.push_back(index);
  }
  return chosen;
}

void write(options const& o, images const& result, std::size_t rows) {
  std::string const ending = std::filesystem::path(o.out).extension().string();
  if (ending == ".npy") {
    io::write_npy(o.out, result.shape, result.data);
    return;
  }
  io::grid_layout layout;
  layout.upscale = 2;
  layout.columns = static_cast<std::size_t>(o.columns);
  if (layout.columns == 0 && rows > 1 && result.count() % rows == 0)
    layout.columns = result.count() / rows;  // a row per label
  io::write_png(o.out, result.data,
                {result.shape[0], result.shape[1], result.shape[2], result.shape[3]}, layout);
}

int run(options const& o) {
  auto const ending = std::filesystem::path(o.out).extension();
  if (ending != ".png" && ending != ".npy")
    throw error(
        fmt::format("--out '{}' was given; expected a name that ends in .png or .npy", o.out));
  check_writable("--out", o.out);
  check_whole("--count", o.count, 1, 10'000'000);
  check_whole("--batch", o.batch, 1, 65536);
  check_whole("--threads", o.threads, 1, 1024);
  check_whole("--columns", o.columns, 0, 10'000);

  auto const m = networks::load_model(o.model);
  auto const& config = m.network->config();
  auto const predicted = choose("'" + o.model + "': predicts", m.predicts, prediction_choices);
  bool const conditional = config.classes > 0;
  auto const chosen = labels_of(o.label.empty() ? (conditional ? "all" : "none") : o.label, m);
  bool const labelled = chosen[0] != no_label;
  double const guidance = o.pipeline.guidance.value_or(labelled ? usual_guidance : 0);
  if (guidance != 0 && !conditional)
    throw error(
        fmt::format("--guidance {} was given, but the network of '{}' is unconditional; expected 0",
                    guidance, o.model));
  if (guidance != 0 && !labelled)
    throw error(
        fmt::format("--guidance {} was given for pictures without a label; expected 0", guidance));

  networks::unet::set_threads(static_cast<int>(o.threads));
  timed_network network{networks::unet_network{m.network}};
  auto const plan =
      make_plan(o.pipeline, guidance, predicted, schedule_of(m.schedule, o.model), network);

  auto const size = static_cast<std::size_t>(config.size);
  auto const count = static_cast<std::size_t>(o.count), batch = static_cast<std::size_t>(o.batch);
  images result;
  result.shape = {count, static_cast<std::size_t>(config.channels), size, size};
  result.data.reserve(count * m.network->elements());

  catch_interrupts();
  progress bar("sample", count * plan->steps());
  double loop = 0;  // seconds in the loop, the network's share of it in network.seconds
  for (std::size_t begin = 0; begin < count; begin += batch) {
    std::size_t const here = std::min(batch, count - begin);
    labels conditions(here);
    for (std::size_t i = 0; i < here; ++i)
      conditions[i] = chosen[(begin + i) * chosen.size() / count];
    request r;
    r.shape = result.shape;
    r.shape[0] = here;
    r.seed = o.seed;
    r.first_id = begin;
    auto const before = progress::clock::now();
    state s = plan->start(r, conditions);
    for (std::size_t step = 1; !plan->finished(s); ++step) {
      if (interrupted()) {
        bar.clear();
        fmt::print(stderr, "interrupted after {} of {} pictures: nothing was written\n", begin,
                   count);
        return interrupted_exit_code();
      }
      plan->advance(s);
      bar.update(begin * plan->steps() + step * here, [&] {
        return fmt::format("steps of all pictures, {} evaluations each", plan->evaluations());
      });
    }
    auto const done = plan->take(s);
    loop += std::chrono::duration<double>(progress::clock::now() - before).count();
    result.data.insert(result.data.end(), done.data.begin(), done.data.end());
  }
  bar.clear();
  if (!std::all_of(result.data.begin(), result.data.end(),
                   [](float v) { return std::isfinite(v); }))
    throw error(
        "the pictures have values that are not finite: nothing was written; expected a smaller "
        "guidance, or --clip 1");
  write(o, result, chosen.size());
  fmt::print(
      "'{}': {} picture{} by {}, from {} on {}: {:.1f} s, {:.3g} pictures/s, network "
      "{:.2f} %, sampler {:.2f} %\n",
      o.out, count, count == 1 ? "" : "s", words_of(o.pipeline, guidance), m.predicts,
      m.schedule.name, loop, static_cast<double>(count) / loop, 100 * *network.seconds / loop,
      100 * (loop - *network.seconds) / loop);
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
  app.add_option("--count", o->count, "pictures, shared out among the labels")
      ->capture_default_str();
  add_seed(app, o->seed, "of the noise; picture i has its own, whatever the batch");
  app.add_option("--batch", o->batch, "pictures at a time")->capture_default_str();
  app.add_option("--threads", o->threads, "threads")->capture_default_str();
  app.add_option("--columns", o->columns, "of a PNG (one row per label, else about square)");
  app.add_option("--out", o->out, "x.png, one grid, or x.npy, floats in [-1, 1]")->required();
  return [o] { return run(*o); };
}

}  // namespace tweedie::tool
