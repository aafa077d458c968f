// The instantiations behind make_plan, for one sampler per source.
#pragma once

#include <tweedie/networks/guidance.hpp>
#include <tweedie/networks/guidances/rescaled.hpp>
#include <tweedie/networks/thresholds.hpp>
#include <tweedie/pipelines/explain.hpp>
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/samplers/replacement.hpp>

#include "plans.hpp"

namespace tweedie::tool {

template <class Plan> class forgotten final : public any_plan {
 public:
  explicit forgotten(Plan p) : plan_(std::move(p)) {}
  std::size_t steps() const override { return plan_.steps(); }
  std::size_t evaluations() const override { return plan_.network_evaluations(); }
  bool deterministic() const override {
    return std::ranges::all_of(Plan::code::facts, [](auto const& f) { return f.deterministic(); });
  }
  std::string explain() const override { return tweedie::explain(plan_); }
  state start(request const& r, conditions const& given) const override {
    return plan_.start(r, given);
  }
  state start_at(images const& x_t, request const& r, conditions const& given) const override {
    return plan_.start_at(x_t, r, given);
  }
  void advance(state& s) const override { plan_.advance(s); }
  bool finished(state const& s) const override { return plan_.finished(s); }
  images take(state const& s) const override { return tweedie::take(s); }

 private:
  Plan plan_;
};

/// Levels that were chosen before.
struct given_levels {
  std::vector<level> chosen;
  template <class Schedule> std::vector<level> levels(Schedule const&, int) const { return chosen; }
};

template <class Sampler> std::unique_ptr<any_plan> instantiate(Sampler sampler, stages const& s) {
  auto const finish = [&](auto const& pipeline) -> std::unique_ptr<any_plan> {
    auto plan = pipeline.plan(given_levels{s.levels}, static_cast<int>(s.levels.size()) - 1);
    return std::make_unique<forgotten<decltype(plan)>>(std::move(plan));
  };
  // Not every product of stages: those with reductions are two or three kernels a structure, and a
  // minute of the compiler for each sampler. pipeline_options.cpp says what goes together.
  auto const bare = s.schedule | s.predicts | s.network;
  auto const guided = [&] { return bare | guidance::classifier_free{.w = s.guidance}; };
  auto const clip = thresholds::clip{s.clip};
  if constexpr (can_repaint<Sampler>)
    if (s.resamplings > 0) {
      samplers::repaint const again{sampler, s.resamplings};
      if (s.guidance != 0) return finish(guided() | clip | again);
      return finish(bare | clip | again);
    }
  if (s.rescale != 0)
    return finish(bare | guidance::rescaled{.s = 1 + s.guidance, .phi = s.rescale} | clip |
                  sampler);
  if (s.quantile != 0) {
    thresholds::dynamic const dynamic{s.quantile};
    if (s.guidance != 0) return finish(guided() | dynamic | sampler);
    return finish(bare | dynamic | sampler);
  }
  if (s.guidance != 0)
    return s.clip != 0 ? finish(guided() | clip | sampler) : finish(guided() | sampler);
  return s.clip != 0 ? finish(bare | clip | sampler) : finish(bare | sampler);
}

}  // namespace tweedie::tool
