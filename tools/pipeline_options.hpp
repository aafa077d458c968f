// The options that sampling and explaining share, and the plan they stand for.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>

#include "grid_options.hpp"
#include "plans.hpp"

namespace tweedie::tool {

struct pipeline_options {
  std::string sampler = "ddim", variance;
  grid_options grid;
  std::optional<double> guidance, eta;
  double clip = 1, rescale = 0;
  std::optional<double> dynamic;  ///< quantile of dynamic thresholding, in place of clip
};

/// Without --guidance a conditional network is guided by this w.
inline constexpr double usual_guidance = 1;

void add_pipeline_options(CLI::App& app, pipeline_options& o);

/// What the model and the command add to the options.
struct chosen {
  double guidance = 0;
  any_prediction predicts;
  any_schedule schedule;
  timed_network network;
  int resamplings = 0;    ///< of RePaint; 0: no inpainting
  bool encoding = false;  ///< from the clean end to the noisy one
};

/// The plan. Throws a sentence on every bad option. `guidance` is taken as it is.
std::unique_ptr<any_plan> make_plan(pipeline_options const& o, chosen const& c);

/// "ddim, 50 steps on the uniform grid, guidance 1, clip 1"
std::string words_of(pipeline_options const& o, double guidance);

}  // namespace tweedie::tool
