// What the steps of other libraries have in common.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <string_view>
#include <vector>

namespace tweedie::ready {

inline double squared(double a) { return a * a; }

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

/// The integral from a to b of a smooth function: Gauss and Legendre's rule with 8 points in each
/// of so many parts, exact for polynomials to degree 15.
template <class F> double integral(double a, double b, F f, int parts = 1) {
  constexpr std::array<std::array<double, 2>, 4> rule{{{0.1834346424956498, 0.3626837833783620},
                                                       {0.5255324099163290, 0.3137066458778873},
                                                       {0.7966664774136267, 0.2223810344533745},
                                                       {0.9602898564975363, 0.1012285362903763}}};
  double r = 0;
  double const half = (b - a) / (2 * parts);
  for (int part = 0; part < parts; ++part) {
    double const middle = a + (2 * part + 1) * half;
    for (auto const& [at, weight] : rule)
      r += weight * (f(middle - half * at) + f(middle + half * at));
  }
  return half * r;
}

/// Lagrange's polynomial that is 1 at at[i] and 0 at the others.
inline double lagrange(std::vector<double> const& at, std::size_t i, double x) {
  double r = 1;
  for (std::size_t j = 0; j < at.size(); ++j)
    if (j != i) r *= (x - at[j]) / (at[i] - at[j]);
  return r;
}

}  // namespace tweedie::ready

/// diffusers' names of the classes that are read.
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
