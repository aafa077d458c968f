// expect: a likelihood needs the network's Jacobian
#include <vector>

#include <tweedie/pipelines/likelihood.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/samplers/heun.hpp>
#include <tweedie/schedules/linear.hpp>

using namespace tweedie;

struct zero {
  void operator()(batch const& b) const {
    for (std::size_t i = 0; i < b.rows() * b.pitch; ++i) b.out[i] = 0;
  }
#ifndef MISTAKE
  void vjp(batch const& b, float const*, float* result) const {
    for (std::size_t i = 0; i < b.rows() * b.pitch; ++i) result[i] = 0;
  }
#endif
};
auto const pipeline_ = schedules::linear{} | predicts::v{} | samplers::heun{} | zero{};

std::vector<double> result(images const& clean) {
  return log_likelihood(pipeline_, clean, grids::uniform{}, 100);
}
