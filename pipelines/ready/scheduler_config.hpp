// A pipeline as diffusers writes it: a scheduler_config.json, run to that library's numbers.
//
// Its timesteps are counted from 0 there, so that timestep i is the level i + 1 of a table here. A
// key that would change numbers and is not followed is refused by a sentence with its value. What
// that library computes was read in its sources, version 0.42.1, and is held to its numbers by
// tests/replay and tests/python.
#pragma once

#include <limits>
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
  std::vector<double> log_abar;  ///< of timesteps 0 .. T - 1; empty where there are no betas
  bool ends_clean = true;        ///< the last level: the clean one, or that of timestep 0
  std::optional<double> clip;    ///< x0 is clipped to [-clip, clip]
  std::optional<double> sample_max_value;  ///< of dynamic thresholding, where that is above 1
  double thresholding_ratio = 0.995;
  std::string variance_type;  ///< of DDPM
  bool karras = false, exponential = false;
  std::optional<double> sigma_min, sigma_max;  ///< of those two grids
  bool rounds_timesteps = false;               ///< theirs
  int solver_order = 1;
  std::string solver_type;
  bool lower_order_final = true, euler_at_final = false;
  double lambda_min_clipped = 0;       ///< -infinity: none
  std::string algorithm_type;          ///< as DPM-Solver's: what ends in ++ is of x0, else of eps
  bool beta = false, lu = false;       ///< two more grids of sigmas
  bool log_linear = false;             ///< Euler's interpolation_type
  bool skips_runge_kutta = false;      ///< PNDM
  std::vector<int> disable_corrector;  ///< UniPC
  int predictor_order = 2, corrector_order = 2;      ///< SA-Solver
  double edm_sigma_min = 0.002, edm_sigma_max = 80;  ///< of EDM's and the consistency models' grids
  double sigma_data = 0.5, rho = 7, s_noise = 1;     ///< theirs
  double shift = 1;                                  ///< of a flow
  bool invert_sigmas = false;                        ///< from the clean end on
  bool use_dynamic_shifting = false;
  bool shifts_by_exp = true;  ///< exp(mu), or mu itself
  std::optional<double> shift_terminal;
  int original_inference_steps = 50;
  double timestep_scaling = 10;  ///< LCM

  /// Keys of other schedulers, which the class does not read: it leaves them aside, as diffusers
  /// does.
  std::vector<std::string> unread;

  bool is_flow() const;
  /// Whether alpha is 1, as in Karras et al. 2022: EDM's and the consistency models'.
  bool has_edm_levels() const;
  /// Whether diffusers holds x as x0 + sigma eps, alpha = 1, and scales what the network sees.
  bool is_scaled() const;
  /// What the network is taken for, as a card says it; what no card says is named in words.
  std::string predicts() const;
  /// Evaluations of the network a step.
  int order() const;
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
  std::vector<double> middles;    ///< of KDPM2: the sigmas of a step's second evaluation
  double init_noise_sigma = 1;
};
/// `sigmas` are given for a flow instead of even ones, `mu` is that of dynamic shifting.
scheduler_grid grid_of(scheduler_config const& c, int steps, std::vector<double> const& sigmas = {},
                       std::optional<double> mu = {});

struct scheduler_options {
  std::optional<double> eta = {};  ///< DDIM, 0 if it is not given, and TCD, 0.3
  bool rederives = false;          ///< DDIM's use_clipped_model_output
  bool scaled = false;             ///< x as diffusers holds it; else of unit variance
  std::size_t from_step = 0;       ///< steps that are left out at the noisy end
  double s_churn = 0, s_tmin = 0, s_tmax = std::numeric_limits<double>::infinity(), s_noise = 1;
  int order = 4;                                       ///< LMS
  shared_call<void(noise_request const&)> noise = {};  ///< empty: drawn by Philox
};
/// Throws as plans do.
any_plan make_plan(scheduler_config const& c, scheduler_grid const& grid,
                   scheduler_options const& options, any_network const& network);

}  // namespace tweedie::ready
