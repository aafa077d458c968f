#include "scene.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include <fmt/format.h>

#include <tweedie/dsl/base/error.hpp>

namespace planner {
namespace {

point operator+(point a, point b) { return {a.x + b.x, a.y + b.y}; }
point operator-(point a, point b) { return {a.x - b.x, a.y - b.y}; }
point operator*(float k, point a) { return {k * a.x, k * a.y}; }
float dot(point a, point b) { return a.x * b.x + a.y * b.y; }
float norm(point a) { return std::sqrt(dot(a, a)); }

// The standard's distributions differ between libraries, its generators do not.
float uniform(std::mt19937_64& random, float low, float high) {
  return low + (high - low) * static_cast<float>(static_cast<double>(random() >> 11) * 0x1p-53);
}
float normal(std::mt19937_64& random) {
  float const r = std::sqrt(-2 * std::log(1 - uniform(random, 0, 0.999999f)));
  return r * std::cos(2 * std::numbers::pi_v<float> * uniform(random, 0, 1));
}

// Where on the segment from a to b, 0 to 1, the point next to c lies.
float nearest(point a, point b, point c) {
  point const along = b - a;
  float const square = dot(along, along);
  return square > 0 ? std::clamp(dot(c - a, along) / square, 0.0f, 1.0f) : 0;
}

bool lies_free(point p, std::span<disc const> obstacles, float margin) {
  return std::ranges::all_of(obstacles, [&](disc const& d) {
    return norm(p - point{d.x, d.y}) >= d.r + margin;
  });
}

}  // namespace

scene random_scene(std::uint64_t seed, std::uint64_t number) {
  std::seed_seq mixed{seed, seed >> 32, number, number >> 32};
  std::mt19937_64 random(mixed);
  while (true) {
    auto const anywhere = [&](float low, float high) {
      return point{uniform(random, low, high), uniform(random, low, high)};
    };
    scene s{anywhere(0.5f, 9.5f), anywhere(0.5f, 9.5f), {}};
    float const way = norm(s.goal - s.start);
    if (way < 5 || way > 9) continue;
    auto const count = 3 + random() % 6;
    while (s.obstacles.size() < count) {
      point const p = anywhere(0, 10);
      disc const d{p.x, p.y, uniform(random, 0.5f, 1.3f)};
      std::array const ends{d};
      if (lies_free(s.start, ends, 0.4f) && lies_free(s.goal, ends, 0.4f)) s.obstacles.push_back(d);
    }
    if (clearance(s.start, s.goal, s.obstacles) < 0) return s;
  }
}

void check(scene const& s) {
  constexpr float furthest = 1e6f;  // beyond it a float cannot tell a metre
  auto const is_near = [](point p) {
    return std::abs(p.x) <= furthest && std::abs(p.y) <= furthest;
  };
  auto const text = [](point p) { return fmt::format("({}, {})", p.x, p.y); };
  if (!is_near(s.start) || !is_near(s.goal))
    throw tweedie::error(fmt::format(
        "a scene from {} to {} was given, expected finite coordinates of at most 1000 km",
        text(s.start), text(s.goal)));
  if (!(norm(s.goal - s.start) > 1e-3f))
    throw tweedie::error(fmt::format(
        "a scene from {} to {} was given, expected a goal that is more than a millimetre from the "
        "start",
        text(s.start), text(s.goal)));
  for (std::size_t i = 0; i < s.obstacles.size(); ++i) {
    disc const& d = s.obstacles[i];
    if (!is_near({d.x, d.y}) || !(d.r > 0 && d.r <= furthest))
      throw tweedie::error(
          fmt::format("obstacle {} at {} of radius {} was given, expected finite coordinates and a "
                      "radius above 0, of at most 1000 km",
                      i, text({d.x, d.y}), d.r));
    for (auto const& [end, name] : {std::pair{s.start, "start"}, std::pair{s.goal, "goal"}})
      if (norm(end - point{d.x, d.y}) < d.r)
        throw tweedie::error(
            fmt::format("obstacle {} at {} of radius {} covers the {} at {}, expected a start and "
                        "a goal that are clear of all obstacles",
                        i, text({d.x, d.y}), d.r, name, text(end)));
  }
}

frame::frame(scene const& s)
    : middle_(0.5f * (s.start + s.goal)), axis_(0.5f * (s.goal - s.start)), scale_(norm(axis_)) {}
point frame::inside(point p) const {
  point const q = p - middle_;
  float const square = scale_ * scale_;
  return {dot(q, axis_) / square, (axis_.x * q.y - axis_.y * q.x) / square};
}
point frame::outside(point p) const {
  return middle_ + point{p.x * axis_.x - p.y * axis_.y, p.x * axis_.y + p.y * axis_.x};
}
disc frame::inside(disc d) const {
  point const p = inside(point{d.x, d.y});
  return {p.x, p.y, d.r / scale_};
}

float clearance(point a, point b, std::span<disc const> obstacles) {
  float least = std::numeric_limits<float>::infinity();
  for (disc const& d : obstacles) {
    point const c{d.x, d.y}, at = a + nearest(a, b, c) * (b - a);
    least = std::min(least, norm(c - at) - d.r);
  }
  return least;
}
float clearance(path const& p, std::span<disc const> obstacles) {
  float least = std::numeric_limits<float>::infinity();
  for (std::size_t i = 1; i < waypoints; ++i)
    least = std::min(least, clearance(p[i - 1], p[i], obstacles));
  return least;
}
float length(path const& p) {
  float sum = 0;
  for (std::size_t i = 1; i < waypoints; ++i) sum += norm(p[i] - p[i - 1]);
  return sum;
}

path after(path const& p, float metres) {
  float const whole = length(p), left = std::max(whole - metres, 0.0f);
  path rest;
  rest.fill(p.back());
  std::size_t leg = 1;
  float before = 0;  // the length of the legs before this one
  for (std::size_t i = 0; i + 1 < waypoints; ++i) {
    float const at = whole - left + left * static_cast<float>(i) / (waypoints - 1);
    auto const here = [&] { return norm(p[leg] - p[leg - 1]); };
    while (leg + 1 < waypoints && before + here() < at) before += here(), ++leg;
    float const share = here() > 0 ? std::clamp((at - before) / here(), 0.0f, 1.0f) : 0;
    rest[i] = p[leg - 1] + share * (p[leg] - p[leg - 1]);
  }
  return rest;
}

verdict judge(path const& p, scene const& s) {
  float const way = norm(s.goal - s.start), close = 1e-4f * way;
  bool reaches = norm(p.front() - s.start) <= close && norm(p.back() - s.goal) <= close;
  for (std::size_t i = 1; i < waypoints; ++i)  // written so that a NaN does not reach
    reaches = reaches && norm(p[i] - p[i - 1]) <= 2 * way / (waypoints - 1);
  return {clearance(p, s.obstacles) >= 0, reaches};
}

std::optional<path> scripted_path(scene const& s, std::mt19937_64& random) {
  constexpr float margin = 0.25f;
  point const along = s.goal - s.start;
  float const way = norm(along);
  point const across{-along.y / way, along.x / way};
  float const bow = 0.35f * way * normal(random), swing = 0.15f * way * normal(random);
  path p;
  for (std::size_t i = 0; i < waypoints; ++i) {
    float const share = static_cast<float>(i) / (waypoints - 1),
                angle = share * std::numbers::pi_v<float>;
    p[i] = s.start + share * along + (bow * std::sin(angle) + swing * std::sin(2 * angle)) * across;
  }
  p.back() = s.goal;
  for (int round = 0; round < 300; ++round) {
    path moved = p;
    for (std::size_t i = 1; i + 1 < waypoints; ++i)  // the band: shorter, and evenly spaced
      moved[i] = p[i] + 0.3f * (p[i - 1] + p[i + 1] - 2 * p[i]);
    for (std::size_t i = 1; i < waypoints; ++i)
      for (disc const& d : s.obstacles) {
        point const c{d.x, d.y};
        float const where = nearest(p[i - 1], p[i], c);
        point const off = p[i - 1] + where * (p[i] - p[i - 1]) - c;
        float const distance = norm(off), depth = d.r + margin - distance;
        if (depth <= 0 || distance == 0) continue;
        point const push = 0.5f * depth / distance * off;
        if (i > 1) moved[i - 1] = moved[i - 1] + (1 - where) * push;
        if (i + 1 < waypoints) moved[i] = moved[i] + where * push;
      }
    p = moved;
  }
  if (clearance(p, s.obstacles) < 0.1f || length(p) > 1.6f * way) return {};
  return p;
}

std::vector<path> scripted_paths(scene const& s, std::mt19937_64& random) {
  std::vector<path> found;
  for (int k = 0; k < 16; ++k)
    if (auto p = scripted_path(s, random)) found.push_back(*p);
  if (found.empty()) return found;
  float shortest = length(found[0]);
  for (path const& p : found) shortest = std::min(shortest, length(p));
  std::erase_if(found, [&](path const& p) { return length(p) > 1.2f * shortest; });
  return found;
}

}  // namespace planner
