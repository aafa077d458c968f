// Plans through scenes that the network has never seen, and judges them.
#include <fmt/format.h>
#include <chrono>
#include <cstdlib>
#include <exception>

#include "planner.hpp"

using namespace planner;

int main(int argc, char** argv) try {
  auto net = mlp::from_file(argc > 1 ? argv[1] : "examples/planner/planner.safetensors");
  std::vector<scene> scenes;
  for (std::uint64_t n = 0; scenes.size() < 1000; ++n) {
    scene s = random_scene(2, n);
    std::mt19937_64 r(n);
    if (!scripted_paths(s, r).empty()) scenes.push_back(s);
  }
  for (double g : {0.0, 0.5, 1.0})
    for (int steps : {3, 5, 8, 10}) {
      plan_maker const maker(net, {.steps = steps, .guidance = g});
      auto const plans = maker.plan(scenes, 7);
      int clear = 0, good = 0, reaches = 0;
      for (std::size_t i = 0; i < plans.size(); ++i) {
        auto const v = judge(plans[i], scenes[i]);
        clear += v.clear, good += v.good(), reaches += v.reaches;
      }
      auto const warm = maker.replan(scenes, plans, 8);
      int warm_good = 0;
      for (std::size_t i = 0; i < plans.size(); ++i) warm_good += judge(warm[i], scenes[i]).good();
      auto t = std::chrono::steady_clock::now();
      for (int i = 0; i < 1000; ++i) maker.plan({&scenes[static_cast<std::size_t>(i)], 1}, 7);
      double const one =
          std::chrono::duration<double>(std::chrono::steady_clock::now() - t).count();
      t = std::chrono::steady_clock::now();
      for (int i = 0; i < 15; ++i) maker.plan({&scenes[static_cast<std::size_t>(i) * 64], 64}, 7);
      double const many =
          std::chrono::duration<double>(std::chrono::steady_clock::now() - t).count();
      fmt::print("g {} steps {}: clear {} reaches {} good {} warm {}; {:.0f} /s, {:.0f} /s\n", g,
                 steps, clear, reaches, good, warm_good, 1000 / one, 960 / many);
    }
} catch (std::exception const& e) {
  fmt::print(stderr, "planner: {}\n", e.what());
  return 1;
}
