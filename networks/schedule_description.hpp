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

}  // namespace tweedie::networks
