// A pipeline as diffusers writes it: a scheduler_config.json, run to that library's numbers.
//
// Its timesteps are counted from 0 there, so that timestep i is the level i + 1 of a table here. A
// key that would change numbers and is not followed is refused by a sentence with its value. What
// that library computes was read in its sources, version 0.42.1, and is held to its numbers by
// tests/python.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <tweedie/pipelines/plan_builder.hpp>

namespace tweedie::ready {

/// What a scheduler_config.json says. Names are its own.
struct scheduler_config {
  std::string class_name;
  int num_train_timesteps = 1000;
  std::string prediction_type = "epsilon";
  std::string timestep_spacing;
  int steps_offset = 0;
  std::vector<double> log_abar;            ///< of timesteps 0 .. T - 1; empty for a flow
  bool ends_clean = true;                  ///< the last level: the clean one, or that of timestep 0
  std::optional<double> clip;              ///< x0 is clipped to [-clip, clip]
  std::optional<double> sample_max_value;  ///< of dynamic thresholding, where that is above 1
  double thresholding_ratio = 0.995;
  std::string variance_type;  ///< DDPM
  bool karras = false, exponential = false;
  std::optional<double> sigma_min, sigma_max;  ///< of those two grids
  bool rounds_timesteps = false;               ///< theirs
  int solver_order = 1;
  bool is_sde = false;
  std::string solver_type;
  bool lower_order_final = true, euler_at_final = false;
  double lambda_min_clipped = 0;  ///< -infinity: none
  double shift = 1;               ///< of a flow
  bool use_dynamic_shifting = false;
  bool shifts_by_exp = true;  ///< exp(mu), or mu itself
  std::optional<double> shift_terminal;
  int original_inference_steps = 50;
  double timestep_scaling = 10;  ///< LCM

  /// Keys of other schedulers, which the class does not read: it leaves them aside, as diffusers
  /// does.
  std::vector<std::string> unread;

  bool is_flow() const { return log_abar.empty(); }
  /// Whether diffusers holds x as x0 + sigma eps, alpha = 1, and scales what the network sees.
  bool is_scaled() const;
  /// Evaluations of the network a step.
  int order() const;
  bool draws_noise() const;
};

/// The classes that are known.
std::vector<std::string_view> scheduler_classes();

/// Throws tweedie::error, a sentence that begins with `source`, where the text is no
/// scheduler_config.json or has what is not followed. `class_name` stands in place of the text's
/// own, as where one scheduler is made of another's configuration; empty: the text's.
scheduler_config parse_scheduler_config(std::string_view json, std::string const& source,
                                        std::string_view class_name = "");

/// What `set_timesteps` computes.
struct scheduler_grid {
  std::vector<double> timesteps;  ///< of each evaluation of the network
  std::vector<double> sigmas;     ///< of each level: sigma / alpha, and of a flow sigma
  std::vector<double> at;         ///< the timesteps of the levels before the last
  double init_noise_sigma = 1;
};
/// `sigmas` are given for a flow instead of even ones, `mu` is that of dynamic shifting.
scheduler_grid grid_of(scheduler_config const& c, int steps, std::vector<double> const& sigmas = {},
                       std::optional<double> mu = {});

struct scheduler_options {
  double eta = 0;             ///< DDIM
  bool rederives = false;     ///< DDIM's use_clipped_model_output
  bool scaled = false;        ///< x as diffusers holds it; else of unit variance
  std::size_t from_step = 0;  ///< steps that are left out at the noisy end
  shared_call<void(noise_request const&)> noise = {};  ///< empty: drawn by Philox
};
/// Throws as plans do.
any_plan make_plan(scheduler_config const& c, scheduler_grid const& grid,
                   scheduler_options const& options, any_network const& network);

}  // namespace tweedie::ready
