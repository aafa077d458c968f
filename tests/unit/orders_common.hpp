// What the tests of orders share.
//
// The reference knows nothing of the language: for one Gaussian the flow is closed form, (x - alpha
// m) / sqrt(alpha^2 v + sigma^2) is constant along it; for a mixture it is Runge-Kutta's fourth
// order on dx/dt = alpha' x0 + sigma' eps in double. A float's rounding would spoil the fit at 640
// steps, so the plan's own programs and numbers are run in double, and the float run is held to
// them.
#pragma once

#include "laws_common.hpp"

namespace laws {

inline gaussian_mixture const one{{{.mean = {0.4}, .variance = 0.25}}};
inline gaussian_mixture const two{{{.mean = {0.7}, .variance = 0.25, .weight = 1},
                                   {.mean = {-0.6}, .variance = 0.16, .weight = 2}}};

/// Points of the noisy end's distribution.
inline std::vector<double> starts(gaussian_mixture const& m, level const& t) {
  double const mean = t.alpha * m.mean()[0];
  double const std = std::sqrt(t.alpha * t.alpha * m.covariance()[0] + t.sigma * t.sigma);
  std::vector<double> r;
  for (double z : {-1.9, -1.1, -0.4, 0.15, 0.8, 1.6}) r.push_back(mean + std * z);
  return r;
}

inline double exact_flow(double x, level const& t, level const& s) {
  double const m = one.components[0].mean[0], v = one.components[0].variance;
  auto const std = [&](level const& l) { return std::hypot(l.alpha * std::sqrt(v), l.sigma); };
  return s.alpha * m + std(s) / std(t) * (x - t.alpha * m);
}

inline std::vector<double> exact_flow(std::vector<double> const& start, level const& t,
                                      level const& s) {
  std::vector<double> r;
  for (double x : start) r.push_back(exact_flow(x, t, s));
  return r;
}

inline double runge_kutta(any_schedule const& schedule, gaussian_mixture const& m, double x,
                          double from, double to, int steps) {
  auto const slope = [&](double at, double t) {
    level const here = schedule.at(t);
    return answer<predicts::velocity>(m, std::vector{at}, here)[0] / here.steps;
  };
  double const h = (to - from) / steps;
  for (int i = 0; i < steps; ++i) {
    double const t = from + h * i, next = i + 1 == steps ? to : t + h;
    double const a = slope(x, t), b = slope(x + h / 2 * a, t + h / 2);
    double const c = slope(x + h / 2 * b, t + h / 2), d = slope(x + h * c, next);
    x += h / 6 * (a + 2 * b + 2 * c + d);
  }
  return x;
}

/// Where the flow of `one` or `two` takes a start between two times.
inline std::vector<double> ends(any_schedule const& schedule, gaussian_mixture const& m,
                                std::vector<double> const& start, double from, double to) {
  if (&m == &one) return exact_flow(start, schedule.at(from), schedule.at(to));
  std::vector<double> r;
  for (double x : start) r.push_back(runge_kutta(schedule, m, x, from, to, 4000));
  return r;
}

/// The exact network, in double, for samples of one number.
inline auto network_in_double(gaussian_mixture const& m) {
  return [&m](std::vector<double> const& x, level const& t, bool) {
    std::vector<double> r;
    for (double one_x : x) r.push_back(answer<predicts::v>(m, std::vector{one_x}, t)[0]);
    return r;
  };
}

inline grids::custom evenly(double from, double to, int steps) {
  grids::custom g;
  for (int k = 0; k <= steps; ++k)
    g.times.push_back(k == steps ? to : from + (to - from) * k / steps);
  return g;
}

/// The slope of the least squares line through (ln n, -ln error).
inline double fitted_order(std::vector<int> const& n, std::vector<double> const& errors) {
  double mx = 0, my = 0, xy = 0, xx = 0;
  double const count = static_cast<double>(n.size());
  for (std::size_t i = 0; i < n.size(); ++i) {
    mx += std::log(n[i]) / count;
    my -= std::log(errors[i]) / count;
  }
  for (std::size_t i = 0; i < n.size(); ++i) {
    xy += (std::log(n[i]) - mx) * (-std::log(errors[i]) - my);
    xx += (std::log(n[i]) - mx) * (std::log(n[i]) - mx);
  }
  return xy / xx;
}

struct measured {
  double order = 0;         ///< over all steps
  double last_halving = 0;  ///< from the last but one to the last
  double error = 0;         ///< at the most steps
  double of_float = 0;      ///< the largest difference of the float run, up to 320 steps
  double of_640 = 0;        ///< and at 640
};

template <class Sampler>
measured order_of(Sampler sampler, any_schedule const& schedule, gaussian_mixture const& m,
                  double from, double to, std::vector<int> const& steps,
                  std::vector<double> const& start, std::vector<double> const& truth) {
  auto const pipeline =
      schedule | predicts::v{} | sampler | network_function(m.predicting<predicts::v>());
  auto const network = network_in_double(m);
  measured result;
  std::vector<double> errors;
  for (int n : steps) {
    auto const plan = pipeline.plan(evenly(from, to, n), n);
    auto const end = run_in_double(plan, start, network);
    double error = 0;
    for (std::size_t i = 0; i < end.size(); ++i)
      error = std::max(error, std::abs(end[i] - truth[i]));
    errors.push_back(error);

    state s = plan.start({.shape = {start.size(), 1}});
    for (std::size_t i = 0; i < start.size(); ++i)
      s.x.data()[i * s.pitch] = static_cast<float>(start[i]);
    auto const samples = plan.run(s);
    for (std::size_t i = 0; i < end.size(); ++i) {
      double const d = std::abs(static_cast<double>(samples.data[i]) - end[i]);
      double& largest = n > 320 ? result.of_640 : result.of_float;
      if (!(d <= largest)) largest = d;
    }
  }
  result.error = errors.back();
  result.order = fitted_order(steps, errors);
  std::size_t const k = errors.size() - 1;
  result.last_halving = fitted_order({steps[k - 1], steps[k]}, {errors[k - 1], errors[k]});
  return result;
}

inline std::vector<int> const doublings{40, 80, 160, 320, 640};

/// The order of a multistep method, its warm-up of lower order taken in steps so short (h^1.5) that
/// their error is of the method's order.
template <class Sampler>
double multistep_order(Sampler sampler, any_schedule const& schedule, double from, double to) {
  auto const pipeline =
      schedule | predicts::v{} | sampler | network_function(one.predicting<predicts::v>());
  auto const network = network_in_double(one);
  auto const start = starts(one, schedule.at(from));
  std::vector<int> const steps{320, 640, 1280};  // below, the errors of two starts cross
  std::vector<double> errors;
  for (int n : steps) {
    // Brief steps at first, whose order is lower, and then no step much longer than the one before.
    double const h = (from - to) / n;
    double brief = std::pow(h, 1.5), at = from - brief;
    grids::custom g{{from, at}};
    for (; brief < h; brief *= 1.5) g.times.push_back(at -= brief);
    for (int k = n - 1; k >= 0; --k) g.times.push_back(k == 0 ? to : to + (at - to) * k / n);
    auto const end = run_in_double(pipeline.plan(g, 0), start, network);
    double error = 0;
    for (std::size_t i = 0; i < end.size(); ++i)
      error = std::max(error,
                       std::abs(end[i] - exact_flow(start[i], schedule.at(from), schedule.at(to))));
    errors.push_back(error);
  }
  return fitted_order(steps, errors);
}

/// The mean and variance of a sample.
struct moments {
  double mean, variance;
};

/// What a plan makes of N(mean, variance) with the exact network of N(m, v), in closed form and
/// without sampling: the network is affine then, so every value of the loop is a number times 1,
/// the start's normal and each normal drawn since, and the plan's own programs act on these
/// numbers. `at(step, moments)` is called after every step.
template <class P, class Plan, class F>
void propagate(Plan const& plan, double m, double v, moments start, F at) {
  gaussian_mixture const network{{{.mean = {m}, .variance = v}}};
  std::size_t const n = 2 + plan.rows().size();
  values_of_symbols values;
  auto& x = values[sym::x::id];
  x.assign(n, 0);
  x[0] = start.mean;
  x[1] = std::sqrt(start.variance);
  for (std::size_t i = 0; i < plan.rows().size(); ++i) {
    auto const& row = plan.rows()[i];
    double const constant = answer<P>(network, std::vector{0.0}, row.where)[0];
    double const slope = answer<P>(network, std::vector{1.0}, row.where)[0] - constant;
    auto& out = values[sym::out<0>::id] = x;
    for (double& c : out) c *= slope;
    out[0] += constant;
    plan.visit(row, [&]<class Program, class S>(Program p, S, std::span<double const> numbers) {
      static_assert(Program::noises <= 1);
      [&]<class... Z>(list<Z...>) {
        ((values[Z::id].assign(n, 0), values[Z::id][2 + i] = 1), ...);
      }(typename Program::noise_list{});
      for (std::size_t k = 0; k < n; ++k) detail::element_in_double<Program>(p, numbers, values, k);
    });
    for (sym::word w : {sym::word::past_x0, sym::word::past_eps})
      for (int k = 3; k > 0; --k)
        if (values.count({w, k - 1})) values[{w, k}] = values[{w, k - 1}];
    if (i + 1 < plan.rows().size() && plan.rows()[i + 1].step == row.step) continue;
    double variance = 0;
    for (std::size_t k = 1; k < n; ++k) variance += x[k] * x[k];
    at(row.step, moments{x[0], variance});
  }
}

}  // namespace laws
