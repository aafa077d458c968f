// The planner of examples/planner with its shipped weights.
#include <boost/test/unit_test.hpp>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include <tweedie/dsl/base/error.hpp>
#include <tweedie/io/safetensors.hpp>

#include "cost.hpp"
#include "field.hpp"
#include "planner.hpp"

using namespace planner;

namespace {

std::filesystem::path weights_file() {
  char const* const source = std::getenv("TWEEDIE_SOURCE_DIR");
  return std::filesystem::path(source ? source : ".") / "examples/planner/planner.safetensors";
}
mlp const& network() {
  static mlp const shipped = mlp::from_file(weights_file());
  return shipped;
}

// Through which the script finds a path; training has the seed 1.
std::vector<scene> const& unseen_scenes() {
  static std::vector<scene> const fifty = [] {
    std::vector<scene> scenes;
    for (std::uint64_t n = 0; scenes.size() < 50; ++n) {
      scene const s = random_scene(3, n);
      std::mt19937_64 random(n);
      if (!scripted_paths(s, random).empty()) scenes.push_back(s);
    }
    return scenes;
  }();
  return fifty;
}

std::size_t good_of(std::vector<path> const& plans, std::vector<scene> const& scenes) {
  std::size_t good = 0;
  for (std::size_t i = 0; i < plans.size(); ++i) good += judge(plans[i], scenes[i]).good();
  return good;
}
bool same_bits(path const& a, path const& b) { return std::memcmp(&a, &b, sizeof a) == 0; }
double distance(path const& a, path const& b) {
  double sum = 0;
  for (std::size_t i = 0; i < waypoints; ++i) sum += std::hypot(a[i].x - b[i].x, a[i].y - b[i].y);
  return sum / waypoints;
}

template <class F> void check_refused(F const& f, std::initializer_list<char const*> parts) {
  try {
    f();
    BOOST_ERROR("nothing was thrown");
  } catch (tweedie::error const& e) {
    for (char const* part : parts)
      BOOST_CHECK_MESSAGE(std::string(e.what()).find(part) != std::string::npos,
                          "'" << part << "' is not in: " << e.what());
  }
}

scene simple() { return {{0, 0}, {6, 0}, {{3, 0.2f, 1}}}; }
path straight(scene const& s) {
  path p;
  for (std::size_t i = 0; i < waypoints; ++i) {
    float const share = static_cast<float>(i) / (waypoints - 1);
    p[i] = {s.start.x + share * (s.goal.x - s.start.x), s.start.y + share * (s.goal.y - s.start.y)};
  }
  return p;
}

}  // namespace

BOOST_AUTO_TEST_CASE(plans_through_unseen_scenes_are_clear_and_reach_the_goal) {
  auto const& scenes = unseen_scenes();
  auto const plans = plan_maker(network()).plan(scenes, 1);
  auto const good = good_of(plans, scenes);
  BOOST_TEST_MESSAGE(good << " of " << plans.size());
  BOOST_CHECK_GE(good, 45u);
  for (std::size_t i = 0; i < plans.size(); ++i) {
    BOOST_CHECK(plans[i].front().x == scenes[i].start.x && plans[i].front().y == scenes[i].start.y);
    BOOST_CHECK(plans[i].back().x == scenes[i].goal.x && plans[i].back().y == scenes[i].goal.y);
  }
  // Without the cost's gradient many are not.
  BOOST_CHECK_LE(good_of(plan_maker(network(), {.guidance = 0}).plan(scenes, 1), scenes) + 4, good);
}

BOOST_AUTO_TEST_CASE(a_plan_is_the_same_alone_and_among_others) {
  auto const& scenes = unseen_scenes();
  plan_maker maker(network());
  auto const plans = maker.plan({scenes.data(), 7}, 5);
  auto const again = maker.replan({scenes.data(), 7}, plans, 6);
  for (std::size_t i = 0; i < 7; ++i) {
    auto const alone = maker.plan({&scenes[i], 1}, 5, i);
    BOOST_CHECK(same_bits(alone[0], plans[i]));
    BOOST_CHECK(same_bits(maker.replan({&scenes[i], 1}, alone, 6, i)[0], again[i]));
    BOOST_CHECK(!same_bits(maker.plan({&scenes[i], 1}, 5, i + 100)[0], plans[i]));
  }
}

BOOST_AUTO_TEST_CASE(a_warm_start_keeps_to_the_last_plan) {
  auto const& scenes = unseen_scenes();
  plan_maker maker(network());
  auto const last = maker.plan(scenes, 1), warm = maker.replan(scenes, last, 2),
             fresh = maker.plan(scenes, 2);
  BOOST_CHECK_GE(good_of(warm, scenes), 45u);
  double of_warm = 0, of_fresh = 0;
  for (std::size_t i = 0; i < scenes.size(); ++i) {
    of_warm += distance(warm[i], last[i]);
    of_fresh += distance(fresh[i], last[i]);
  }
  BOOST_CHECK_LT(2 * of_warm, of_fresh);
}

BOOST_AUTO_TEST_CASE(a_scene_may_be_anywhere_and_of_any_size) {
  scene const s = simple();
  plan_maker maker(network(), {.margin = 0});
  auto const plan = maker.plan({&s, 1}, 3)[0];
  BOOST_CHECK(judge(plan, s).good());
  scene moved{{100, -50}, {100, -44}, {{99.8f, -47, 1}}};  // turned to the left by a quarter
  auto const there = maker.plan({&moved, 1}, 3)[0];
  for (std::size_t i = 0; i < waypoints; ++i) {
    BOOST_CHECK_SMALL(there[i].x - (100 - plan[i].y), 1e-3f);
    BOOST_CHECK_SMALL(there[i].y - (-50 + plan[i].x), 1e-3f);
  }
}

BOOST_AUTO_TEST_CASE(the_cost_is_followed_down) {
  // Against differences of J in double.
  std::vector<disc> const discs{{-0.3f, 0.1f, 0.35f}, {0.35f, -0.05f, 0.3f}};
  std::array<float, path_size> points, gradient;
  for (std::size_t i = 0; i < waypoints; ++i) {
    points[2 * i] = -1 + 2 * static_cast<float>(i) / (waypoints - 1);
    points[2 * i + 1] = 0.05f * static_cast<float>(std::sin(static_cast<double>(i)));
  }
  points[1] = points[path_size - 1] = 0;
  auto const cost = [&](std::size_t at, double by) {
    std::array<double, path_size> p;
    std::ranges::copy(points, p.begin());
    p[at] += by;
    double sum = 0;
    for (std::size_t i = 0; i + 1 < waypoints; ++i)
      for (disc const& d : discs) {
        double const dx = p[2 * i + 2] - p[2 * i], dy = p[2 * i + 3] - p[2 * i + 1];
        double const along =
            ((d.x - p[2 * i]) * dx + (d.y - p[2 * i + 1]) * dy) / (dx * dx + dy * dy);
        double const where = std::clamp(along, 0.0, 1.0);
        double const depth = std::max(
            0.0, d.r - std::hypot(p[2 * i] + where * dx - d.x, p[2 * i + 1] + where * dy - d.y));
        sum += depth * depth / 2;
      }
    return sum;
  };
  cost_gradient(points.data(), discs, gradient.data());
  double largest = 0;
  for (std::size_t i = 2; i + 2 < path_size; ++i) {
    double const slope = (cost(i, 1e-5) - cost(i, -1e-5)) / 2e-5;
    BOOST_CHECK_SMALL(slope - double{gradient[i]}, 1e-5);
    largest = std::max(largest, std::abs(slope));
  }
  BOOST_CHECK_GT(largest, 0.1);
  for (std::size_t i : {0u, 1u, 30u, 31u}) BOOST_CHECK_EQUAL(gradient[i], 0);
}

BOOST_AUTO_TEST_CASE(the_network_is_its_formula) {
  auto const matrix = [](std::size_t i) {
    auto const& s = weight_shapes[i];
    auto const shape =
        s.rows ? tweedie::io::extents{s.rows, s.columns} : tweedie::io::extents{s.columns};
    return tweedie::io::safetensors_file(weights_file()).floats(s.name, shape);
  };
  std::vector<float> x(5 * path_size), out(5 * path_size), scenes(5 * hidden);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = std::sin(static_cast<float>(7 * i));
  std::array<float, field_size> field;
  std::vector<float const*> of_rows;
  for (std::size_t row = 0; row < 5; ++row) {
    for (std::size_t i = 0; i < field_size; ++i)
      field[i] = std::cos(static_cast<float>(row + 3 * i));
    network().see_field(field, &scenes[row * hidden]);
    of_rows.push_back(&scenes[row * hidden]);
  }
  network()(x.data(), of_rows.data(), 0.3, 5, out.data(), path_size);

  auto const silu = [](double a) { return a / (1 + std::exp(-a)); };
  auto const times = matrix(std::size_t{1}), first = matrix(0), second = matrix(4),
             third = matrix(6), last = matrix(8);
  auto const features = features_of(0.3);
  for (std::size_t row = 0; row < 5; ++row) {
    std::vector<double> h(hidden), next(hidden);
    for (std::size_t j = 0; j < hidden; ++j) {
      double sum = double{scenes[row * hidden + j]};
      for (std::size_t k = 0; k < path_size; ++k)
        sum += double{x[row * path_size + k]} * double{first[k * hidden + j]};
      for (std::size_t k = 0; k < times_size; ++k)
        sum += double{features[k]} * double{times[k * hidden + j]};
      h[j] = silu(sum);
    }
    for (std::size_t layer : {4u, 6u}) {
      auto const& w = layer == 4 ? second : third;
      auto const bias = matrix(layer + 1);
      for (std::size_t j = 0; j < hidden; ++j) {
        double sum = double{bias[j]};
        for (std::size_t k = 0; k < hidden; ++k) sum += h[k] * double{w[k * hidden + j]};
        next[j] = h[j] + silu(sum);
      }
      h = next;
    }
    auto const bias = matrix(9);
    for (std::size_t j = 0; j < path_size; ++j) {
      double sum = double{bias[j]};
      for (std::size_t k = 0; k < hidden; ++k) sum += h[k] * double{last[k * path_size + j]};
      BOOST_CHECK_SMALL(sum - double{out[row * path_size + j]}, 2e-5);
    }
  }
}

BOOST_AUTO_TEST_CASE(the_judge_sees_what_is_wrong) {
  scene s = simple();
  path p = straight(s);
  BOOST_CHECK(!judge(p, s).clear);
  BOOST_CHECK(judge(p, s).reaches);
  s.obstacles[0] = {3, 1.1f, 1};
  BOOST_CHECK(judge(p, s).good());
  s.obstacles[0] = {3, 0, 0.1f};  // between two waypoints
  BOOST_CHECK_GT(std::abs(p[7].x - 3), 0.15f);
  BOOST_CHECK(!judge(p, s).clear);
  s.obstacles.clear();
  p[14] = p[12];  // the last leg is a jump
  BOOST_CHECK(!judge(p, s).reaches);
  p = straight(s);
  p[15].x -= 0.1f;
  BOOST_CHECK(!judge(p, s).reaches);
  p = straight(s);
  p[4].y = std::numeric_limits<float>::quiet_NaN();
  BOOST_CHECK(!judge(p, s).good());

  path const left = after(straight(simple()), 2);
  BOOST_CHECK_SMALL(left[0].x - 2, 1e-5f);
  BOOST_CHECK_SMALL(left[1].x - (2 + 4.0f / 15), 1e-5f);
  BOOST_CHECK_EQUAL(left[15].x, 6);
  BOOST_CHECK_EQUAL(after(straight(simple()), 60)[0].x, 6);
}

BOOST_AUTO_TEST_CASE(what_cannot_be_planned_is_refused) {
  plan_maker maker(network());
  auto const plan = [&](scene const& s) { return [&maker, s] { maker.plan({&s, 1}, 0); }; };
  scene s = simple();
  s.goal.x = std::numeric_limits<float>::infinity();
  check_refused(plan(s), {"from (0, 0) to (inf, 0)", "finite"});
  s = simple();
  s.goal = s.start;
  check_refused(plan(s), {"from (0, 0) to (0, 0)", "a millimetre"});
  s = simple();
  s.obstacles.push_back({1, 1, 0});
  check_refused(plan(s), {"obstacle 1 at (1, 1) of radius 0 ", "a radius above 0"});
  s.obstacles[1] = {6.5f, 0, 1};
  check_refused(plan(s), {"obstacle 1 at (6.5, 0) of radius 1 covers the goal at (6, 0)"});
  check_refused([&] { maker.plan({}, 0); }, {"no scene"});
  s = simple();
  check_refused([&] { maker.replan({&s, 1}, {}, 0); }, {"0 plans", "1 scenes"});
  path p = straight(s);
  p[3].x = std::numeric_limits<float>::quiet_NaN();
  check_refused([&] { maker.replan({&s, 1}, {&p, 1}, 0); }, {"nan"});
  BOOST_CHECK(judge(maker.plan({&s, 1}, 0)[0], s).reaches);  // nothing was lost by these

  check_refused([] { plan_maker(network(), {.steps = 0}); }, {"0 steps"});
  check_refused([] { plan_maker(network(), {.steps = 4, .warm_steps = 5}); }, {"5 warm ones"});
  check_refused([] { plan_maker(network(), {.guidance = -1}); }, {"guidance -1"});
  check_refused([] { mlp::from_file("nowhere.safetensors"); }, {"nowhere.safetensors"});
  check_refused([] { mlp(weight_list{}); }, {"0 weights", "'path'", "6144"});
  auto file = tweedie::io::read_safetensors(weights_file());
  file.tensors.pop_back();
  tweedie::io::write_safetensors("cut.safetensors", file);
  check_refused([] { mlp::from_file("cut.safetensors"); }, {"cut.safetensors"});
  std::filesystem::remove("cut.safetensors");
}
