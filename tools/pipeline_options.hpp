// The options of a pipeline, and the recipe they stand for.
#pragma once

#include <CLI/CLI.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <tweedie/pipelines/ready/recipe.hpp>

#include "grid_options.hpp"
#include "loaded_model.hpp"

namespace tweedie::tool {

struct pipeline_options {
  std::string file;  ///< a recipe, in place of all others
  std::string sampler = "ddim", variance;
  grid_options grid;
  std::optional<double> guidance, eta, clip;
  double usual_clip = 1;  ///< without --clip
  double rescale = 0;
  std::optional<double> dynamic;  ///< quantile of dynamic thresholding, in place of clip
};

/// Without --guidance a conditional network is guided by this w.
inline constexpr double usual_guidance = 1;

/// The texts say what holds without --clip and --guidance.
void add_pipeline_options(CLI::App& app, pipeline_options& o, std::string const& clip_without,
                          std::string const& guidance_without);

/// The recipe that the options stand for; `guidance` is the w of classifier-free guidance where no
/// file is given. Throws a sentence on every bad option.
ready::recipe recipe_of(pipeline_options const& o, double guidance);

/// Throws where an unconditional network is to be guided.
void check_conditional(double guidance, loaded_model const& m);

/// Throws where a recipe guides pictures that have no label.
void check_labelled(pipeline_options const& o, ready::recipe const& r, bool labelled);

/// Throws where a recipe says another schedule or prediction than the model it is used with.
void check_model(ready::recipe const& r, std::string const& model, any_schedule const& schedule,
                 ready::prediction_choice const& predicts);

/// The same network, whose time is added to `seconds`, apart from the sampler's.
any_network timed(any_network network, std::shared_ptr<double> seconds);

}  // namespace tweedie::tool
