// What reading a scheduler_config.json and making its steps have in common.
#pragma once

#include <algorithm>
#include <cmath>
#include <string_view>

namespace tweedie::ready {

/// An ancestral step from one sigma / alpha to another: what it adds as noise, and where it goes
/// without (k-diffusion's). In float32, as diffusers: of a long step the second is what rounding
/// leaves of a difference.
struct ancestral {
  double up, down;
};
inline ancestral ancestral_step(double from, double to) {
  auto const s = static_cast<float>(from), e = static_cast<float>(to);
  float const up = std::sqrt(e * e * (s * s - e * e) / (s * s));
  return {up, std::sqrt(std::max(0.0f, e * e - up * up))};
}

/// The geometric middle of two, in float32 too, from the second on as torch.lerp is.
inline double between(double from, double to) {
  float const a = std::log(static_cast<float>(from)), b = std::log(static_cast<float>(to));
  return std::exp(b - (b - a) * 0.5f);
}

}  // namespace tweedie::ready

/// The classes that are known.
namespace tweedie::ready::scheduler_names {

inline constexpr std::string_view ddim = "DDIMScheduler", ddim_inverse = "DDIMInverseScheduler",
                                  ddpm = "DDPMScheduler", lcm = "LCMScheduler",
                                  tcd = "TCDScheduler", pndm = "PNDMScheduler",
                                  ipndm = "IPNDMScheduler",
                                  consistency = "CMStochasticIterativeScheduler",
                                  euler = "EulerDiscreteScheduler",
                                  euler_ancestral = "EulerAncestralDiscreteScheduler",
                                  heun = "HeunDiscreteScheduler", kdpm2 = "KDPM2DiscreteScheduler",
                                  kdpm2_ancestral = "KDPM2AncestralDiscreteScheduler",
                                  lms = "LMSDiscreteScheduler", edm_euler = "EDMEulerScheduler",
                                  edm_dpm = "EDMDPMSolverMultistepScheduler",
                                  dpm = "DPMSolverMultistepScheduler",
                                  dpm_inverse = "DPMSolverMultistepInverseScheduler",
                                  dpm_single = "DPMSolverSinglestepScheduler",
                                  deis = "DEISMultistepScheduler",
                                  unipc = "UniPCMultistepScheduler", sa = "SASolverScheduler",
                                  flow = "FlowMatchEulerDiscreteScheduler",
                                  flow_heun = "FlowMatchHeunDiscreteScheduler";

}  // namespace tweedie::ready::scheduler_names
