// Pipelines that are put together at run time, out of those that were compiled.
//
// What changes the generated code (the sampler, guided or not, clipped or not, inpainting or not) is
// a choice among instantiations, one source per sampler; what does not (what the network predicts,
// weights, eta, schedule, grid) is a value.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <tweedie/pipelines/state.hpp>
#include <tweedie/samplers/ancestral.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/samplers/dpmpp_2m.hpp>
#include <tweedie/samplers/euler.hpp>
#include <tweedie/samplers/euler_maruyama.hpp>
#include <tweedie/samplers/heun.hpp>
#include <tweedie/samplers/runge_kutta.hpp>
#include <tweedie/samplers/sde_dpmpp_2m.hpp>
#include <tweedie/samplers/unipc_2.hpp>

#include "choices.hpp"

namespace tweedie::tool {

using rk4 = samplers::runge_kutta<tableaux::rk4>;
using any_sampler =
    std::variant<samplers::ddim, samplers::ddim_eta, samplers::ancestral, samplers::euler,
                 samplers::heun, rk4, samplers::dpmpp_2m, samplers::unipc_2, samplers::sde_dpmpp_2m,
                 samplers::euler_maruyama>;
inline std::initializer_list<named<any_sampler>> const sampler_choices{
    {"ddim", samplers::ddim{}},
    {"ddim_eta", samplers::ddim_eta{}},
    {"ancestral", samplers::ancestral{}},
    {"euler", samplers::euler{}},
    {"heun", samplers::heun{}},
    {"rk4", rk4{}},
    {"dpmpp_2m", samplers::dpmpp_2m{}},
    {"unipc_2", samplers::unipc_2{}},
    {"sde_dpmpp_2m", samplers::sde_dpmpp_2m{}},
    {"euler_maruyama", samplers::euler_maruyama{}}};

/// Which samplers inpaint: a resampled step begins anew, so a method that remembers steps or has
/// several evaluations in one gains nothing by them.
template <class Sampler>
inline constexpr bool can_repaint =
    std::is_same_v<Sampler, samplers::ddim> || std::is_same_v<Sampler, samplers::ddim_eta> ||
    std::is_same_v<Sampler, samplers::ancestral> ||
    std::is_same_v<Sampler, samplers::euler_maruyama>;

/// The network as a stage: called with a batch, and its time is kept apart from the sampler's.
struct timed_network {
  using kind = kinds::network;
  std::function<void(batch const&)> call;
  std::shared_ptr<double> seconds = std::make_shared<double>(0);

  void operator()(batch const& b) const {
    auto const begin = std::chrono::steady_clock::now();
    call(b);
    *seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  }
};

/// The stages, chosen.
struct stages {
  any_schedule schedule;
  run_time_prediction predicts;
  double guidance = 0;        ///< w of (1 + w) conditional - w unconditional; 0: one branch
  double rescale = 0;         ///< phi of guidance::rescaled; 0: off
  double clip = 0;            ///< 0: off
  double quantile = 0;        ///< of dynamic thresholding, in place of clip; 0: off
  int resamplings = 0;        ///< of RePaint; 0: no inpainting
  std::vector<level> levels;  ///< from clean to noisy for encoding
  timed_network network;
};

/// A tweedie::plan whose type is forgotten.
class any_plan {
 public:
  virtual ~any_plan() = default;
  virtual std::size_t steps() const = 0;
  virtual std::size_t evaluations() const = 0;
  virtual bool deterministic() const = 0;
  virtual std::string explain() const = 0;
  virtual state start(request const& r, conditions const& given) const = 0;
  /// From samples that are at the plan's first level.
  virtual state start_at(images const& x_t, request const& r, conditions const& given) const = 0;
  virtual void advance(state& s) const = 0;
  virtual bool finished(state const& s) const = 0;
  virtual images take(state const& s) const = 0;
};

std::unique_ptr<any_plan> make_plan(samplers::ddim, stages const& s);
std::unique_ptr<any_plan> make_plan(samplers::ddim_eta, stages const& s);
std::unique_ptr<any_plan> make_plan(samplers::ancestral, stages const& s);
std::unique_ptr<any_plan> make_plan(samplers::euler, stages const& s);
std::unique_ptr<any_plan> make_plan(samplers::heun, stages const& s);
std::unique_ptr<any_plan> make_plan(rk4, stages const& s);
std::unique_ptr<any_plan> make_plan(samplers::dpmpp_2m, stages const& s);
std::unique_ptr<any_plan> make_plan(samplers::unipc_2, stages const& s);
std::unique_ptr<any_plan> make_plan(samplers::sde_dpmpp_2m, stages const& s);
std::unique_ptr<any_plan> make_plan(samplers::euler_maruyama, stages const& s);

}  // namespace tweedie::tool
