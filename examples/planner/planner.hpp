// Plans through scenes that are given at run time: DPM-Solver++ on a small network, steered by the
// gradient of a cost, with start and goal held by inpainting, and a warm start from the last plan.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "mlp.hpp"
#include "scene.hpp"

namespace planner {

struct settings {
  int steps = 8;        ///< evaluations of the network from noise
  int warm_steps = 3;   ///< of a plan that starts from the last one; at most `steps`
  double guidance = 1;  ///< what is pushed away of how deep a path is in an obstacle; 0: nothing
  float margin = 0.1f;  ///< metres that an obstacle is taken for larger
};

/// One planner is one thread's: it keeps the scenes of its last call.
class plan_maker {
 public:
  /// Throws tweedie::error where a setting is out of range.
  explicit plan_maker(mlp network, settings s = {});
  plan_maker(plan_maker&&) noexcept;
  plan_maker& operator=(plan_maker&&) noexcept;
  ~plan_maker();

  /// A plan for each scene. It is a pure function of the scene, the seed and `first_id` plus its
  /// place among the scenes: the same bits alone and among others. Throws tweedie::error where a
  /// scene does not hold (`check`).
  std::vector<path> plan(std::span<scene const> scenes, std::uint64_t seed,
                         std::uint64_t first_id = 0);
  /// The same from other plans, one for each scene, which may begin and end elsewhere by now: they
  /// are noised to where `warm_steps` are left, and those are taken.
  std::vector<path> replan(std::span<scene const> scenes, std::span<path const> last,
                           std::uint64_t seed, std::uint64_t first_id = 0);

 private:
  struct body;
  std::unique_ptr<body> body_;
};

}  // namespace planner
