// Timesteps floor(linspace(0, sqrt(0.8 T), N)^2), the form in the DDIM authors' code: the first
// level is at 0.8 T. Song et al. 2021 (DDIM), https://github.com/ermongroup/ddim,
// runners/diffusion.py, skip_type "quad".
//
// Where the code would repeat a timestep near 0, the next free one is taken.
#pragma once

#include <algorithm>
#include <cmath>

#include <tweedie/schedules/grids/grid.hpp>

namespace tweedie::grids {

struct quadratic_ddim {
  using kind = kinds::grid;
  static constexpr auto name = "grids::quadratic_ddim";

  template <schedule S> std::vector<level> levels(S const& schedule, int evaluations) const {
    int const steps = schedule.table_steps(), total = timesteps_of(schedule, evaluations);
    check_evaluations(name, evaluations, steps, static_cast<int>(0.8 * steps));
    check_two(name, evaluations);
    double const last = std::sqrt(0.8 * total), stride = last / (evaluations - 1);
    std::vector<double> times;
    for (int k = evaluations - 1; k >= 0; --k) {
      double const root = k == evaluations - 1 ? last : k * stride;  // rounds as numpy's linspace
      double const i = steps ? std::max<double>(k, std::floor(root * root)) : root * root;
      times.push_back(time_of_timestep(schedule, i, total));
    }
    return down_to_clean(schedule, times);
  }
};

}  // namespace tweedie::grids
