// The instantiations behind make_plan, for one prediction per source.
#pragma once

#include <tweedie/pipelines/explain.hpp>
#include <tweedie/pipelines/pipeline.hpp>

#include "plans.hpp"

namespace tweedie::tool {

template <class Plan> class forgotten final : public any_plan {
 public:
  explicit forgotten(Plan p) : plan_(std::move(p)) {}
  std::size_t steps() const override { return plan_.steps(); }
  std::size_t evaluations() const override { return plan_.network_evaluations(); }
  std::string explain() const override { return tweedie::explain(plan_); }
  state start(request const& r, labels const& conditions) const override {
    return plan_.start(r, conditions);
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

template <class Predicts>
std::unique_ptr<any_plan> instantiate(Predicts predicted, stages const& s) {
  auto const finish = [&](auto const& pipeline) -> std::unique_ptr<any_plan> {
    auto plan = pipeline.plan(given_levels{s.levels}, static_cast<int>(s.levels.size()) - 1);
    return std::make_unique<forgotten<decltype(plan)>>(std::move(plan));
  };
  return std::visit(
      [&](auto const& sampler) {
        auto const bare = s.schedule | predicted | sampler | s.network;
        auto const guided = [&] { return bare | guidance::classifier_free{s.guidance}; };
        auto const clip = thresholds::clip{s.clip};
        if (s.guidance != 0) return s.clip != 0 ? finish(guided() | clip) : finish(guided());
        return s.clip != 0 ? finish(bare | clip) : finish(bare);
      },
      s.sampler);
}

}  // namespace tweedie::tool
