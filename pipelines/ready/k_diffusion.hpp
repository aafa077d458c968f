// The samplers of k-diffusion (Karras et al. 2022 and what grew around it), by the names that it
// and the programs built on it have for them, run to that library's numbers. What it computes was
// read in version 0.1.1's sampling.py; held to its numbers by tests/replay.
#pragma once

#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include <tweedie/pipelines/plan_builder.hpp>

namespace tweedie::ready {

/// A sampler and what it takes; what a sampler does not read is refused if it is not the usual one.
struct k_sampler {
  std::string name;  ///< "euler", "dpmpp_2m_sde", ... with or without "sample_" in front
  double eta = 1, s_noise = 1;
  double s_churn = 0, s_tmin = 0, s_tmax = std::numeric_limits<double>::infinity();
  double r = 0.5;                        ///< of dpmpp_sde: where its second evaluation lies
  int order = 4;                         ///< of lms
  std::string solver_type = "midpoint";  ///< of dpmpp_2m_sde; or "heun"
};

std::vector<std::string_view> k_sampler_names();

/// A plan over `sigmas`, noisy to clean, 0 as the last one; of dpm_fast the two ends, with `n`
/// evaluations between them. x = x0 + sigma eps, and the network predicts x0. `noise`: empty, drawn
/// by Philox. Throws tweedie::error as plans do.
any_plan make_plan(k_sampler const& sampler, std::vector<double> const& sigmas,
                   any_network const& network, shared_call<void(noise_request const&)> noise = {},
                   int n = 0);

/// sample_dpm_adaptive: DPM-Solver-12 or -23 (Lu et al. 2022, Algorithm 2 of appendix C) with steps
/// of a length that an error decides, by a PID controller.
struct k_adaptive {
  int order = 3;                      ///< 2 or 3
  double rtol = 0.05, atol = 0.0078;  ///< of a value: max(atol, rtol |x|)
  double h_init = 0.05;               ///< the first step, in lambda
  double pcoeff = 0, icoeff = 1, dcoeff = 0, accept_safety = 0.81;
};
struct k_adaptive_result {
  images samples;
  int steps = 0, rejected = 0, evaluations = 0;
};
/// From x at sigma_max to sigma_min. The error is one for all samples together, as theirs is: a
/// sample depends on those beside it. Throws tweedie::error for what is out of range, and if 10,000
/// steps do not arrive.
k_adaptive_result sample_dpm_adaptive(k_adaptive const& o, double sigma_max, double sigma_min,
                                      any_network const& network, images x,
                                      conditions const& given = {});

}  // namespace tweedie::ready
