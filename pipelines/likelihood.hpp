// The log-likelihood of samples by the probability-flow ODE: Song et al. 2021 (score SDE), section
// 4.3 and appendix D.2; Grathwohl et al. 2019 (FFJORD).
//
// In the angle theta = atan(sigma / alpha), with r = sqrt(alpha^2 + sigma^2) and z = x / r, the
// flow is regular at both ends, and along it (change of variables, eq. 39)
//
//   dz / dtheta = v / r,  v = alpha eps - sigma x0:      d ln p_z / dtheta = -tr(dv / dx)
//   ln p_u = ln p_z + D ln(alpha / r),  u = x / alpha
//
// The pipeline's sampler, whatever its formula, carries z on the reversed grid from the samples to
// the noise. The trace is asked once at each of the grid's levels, and its integral is that of the
// cubic through neighbouring levels in s = ln tan(theta / 2), dtheta = sin(theta) ds, so that the
// order is the sampler's, up to 4. The noise has the start's density, N(0, r^2 I), or N(0, sigma^2
// I) where alpha = 1.
//
// The clean end. By default the flow begins at the grid's last noisy level, at x = alpha x0, and
// p_u there is taken for the density of the data: that of u = x0 + rho n, n ~ N(0, I), at u = x0,
// which is off by rho^2 (|score|^2 + div score) / 2 nats, with the score of the data. Song et al.
// start at t = 1e-5 likewise. `from_clean` begins at level 0: right for densities that are smooth,
// if the network knows them there, which one trained on noisy samples does not.
//
// The noisy end. Where alpha = 0 nothing is left of x0 in x: the trace is 0 and no network is
// asked.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numbers>
#include <optional>
#include <span>
#include <vector>

#include <fmt/format.h>

#include <tweedie/dsl/language/hooks.hpp>
#include <tweedie/dsl/lowering/typed.hpp>
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/schedules/grids/given.hpp>
#include <tweedie/schedules/grids/in_rho.hpp>

namespace tweedie {

/// What a likelihood asks of a network besides its answer: `vjp(b, probe, result)` writes to each
/// of the b.rows() rows of `result` the transposed Jacobian of that row of b.out in b.x, times the
/// sample's row of `probe` (b.samples rows, which the branches share as they share x). All rows lie
/// b.pitch apart. b.out is left alone.
template <class N>
concept differentiable = requires(N const& n, batch const& b, float const* probe, float* result) {
  n.vjp(b, probe, result);
};

/// How the trace of a network's Jacobian is found, one number for each of the batch's rows.
namespace divergence {

/// All of it: a product with each basis vector, as many as a sample has elements.
struct exact {
  template <class Network>
  void operator()(Network const& network, batch const& b, std::span<sample_key const>,
                  double* trace) const {
    std::fill_n(trace, b.rows(), 0.0);
    std::vector<float> probe(b.samples * b.pitch), result(b.rows() * b.pitch);
    for (std::size_t i = 0; i < b.elements; ++i) {
      for (std::size_t s = 0; s < b.samples; ++s) probe[s * b.pitch + i] = 1;
      network.vjp(b, probe.data(), result.data());
      for (std::size_t s = 0; s < b.samples; ++s) probe[s * b.pitch + i] = 0;
      for (std::size_t r = 0; r < b.rows(); ++r) trace[r] += result[r * b.pitch + i];
    }
  }
};

enum class probes { rademacher, gaussian };

/// E[p^T J p] = tr J for p of mean 0 and covariance I (Hutchinson 1990; Skilling 1989; Song et al.
/// 2021, eq. 40), from `count` probes. Signs have the smaller variance. A sample keeps its probes
/// along its path, so that what a step leaves is not hidden behind what they leave; the likelihood
/// is linear in the traces, so its mean is that with the exact ones.
struct hutchinson {
  int count = 1;
  divergence::probes probes = divergence::probes::rademacher;

  void check() const {
    if (count < 1)
      throw error(
          fmt::format("divergence::hutchinson: {} probes were given, expected one or more", count));
  }
  /// The estimate by probe k alone: a function of the keys and k.
  template <class Network>
  void by_probe(int k, Network const& network, batch const& b, std::span<sample_key const> keys,
                double* trace) const {
    std::vector<float> probe(b.samples * b.pitch), result(b.rows() * b.pitch);
    for (std::size_t s = 0; s < b.samples; ++s) {
      sample_key key = keys[s];
      key.step = key.step * static_cast<std::uint32_t>(count) + static_cast<std::uint32_t>(k);
      float* const row = probe.data() + s * b.pitch;
      fill_normals(row, 0, b.pitch / 4, key, probe_stream);
      if (probes == divergence::probes::rademacher)
        for (std::size_t i = 0; i < b.pitch; ++i) row[i] = std::signbit(row[i]) ? -1.0f : 1.0f;
    }
    network.vjp(b, probe.data(), result.data());
    for (std::size_t r = 0; r < b.rows(); ++r) {
      trace[r] = 0;
      for (std::size_t i = 0; i < b.elements; ++i)
        trace[r] +=
            static_cast<double>(probe[r % b.samples * b.pitch + i]) * result[r * b.pitch + i];
    }
  }
};

}  // namespace divergence

struct likelihood_options {
  bool from_clean = false;     ///< begin at level 0 instead of the grid's last noisy level
  std::uint64_t seed = 0;      ///< of the probes
  std::uint64_t first_id = 0;  ///< sample i has the id first_id + i
  std::uint32_t draw = 0;      ///< another one has other probes
};

/// How many steps: from `first` on twice as many, until they leave less than the tolerance of each
/// sample's likelihood, as far as its changes show. The levels are even in asinh(alpha / sigma) =
/// -ln tan(theta / 2).
struct likelihood_steps {
  double tolerance = 0.01;  ///< in bits per dimension
  int first = 5, most = 1280;
  int exactly = 0;  ///< where it is not 0: this many, whatever the tolerance
  /// In rho; by default the schedule's smallest and, at most, 80: beyond it data can no longer be
  /// told from noise.
  std::optional<double> sigma_min = {}, sigma_max = {};

  void check() const {
    if (!(tolerance > 0))
      throw error(fmt::format(
          "a likelihood: a tolerance of {} bits per dimension was given, expected one above 0",
          tolerance));
    if (exactly != 0 && exactly < 4)
      throw error(fmt::format(
          "a likelihood: {} steps were asked for, expected four or more, which are compared with "
          "half and a quarter as many",
          exactly));
    if (first < 1 || most / 4 < first)
      throw error(
          fmt::format("a likelihood: from {} to {} steps were asked for, expected one or more, and "
                      "at most four times as many or more",
                      first, most));
  }
};

/// What a likelihood comes to, in nats, one number a sample.
struct likelihood_estimate {
  std::vector<double> nats;
  std::vector<double> of_steps;   ///< what its steps may leave, from two runs with fewer
  std::vector<double> of_probes;  ///< standard error of its probes; NaN of one, 0 of exact traces
  int steps = 0;                  ///< that were needed
};

/// ln(density) in nats -> bits for each of `elements` values that were put into bins: -log2 of the
/// bin's probability, density times the volume of a bin. By default the bins of 256 values on [-1,
/// 1], of width 2 / 255 (Ho et al. 2020, eq. 13); the values are to be spread evenly over their
/// bins, see `dequantized` (Theis et al. 2016).
inline double bits_per_dimension(double nats, std::size_t elements, double bin = 2.0 / 255) {
  return -(nats / static_cast<double>(elements) + std::log(bin)) / std::numbers::ln2;
}

/// Whether all values are among the 256 of pictures, -1 + 2 k / 255.
inline bool is_quantized(images const& pictures) {
  return std::ranges::all_of(pictures.data, [](float a) {
    double const k = (static_cast<double>(a) + 1) * 127.5;
    return k > -0.5 && k < 255.5 && std::abs(k - std::round(k)) < 1e-3;
  });
}

/// Pictures of 256 values spread evenly over their bins (uniform dequantization, Theis et al.
/// 2016): x + (u - 1 / 2) 2 / 255. The mean likelihood over u is a bound for that of the 256
/// values. u is a function of the seed, the sample's id and `draw`.
inline images dequantized(images pictures, likelihood_options const& of = {}) {
  std::size_t const n = pictures.count() ? pictures.data.size() / pictures.count() : 0;
  for (std::size_t i = 0; i < pictures.data.size(); ++i) {
    sample_key const key{.seed = of.seed, .id = of.first_id + i / n, .step = of.draw};
    double const u = uniform(key, dequantization_stream, static_cast<std::uint32_t>(i % n));
    pictures.data[i] =
        static_cast<float>(static_cast<double>(pictures.data[i]) + (u - 0.5) * 2 / 255);
  }
  return pictures;
}

namespace detail {

/// The factors of x and of the network's outputs in v = alpha eps - sigma x0.
struct slope_factors {
  double of_x = 0, of_output[20] = {};
};
template <class Stages, bool Guided> slope_factors slope_over_outputs(Stages const& s, level t) {
  lowering::ir p;
  auto const of = lowering::said_by_types<Stages>{&s, nullptr}.formulas(p, t, false);
  lowering::answers a{of};
  a.raw = [&] {
    if constexpr (Guided) return substitute(p, a, put(p, s.guidance.raw_of(t)));
    else return put(p, sym::out<0>{});
  }();
  auto const v = put(p, t.alpha * lift(s.predicts.eps_of(t)) - t.sigma * lift(s.predicts.x0_of(t)));
  auto const slope = substitute(p, a, v);
  slope_factors r;
  for (int i = slope.first; i < slope.end; ++i)
    if (p.terms[i].symbol == sym::x::id) r.of_x += p.terms[i].c;
    else r.of_output[p.terms[i].symbol.index] += p.terms[i].c;
  return r;
}

/// tr(dv / dx) of each sample from the traces of the network's rows; `seen` is what the network
/// sees for each unit of x.
template <bool Guided, class Stages>
void trace_of_slope(Stages const& stages, batch const& b, level t, double seen,
                    std::span<double const> rows, double* of_samples) {
  auto const slope = slope_over_outputs<Stages, Guided>(stages, t);
  double const of_x = slope.of_x * static_cast<double>(b.elements);
  constexpr int branches = Guided ? decltype(Stages::guidance)::branches : 1;
  for (std::size_t i = 0; i < b.samples; ++i) {
    of_samples[i] = of_x;
    [&]<int... B>(std::integer_sequence<int, B...>) {
      ((of_samples[i] +=
        slope.of_output[B] * seen * rows[static_cast<std::size_t>(B) * b.samples + i]),
       ...);
    }
    (std::make_integer_sequence<int, branches>{});
  }
}

template <class Guidance> constexpr bool mixes_linearly() {
  if constexpr (guides_raw<Guidance> && !guides_x0<Guidance> && !guides_eps<Guidance> &&
                !remembers<Guidance> && extras_of<Guidance>() == 0)
    return linear<decltype(std::declval<Guidance const&>().raw_of(level{}))>;
  else return false;
}

/// Whether a likelihood is defined for a pipeline; where it is not, one sentence.
template <class Pipeline> constexpr bool has_likelihood() {
  if constexpr (Pipeline::fits()) {
    using stages = decltype(std::declval<Pipeline const&>().stage_set());
    constexpr bool straight = Pipeline::is_deterministic;
    static_assert(straight,
                  "a likelihood follows the deterministic flow, this sampler draws noise: write "
                  "samplers::heun{}, or another that draws none");
    if constexpr (straight) {
      constexpr bool whole = std::is_same_v<decltype(stages::threshold), no_threshold>;
      static_assert(whole, "a likelihood needs a flow that can be inverted: remove the threshold");
      constexpr bool mixes = mixes_linearly<decltype(stages::guidance)>();
      static_assert(mixes,
                    "a likelihood needs a guidance that mixes the network's outputs linearly, as "
                    "guidance::none or guidance::classifier_free does");
      constexpr bool plain = stages::buffers::plain;
      static_assert(plain, "a likelihood needs a network whose buffers are float32");
      constexpr bool has_vjp = differentiable<decltype(std::declval<Pipeline const&>().network())>;
      static_assert(has_vjp,
                    "a likelihood needs the network's Jacobian: give the network a member "
                    "vjp(batch const&, float const* probe, float* result)");
      return whole && mixes && plain && has_vjp;
    }
  }
  return false;
}

/// The levels that a likelihood passes, from clean to noisy.
inline std::vector<level> likelihood_levels(std::vector<level> levels, bool from_clean) {
  std::ranges::reverse(levels);
  if (!from_clean && !levels.empty() && levels.front().sigma == 0) levels.erase(levels.begin());
  if (levels.size() < 2)
    throw error(fmt::format("a likelihood: the grid has {} level(s) to pass, expected two or more",
                            levels.size()));
  for (std::size_t k = 1; k < levels.size(); ++k)
    if (!(levels[k].theta() > levels[k - 1].theta()))
      throw error(
          fmt::format("a likelihood: the grid goes from t = {} to t = {}, where there is no more "
                      "noise; expected "
                      "levels that each have less noise than the one before",
                      levels[k].t, levels[k - 1].t));
  return levels;
}

/// n steps even in asinh(alpha / sigma), and the clean level.
template <schedule S>
std::vector<level> even_in_asinh(S const& schedule, int n, likelihood_steps const& of) {
  double const end = schedule.at(schedule.end()).rho();
  auto const [low, high] = grids::range_of_rho("a likelihood", schedule, of.sigma_min,
                                               of.sigma_max ? *of.sigma_max : std::min(end, 80.0));
  double const a = std::asinh(1 / high), b = std::asinh(1 / low);
  return grids::in_rho(schedule, n + 1, low, high,
                       [=](double share) { return 1 / std::sinh(a + share * (b - a)); });
}

/// w with sum_k w_k f_k = the integral over theta of the piecewise cubic, in s = ln tan(theta / 2),
/// through f_k at the levels; by the trapezoidal rule in theta next to a level with sigma = 0.
inline std::vector<double> weights_of_integral(std::vector<level> const& levels) {
  std::size_t const n = levels.size(), first = levels.front().sigma == 0;
  std::vector<double> s(n), slope(n), w(n);  // slope: dtheta / ds
  for (std::size_t k = first; k < n; ++k) {
    s[k] = -std::asinh(levels[k].alpha / levels[k].sigma);
    slope[k] = levels[k].sigma / levels[k].scale();
  }
  if (first) w[0] = w[1] = levels[1].theta() / 2;
  for (std::size_t k = first; k + 1 < n; ++k) {
    std::size_t const most = n - first > 4 ? n - 4 : first;
    std::size_t const low = std::min(k > first ? k - 1 : first, most), high = std::min(low + 4, n);
    double const h = (s[k + 1] - s[k]) / 2;
    for (double const point : {-1 / std::numbers::sqrt3, 1 / std::numbers::sqrt3})  // Gauss
      for (std::size_t j = low; j < high; ++j) {
        double basis = 1;
        for (std::size_t i = low; i < high; ++i)
          if (i != j) basis *= (s[k] + h * (1 + point) - s[i]) / (s[j] - s[i]);
        w[j] += h * basis * slope[j];
      }
  }
  return w;
}

template <class Divergence> inline constexpr bool has_probes = requires(Divergence const& d) {
  int{d.count};
};

/// What steps may leave of a likelihood, from the change since half as many and the change before
/// that: where changes shrink by q the rest is q / (1 - q) of the last. Twice that, and no less
/// than the change itself; eight times the change of one that hardly shrinks.
inline double left_by_steps(double change, double change_before) {
  change = std::max(change, change_before / 4);  // small by chance
  if (change == 0) return 0;
  double const q = std::min(change / change_before, 0.8);
  return change * std::max(1.0, 2 * q / (1 - q));
}

/// The levels are those of one plan, from clean to noisy.
template <class Pipeline, class Divergence>
likelihood_estimate likelihood_on(Pipeline const& p, images const& clean,
                                  std::vector<level> const& levels, conditions const& given,
                                  Divergence const& divergence, likelihood_options const& options) {
  check_pure_noise(levels.back(), "a likelihood's normal distribution of noise");
  auto const stages = p.stage_set();
  using guidance = decltype(stages.guidance);
  auto const flow = p.plan(grids::given{levels}, 0);
  images start = clean;  // u = x / alpha is that of the samples
  for (float& a : start.data) a = static_cast<float>(levels.front().alpha * static_cast<double>(a));
  state s = flow.start_at(start, {.seed = options.seed, .first_id = options.first_id}, given);

  std::size_t probes = 1;
  if constexpr (has_probes<Divergence>) probes = static_cast<std::size_t>(divergence.count);
  std::vector<sample_key> keys = s.keys;
  for (sample_key& key : keys) key.step = options.draw;
  std::vector<double> integrals(probes * s.samples), traces, of_slope(s.samples);
  std::vector<float> scaled;
  auto const add_trace = [&](level t, double weight) {
    bool guided = true;
    if constexpr (can_be_off<guidance>) guided = stages.guidance.on(t);
    std::vector<level> const seen_levels(s.samples, t);
    batch b = flow.batch_of(flow.rows().front(), s, seen_levels);
    b.branches = guided ? static_cast<std::size_t>(guidance::branches) : 1;
    double seen = 1;
    if constexpr (requires { stages.predicts.input_of(t); }) {
      seen = coefficient<sym::x>(lift(stages.predicts.input_of(t)));
      scaled.resize(s.samples * s.pitch);
      for (std::size_t i = 0; i < scaled.size(); ++i)
        scaled[i] = static_cast<float>(seen * static_cast<double>(s.x.data()[i]));
      b.x = scaled.data();
    } else b.x = s.x.data();
    b.input = b.x;
    traces.resize(b.rows());
    for (std::size_t k = 0; k < probes; ++k) {
      if constexpr (has_probes<Divergence>)
        divergence.by_probe(static_cast<int>(k), flow.network(), b, keys, traces.data());
      else divergence(flow.network(), b, keys, traces.data());
      if (guided) trace_of_slope<true>(stages, b, t, seen, traces, of_slope.data());
      else trace_of_slope<false>(stages, b, t, seen, traces, of_slope.data());
      for (std::size_t i = 0; i < s.samples; ++i)
        integrals[k * s.samples + i] += weight * of_slope[i];
    }
  };
  auto const weights = weights_of_integral(levels);
  for (std::size_t k = 0; k < levels.size(); ++k) {
    if (levels[k].alpha != 0) add_trace(levels[k], weights[k]);
    if (!flow.finished(s)) flow.advance(s);
  }

  level const end = levels.back();
  double const deviation = end.prior_deviation(), dimensions = static_cast<double>(s.elements);
  double const of_scales = std::log(end.scale() / deviation) +
                           std::log(levels.front().alpha / levels.front().scale()) -
                           std::log(2 * std::numbers::pi) / 2;
  likelihood_estimate r{.nats = std::vector<double>(s.samples),
                        .of_steps = {},
                        .of_probes = std::vector<double>(s.samples),
                        .steps = static_cast<int>(levels.size()) - 1};
  for (std::size_t i = 0; i < s.samples; ++i) {
    double squares = 0, sum = 0, deviations = 0;
    for (std::size_t j = 0; j < s.elements; ++j) {
      double const z = s.x.data()[i * s.pitch + j] / deviation;
      squares += z * z;
    }
    auto const count = static_cast<double>(probes);
    for (std::size_t k = 0; k < probes; ++k) sum += integrals[k * s.samples + i];
    for (std::size_t k = 0; k < probes; ++k)
      deviations += std::pow(integrals[k * s.samples + i] - sum / count, 2);
    r.nats[i] = dimensions * of_scales - squares / 2 + sum / count;
    if constexpr (has_probes<Divergence>)
      r.of_probes[i] = probes > 1 ? std::sqrt(deviations / (count * (count - 1)))
                                  : std::numeric_limits<double>::quiet_NaN();
  }
  return r;
}

}  // namespace detail

/// ln p(x0) in nats for each of the samples `clean`, on a grid of `evaluations` levels, with the
/// pipeline's own sampler. Throws tweedie::error where the samples, labels or grid do not fit.
/// Whether the steps are enough is not asked: see likelihood_steps.
template <class... Stages, class Grid, class Divergence = divergence::exact>
std::vector<double> log_likelihood(pipeline<Stages...> const& p, images const& clean,
                                   Grid const& grid, int evaluations,
                                   conditions const& given = {labels{no_label}},
                                   Divergence const& divergence = {},
                                   likelihood_options const& options = {}) {
  if constexpr (detail::has_likelihood<pipeline<Stages...>>()) {
    detail::call_check(divergence);
    auto const levels = detail::likelihood_levels(grid.levels(p.stage_set().schedule, evaluations),
                                                  options.from_clean);
    return detail::likelihood_on(p, clean, levels, given, divergence, options).nats;
  } else return {};
}

/// The same with as many steps as it needs, and what they and the probes may leave. Throws
/// tweedie::error where `most` are too few.
template <class... Stages, class Divergence = divergence::exact>
likelihood_estimate log_likelihood(pipeline<Stages...> const& p, images const& clean,
                                   likelihood_steps const& steps = {},
                                   conditions const& given = {labels{no_label}},
                                   Divergence const& divergence = {},
                                   likelihood_options const& options = {}) {
  if constexpr (detail::has_likelihood<pipeline<Stages...>>()) {
    detail::call_check(divergence);
    steps.check();
    auto const with = [&](int n) {
      auto const levels = detail::likelihood_levels(
          detail::even_in_asinh(p.stage_set().schedule, n, steps), options.from_clean);
      return detail::likelihood_on(p, clean, levels, given, divergence, options);
    };
    double const bits =
        std::numbers::ln2 * static_cast<double>(clean.count() ? clean[0].size() : 1);
    std::vector<double> before, change_before;
    for (int k = 0;; ++k) {
      int const n = !steps.exactly ? steps.first << k
                    : k == 0       ? (steps.exactly + 3) / 4
                    : k == 1       ? (steps.exactly + 1) / 2
                                   : steps.exactly;
      likelihood_estimate r = with(n);
      std::vector<double> change;
      for (std::size_t i = 0; i < before.size(); ++i) {
        change.push_back(std::abs(r.nats[i] - before[i]));
        if (!std::isfinite(change[i]))
          throw error(fmt::format(
              "a likelihood: that of sample {} is {} by {} steps and {} by fewer, expected numbers",
              i, r.nats[i], n, before[i]));
      }
      if (k >= 2) {
        double largest = 0;
        for (std::size_t i = 0; i < change.size(); ++i) {
          r.of_steps.push_back(detail::left_by_steps(change[i], change_before[i]));
          largest = std::max(largest, r.of_steps[i] / bits);
        }
        if (steps.exactly || largest <= steps.tolerance) return r;
        if (n > steps.most / 2)
          throw error(fmt::format(
              "a likelihood: {} steps may leave {:.2g} bits per dimension, expected {} or less; "
              "allow more steps or a larger tolerance",
              n, largest, steps.tolerance));
      }
      before = std::move(r.nats);
      change_before = std::move(change);
    }
  } else return {};
}

}  // namespace tweedie
