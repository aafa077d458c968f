// tweedie explain: what a pipeline compiles to.
#include <fmt/format.h>

#include <tweedie/networks/unet_file.hpp>

#include "pipeline_options.hpp"
#include "tool.hpp"

namespace tweedie::tool {
namespace {

struct options {
  pipeline_options pipeline;
  std::string model, predicts = "v", schedule = "cosine";
};

int run(options const& o) {
  auto predicts = o.predicts;
  auto schedule = choose("--schedule", o.schedule, schedule_choices);
  auto schedule_name = o.schedule;
  double guidance = o.pipeline.guidance.value_or(usual_guidance);
  if (!o.model.empty()) {
    auto const m = networks::load_model(o.model);
    predicts = m.predicts;
    schedule = schedule_of(m.schedule, o.model);
    schedule_name = m.schedule.name;
    if (m.network->config().classes == 0) guidance = o.pipeline.guidance.value_or(0);
  }
  auto const plan =
      make_plan(o.pipeline, {.guidance = guidance,
                             .predicts = choose("--predicts", predicts, prediction_choices),
                             .schedule = schedule,
                             .network = timed_network{[](batch const&) {}}});
  fmt::print("{} on {}, {}\n{}", predicts, schedule_name, words_of(o.pipeline, guidance),
             plan->explain());
  return 0;
}

}  // namespace

action add_explain(CLI::App& app, std::string const&) {
  auto const o = std::make_shared<options>();
  auto* model = app.add_option("--model", o->model,
                               "a model file, which says what is predicted on which schedule");
  app.add_option("--predicts", o->predicts, "without a model: " + list_of(prediction_choices))
      ->capture_default_str()
      ->excludes(model);
  app.add_option("--schedule", o->schedule, "without a model: " + list_of(schedule_choices))
      ->capture_default_str()
      ->excludes(model);
  add_pipeline_options(app, o->pipeline);
  return [o] { return run(*o); };
}

}  // namespace tweedie::tool
