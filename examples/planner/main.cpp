// Plans through scenes that the network has never seen, and judges them:
//
//   build/examples/planner/planner [--weights FILE] [--pictures FOLDER]
//
// from the repository's root. With --pictures it writes what draw.gp makes docs/planner.png and
// docs/planner.gif of.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include <tweedie/dsl/base/error.hpp>
#include <tweedie/io/file.hpp>

#include "planner.hpp"

using namespace planner;

namespace {

constexpr std::uint64_t unseen = 2;  // the seed of scenes; training has 1

// Those through which the script finds a path: some are walled off.
std::vector<scene> judged_scenes(std::size_t count) {
  std::vector<scene> scenes;
  for (std::uint64_t n = 0; scenes.size() < count; ++n) {
    scene s = random_scene(unseen, n);
    std::mt19937_64 random(n);
    if (!scripted_paths(s, random).empty()) scenes.push_back(std::move(s));
  }
  return scenes;
}

// A share with its 95 % interval (Wilson 1927).
std::string share(std::size_t good, std::size_t of) {
  double const n = static_cast<double>(of), p = static_cast<double>(good) / n, z = 1.96;
  double const middle = (p + z * z / (2 * n)) / (1 + z * z / n);
  double const half = z * std::sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n);
  return fmt::format("{:.1f} % ({:.1f} to {:.1f})", 100 * p, 100 * (middle - half),
                     100 * (middle + half));
}

void print_line(std::string_view how, std::span<path const> plans, std::span<scene const> scenes) {
  std::size_t clear = 0, good = 0;
  double way = 0;
  for (std::size_t i = 0; i < plans.size(); ++i) {
    auto const v = judge(plans[i], scenes[i]);
    clear += v.clear;
    good += v.good();
    if (v.good()) way += double{length(plans[i])} / double{2 * frame(scenes[i]).scale()};
  }
  fmt::print("| {} | {} | {} | {:.2f} |\n", how, share(clear, plans.size()),
             share(good, plans.size()), way / static_cast<double>(std::max<std::size_t>(good, 1)));
}

// The good one that is shortest, or the one that stays furthest away.
path const& best_of(std::span<path const> plans, scene const& s) {
  return *std::ranges::min_element(plans, {}, [&](path const& p) {
    return judge(p, s).good() ? length(p) : 1e3f - clearance(p, s.obstacles);
  });
}

void judge_plans(mlp const& network, std::size_t count) {
  auto const scenes = judged_scenes(count);
  fmt::print("{} scenes that were not trained on\n\n", count);
  fmt::print(
      "| plans | clear of all obstacles | and reach the goal | length |\n|---|---|---|---|\n");
  print_line("network alone, 8 evaluations", plan_maker(network, {.guidance = 0}).plan(scenes, 7),
             scenes);
  for (int steps : {5, 10})
    print_line(fmt::format("with the cost's gradient, {} evaluations", steps),
               plan_maker(network, {.steps = steps}).plan(scenes, 7), scenes);
  plan_maker maker(network);
  auto const plans = maker.plan(scenes, 7);
  print_line("with the cost's gradient, 8 evaluations", plans, scenes);
  // A moment later: what is left of a plan is the start of the next one.
  std::vector<scene> later;
  std::vector<path> last;
  for (std::size_t i = 0; i < scenes.size(); ++i) {
    scene s = scenes[i];
    path const left = after(plans[i], length(plans[i]) / (waypoints - 1));
    s.start = left[0];
    if (clearance(s.start, s.start, s.obstacles) < 0) continue;
    later.push_back(s);
    last.push_back(left);
  }
  print_line("warm start from the last plan, 3 evaluations", maker.replan(later, last, 8), later);
  std::vector<path> best;
  for (std::size_t i = 0; i < scenes.size(); ++i)
    best.push_back(best_of(maker.plan(std::vector<scene>(8, scenes[i]), 7, 8 * i), scenes[i]));
  print_line("the best of 8, 8 evaluations each", best, scenes);
}

void add(std::string& to, scene const& s) {
  for (disc const& d : s.obstacles) to += fmt::format("{} {} {}\n", d.x, d.y, d.r);
  to += "\n\n";
}
void add(std::string& to, path const& p) {
  for (point const& q : p) to += fmt::format("{} {}\n", q.x, q.y);
  to += "\n";
}
void write(std::filesystem::path const& file, std::string const& text) {
  tweedie::io::write_file(file, text);
}

// Six scenes, eight plans each.
void write_scenes(mlp const& network, std::filesystem::path const& folder) {
  plan_maker maker(network);
  std::string discs, plans, best, ends;
  auto const scenes = judged_scenes(40);
  for (std::size_t i = 34; i < scenes.size(); ++i) {
    scene const& s = scenes[i];
    auto const made = maker.plan(std::vector<scene>(8, s), 1);
    add(discs, s);
    for (path const& p : made) add(plans, p);
    plans += "\n";
    add(best, best_of(made, s));
    best += "\n";
    ends += fmt::format("{} {}\n{} {}\n\n\n", s.start.x, s.start.y, s.goal.x, s.goal.y);
  }
  write(folder / "scene-discs.txt", discs);
  write(folder / "scene-plans.txt", plans);
  write(folder / "scene-best.txt", best);
  write(folder / "scene-ends.txt", ends);
}

// A walk through discs that move: at each moment four plans from the last one and four from noise,
// of which the best is followed for a moment.
void write_walk(mlp const& network, std::filesystem::path const& folder) {
  plan_maker maker(network, {.margin = 0.3f});
  scene s{{1, 4.5f}, {17, 4.5f}, {}};
  std::vector<point> speeds;
  std::mt19937_64 random(5);
  auto const uniform = [&](double low, double high) {
    return static_cast<float>(low + (high - low) * static_cast<double>(random() >> 11) * 0x1p-53);
  };
  for (int k = 0; k < 9; ++k) {
    s.obstacles.push_back({uniform(3.5, 15), uniform(1, 8), uniform(0.6, 1.1)});
    speeds.push_back({uniform(-0.05, 0.05), uniform(-0.06, 0.06)});
  }
  std::string discs, plans, best, robot;
  std::vector<path> last;
  path followed{};
  float touched = 1e3f;
  constexpr float pace = 0.2f;
  for (int moment = 0; moment < 120; ++moment) {
    float const left = std::hypot(s.goal.x - s.start.x, s.goal.y - s.start.y);
    if (left < pace) break;
    std::vector<path> made;
    if (left > 3.5f) {  // what is nearer was planned
      std::vector<scene> const four(4, s);
      made = maker.plan(four, static_cast<std::uint64_t>(moment));
      if (!last.empty()) {
        auto const warm = maker.replan(four, last, static_cast<std::uint64_t>(moment) + 1000);
        made.insert(made.end(), warm.begin(), warm.end());
      }
      followed = best_of(made, s);
    }
    add(discs, s);
    for (path const& p : made) add(plans, p);
    if (made.empty()) add(plans, followed);
    plans += "\n";
    add(best, followed);
    best += "\n";
    robot += fmt::format("{} {}\n\n\n", s.start.x, s.start.y);

    if (path const next = after(followed, pace); clearance(next[0], next[0], s.obstacles) > 0.1f) {
      followed = next;  // else it waits a moment
      s.start = next[0];
    }
    last.assign(4, followed);
    for (std::size_t k = 0; k < s.obstacles.size(); ++k) {
      disc& d = s.obstacles[k];
      point& v = speeds[k];
      if (d.x + v.x < 3 || d.x + v.x > 15) v.x = -v.x;
      if (d.y + v.y < 0.5f || d.y + v.y > 8.5f) v.y = -v.y;
      disc const next{d.x + v.x, d.y + v.y, d.r + 0.3f};
      if (clearance(s.start, s.start, std::array{next}) < 0)  // they do not run the robot over
        v = {-v.x, -v.y};
      else d.x = next.x, d.y = next.y;
    }
    touched = std::min(touched, clearance(s.start, s.start, s.obstacles));
  }
  write(folder / "walk-discs.txt", discs);
  write(folder / "walk-plans.txt", plans);
  write(folder / "walk-best.txt", best);
  write(folder / "walk-robot.txt", robot);
  fmt::print("the walk: {:.2f} m to the nearest disc at the least\n", touched);
}

}  // namespace

int main(int argc, char** argv) try {
  std::filesystem::path weights = "examples/planner/planner.safetensors", pictures;
  for (int i = 1; i < argc; i += 2) {
    std::string_view const option = argv[i];
    if ((option != "--weights" && option != "--pictures") || i + 1 == argc)
      throw tweedie::error(
          fmt::format("'{}' was given, expected --weights FILE or --pictures FOLDER", option));
    (option == "--weights" ? weights : pictures) = argv[i + 1];
  }
  auto const network = mlp::from_file(weights);
  if (pictures.empty()) judge_plans(network, std::getenv("TWEEDIE_SMOKE") ? 50 : 1000);
  else write_scenes(network, pictures), write_walk(network, pictures);
} catch (std::exception const& e) {
  fmt::print(stderr, "planner: {}\n", e.what());
  return 1;
}
