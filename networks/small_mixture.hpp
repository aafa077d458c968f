// The exact network within a step's kernel: a gaussian_mixture of few components in few dimensions,
// whose numbers are the kernel's arguments.
//
//   networks::gaussian_mixture const mixture{{{.mean = {-1, 0.5}, .variance = 0.05},
//                                             {.mean = {1, -0.5}, .variance = 0.1}}};
//   auto const network = networks::inlined{networks::small_mixture<predicts::v, 2, 2>{mixture}};
#pragma once

#include <cstddef>
#include <numbers>
#include <span>
#include <utility>

#include <fmt/format.h>

#include <tweedie/networks/gaussian_mixture.hpp>
#include <tweedie/networks/inlined.hpp>

namespace tweedie::networks {

/// `Components` Gaussians of `Dimension` numbers, which answer what `Predicts` names. The bits are
/// those of `mixture.predicting<Predicts>()`: the same operations in double, on a device too. Each
/// of a row's threads weighs the components by itself and writes its own elements.
template <class Predicts, std::size_t Components, std::size_t Dimension> struct small_mixture {
  using prediction = Predicts;
  double log_weight[Components], variance[Components], mean[Components][Dimension];
  int label[Components];  ///< what a condition selects
  friend bool operator==(small_mixture const&, small_mixture const&) = default;

  /// Throws a sentence where the mixture is another's size, or has a point: a variance of 0, whose
  /// density at sigma = 0 a kernel could not refuse.
  explicit small_mixture(gaussian_mixture const& of) {
    of.check();
    if (of.components.size() != Components || of.dimension() != Dimension)
      throw error(fmt::format(
          "small_mixture: a mixture of {} components of {} numbers was given, expected {} of {}",
          of.components.size(), of.dimension(), Components, Dimension));
    for (std::size_t k = 0; k < Components; ++k) {
      auto const& c = of.components[k];
      if (c.variance == 0)
        throw error("small_mixture: a component of variance 0 was given, expected a larger one");
      log_weight[k] = math::log(c.weight);
      variance[k] = c.variance;
      label[k] = c.label;
      for (std::size_t i = 0; i < Dimension; ++i) mean[k][i] = c.mean[i];
    }
  }

  void check(std::span<std::size_t const> shape, std::span<int const> labels, int) const {
    std::size_t elements = 1;
    for (std::size_t extent : shape.subspan(1)) elements *= extent;
    if (elements != Dimension)
      throw error(fmt::format("small_mixture: samples of {} numbers were given, expected {}",
                              elements, Dimension));
    for (int asked : labels) {
      bool there = asked == no_label;
      for (int of : label) there = there || of == asked;
      if (!there)
        throw error(
            fmt::format("small_mixture: label {} was asked for, no component has it", asked));
    }
  }

  TWEEDIE_HD void operator()(inlined_row const& row) const {
    double const alpha = row.where.alpha, sigma = row.where.sigma;
    double noised[Components], share[Components];  // the logarithms of their multiples at first
    double highest = -__builtin_inf(), sum = 0;
    each_selected(row.label, [&](std::size_t k) {
      noised[k] = alpha * alpha * variance[k] + sigma * sigma;
      double distance = 0;
      for (std::size_t i = 0; i < Dimension; ++i) {
        double const d = row.x[i] - alpha * mean[k][i];
        distance += d * d;
      }
      share[k] = log_weight[k] - distance / (2 * noised[k]) -
                 static_cast<double>(Dimension) / 2 * math::log(2 * std::numbers::pi * noised[k]);
      highest = share[k] > highest ? share[k] : highest;
    });
    each_selected(row.label,
                  [&](std::size_t k) { sum += share[k] = math::exp(share[k] - highest); });

    for (std::uint64_t i = row.thread; i < row.elements; i += row.threads) {
      double x0 = 0, score = 0;
      each_selected(row.label, [&](std::size_t k) {
        double const r = share[k] / sum, d = (row.x[i] - alpha * mean[k][i]) / noised[k];
        score -= r * d;
        x0 += r * (mean[k][i] + alpha * variance[k] * d);
      });
      if (sigma == 0) x0 = row.x[i] / alpha;
      row.out[i] =
          static_cast<float>(detail::target<Predicts>(row.where, x0, -sigma * score, score));
    }
  }

 private:
  /// f of each component that a condition selects; unrolled, so that what it is kept in are
  /// registers.
  template <class F> TWEEDIE_HD void each_selected(int asked, F f) const {
    [&]<std::size_t... K>(std::index_sequence<K...>) {
      ((asked == no_label || label[K] == asked ? f(K) : void()), ...);
    }
    (std::make_index_sequence<Components>{});
  }
};

}  // namespace tweedie::networks
