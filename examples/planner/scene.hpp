// What is planned in: a start, a goal and discs that are not to be touched, in the plane; paths
// through them made by a script, for training; and the judge of a plan.
//
// A network sees none of the places: a scene is turned, scaled and shifted until the start is at
// (-1, 0) and the goal at (1, 0), which leaves it less to learn.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <span>
#include <vector>

namespace planner {

inline constexpr std::size_t waypoints = 16;

struct point {
  float x = 0, y = 0;
};

/// What is not to be touched; a robot's own radius is a part of r.
struct disc {
  float x = 0, y = 0, r = 0;
};

using path = std::array<point, waypoints>;

struct scene {
  point start, goal;
  std::vector<disc> obstacles;
};

/// Scenes as they are trained on and judged, a pure function of seed and number: 10 m x 10 m, start
/// and goal 5 to 9 m apart, 3 to 8 discs of 0.5 to 1.3 m, of which one or more bar the straight
/// line and none comes closer than 0.4 m to the start or the goal.
scene random_scene(std::uint64_t seed, std::uint64_t number);

/// Throws tweedie::error where a number is not finite or beyond 1000 km, a radius is not above 0,
/// start and goal coincide, or one of them lies in a disc.
void check(scene const& s);

/// From the plane to the frame in which the start is (-1, 0) and the goal (1, 0), and back.
class frame {
 public:
  explicit frame(scene const& s);
  float scale() const { return scale_; }  ///< metres of one unit
  point inside(point p) const;
  point outside(point p) const;
  disc inside(disc d) const;

 private:
  point middle_, axis_;  ///< the axis, half as long as the way, is (1, 0) inside
  float scale_;
};

/// The distance from the segment between two points to the nearest disc's rim, below 0 inside.
float clearance(point a, point b, std::span<disc const> obstacles);
/// Of the whole path.
float clearance(path const& p, std::span<disc const> obstacles);
float length(path const& p);
/// What is left of a path after so many metres, as waypoints that are evenly apart; of a path that
/// is not as long, its end.
path after(path const& p, float metres);

struct verdict {
  bool clear = false;    ///< no point of the path, between its waypoints either, is inside a disc
  bool reaches = false;  ///< it begins at the start, ends at the goal, and no leg is longer than
                         ///< twice what the straight way would take
  bool good() const { return clear && reaches; }
};
verdict judge(path const& p, scene const& s);

/// One path by the script: a bow drawn at random, pulled taut like an elastic band that the discs,
/// 0.25 m larger, push away (Quinlan & Khatib 1993, "Elastic bands", in spirit). Nothing where it
/// comes closer than 0.1 m to a disc or takes more than 1.6 times the straight way.
std::optional<path> scripted_path(scene const& s, std::mt19937_64& random);
/// Of 16 tries those that are at most a fifth longer than the shortest: ways to the left and to the
/// right of a disc are both kept.
std::vector<path> scripted_paths(scene const& s, std::mt19937_64& random);

}  // namespace planner
