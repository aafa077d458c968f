// A schedule as a file has it.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace tweedie::networks {

/// The name of a schedule, as the tool knows it, and its parameters in the order they are written.
struct schedule_description {
  std::string name;
  std::vector<std::pair<std::string, double>> parameters;
  std::vector<double> alpha_bar = {};  ///< of `tabulated`: at t = 1 .. T
  bool operator==(schedule_description const&) const = default;
};

/// What a network says of the schedule that it was trained on, `trained_on()`: a pipeline on
/// another one is refused.
struct training_schedule {
  std::string source;  ///< "net.onnx"
  schedule_description schedule;
  /// Whether it is told the schedule's t, so that levels have to be the same at the same t; else it
  /// is told the level, and the same rho = sigma / alpha has to come with the same alpha.
  bool counts_time = true;
};

}  // namespace tweedie::networks
