// Trains the planner's network on paths that a script has found:
//
//   build/examples/planner/planner_train examples/planner/planner.safetensors
//
// 40,000 scenes, some 380,000 paths with their mirror images; Algorithm 1 of DDPM on the noise
// levels and with the weights of Karras et al. 2022. Some ten minutes on one core. FILE may be
// followed by the number of steps and that of scenes.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <exception>
#include <numbers>
#include <random>
#include <vector>

#include <fmt/format.h>
#include <tweedie/io/file.hpp>
#include <tweedie/tweedie.hpp>

#include "field.hpp"
#include "mlp.hpp"
#include "scene.hpp"
#include "trainer.hpp"

using namespace planner;

namespace {

struct example {
  std::array<float, path_size> points;
  std::size_t scene;
};

struct examples {
  std::vector<std::array<float, field_size>>
      fields;  // of a scene, and behind it of its mirror image
  std::vector<example> paths;
};

void add(examples& to, scene const& s, std::vector<path> const& found) {
  frame const f(s);
  std::vector<disc> inside;
  for (disc const& d : s.obstacles) inside.push_back(f.inside(d));
  for (float side : {1.0f, -1.0f}) {
    to.fields.push_back(field_of(inside));
    for (std::size_t k = 0; k < std::min<std::size_t>(found.size(), 5); ++k) {
      example e{{}, to.fields.size() - 1};
      for (std::size_t i = 0; i < waypoints; ++i) {
        point const p = f.inside(found[k][i]);
        e.points[2 * i] = p.x;
        e.points[2 * i + 1] = side * p.y;
      }
      to.paths.push_back(e);
    }
    for (disc& d : inside) d.y = -d.y;
  }
}

unsigned number(char const* text) {
  unsigned n = 0;
  auto const [end, wrong] = std::from_chars(text, text + std::strlen(text), n);
  if (wrong != std::errc{} || *end || n == 0)
    throw tweedie::error(
        fmt::format("'{}' was given, expected a whole number of steps, 1 or more", text));
  return n;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc < 2 || argc > 4) {
    fmt::print("usage: planner_train FILE [STEPS [SCENES]]\n");
    return 2;
  }
  unsigned const steps = argc > 2 ? number(argv[2]) : 100000,
                 scenes = argc > 3 ? number(argv[3]) : 40000;
  tweedie::io::expect_writable(argv[1]);
  examples data;
  std::size_t without = 0;
  for (unsigned n = 0; n < scenes; ++n) {
    scene const s = random_scene(/*seed=*/1, n);
    std::mt19937_64 random(n);
    auto const found = scripted_paths(s, random);
    without += found.empty();
    add(data, s, found);
  }
  fmt::print("{} paths through {} scenes; in {} more the script found none\n", data.paths.size(),
             scenes - without, without);
  if (data.paths.empty()) throw tweedie::error("no path was found; expected more scenes");

  tweedie::objective const examples_of{tweedie::schedules::edm{.sigma_max = 10},
                                       tweedie::predicts::edm{}, tweedie::weights::edm{},
                                       tweedie::times::log_normal{.mean = -1.2, .sd = 1.5}};
  constexpr std::size_t rows = 256;
  std::vector<float> clean(rows * path_size), noisy(clean), target(clean), times(rows * times_size),
      fields(rows * field_size), weights(rows);
  trainer network(/*seed=*/1);
  std::vector<float> average = network.weights();
  double loss = 0;
  for (unsigned step = 0; step < steps; ++step) {
    std::vector<tweedie::sample_key> keys;
    for (std::size_t i = 0; i < rows; ++i) {
      std::uint64_t const id = std::uint64_t{step} * rows + i;
      auto const which = static_cast<std::size_t>(tweedie::uniform({.seed = 2, .id = id}, 0) *
                                                  static_cast<double>(data.paths.size()));
      example const& e = data.paths[std::min(which, data.paths.size() - 1)];
      std::ranges::copy(e.points, &clean[i * path_size]);
      std::ranges::copy(data.fields[e.scene], &fields[i * field_size]);
      keys.push_back({.seed = 1, .id = i, .step = step});
    }
    auto const e = examples_of(keys, clean.data(), noisy.data(), target.data(), path_size);
    for (std::size_t i = 0; i < rows; ++i) {
      std::ranges::copy(features_of(e.levels[i].rho()), &times[i * times_size]);
      weights[i] = static_cast<float>(e.weights[i]);
    }
    double const warm = std::min(1.0, (step + 1) / 500.0),
                 rate = 2e-3 * warm * (0.5 + 0.5 * std::cos(std::numbers::pi * step / steps));
    double const now = network.step(noisy.data(), times.data(), fields.data(), target.data(),
                                    weights.data(), rows, rate);
    if (!std::isfinite(now))
      throw tweedie::error(fmt::format("the loss of step {} is {}, expected a number", step, now));
    loss = step == 0 ? now : loss + 0.002 * (now - loss);
    auto const latest = network.weights();
    tweedie::average_weights(average.data(), latest.data(), average.size(),
                             std::min(0.999, 1 - 10.0 / (step + 10.0)));
    if ((step + 1) % std::max(1u, steps / 20) == 0)
      fmt::print("step {}: loss {:.4f}\n", step + 1, loss), std::fflush(stdout);
  }

  weight_list list;
  auto from = average.begin();
  for (std::size_t i = 0; i < list.size(); ++i) {
    auto const end = from + static_cast<long>(weight_shapes[i].size());
    list[i].assign(from, end);
    from = end;
  }
  mlp::write(argv[1], list,
             fmt::format("{} steps of {} paths through {} scenes, loss {:.4f}", steps, rows, scenes,
                         loss));
} catch (std::exception const& e) {
  fmt::print(stderr, "planner_train: {}\n", e.what());
  return 1;
}
