// Training, Algorithm 1 of Ho et al. 2020, for every parameterization.
//
// Per sample: t from Philox, x_t = alpha x0 + sigma eps and what the network is to predict, both
// written by one kernel that draws the noise. The loss is  mean_i weight_i mean (network -
// target)^2.
//
// Weights are functions of the level, stated for the error of eps. What the network predicts enters
// by the factor of `raw` in eps: eps_of(t) = a x + b raw, so that |eps error|^2 = b^2 |raw
// error|^2, and the same weight is the same loss whatever the network predicts.
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include <tweedie/dsl/error.hpp>
#include <tweedie/dsl/launch.hpp>
#include <tweedie/pipelines/fits.hpp>

namespace tweedie {

namespace weights {

/// 1: the simple loss of Ho et al. 2020, eq. 14.
struct uniform {
  static constexpr char const* name = "uniform";
  double operator()(level) const { return 1; }
};

/// min(snr, gamma) / snr (Hang et al. 2023, "min-SNR", stated there for x0: min(snr, gamma)).
struct min_snr {
  static constexpr char const* name = "min_snr";
  double gamma = 5;
  double operator()(level t) const { return std::min(1.0, gamma / t.snr()); }
};

/// 1 / (k + snr)^gamma (Choi et al. 2022, "P2", eq. 8 with lambda_t = 1 in eps).
struct p2 {
  static constexpr char const* name = "p2";
  double k = 1, gamma = 1;
  double operator()(level t) const { return std::pow(k + t.snr(), -gamma); }
};

}  // namespace weights

/// The numbers of a batch of training examples, one per sample.
struct examples {
  std::vector<level> levels;
  std::vector<double> weights;
};

namespace detail {

/// x_t and the target at one level, from `known`, the clean sample, and noise.
template <class Predicts> auto noisy_and_target(Predicts predicts, level t) {
  using namespace symbols;
  auto const truth =
      make_answers(t, form<>{}, lift(known), lift(noise_stream<training_noise_stream>));
  auto const goal = [&] {
    if constexpr (target_fits<Predicts>()) return lift(predicts.target(t));
    else return lift(symbols::eps);
  }();
  return fuse(truth, nothing_before, std::tuple{x = t.alpha * x0 + t.sigma * eps, target = goal});
}

}  // namespace detail

/// A schedule, what the network predicts, and how levels are weighted.
template <class Schedule, class Predicts, class Weight = weights::uniform> struct objective {
  Schedule schedule;
  Predicts predicts;
  Weight weight;

  using program =
      typename decltype(detail::noisy_and_target(std::declval<Predicts>(), level{}))::type;

  /// The level of a sample: uniform over the T steps of a table, or over (0, end] in continuous
  /// time.
  level draw(sample_key const& key) const {
    double const u = tweedie::uniform(key, training_time_stream, 0);
    int const steps = schedule.table_steps();
    return schedule.at(steps ? std::min(std::floor(u * steps), steps - 1.0) + 1
                             : u * schedule.end());
  }

  /// The factor of |raw error|^2 in the loss at a level. Throws where it is not finite.
  double weight_of(level t) const {
    double const b = coefficient<sym::raw>(lift(predicts.eps_of(t)));
    double const w = weight(t) * b * b;
    if (!std::isfinite(w))
      throw error(fmt::format(
          "training: the weight of predicts::{} is {} at t = {} (alpha = {}, sigma = {}), "
          "expected a finite one; choose another weight or another prediction",
          Predicts::name, w, t.t, t.alpha, t.sigma));
    return w;
  }

  /// Draws the levels of a batch and writes x_t and the target, in one kernel. `clean`, `noisy` and
  /// `target` are keys.size() rows of `pitch` floats; a key is (training seed; example, training
  /// step).
  examples operator()(std::span<sample_key const> keys, float const* clean, float* noisy,
                      float* target, std::size_t pitch) const {
    examples e;
    std::vector<float> table;
    for (sample_key const& key : keys) {
      level const t = draw(key);
      e.levels.push_back(t);
      e.weights.push_back(weight_of(t));
      for (double c : detail::noisy_and_target(predicts, t).c) {
        if (!std::isfinite(c))
          throw error(
              fmt::format("training: the target of predicts::{} is not finite at t = {} (alpha = "
                          "{}, sigma = {})",
                          Predicts::name, t.t, t.alpha, t.sigma));
        table.push_back(static_cast<float>(c));
      }
    }
    launch_per_sample<program>(table,
                               bindings{bind(symbols::known, clean), bind(symbols::x, noisy),
                                        bind(symbols::target, target)},
                               {.count = keys.size(), .pitch = pitch, .keys = keys.data()});
    return e;
  }
};
template <class S, class P, class W> objective(S, P, W) -> objective<S, P, W>;

/// The exponential moving average of the weights as one kernel: average = decay average + (1 -
/// decay) weights.
inline void average_weights(float* average, float const* weights, std::size_t count, double decay) {
  using namespace symbols;
  std::size_t const whole = count / 4 * 4;
  launch(step(x = decay * x + (1 - decay) * known),
         bindings{bind(x, average), bind(known, weights)}, {.count = 1, .pitch = whole});
  // Parameters are not padded to 16 bytes: the last few go the same way on a padded copy.
  if (std::size_t const rest = count - whole) {
    buffer a(4), w(4);  // no kernel may read this function's own memory
    std::copy_n(average + whole, rest, a.data());
    std::copy_n(weights + whole, rest, w.data());
    launch(step(x = decay * x + (1 - decay) * known),
           bindings{bind(x, a.data()), bind(known, w.data())}, {.count = 1, .pitch = 4});
    std::copy_n(a.data(), rest, average + whole);
  }
}

}  // namespace tweedie
