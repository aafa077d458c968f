// What the tests of the laws share: mixtures, schedules and networks of one type (so that a law
// over all of them is compiled once), and a plan evaluated in double.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <tweedie/guidances/guidance.hpp>
#include <tweedie/networks/gaussian_mixture.hpp>
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/schedules/cosine.hpp>
#include <tweedie/schedules/grids/custom.hpp>
#include <tweedie/schedules/grids/uniform.hpp>
#include <tweedie/schedules/linear.hpp>
#include <tweedie/schedules/rectified_flow.hpp>
#include <tweedie/schedules/scaled_linear.hpp>
#include <tweedie/schedules/variance_exploding.hpp>
#include <tweedie/thresholds/thresholds.hpp>
#include <type_traits>
#include <utility>
#include <vector>

#include "common.hpp"

namespace laws {

using common::contains, common::equal_bits, common::says, common::sentence;

using namespace tweedie;
using networks::gaussian_mixture;

/// A schedule of any type.
struct any_schedule {
  using kind = kinds::schedule;
  std::string called;
  std::function<level(double)> level_at;
  std::function<double(double)> inverse;
  double last;
  int steps;
  level at_clean;

  template <class S>
  any_schedule(S s)
      : called(S::name),
        level_at([s](double t) { return s.at(t); }),
        inverse([s](double rho) { return s.t_of_rho(rho); }),
        last(s.end()),
        steps(s.table_steps()),
        at_clean(s.clean()) {}

  level at(double t) const { return level_at(t); }
  double end() const { return last; }
  int table_steps() const { return steps; }
  double t_of_rho(double rho) const { return inverse(rho); }
  level clean() const { return at_clean; }
};

using network_function = std::function<void(batch const&)>;

/// A network for plans that are looked at and not run.
inline network_function const silent = [](batch const&) {};

inline std::vector<any_schedule> tables() {
  std::vector<any_schedule> r;
  r.emplace_back(schedules::linear{});
  r.emplace_back(schedules::scaled_linear{});
  r.emplace_back(schedules::cosine{});
  return r;
}
inline std::vector<any_schedule> continuous_ones() {
  std::vector<any_schedule> r;
  r.emplace_back(schedules::continuous::linear{});
  r.emplace_back(schedules::continuous::cosine{});
  r.emplace_back(schedules::variance_exploding{});
  r.emplace_back(schedules::rectified_flow{});
  return r;
}
inline std::vector<any_schedule> all_schedules() {
  auto r = tables();
  for (auto const& s : continuous_ones()) r.push_back(s);
  return r;
}

/// N(0, variance I).
inline gaussian_mixture centred(double variance, std::size_t dimension = 1) {
  return {{{.mean = std::vector<double>(dimension), .variance = variance}}};
}

/// Two classes, of two components and of one.
inline gaussian_mixture two_classes(std::size_t dimension) {
  gaussian_mixture m{{{.mean = {}, .variance = 0.09, .weight = 0.5, .label = 0},
                      {.mean = {}, .variance = 0.16, .weight = 1, .label = 1},
                      {.mean = {}, .variance = 0.25, .weight = 0.5, .label = 0}}};
  for (std::size_t i = 0; i < dimension; ++i) {
    double const wave = std::fmod(0.37 * static_cast<double>(i), 1.0);
    m.components[0].mean.push_back(0.6 - 0.3 * wave);
    m.components[1].mean.push_back(-0.5 + 0.4 * wave);
    m.components[2].mean.push_back(0.1 * wave);
  }
  return m;
}

/// What a network that predicts P answers, in double.
template <class P>
std::vector<double> answer(gaussian_mixture const& m, std::span<double const> x, level const& t,
                           int label = no_label) {
  auto const p = m.given(x, t, label);
  std::vector<double> r(x.size());
  for (std::size_t i = 0; i < r.size(); ++i) {
    if constexpr (std::is_same_v<P, predicts::epsilon>) r[i] = p.eps[i];
    else if constexpr (std::is_same_v<P, predicts::x0>) r[i] = p.x0[i];
    else if constexpr (std::is_same_v<P, predicts::score>) r[i] = p.score[i];
    else if constexpr (std::is_same_v<P, predicts::v>)
      r[i] = t.alpha * p.eps[i] - t.sigma * p.x0[i];
    else r[i] = t.steps * (t.dalpha * p.x0[i] + t.dsigma * p.eps[i]);
  }
  return r;
}

/// A sample's values in double, by the symbol that they stand for.
using values_of_symbols = std::map<symbol_id, std::vector<double>>;

namespace detail {

template <class P, class... S> double sum_in_double(list<S...>, double const*& c, double const* v) {
  double r = 0;
  ((r += *c++ * v[P::template slot<S>]), ...);
  return r;
}

template <class P, class Target, class... Sums>
void node_in_double(node<Target, functions::clamp, Sums...>, double const*& c, double* v) {
  double const low = *c++, high = *c++;
  double a = 0;
  ((a = sum_in_double<P>(typename Sums::terms{}, c, v)), ...);
  v[P::template slot<Target>] = a < low ? low : a > high ? high : a;
}

template <class P, class Target, class Sum>
void node_in_double(node<Target, functions::same, Sum>, double const*& c, double* v) {
  v[P::template slot<Target>] = sum_in_double<P>(typename Sum::terms{}, c, v);
}

template <class P, class... R, class... Z, class... N, class... W>
void element_in_double(program<list<R...>, list<Z...>, list<N...>, list<W...>>,
                       std::span<double const> numbers, values_of_symbols& values, std::size_t i) {
  double v[P::values + 1] = {};
  ((v[P::template slot<R>] = values.at(R::id).at(i)), ...);
  ((v[P::template slot<Z>] = values.at(Z::id).at(i)), ...);
  double const* c = numbers.data();
  (node_in_double<P>(N{}, c, v), ...);
  double const results[] = {sum_in_double<P>(typename W::terms{}, c, v)...};
  std::size_t k = 0;
  ((values[W::target::id].resize(values.at(sym::x::id).size()),
    values[W::target::id][i] = results[k++]),
   ...);
}

}  // namespace detail

/// A plan's own programs and numbers run in double, one sample, histories by shifting instead of by
/// a ring. `network(x, level, conditional)` answers in double; noise is the sample's own.
template <class Plan, class Network>
std::vector<double> run_in_double(Plan const& plan, std::vector<double> x, Network const& network,
                                  sample_key key = {}) {
  values_of_symbols values;
  values[sym::x::id] = std::move(x);
  std::size_t const n = values[sym::x::id].size(), groups = (n + 3) / 4;
  std::vector<float> normals(groups * 4);
  for (auto const& row : plan.rows()) {
    for (int b = 0; b < row.branches; ++b)
      values[{sym::word::out, b}] = network(values[sym::x::id], row.where, b == 0);
    plan.visit(row, [&]<class P, class Structure>(P p, Structure, std::span<double const> numbers) {
      [&]<class... Z>(list<Z...>) {
        [[maybe_unused]] auto const draw = [&](symbol_id s, std::uint32_t stream) {
          fill_normals(normals.data(), 0, groups, key, stream);
          values[s].assign(normals.begin(), normals.end());
        };
        (draw(Z::id, Z::stream), ...);
      }(typename P::noise_list{});
      for (std::size_t i = 0; i < n; ++i) detail::element_in_double<P>(p, numbers, values, i);
    });
    for (sym::word w : {sym::word::past_x0, sym::word::past_eps})
      for (int k = 3; k > 0; --k)
        if (values.count({w, k - 1})) values[{w, k}] = values[{w, k - 1}];
    ++key.step;
  }
  return values[sym::x::id];
}

/// How far two numbers of plans are apart: relative to the larger one, or to 1 + |b| where a number
/// may be 0 but for rounding.
inline double relative_difference(double a, double b) {
  double const size = std::max(std::abs(a), std::abs(b));
  return size == 0 ? 0 : std::abs(a - b) / size;
}
inline double mixed_difference(double a, double b) { return std::abs(a - b) / (1 + std::abs(b)); }

template <class A, class B>
inline constexpr bool same_programs =
    std::is_same_v<typename A::code::programs, typename B::code::programs>;

/// Two plans number for number: the largest difference; infinite where one has more of them.
template <class A, class B, class Difference>
double numbers_differ(A const& a, B const& b, Difference difference) {
  double r = a.rows().size() == b.rows().size() ? 0 : INFINITY;
  for (std::size_t i = 0; r < INFINITY && i < a.rows().size(); ++i)
    a.visit(a.rows()[i], [&](auto, auto, std::span<double const> m) {
      b.visit(b.rows()[i], [&](auto, auto, std::span<double const> n) {
        if (m.size() != n.size()) r = INFINITY;
        for (std::size_t k = 0; k < std::min(m.size(), n.size()); ++k) {
          double const d = difference(m[k], n[k]);
          if (!(d <= r)) r = std::isnan(d) ? INFINITY : d;
        }
      });
    });
  return r;
}

inline double largest_difference(std::span<float const> a, std::span<float const> b) {
  double r = a.size() == b.size() ? 0 : INFINITY;
  for (std::size_t i = 0; i < a.size() && i < b.size(); ++i) {
    double const d = std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
    if (!(d <= r)) r = std::isnan(d) ? INFINITY : d;
  }
  return r;
}

}  // namespace laws
