// The log-likelihood of samples by the probability-flow ODE: Song et al. 2021 (score SDE), section
// 4.3 and appendix D.2; Grathwohl et al. 2019 (FFJORD).
//
//   u = x / alpha, rho = sigma / alpha:      du / drho = eps
//   along it (change of variables, eq. 39):  d ln p_u / drho = -div_u eps = -alpha tr(d eps / dx)
//   ln p_x = ln p_u - D ln alpha
//
// At large rho that is -D / rho, whatever the data, which no method follows over a step that
// doubles rho. So L is the change of the density of x / sqrt(alpha^2 + sigma^2) instead, ln p_u +
// D / 2 ln(1 + rho^2), whose derivative
//
//   E = -alpha tr(d eps / dx) + D rho / (1 + rho^2)
//
// falls as 1 / rho^3. A sampler's formulas are linear in x and eps, with the same numbers for any
// function of rho: L is one more state, the same sampler on one element a sample, whose x is alpha
// L and whose eps is E. Both run on the reversed grid, from the samples to the noise, where the
// density is the start's: N(0, I), or N(0, sigma^2 I) where alpha = 1.
//
// The clean end. By default the flow begins at the grid's last noisy level, at x = alpha x0, and
// p_u there is taken for the density of the data: that of u = x0 + rho n, n ~ N(0, I), at u = x0,
// which is off by rho^2 (|score|^2 + div score) / 2 nats of the data's own score. Song et al. start
// at t = 1e-5 likewise. `from_clean` begins at level 0: right for densities that are smooth, if the
// network knows them there, which one trained on noisy samples does not.
//
// The noisy end, where alpha may be 0 and rho infinite. In y = x / sigma and w = alpha / sigma the
// flow is dy / dw = x0, d ln p_y / dw = -sigma tr(d x0 / dx), and at w = 0 x0 is the data's mean
// and the trace 0: so ln p_y changes by (D - sigma tr(d eps / dx)) / 2 over the last step, to
// second order in w.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>
#include <span>
#include <vector>

#include <fmt/format.h>

#include <tweedie/dsl/collapse.hpp>
#include <tweedie/dsl/fuse.hpp>
#include <tweedie/networks/predicts.hpp>
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/schedules/grids/given.hpp>

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
/// 2021, eq. 40), from `count` probes, drawn anew at each evaluation. Signs have the smaller
/// variance. The likelihood is linear in the traces, so its mean is that with the exact ones.
struct hutchinson {
  int count = 1;
  divergence::probes probes = divergence::probes::rademacher;

  void check() const {
    if (count < 1)
      throw error(
          fmt::format("divergence::hutchinson: {} probes were given, expected one or more", count));
  }
  /// The keys' step is the evaluation's index.
  template <class Network>
  void operator()(Network const& network, batch const& b, std::span<sample_key const> keys,
                  double* trace) const {
    std::fill_n(trace, b.rows(), 0.0);
    std::vector<float> probe(b.samples * b.pitch), result(b.rows() * b.pitch);
    for (int k = 0; k < count; ++k) {
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
        double sum = 0;
        for (std::size_t i = 0; i < b.elements; ++i)
          sum += static_cast<double>(probe[r % b.samples * b.pitch + i]) * result[r * b.pitch + i];
        trace[r] += sum / count;
      }
    }
  }
};

}  // namespace divergence

struct likelihood_options {
  bool from_clean = false;     ///< begin at level 0 instead of the grid's last noisy level
  std::uint64_t seed = 0;      ///< of the probes
  std::uint64_t first_id = 0;  ///< sample i has the id first_id + i
};

/// ln(density) in nats -> bits for each of `elements` values that were put into bins: -log2 of the
/// bin's probability, density times the volume of a bin. By default 256 bins on [-1, 1], of width 1
/// / 128, the values spread evenly over their bins (Theis et al. 2016; Song et al. 2021, whose
/// offset is 7 bits); the discretized Gaussian of Ho et al. 2020, eq. 13, has bins of 2 / 255.
inline double bits_per_dimension(double nats, std::size_t elements, double bin = 1.0 / 128) {
  return -(nats / static_cast<double>(elements) + std::log(bin)) / std::numbers::ln2;
}

namespace detail {

/// The form of eps over x and the network's outputs.
template <class Stages, bool Guided> auto eps_over_outputs(Stages const& s, level t) {
  auto const raw = [&] {
    if constexpr (Guided) return lift(s.guidance.raw_of(t));
    else return lift(sym::out<0>{});
  }();
  return substitute(make_answers(t, raw, form<>{}, form<>{}), lift(s.predicts.eps_of(t)));
}

/// tr(d eps / dx) of each sample from the traces of the network's rows.
template <class Stages, bool Guided>
void trace_of_eps(Stages const& stages, batch const& b, level t, std::vector<double> const& rows,
                  std::vector<double>& of_samples) {
  auto const eps = eps_over_outputs<Stages, Guided>(stages, t);
  double seen = 1;  // what the network sees for each unit of x
  if constexpr (requires { stages.predicts.input_of(t); })
    seen = coefficient<sym::x>(lift(stages.predicts.input_of(t)));
  double const of_x = coefficient<sym::x>(eps) * static_cast<double>(b.elements);
  constexpr int branches = Guided ? decltype(Stages::guidance)::branches : 1;
  for (std::size_t i = 0; i < b.samples; ++i) {
    of_samples[i] = of_x;
    [&]<int... B>(std::integer_sequence<int, B...>) {
      ((of_samples[i] +=
        coefficient<sym::out<B>>(eps) * seen * rows[static_cast<std::size_t>(B) * b.samples + i]),
       ...);
    }
    (std::make_integer_sequence<int, branches>{});
  }
}

/// The state of the change of ln p_u is moved by a plan whose network is the trace.
struct no_network {
  using kind = kinds::network;
  void operator()(batch const&) const {}
};

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
template <class Schedule, class Grid>
std::vector<level> likelihood_levels(Schedule const& schedule, Grid const& grid, int evaluations,
                                     bool from_clean) {
  auto levels = grid.levels(schedule, evaluations);
  std::ranges::reverse(levels);
  if (!from_clean && levels.front().sigma == 0) levels.erase(levels.begin());
  auto const finite = std::ranges::count_if(levels, [](level const& t) { return t.alpha != 0; });
  if (finite < 2)
    throw error(fmt::format(
        "a likelihood: the grid has {} level(s) with alpha > 0 to pass, expected two or more",
        finite));
  return levels;
}

}  // namespace detail

/// ln p(x0) in nats for each of the samples `clean`, on a grid of `evaluations` levels, with the
/// pipeline's own sampler. Throws tweedie::error where the samples, labels or grid do not fit.
template <class... Stages, class Grid, class Divergence = divergence::exact>
std::vector<double> log_likelihood(pipeline<Stages...> const& p, images const& clean,
                                   Grid const& grid, int evaluations,
                                   conditions const& given = {labels{no_label}},
                                   Divergence const& divergence = {},
                                   likelihood_options const& options = {}) {
  if constexpr (detail::has_likelihood<pipeline<Stages...>>()) {
    if constexpr (requires { divergence.check(); }) divergence.check();
    auto const stages = p.stage_set();
    using stage_types = std::remove_const_t<decltype(stages)>;
    auto levels = detail::likelihood_levels(stages.schedule, grid, evaluations, options.from_clean);
    auto const flow = p.plan(grids::given{levels}, 0);
    bool const to_infinity = levels.back().alpha == 0;
    if (to_infinity) levels.pop_back();
    auto const change =
        (stages.schedule | predicts::epsilon{} | stages.sampler | detail::no_network{})
            .plan(grids::given{levels}, 0);

    images start = clean;  // u = x / alpha is that of the samples
    for (float& a : start.data)
      a = static_cast<float>(levels.front().alpha * static_cast<double>(a));
    state s = flow.start_at(start, {.seed = options.seed, .first_id = options.first_id}, given);
    state l = change.start_at({{s.samples, 1}, std::vector<float>(s.samples)}, {});

    double const dimensions = static_cast<double>(s.elements);
    std::vector<level> seen(s.samples);
    std::vector<double> traces, of_eps(s.samples), over_infinity(s.samples);
    bool infinity_seen = false;
    for (std::size_t i = 0; i < flow.rows().size(); ++i) {
      auto const& row = flow.rows()[i];
      std::ranges::fill(seen, row.where);
      flow.evaluate(row, s, seen, flow.network());
      if (i < change.rows().size() || !infinity_seen) {
        batch const b = flow.batch_of(row, s, seen);
        traces.resize(b.rows());
        divergence(flow.network(), b, s.keys, traces.data());
        bool guided = true;
        if constexpr (detail::can_be_off<decltype(stages.guidance)>)
          guided = stages.guidance.on(row.where);
        if (guided) detail::trace_of_eps<stage_types, true>(stages, b, row.where, traces, of_eps);
        else detail::trace_of_eps<stage_types, false>(stages, b, row.where, traces, of_eps);
        if (i < change.rows().size()) {
          double const rho = row.where.rho();
          for (std::size_t k = 0; k < s.samples; ++k)
            l.out.data()[k * l.pitch] = static_cast<float>(dimensions * rho / (1 + rho * rho) -
                                                           row.where.alpha * of_eps[k]);
          change.apply(change.rows()[i], l);
        } else {
          infinity_seen = true;
          for (std::size_t k = 0; k < s.samples; ++k)
            over_infinity[k] = (dimensions - row.where.sigma * of_eps[k]) / 2;
        }
      }
      flow.apply(row, s);
    }

    // The density of x / sqrt(alpha^2 + sigma^2) at the last finite rho, from the start's.
    level const last = levels.back(), end = flow.levels().back();
    double const deviation = end.alpha == 1 ? end.sigma : 1;
    std::vector<double> result(s.samples);
    for (std::size_t k = 0; k < s.samples; ++k) {
      double squares = 0;
      for (std::size_t i = 0; i < s.elements; ++i) {
        double const z = s.x.data()[k * s.pitch + i] / deviation;
        squares += z * z;
      }
      double const of_noise =
          -squares / 2 - dimensions * std::log(deviation * std::sqrt(2 * std::numbers::pi));
      double const of_last =
          to_infinity ? of_noise - over_infinity[k] +
                            dimensions * (std::log(end.sigma) +
                                          std::log1p(1 / (last.rho() * last.rho())) / 2)
                      : of_noise + dimensions * std::log(std::hypot(end.alpha, end.sigma));
      result[k] = of_last - static_cast<double>(l.x.data()[k * l.pitch]) / last.alpha -
                  dimensions / 2 * std::log1p(levels.front().rho() * levels.front().rho());
    }
    return result;
  } else return {};
}

}  // namespace tweedie
