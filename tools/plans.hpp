// Pipelines that are put together at run time, out of those that were compiled.
//
// What changes the generated code (what the network predicts, guided or not, clipped or not, which
// sampler) is a choice among instantiations, one source per prediction; what does not (weights,
// eta, schedule, grid) is a value.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <tweedie/networks/guidance.hpp>
#include <tweedie/networks/thresholds.hpp>
#include <tweedie/pipelines/state.hpp>
#include <tweedie/samplers/ancestral.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/samplers/dpmpp_2m.hpp>
#include <tweedie/samplers/euler.hpp>
#include <tweedie/samplers/heun.hpp>

#include "choices.hpp"

namespace tweedie::tool {

using any_sampler = std::variant<samplers::ddim, samplers::ddim_eta, samplers::ancestral,
                                 samplers::euler, samplers::heun, samplers::dpmpp_2m>;
inline std::initializer_list<named<any_sampler>> const sampler_choices{
    {"ddim", samplers::ddim{}},           {"ddim_eta", samplers::ddim_eta{}},
    {"ancestral", samplers::ancestral{}}, {"euler", samplers::euler{}},
    {"heun", samplers::heun{}},           {"dpmpp_2m", samplers::dpmpp_2m{}}};

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
  any_sampler sampler;
  double guidance = 0;  ///< w of (1 + w) conditional - w unconditional; 0: one branch
  double clip = 0;      ///< 0: off
  std::vector<level> levels;
  timed_network network;
};

/// A tweedie::plan whose type is forgotten.
class any_plan {
 public:
  virtual ~any_plan() = default;
  virtual std::size_t steps() const = 0;
  virtual std::size_t evaluations() const = 0;
  virtual std::string explain() const = 0;
  virtual state start(request const& r, labels const& conditions) const = 0;
  virtual void advance(state& s) const = 0;
  virtual bool finished(state const& s) const = 0;
  virtual images take(state const& s) const = 0;
};

std::unique_ptr<any_plan> make_plan(predicts::v, stages const& s);
std::unique_ptr<any_plan> make_plan(predicts::epsilon, stages const& s);
std::unique_ptr<any_plan> make_plan(predicts::x0, stages const& s);
std::unique_ptr<any_plan> make_plan(predicts::score, stages const& s);
std::unique_ptr<any_plan> make_plan(predicts::velocity, stages const& s);

}  // namespace tweedie::tool
