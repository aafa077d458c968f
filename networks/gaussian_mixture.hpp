// The exact network: data is a mixture of Gaussians w_k N(m_k, v_k I), so everything a network
// learns has a closed form.
//
// x_t is the mixture of N(alpha m_k, s_k I), s_k = alpha^2 v_k + sigma^2, and with the
// responsibilities r_k of x,
//   score   = -sum r_k (x - alpha m_k) / s_k,
//   E[x0|x] = sum r_k (m_k + alpha v_k / s_k (x - alpha m_k)) = (x + sigma^2 score) / alpha,
// the second by Tweedie's formula (Robbins 1956; Efron 2011, eq. 1.4). Both are written so that
// nothing is divided by alpha or sigma. A condition on a label is the mixture of the components
// with that label.
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <limits>
#include <numbers>
#include <span>
#include <vector>

#include <fmt/format.h>

#include <tweedie/dsl/base/error.hpp>
#include <tweedie/dsl/base/math.hpp>
#include <tweedie/dsl/base/same.hpp>
#include <tweedie/dsl/language/batch.hpp>
#include <tweedie/dsl/language/form.hpp>
#include <tweedie/dsl/language/hooks.hpp>
#include <tweedie/dsl/language/level.hpp>
#include <tweedie/dsl/language/stage.hpp>
#include <tweedie/dsl/language/symbols.hpp>

namespace tweedie::predicts {
struct epsilon;
struct x0;
struct score;
struct v;
struct velocity;
}  // namespace tweedie::predicts

namespace tweedie::networks {

template <class Predicts> struct exact;
template <class Predicts> struct exact_target;
struct exact_classifier;

struct gaussian_mixture {
  struct component {
    std::vector<double> mean;
    double variance = 1;   ///< of each dimension; 0 is a point
    double weight = 1;     ///< relative to the other components
    int label = no_label;  ///< what a condition selects
    friend bool operator==(component const&, component const&) = default;
  };
  std::vector<component> components;
  friend bool operator==(gaussian_mixture const&, gaussian_mixture const&) = default;

  /// What is known of x0 and eps given x at a level.
  struct posterior {
    std::vector<double> x0, eps, score;  ///< E[x0|x], E[eps|x] and -E[eps|x] / sigma
    double log_density = 0;              ///< ln p_t(x)
  };

  /// A network for a pipeline, which answers with what the parameterization asks.
  template <class Predicts> exact<Predicts> predicting() const {
    check();
    return {*this};
  }
  /// The same for any parameterization, with its parameters: E[target(level) | x], which is what a
  /// regression on the target learns.
  template <class Predicts> exact_target<Predicts> predicting(Predicts predicts) const {
    check();
    return {*this, predicts};
  }

  /// The gradient of the exact classifier, for guidance::classifier.
  exact_classifier classifier_gradient() const;

  std::size_t dimension() const { return components.empty() ? 0 : components.front().mean.size(); }

  /// Throws a sentence where x has another dimension, no component has the label, or sigma = 0
  /// meets a point.
  posterior given(std::span<double const> x, level const& t, int label = no_label) const {
    auto const [terms, log_density] = terms_of(x, t, label);
    posterior p{std::vector<double>(x.size()), std::vector<double>(x.size()),
                std::vector<double>(x.size()), log_density};
    for (auto const& [c, r, s] : terms)
      for (std::size_t i = 0; i < x.size(); ++i) {
        double const d = (x[i] - t.alpha * c->mean[i]) / s;
        p.score[i] -= r * d;
        p.x0[i] += r * (c->mean[i] + t.alpha * c->variance * d);
      }
    for (std::size_t i = 0; i < x.size(); ++i) {
      p.eps[i] = -t.sigma * p.score[i];
      if (t.sigma == 0) p.x0[i] = x[i] / t.alpha;
    }
    return p;
  }

  /// What x0, eps and score change by where x moves along `p`: their Jacobians, which are
  /// symmetric, times p. With d_k = (x - alpha m_k) / s_k the Jacobian of the score is the
  /// covariance of d_k under r_k less sum r_k / s_k I.
  posterior along(std::span<double const> p, std::span<double const> x, level const& t,
                  int label = no_label) const {
    auto const terms = terms_of(x, t, label).terms;
    std::vector<double> const score = given(x, t, label).score;
    posterior r{std::vector<double>(x.size()), std::vector<double>(x.size()),
                std::vector<double>(x.size())};
    for (auto const& [c, share, s] : terms) {
      double change = 0;  // of ln r_k
      for (std::size_t i = 0; i < x.size(); ++i)
        change -= ((x[i] - t.alpha * c->mean[i]) / s + score[i]) * p[i];
      for (std::size_t i = 0; i < x.size(); ++i) {
        double const d = (x[i] - t.alpha * c->mean[i]) / s;
        r.score[i] -= share * (change * d + p[i] / s);
        r.x0[i] += share * (change * (c->mean[i] + t.alpha * c->variance * d) +
                            t.alpha * c->variance / s * p[i]);
      }
    }
    for (std::size_t i = 0; i < x.size(); ++i) {
      r.eps[i] = -t.sigma * r.score[i];
      if (t.sigma == 0) r.x0[i] = p[i] / t.alpha;
    }
    return r;
  }

  std::vector<double> x0(std::span<double const> x, level const& t, int label = no_label) const {
    return given(x, t, label).x0;
  }
  std::vector<double> eps(std::span<double const> x, level const& t, int label = no_label) const {
    return given(x, t, label).eps;
  }
  std::vector<double> score(std::span<double const> x, level const& t, int label = no_label) const {
    return given(x, t, label).score;
  }
  double log_density(std::span<double const> x, level const& t, int label = no_label) const {
    return given(x, t, label).log_density;
  }

  /// Mean of the data.
  std::vector<double> mean(int label = no_label) const {
    std::vector<double> mean(dimension());
    double total = 0;
    auto const chosen = with_label(label);
    for (auto const* c : chosen) total += c->weight;
    for (auto const* c : chosen)
      for (std::size_t i = 0; i < mean.size(); ++i) mean[i] += c->weight / total * c->mean[i];
    return mean;
  }

  /// Covariance of the data, dimension x dimension.
  std::vector<double> covariance(int label = no_label) const {
    std::size_t const n = dimension();
    std::vector<double> const m = mean(label);
    std::vector<double> covariance(n * n);
    double total = 0;
    auto const chosen = with_label(label);
    for (auto const* c : chosen) total += c->weight;
    for (auto const* c : chosen)
      for (std::size_t i = 0; i < n; ++i)
        for (std::size_t j = 0; j < n; ++j) {
          double const between = (c->mean[i] - m[i]) * (c->mean[j] - m[j]);
          covariance[i * n + j] += c->weight / total * (between + (i == j ? c->variance : 0));
        }
    return covariance;
  }

  /// An exact sample: the component at `uniform` in [0, 1) of the summed weights, moved by one
  /// normal per dimension.
  std::vector<double> draw(double uniform, std::span<double const> normals,
                           int label = no_label) const {
    check_size(normals.size());
    auto const chosen = with_label(label);
    double left = 0;
    for (auto const* c : chosen) left += c->weight;
    left *= uniform;
    std::size_t k = 0;
    while (k + 1 < chosen.size() && left >= chosen[k]->weight) left -= chosen[k++]->weight;
    std::vector<double> x = chosen[k]->mean;
    for (std::size_t i = 0; i < x.size(); ++i) x[i] += std::sqrt(chosen[k]->variance) * normals[i];
    return x;
  }

  /// Throws a sentence unless all means have one dimension, weights are positive and variances are
  /// not negative.
  void check() const {
    if (components.empty()) throw error("gaussian_mixture: no component was given");
    for (auto const& c : components) {
      if (c.mean.size() != dimension() || c.mean.empty())
        throw error(fmt::format("gaussian_mixture: a mean of {} numbers was given, expected {}",
                                c.mean.size(), std::max<std::size_t>(dimension(), 1)));
      for (double m : c.mean)
        if (!std::isfinite(m))
          throw error(
              fmt::format("gaussian_mixture: {} in a mean was given, expected a number", m));
      if (!(c.weight > 0 && std::isfinite(c.weight)))
        throw error(fmt::format(
            "gaussian_mixture: a weight of {} was given, expected a positive one", c.weight));
      if (!(c.variance >= 0 && std::isfinite(c.variance)))
        throw error(fmt::format("gaussian_mixture: a variance of {} was given, expected 0 or more",
                                c.variance));
    }
  }

 private:
  void check_size(std::size_t size) const {
    check();
    if (size != dimension())
      throw error(fmt::format("gaussian_mixture: a sample of {} numbers was given, expected {}",
                              size, dimension()));
  }

  std::vector<component const*> with_label(int label) const {
    std::vector<component const*> chosen;
    for (auto const& c : components)
      if (label == no_label || c.label == label) chosen.push_back(&c);
    if (chosen.empty())
      throw error(
          fmt::format("gaussian_mixture: label {} was asked for, no component has it", label));
    return chosen;
  }

  /// The components' shares r_k of x and their variances s_k at a level.
  struct term {
    component const* of;
    double share, variance;
  };
  struct weighed {
    std::vector<term> terms;
    double log_density;
  };
  weighed terms_of(std::span<double const> x, level const& t, int label) const {
    check_size(x.size());
    std::vector<term> terms;
    std::vector<double> log_terms;
    double total = 0, highest = -std::numeric_limits<double>::infinity();
    for (auto const* c : with_label(label)) {
      double const s = noised_variance(*c, t);
      double distance = 0;
      for (std::size_t i = 0; i < x.size(); ++i) {
        double const d = x[i] - t.alpha * c->mean[i];
        distance += d * d;
      }
      total += c->weight;
      log_terms.push_back(math::log(c->weight) - distance / (2 * s) -
                          static_cast<double>(x.size()) / 2 * math::log(2 * std::numbers::pi * s));
      highest = std::max(highest, log_terms.back());
      terms.push_back({c, 0, s});
    }
    double sum = 0;
    for (double one : log_terms) sum += math::exp(one - highest);
    for (std::size_t k = 0; k < terms.size(); ++k)
      terms[k].share = math::exp(log_terms[k] - highest) / sum;
    return {terms, highest + math::log(sum) - math::log(total)};
  }

  static double noised_variance(component const& c, level const& t) {
    double const s = t.alpha * t.alpha * c.variance + t.sigma * t.sigma;
    if (!(s > 0))
      throw error(
          "gaussian_mixture: the density at sigma = 0 was asked for, a component is a point");
    return s;
  }
};

namespace detail {

/// What `Predicts` names, of what is known.
template <class Predicts>
TWEEDIE_HD double target(level const& t, double x0, double eps, double score) {
  if constexpr (std::same_as<Predicts, predicts::epsilon>) return eps;
  else if constexpr (std::same_as<Predicts, predicts::x0>) return x0;
  else if constexpr (std::same_as<Predicts, predicts::score>) return score;
  else if constexpr (std::same_as<Predicts, predicts::v>) return t.alpha * eps - t.sigma * x0;
  else if constexpr (std::same_as<Predicts, predicts::velocity>) {
    // sigma' is infinite at the clean end of a VP schedule only, where sigma sigma' = -alpha
    // alpha' is not.
    if (std::isinf(t.dsigma)) return t.steps * t.dalpha * (x0 + t.alpha * score);
    return t.steps * (t.dalpha * x0 + t.dsigma * eps);
  } else
    static_assert(std::same_as<Predicts, predicts::epsilon>,
                  "gaussian_mixture predicts epsilon, x0, score, v or velocity");
}

}  // namespace detail

/// The mixture as a network: for each row, what `Predicts` names, in double and rounded once.
template <class Predicts> struct exact {
  using kind = kinds::network;
  using prediction = Predicts;  // which a pipeline holds against its own
  gaussian_mixture mixture;
  friend bool operator==(exact const&, exact const&) = default;

  void check_arrays(std::span<named_array const> arrays) const {
    tweedie::detail::refuse_arrays("gaussian_mixture", arrays);
  }
  void operator()(batch const& b) const {
    std::vector<double> x(b.elements);
    for (std::size_t row = 0; row < b.rows(); ++row) {
      std::ranges::copy(b.x_of(row), x.begin());
      level const& t = b.level_of(row);
      auto const p = mixture.given(x, t, b.label_of(row));
      auto const out = b.out_of(row);
      for (std::size_t i = 0; i < x.size(); ++i)
        out[i] = static_cast<float>(detail::target<Predicts>(t, p.x0[i], p.eps[i], p.score[i]));
    }
  }

  /// Each row of `result` is the transposed Jacobian of that row of out in x, times the sample's
  /// row of `probe`.
  void vjp(batch const& b, float const* probe, float* result) const {
    std::vector<double> x(b.elements), p(b.elements);
    for (std::size_t row = 0; row < b.rows(); ++row) {
      std::ranges::copy(b.x_of(row), x.begin());
      std::copy_n(probe + row % b.samples * b.pitch, b.elements, p.begin());
      level const& t = b.level_of(row);
      auto const d = mixture.along(p, x, t, b.label_of(row));
      for (std::size_t i = 0; i < x.size(); ++i)
        result[row * b.pitch + i] =
            static_cast<float>(detail::target<Predicts>(t, d.x0[i], d.eps[i], d.score[i]));
    }
  }
};

/// The mixture as a network for a parameterization with parameters. Where that scales what the
/// network sees (input_of), the scale is taken off again.
template <class Predicts> struct exact_target {
  using kind = kinds::network;
  using prediction = Predicts;
  static constexpr bool regresses = requires(Predicts const& p, level t) { p.target(t); };
  static_assert(regresses,
                "gaussian_mixture::predicting(P) answers what a network learns by regression: P "
                "needs target(level)");
  gaussian_mixture mixture;
  Predicts predicts;
  friend bool operator==(exact_target const& a, exact_target const& b) requires(
      tweedie::detail::can_be_compared<Predicts>) {
    return a.mixture == b.mixture && tweedie::detail::same_value(a.predicts, b.predicts);
  }

  void check_arrays(std::span<named_array const> arrays) const {
    tweedie::detail::refuse_arrays("gaussian_mixture", arrays);
  }
  void operator()(batch const& b) const {
    if constexpr (regresses) {
      std::vector<double> x(b.elements);
      for (std::size_t row = 0; row < b.rows(); ++row) {
        level const& t = b.level_of(row);
        auto const seen = b.x_of(row);
        for (std::size_t i = 0; i < x.size(); ++i)
          x[i] = static_cast<double>(seen[i]) / input_scale(t);
        auto const p = mixture.given(x, t, b.label_of(row));
        auto const of = lift(predicts.target(t));
        double const of_x0 = coefficient<sym::x0>(of), of_eps = coefficient<sym::eps>(of);
        auto const out = b.out_of(row);
        for (std::size_t i = 0; i < x.size(); ++i)
          out[i] = static_cast<float>(of_x0 * p.x0[i] + of_eps * p.eps[i]);
      }
    }
  }

 private:
  double input_scale(level const& t) const {
    if constexpr (requires { predicts.input_of(t); })
      return coefficient<sym::x>(lift(predicts.input_of(t)));
    else return 1;
  }
};

/// grad log p(y | x_t) = score(x_t | y) - score(x_t), by Bayes; 0 without a label.
struct exact_classifier {
  gaussian_mixture mixture;
  std::size_t elements;  ///< of a sample
  friend bool operator==(exact_classifier const&, exact_classifier const&) = default;

  void operator()(batch const& b) const {
    std::vector<double> x(b.elements);
    for (std::size_t row = 0; row < b.rows(); ++row) {
      std::ranges::copy(b.x_of(row), x.begin());
      auto const of_label = mixture.score(x, b.level_of(row), b.label_of(row));
      auto const of_all = mixture.score(x, b.level_of(row));
      auto const out = b.out_of(row);
      for (std::size_t i = 0; i < x.size(); ++i)
        out[i] = static_cast<float>(of_label[i] - of_all[i]);
    }
  }
};

inline exact_classifier gaussian_mixture::classifier_gradient() const {
  check();
  return {*this, dimension()};
}

}  // namespace tweedie::networks
