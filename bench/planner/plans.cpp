// The planner's side of measure.py, which asks on standard input, one line a question:
//
//   dump COUNT STEPS FILE   the network's inputs for COUNT scenes, all noise, and the plans
//   run BATCH THREADS SECONDS STEPS   plans a second, and plans in a second of a core's time; each
//                                     thread has a planner of its own
#include <time.h>

#include <atomic>
#include <chrono>
#include <exception>
#include <iostream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include <tweedie/dsl/kernel/noise.hpp>
#include <tweedie/io/safetensors.hpp>

#include "field.hpp"
#include "planner.hpp"

using namespace planner;

namespace {

constexpr std::uint64_t seed = 7;

void dump(mlp const& network, std::size_t count, int steps, std::string const& file) {
  constexpr std::size_t discs = 8;
  constexpr float far_away = 1e3f;
  std::vector<scene> scenes;
  std::vector<float> fields, obstacles, start, ends, plans;
  settings const set{.steps = steps, .warm_steps = 1};
  for (std::size_t n = 0; n < count; ++n) {
    scenes.push_back(random_scene(2, n));
    frame const f(scenes[n]);
    std::vector<disc> inside;
    for (disc const& d : scenes[n].obstacles) inside.push_back(f.inside(d));
    auto const field = field_of(inside);
    fields.insert(fields.end(), field.begin(), field.end());
    for (disc& d : inside) d.r += set.margin / f.scale();
    inside.resize(discs, disc{far_away, far_away, 0});
    for (disc const& d : inside) obstacles.insert(obstacles.end(), {d.x, d.y, d.r});
    auto const key = [&](int step) {
      return tweedie::sample_key{.seed = seed, .id = n, .step = static_cast<std::uint32_t>(step)};
    };
    for (std::uint32_t g = 0; g < path_size / 4; ++g)
      for (float a : tweedie::normals4(g, key(0), tweedie::start_stream).v) start.push_back(a);
    for (int k = 0; k < steps; ++k) {  // what samplers::replacement draws for the two ends
      auto const first = tweedie::normals4(0, key(k), 18),
                 last = tweedie::normals4(path_size / 4 - 1, key(k), 18);
      ends.insert(ends.end(), {first.v[0], first.v[1], last.v[2], last.v[3]});
    }
  }
  plan_maker maker(network, set);
  auto const made = maker.plan(scenes, seed);
  for (std::size_t n = 0; n < count; ++n)
    for (point const& p : made[n]) {
      point const q = frame(scenes[n]).inside(p);
      plans.insert(plans.end(), {q.x, q.y});
    }
  tweedie::io::tensor_file to;
  auto const add = [&](char const* name, tweedie::io::extents shape,
                       std::vector<float> const& values) {
    to.tensors.push_back(
        tweedie::io::make_tensor(name, std::move(shape), std::span<float const>(values)));
  };
  add("fields", {count, field_size}, fields);
  add("obstacles", {count, discs, 3}, obstacles);
  add("start", {count, path_size}, start);
  add("ends", {count, static_cast<std::size_t>(steps), 4}, ends);
  add("plans", {count, path_size}, plans);
  tweedie::io::write_safetensors(file, to);
}

// Of this thread: on a machine that others use too, what it got of it.
double seconds_of_core() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

struct rates {
  double per_second, per_core_second;
};

rates run(mlp const& network, std::size_t batch, int threads, double seconds, int steps) {
  using clock = std::chrono::steady_clock;
  std::vector<scene> scenes;
  for (std::size_t n = 0; n < 512; ++n) scenes.push_back(random_scene(2, n));
  std::atomic<bool> begins = false, ends = false;
  std::atomic<std::size_t> plans = 0;
  std::atomic<double> of_cores = 0;
  std::vector<std::jthread> workers;
  for (int k = 0; k < threads; ++k)
    workers.emplace_back([&, k] {
      plan_maker maker(network, {.steps = steps, .warm_steps = 1});
      std::size_t done = 0, at = static_cast<std::size_t>(k) * batch;
      maker.plan({&scenes[0], batch}, seed);
      while (!begins) std::this_thread::yield();
      double const before = seconds_of_core();
      while (!ends) {
        if (at + batch > scenes.size()) at = 0;
        maker.plan({&scenes[at], batch}, seed, done);
        at += batch;
        done += batch;
      }
      of_cores += seconds_of_core() - before;
      plans += done;
    });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  auto const start = clock::now();
  begins = true;
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  ends = true;
  workers.clear();
  double const all = static_cast<double>(plans);
  return {all / std::chrono::duration<double>(clock::now() - start).count(), all / of_cores};
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 2) {
    fmt::print("usage: planner WEIGHTS, with questions on standard input\n");
    return 2;
  }
  auto const network = mlp::from_file(argv[1]);
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    std::string what, file;
    std::size_t count = 0;
    int number = 0, steps = 0;
    double seconds = 0;
    words >> what >> count;
    if (what == "dump" && words >> steps >> file) {
      dump(network, count, steps, file);
      fmt::print("done\n");
    } else if (what == "run" && words >> number >> seconds >> steps && count > 0 && count <= 512) {
      auto const [per_second, per_core_second] = run(network, count, number, seconds, steps);
      fmt::print("{} {}\n", per_second, per_core_second);
    } else {
      throw tweedie::error("'" + line + "' was asked, expected dump or run as plans.cpp has them");
    }
    std::fflush(stdout);
  }
} catch (std::exception const& e) {
  fmt::print(stderr, "bench/planner: {}\n", e.what());
  return 1;
}
