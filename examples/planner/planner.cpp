#include "planner.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/predicts/edm.hpp>
#include <tweedie/samplers/dpmpp_2m.hpp>
#include <tweedie/samplers/replacement.hpp>
#include <tweedie/schedules/edm.hpp>

#include "cost.hpp"
#include "down_the_cost.hpp"
#include "field.hpp"

namespace planner {
namespace {

constexpr double sigma_data = 0.5;  // of predicts::edm, as it was trained

// What is made of a scene once, before the steps.
struct seen_scene {
  frame where;
  std::vector<disc> obstacles;  // in the frame, larger by the margin
  std::array<float, hidden> field;

  seen_scene(scene const& s, mlp const& network, float margin) : where(s) {
    obstacles.reserve(s.obstacles.size());
    for (disc const& d : s.obstacles) obstacles.push_back(where.inside(d));
    network.see_field(field_of(obstacles), field.data());
    for (disc& d : obstacles) d.r += margin / where.scale();
  }
};

// A label is the number of a scene. The first branch is the MLP's F of predicts::edm, the second
// the cost's gradient at the x0 that follows from it.
struct steered_network {
  using kind = tweedie::kinds::network;
  mlp const* network;
  std::vector<seen_scene> const* scenes;

  void check(std::span<std::size_t const> shape, std::span<int const> labels, int) const {
    if (shape.size() != 3 || shape[1] != waypoints || shape[2] != 2)
      throw tweedie::error(
          fmt::format("planner: samples of shape {{{}}} were given, expected "
                      "{{16, 2}}",
                      fmt::join(shape.empty() ? shape : shape.subspan(1), ", ")));
    for (int label : labels)
      if (label < 0 || static_cast<std::size_t>(label) >= scenes->size())
        throw tweedie::error(
            fmt::format("planner: scene {} was asked for, there are {}", label, scenes->size()));
  }
  void operator()(tweedie::batch const& b) const {
    thread_local std::vector<float const*> fields;
    fields.clear();
    for (std::size_t row = 0; row < b.samples; ++row)
      fields.push_back((*scenes)[static_cast<std::size_t>(b.label_of(row))].field.data());
    for (std::size_t row = 0, next; row < b.samples; row = next) {  // runs of one level
      double const rho = b.level_of(row).rho();
      for (next = row + 1; next < b.samples && b.level_of(next).rho() == rho;) ++next;
      (*network)(b.x_of(row).data(), &fields[row], rho, next - row, b.out_of(row).data(), b.pitch);
    }
    if (b.branches < 2) return;
    for (std::size_t row = 0; row < b.samples; ++row) {
      tweedie::level const t = b.level_of(row);
      double const n = std::sqrt(t.sigma * t.sigma + t.alpha * t.alpha * sigma_data * sigma_data);
      auto const skip = static_cast<float>(sigma_data * sigma_data * t.alpha / n),
                 scale = static_cast<float>(sigma_data * t.sigma / n);
      std::array<float, path_size> clean;
      float const* const in = b.x_of(row).data();
      float const* const answer = b.out_of(row).data();
      for (std::size_t i = 0; i < path_size; ++i) clean[i] = skip * in[i] + scale * answer[i];
      cost_gradient(clean.data(), (*scenes)[static_cast<std::size_t>(b.label_of(row))].obstacles,
                    b.out_of(b.samples + row).data());
    }
  }
};

auto pipeline_of(mlp const& network, std::vector<seen_scene> const& scenes, double s) {
  return tweedie::schedules::edm{.sigma_max = 10} | tweedie::predicts::edm{sigma_data} |
         down_the_cost{.s = s} | tweedie::samplers::replacement{tweedie::samplers::dpmpp_2m{}} |
         steered_network{&network, &scenes};
}
auto plan_of(mlp const& network, std::vector<seen_scene> const& scenes, settings const& s) {
  return pipeline_of(network, scenes, s.guidance)
      .plan(tweedie::grids::karras{.rho = 5, .sigma_min = 0.02, .sigma_max = 5}, s.steps);
}

settings checked(settings const& s) {
  if (s.steps < 1 || s.steps > 1000 || s.warm_steps < 1 || s.warm_steps > s.steps)
    throw tweedie::error(
        fmt::format("planner: {} steps and {} warm ones were given, expected 1 to "
                    "1000, and as many warm ones at most",
                    s.steps, s.warm_steps));
  if (!(s.guidance >= 0 && std::isfinite(s.guidance)) ||
      !(s.margin >= 0 && std::isfinite(s.margin)))
    throw tweedie::error(
        fmt::format("planner: guidance {} and margin {} were given, expected "
                    "finite ones, 0 or more",
                    s.guidance, s.margin));
  return s;
}

}  // namespace

struct plan_maker::body {
  mlp network;
  settings set;
  std::vector<seen_scene> scenes;
  decltype(plan_of(network, scenes, set)) fresh, warm;
  tweedie::request request{};
  tweedie::labels numbers{};

  body(mlp n, settings const& s)
      : network(std::move(n)),
        set(checked(s)),
        fresh(plan_of(network, scenes, set)),
        warm(fresh.from(static_cast<std::size_t>(set.steps - set.warm_steps))) {
    request.mask = {{waypoints, 2}, std::vector<float>(path_size, 0.0f)};
    auto& mask = request.mask.data;
    mask[0] = mask[1] = mask[path_size - 2] = mask[path_size - 1] = 1;
  }

  void see(std::span<scene const> given, std::uint64_t seed, std::uint64_t first_id) {
    if (given.empty()) throw tweedie::error("planner: no scene was given, expected one or more");
    for (scene const& s : given) check(s);
    scenes.clear();
    for (scene const& s : given) scenes.emplace_back(s, network, set.margin);
    if (numbers.size() != given.size()) {
      numbers.resize(given.size());
      for (std::size_t i = 0; i < given.size(); ++i) numbers[i] = static_cast<int>(i);
      request.shape = request.known.shape = {given.size(), waypoints, 2};
      request.known.data.assign(given.size() * path_size, 0.0f);
      for (std::size_t i = 0; i < given.size(); ++i) {
        request.known.data[i * path_size] = -1;
        request.known.data[(i + 1) * path_size - 2] = 1;
      }
    }
    request.seed = seed;
    request.first_id = first_id;
  }
  std::vector<path> paths(tweedie::images const& made, std::span<scene const> given) const {
    std::vector<path> all(given.size());
    for (std::size_t k = 0; k < all.size(); ++k) {
      auto const values = made[k];
      for (std::size_t i = 0; i < waypoints; ++i)
        all[k][i] = scenes[k].where.outside({values[2 * i], values[2 * i + 1]});
      all[k].front() = given[k].start;  // in the frame they are: here to the last bit
      all[k].back() = given[k].goal;
    }
    return all;
  }
};

plan_maker::plan_maker(mlp network, settings s)
    : body_(std::make_unique<body>(std::move(network), s)) {}
plan_maker::plan_maker(plan_maker&&) noexcept = default;
plan_maker& plan_maker::operator=(plan_maker&&) noexcept = default;
plan_maker::~plan_maker() = default;

std::vector<path> plan_maker::plan(std::span<scene const> scenes, std::uint64_t seed,
                                   std::uint64_t first_id) {
  body_->see(scenes, seed, first_id);
  return body_->paths(body_->fresh.sample(body_->request, body_->numbers), scenes);
}

std::vector<path> plan_maker::replan(std::span<scene const> scenes, std::span<path const> last,
                                     std::uint64_t seed, std::uint64_t first_id) {
  if (last.size() != scenes.size())
    throw tweedie::error(
        fmt::format("planner: {} plans were given for {} scenes, expected one for "
                    "each",
                    last.size(), scenes.size()));
  body_->see(scenes, seed, first_id);
  tweedie::images from{body_->request.shape, {}};
  from.data.reserve(scenes.size() * path_size);
  for (std::size_t k = 0; k < last.size(); ++k)
    for (point const& p : last[k]) {
      point const q = body_->scenes[k].where.inside(p);
      from.data.push_back(q.x);
      from.data.push_back(q.y);
    }
  auto const& warm = body_->warm;
  return body_->paths(warm.run(warm.start_from(from, body_->request, body_->numbers)), scenes);
}

}  // namespace planner
