// tweedie explain: what a pipeline compiles to.
#include <fmt/format.h>

#include "checks.hpp"
#include "pipeline_options.hpp"
#include "tool.hpp"

namespace tweedie::tool {
namespace {

struct options {
  pipeline_options pipeline;
  std::string model, predicts = "v", schedule = "cosine";
  std::optional<long long> step;
  bool latex = false, predicts_given = false, schedule_given = false;
};

int run(options const& o) {
  auto predicts = prediction_of("--predicts", o.predicts);
  any_schedule schedule{ready::choose("--schedule", o.schedule, ready::schedules)};
  double guidance = o.pipeline.guidance.value_or(usual_guidance);
  if (!o.model.empty()) {
    auto const m = load(o.model);
    predicts = prediction_of("'" + o.model + "': predicts", m.predicts);
    schedule = schedule_of(m.schedule, o.model);
    if (!m.can_be_guided) {
      guidance = o.pipeline.guidance.value_or(0);
      check_conditional(guidance, m);
    }
  }
  auto const recipe = recipe_of(o.pipeline, guidance);
  if (!o.model.empty()) check_model(recipe, o.model, schedule, predicts);
  check_ends(o.pipeline.grid, schedule);
  auto const own = [&](bool given, char const* option, std::string const& value) {
    if (given)
      throw error(
          fmt::format("{} {} was given with --recipe {}, which has its own; expected one "
                      "of them",
                      option, value, o.pipeline.file));
  };
  if (recipe.predicts) own(o.predicts_given, "--predicts", o.predicts);
  if (recipe.schedule) own(o.schedule_given, "--schedule", o.schedule);
  auto const plan =
      ready::make_plan(recipe, schedule.which, predicts, any_network{[](batch const&) {}, {}});
  if (o.step) check_whole("--step", *o.step, 1, static_cast<long long>(plan.steps()));
  auto const step = static_cast<std::size_t>(o.step.value_or(1) - 1);
  if (o.latex) {
    fmt::print("{}", o.step ? latex_step(plan, step) : latex(plan));
    return 0;
  }
  auto const& prediction = recipe.predicts ? *recipe.predicts : predicts;
  auto const& on = recipe.schedule ? *recipe.schedule : schedule.which;
  fmt::print("{} on {}, {}\n{}", ready::name_in(ready::predictions, prediction),
             ready::name_in(ready::schedules, on), words_of(recipe),
             o.step ? explain_step(plan, step) : explain(plan));
  return 0;
}

}  // namespace

action add_explain(CLI::App& app, std::string const&) {
  auto const o = std::make_shared<options>();
  auto* model =
      app.add_option("--model", o->model,
                     "a model file, net.onnx or net.pt, which says what is predicted on which "
                     "schedule");
  auto* const predicts = app.add_option("--predicts", o->predicts,
                                        "without a model: " + names_of_list(ready::predictions))
                             ->capture_default_str()
                             ->excludes(model);
  auto* const schedule = app.add_option("--schedule", o->schedule,
                                        "without a model: " + names_of_list(ready::schedules))
                             ->capture_default_str()
                             ->excludes(model);
  add_pipeline_options(app, o->pipeline, "1", fmt::format("{}", usual_guidance));
  add_whole(app, "--step", o->step, 1, 1'000'000,
            "the numbers of this step, from 1 on; else each structure once");
  app.add_flag("--latex", o->latex, "formulas for a paper in place of the text");
  return [=] {
    o->predicts_given = predicts->count() > 0;
    o->schedule_given = schedule->count() > 0;
    return run(*o);
  };
}

}  // namespace tweedie::tool
