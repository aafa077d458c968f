// A sampler as numbers: each step is known symbols with factors that were computed beforehand, for
// methods that are given as data, such as a scheduler_config.json's.
//
//   linear x = sym::x::id, x0 = sym::x0::id;
//   steps.push_back({{{sym::x::id, 0.9 * x + 0.1 * x0}}});
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include <tweedie/pipelines/any_stages.hpp>

namespace tweedie::ready {

/// A sum of symbols with factors, each symbol once, whatever its factor is.
class linear {
 public:
  linear() = default;
  linear(symbol_id one) : terms_{{one, 1.0}} {}

  linear& operator+=(linear const& other);
  linear& operator*=(double factor);
  std::vector<std::pair<symbol_id, double>> const& terms() const { return terms_; }

  friend linear operator+(linear a, linear const& b) { return a += b; }
  friend linear operator-(linear a, linear b) { return a += (b *= -1); }
  friend linear operator*(double factor, linear a) { return a *= factor; }
  friend linear operator/(linear a, double by) { return a *= 1 / by; }

 private:
  std::vector<std::pair<symbol_id, double>> terms_;
};

/// target = value, or value / over, where the division is a function of its own: a value over 1 is
/// rounded to float32 before another sum reads it. The targets of an evaluation are written at
/// once, from what was there before.
struct linear_statement {
  symbol_id target;
  linear value;
  std::optional<double> over = {};
};
struct linear_evaluation {
  std::vector<linear_statement> statements;
  std::optional<level> where = {};  ///< its level, if it is not that of the step
};
struct linear_step {
  std::vector<linear_evaluation> evaluations;
};

/// The words that steps of tables are made of.
inline linear const x_now = sym::x::id, data = sym::x0::id, epsilon = sym::eps::id,
                    fresh = symbol_id{sym::word::noise_stream, 0};
inline symbol_id kept(int k) { return {sym::word::keep, k}; }

/// For some levels, by their sigma, the deviation of the noise that is added to x before the step.
using noise_before = std::vector<std::pair<double, double>>;

/// The sampler whose step k is `steps[k]`. A plan of it has as many steps.
any_sampler forget_linear_steps(std::vector<linear_step> steps, noise_before entering = {});

}  // namespace tweedie::ready
