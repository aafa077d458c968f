// Adaptive steps by embedded Runge-Kutta pairs: Bogacki & Shampine 1989; Dormand & Prince 1980.
//
// The flow in the angle theta = atan(sigma / alpha), y = x / n, n = sqrt(alpha^2 + sigma^2):
//
//   dy / dtheta = (alpha eps - sigma x0) / n
//
// which is du / drho = eps in other words (Salimans & Ho 2022, appendix D), but bounded: theta lies
// in [0, pi / 2], y and its slope are of the data's size, and alpha = 0 is a level as any other. A
// schedule matters by its two ends alone.
//
//   y_i = y + h sum_{j < i} a_ij k_j,   e = h sum_i (b_i - b_low_i) k_i
//   error = |e| / sqrt(D) / |h| * (theta_T - theta_0) / tolerance, a step is taken where it is <= 1
//
// That is error per unit step: what all steps leave adds up to the tolerance at most, the root mean
// square over a sample of the error in y, or, at the end, in x, if the flow does not spread it. The
// solution of the higher order goes on. The next step is that of the PI controller of Hairer &
// Wanner (Solving Ordinary Differential Equations II, section IV.2; Gustafsson 1991), at most twice
// as long as the last and an eighth of the whole: an estimate may vanish by chance.
//
// Every sample has its own theta, step and error, so that it has the bits that it has alone; one
// that is done leaves the batch. From the schedule's noisy end (or sigma_max) to its smallest noisy
// level, as of grids::exponential (or sigma_min), then x = x0, without another evaluation. The host
// reads the errors: the loop can't be captured as a graph, and its type says so.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include <tweedie/dsl/base/error.hpp>
#include <tweedie/dsl/base/same.hpp>
#include <tweedie/dsl/device/for_each_sample.hpp>
#include <tweedie/dsl/device/launch.hpp>
#include <tweedie/dsl/kernel/reduce.hpp>
#include <tweedie/dsl/language/hooks.hpp>
#include <tweedie/pipelines/evaluation.hpp>
#include <tweedie/pipelines/state_layout.hpp>
#include <tweedie/samplers/tableaux.hpp>
#include <tweedie/schedules/check.hpp>
#include <tweedie/schedules/grids/in_rho.hpp>

namespace tweedie {

/// What adaptive steps come to: evaluations of the network and rejected steps of each sample.
struct adaptive_result {
  images samples;
  std::vector<int> evaluations, rejected;
};

namespace detail {

/// A state with a number a row for blend: 1 where the last step is taken.
struct adaptive_state : state {
  using state::pointer;
  buffer accepted;
  float* pointer(sym::per_sample<0>) { return accepted.data(); }
};

/// Where a sample is, in double.
struct own_step {
  std::size_t index = 0;  ///< in the request
  level at, next;         ///< where it is, and where its step ends
  double theta = 0, h = 0;
  double last_error = 1e-4;
  bool accepted = true, rejected_before = false, final = false;
};

template <class Stages> constexpr bool can_be_adaptive() {
  using guidance = decltype(Stages::guidance);
  constexpr bool steady = !can_be_off<guidance> && !remembers<guidance>;
  static_assert(steady,
                "adaptive steps need a guidance that is the same at each level: no "
                "guidance::within, and none that remembers");
  constexpr bool plain = Stages::buffers::plain;
  static_assert(plain, "adaptive steps need a network whose buffers are float32");
  return steady && plain;
}

/// One sampling by adaptive steps.
template <class Tableau, class Stages, class Network> class adaptive_loop {
 public:
  static constexpr int stages = Tableau::stages;
  static constexpr double safety = 0.9, least = 0.2, most = 2;
  static constexpr double longest = 1. / 8, shortest = 1e-6;  // of the whole

  adaptive_loop(Stages const& of, Network const& net, level first, level last, double tolerance,
                int most_evaluations)
      : stages_(of),
        network_(net),
        first_(first),
        last_(last),
        from_(first.theta()),
        to_(last.theta()),
        tolerance_(tolerance),
        most_evaluations_(most_evaluations) {}

  adaptive_result run(request const& r, conditions const& given) {
    start(r, given);
    adaptive_result result{take(s_), std::vector<int>(s_.samples), std::vector<int>(s_.samples)};
    result_ = &result;
    each_slope(first_, [&](own_step const&, level t) { return first_slope(t); });
    while (s_.samples > 0) {
      attempt();
      decide();
      leave();
      if (r.progress) r.progress(result.evaluations.size() - s_.samples, result.evaluations.size());
    }
    return result;
  }

 private:
  static constexpr int base = stages, error_of = stages + 1;  // keep<base> is y, keep<error_of> e
  double whole() const { return from_ - to_; }

  level level_at(double theta) const {
    if (theta >= from_) return first_;
    if (theta <= to_) return last_;
    return stages_.schedule.at(stages_.schedule.t_of_rho(std::tan(theta)));
  }

  static state_layout layout() {
    using guidance = decltype(Stages::guidance);
    return {.branches = static_cast<std::size_t>(guidance::branches),
            .extras = static_cast<std::size_t>(extras_of<guidance>()),
            .conditions = static_cast<std::size_t>(conditions_of<guidance>()),
            .keeps = stages + 2,
            .inputs = scales_input<decltype(Stages::predicts)>};
  }

  void start(request const& r, conditions const& given) {
    using namespace symbols;
    using guidance = decltype(Stages::guidance);
    static_cast<state&>(s_) = layout().make(r, given, {}, [&](auto shape, auto all, auto arrays) {
      check_request(network_, shape, all, guidance::branches);
      check_arrays(network_, arrays,
                   static_cast<int>(guidance::branches) - conditions_of<guidance>());
    });
    s_.accepted = buffer(s_.samples);
    double const scale = first_.prior_deviation();
    auto const begin = [&](auto const& value) {
      each([&](own_step const&) { return seen(std::tuple{x = value}, first_); });
    };
    for (std::size_t i = 0; i < s_.samples; ++i) {
      own_.push_back({.index = i, .at = first_, .next = first_, .theta = from_});
      own_.back().h = longest * whole();
    }
    if constexpr (!std::is_same_v<decltype(Stages::noise), drawn_noise>) {
      stages_.noise(s_.ask_noise(start_stream, s_.x));
      begin(scale * x);
    } else begin(scale * noise_stream<start_stream>);
  }

  // Statements of each row.

  static auto slope(level t) {  // dy / dtheta
    using namespace symbols;
    return v / t.scale();
  }
  static auto first_slope(level t) {
    using namespace symbols;
    return std::tuple{keep<stages - 1> = slope(t)};
  }
  template <int I, int J> static auto weighed(level t) {
    using namespace symbols;
    constexpr double weight = [] {
      if constexpr (I == stages) return tableaux::error_weight<Tableau>(J);
      else return Tableau::a[I][J];
    }();
    if constexpr (weight == 0) return form<>{};
    else if constexpr (J == I - 1) return weight * slope(t);
    else return weight * keep<J>;
  }
  /// sum_j a_Ij k_j, or the error's sum where I is `stages`; k_(I - 1) is the slope at t.
  template <int I> static auto sum_of_slopes(level t) {
    return [&]<int... J>(std::integer_sequence<int, J...>) {
      return (form<>{} + ... + weighed<I, J>(t));
    }
    (std::make_integer_sequence<int, I>{});
  }
  /// The statements, and what the network sees of the new x.
  template <class Statements> auto seen(Statements const& statements, level next) const {
    if constexpr (scales_input<decltype(Stages::predicts)>) {
      auto const form = lift(stages_.predicts.input_of(next));
      return std::tuple_cat(
          statements,
          std::tuple{detail::arrival{},
                     assignment<sym::net_in<0>, std::remove_const_t<decltype(form)>>{form}});
    } else return statements;
  }

  level at_stage(own_step const& o, int i) const {
    if (i == 0) return o.at;
    return Tableau::c[i] == 1 ? o.next : level_at(o.theta - Tableau::c[i] * o.h);
  }

  /// Takes or leaves what the last step came to, and goes to the next one's second stage.
  auto beginning(own_step const& o, level before) const {
    using namespace symbols;
    level const next = at_stage(o, 1);
    return seen(
        std::tuple{let<0> = blend(per_sample<0>, x / before.scale(), keep<base>),
                   let<1> = blend(per_sample<0>, keep<stages - 1>, keep<0>), keep<base> = let<0>,
                   keep<0> = let<1>, x = next.scale() * (let<0> - o.h * Tableau::a[1][0] * let<1>)},
        next);
  }
  template <int I> auto middle(own_step const& o, level t) const {
    using namespace symbols;
    if constexpr (I + 1 < stages) {
      level const next = at_stage(o, I + 1);
      return seen(std::tuple{keep<I> = slope(t),
                             x = next.scale() * (keep<base> - o.h * sum_of_slopes<I + 1>(t))},
                  next);
    } else return std::tuple{keep<I> = slope(t), keep<error_of> = o.h * sum_of_slopes<stages>(t)};
  }

  /// One kernel with numbers of each row's own.
  template <class Fuse> void each_row(Fuse const& fuse_row) {
    using program = typename decltype(fuse_row(own_[0]))::type;
    static_assert(!is_phased<program>,
                  "adaptive steps need stages without reductions over a sample: use "
                  "thresholds::clip");
    if constexpr (!is_phased<program>) {
      std::vector<float> table;
      for (own_step const& o : own_)
        for (double c : fuse_row(o).c) {
          table.push_back(static_cast<float>(c));
          if (!std::isfinite(table.back()))
            throw error(fmt::format(
                "adaptive steps from t = {} (alpha = {}, sigma = {}): a coefficient is {}; use a "
                "prediction that is defined there, such as v, or sigma_max",
                o.at.t, o.at.alpha, o.at.sigma, c));
        }
      launch_per_sample<program>(table, s_, s_.kernel_rows());
    }
  }
  template <class Statements> void each(Statements const& of) {
    each_row([&](own_step const& o) { return fuse(of(o)); });
  }
  /// The network at each row's level, and a kernel that reads it.
  template <class Statements>
  void each_slope(std::vector<level> const& where, Statements const& of) {
    constexpr bool scales = scales_input<decltype(Stages::predicts)>;
    float* const input = scales ? s_.net_in.data() : s_.x.data();
    batch b{.samples = s_.samples,
            .branches = s_.branches,
            .shape = s_.shape,
            .elements = s_.elements,
            .pitch = s_.pitch,
            .x = input,
            .out = s_.out.data(),
            .levels = where.data(),
            .labels = s_.labels.data(),
            .conditions = static_cast<std::size_t>(conditions_of<decltype(Stages::guidance)>()),
            .arrays = s_.arrays,
            .input = input,
            .output = s_.out.data(),
            .input_rows = s_.samples};
    network_(b);
    constexpr int extras = extras_of<decltype(Stages::guidance)>();
    if constexpr (extras > 0) {
      b.branches = extras;
      b.x = s_.x.data();
      b.input = b.x;
      b.out = s_.pointer(sym::grad{});
      b.output = b.out;
      stages_.guidance.evaluate(b);
    }
    for (own_step const& o : own_) ++result_->evaluations[o.index];
    each_row([&](own_step const& o) {
      level const& t = where[static_cast<std::size_t>(&o - own_.data())];
      return fuse_evaluation<true>(stages_, t, of(o, t));
    });
  }
  template <class Statements> void each_slope(level const& where, Statements const& of) {
    each_slope(std::vector<level>(s_.samples, where), of);
  }

  /// One step of every sample, taken or not.
  void attempt() {
    for (std::size_t i = 0; i < own_.size(); ++i) {
      own_step& o = own_[i];
      check_step(o);
      o.final = o.theta - o.h <= to_ + shortest * whole();
      if (o.final) o.h = o.theta - to_;
      o.next = o.final ? last_ : level_at(o.theta - o.h);
      s_.accepted.data()[i] = o.accepted ? 1.0f : 0.0f;
    }
    each([&](own_step const& o) { return beginning(o, o.at); });
    [&]<int... I>(std::integer_sequence<int, I...>) { (stage<I + 1>(), ...); }
    (std::make_integer_sequence<int, stages - 1>{});
  }
  template <int I> void stage() {
    std::vector<level> where;
    for (own_step const& o : own_) where.push_back(at_stage(o, I));
    each_slope(where, [&](own_step const& o, level t) { return middle<I>(o, t); });
  }

  void check_step(own_step const& o) const {
    if (!(o.h >= shortest * whole()))
      throw error(fmt::format(
          "adaptive steps: sample {} needs a step of {} of the whole at t = {} for the tolerance "
          "{}, expected {} or more; what the network answers is not smooth enough there, or not "
          "finite, or the tolerance is below float32's rounding",
          o.index, o.h / whole(), o.at.t, tolerance_, shortest));
    int const evaluations = result_->evaluations[o.index];
    if (evaluations + stages - 1 > most_evaluations_)
      throw error(fmt::format(
          "adaptive steps: sample {} is at t = {} after {} evaluations of the network, at most {} "
          "were allowed for the tolerance {}",
          o.index, o.at.t, evaluations, most_evaluations_, tolerance_));
  }

  /// The errors, and each sample's next step.
  void decide() {
    std::vector<float> norms(s_.samples);
    float const* const e = s_.keep[error_of].data();
    for_each_on_host(s_.samples, s_.samples * s_.pitch,
                     [e, pitch = s_.pitch, n = s_.elements, to = norms.data()](std::uint64_t row) {
                       float const* const one = e + row * pitch;
                       to[row] = reductions::of<reductions::norm>(nullptr, &one, n);
                     });
    double const exponent = 1. / Tableau::low_order, memory = 0.2 * exponent;
    for (std::size_t i = 0; i < own_.size(); ++i) {
      own_step& o = own_[i];
      double const of_step = norms[i] / std::sqrt(static_cast<double>(s_.elements));
      double const scaled = of_step / o.h * whole() / tolerance_;
      o.accepted = scaled <= 1;  // not where it is NaN
      if (o.accepted) {
        double const now = std::max(scaled, 1e-10);
        double factor =
            safety * std::pow(now, 0.75 * memory - exponent) * std::pow(o.last_error, memory);
        factor = std::clamp(factor, least, o.rejected_before ? 1 : most);
        o.theta -= o.h;
        o.at = o.next;
        o.h = std::min(o.h * factor, longest * whole());
        o.last_error = std::max(now, 1e-4);
      } else {
        double const factor = safety * std::pow(scaled, -exponent);
        o.h *= std::max(least, factor);  // least where it is NaN
        ++result_->rejected[o.index];
      }
      o.rejected_before = !o.accepted;
    }
  }

  /// Samples at their end leave: x = x0, which is alpha y - sigma dy / dtheta over n.
  void leave() {
    std::size_t kept = 0;
    std::size_t const before = s_.samples;
    std::vector<std::size_t> from;
    for (std::size_t i = 0; i < before; ++i) {
      own_step const& o = own_[i];
      if (!(o.accepted && o.final)) {
        from.push_back(i);
        continue;
      }
      double const n = last_.scale();
      auto const of_x = static_cast<float>(last_.alpha / n / n);
      auto const of_slope = static_cast<float>(-last_.sigma / n);
      float const* const x = s_.x.data() + i * s_.pitch;
      float const* const k = s_.keep[stages - 1].data() + i * s_.pitch;
      float* const to = result_->samples.data.data() + o.index * s_.elements;
      for (std::size_t j = 0; j < s_.elements; ++j) to[j] = std::fma(of_slope, k[j], of_x * x[j]);
    }
    if (from.size() == before) return;
    std::vector<int> labels;
    for (std::size_t c = 0; c < s_.labels.size() / before; ++c)
      for (std::size_t i : from) labels.push_back(s_.labels[c * before + i]);
    s_.labels = std::move(labels);
    for (std::size_t i : from) {
      if (i != kept) {
        own_[kept] = own_[i];
        layout().copy_sample(s_, i, s_, kept);
      }
      ++kept;
    }
    own_.resize(kept);
    s_.keys.resize(kept);
    for (named_array& a : s_.arrays) a.data.resize(kept * a.elements);
    s_.samples = kept;
  }

  Stages const& stages_;
  Network const& network_;
  level first_, last_;
  double from_, to_, tolerance_;
  int most_evaluations_;
  adaptive_state s_;
  std::vector<own_step> own_;
  adaptive_result* result_ = nullptr;
};

/// No estimate sees an error of the network, which the first slope v takes in by this factor.
template <class Predicts> void check_first_slope(Predicts const& predicts, level t) {
  double const of_eps = coefficient<sym::raw>(lift(predicts.eps_of(t)));
  double const of_x0 = coefficient<sym::raw>(lift(predicts.x0_of(t)));
  double const factor =
      std::abs(t.alpha * of_eps - t.sigma * of_x0) / (t.scale() * std::max(1.0, std::abs(of_eps)));
  if (constexpr double largest = 256; factor > largest && std::isfinite(factor))
    throw error(fmt::format(
        "adaptive steps from t = {} (alpha = {:.3g}, sigma = {:.3g}): what the network gives "
        "would "
        "enter x with the factor {:.4g}, and its errors too, expected {} at most: give no "
        "sigma_max, or a smaller one, or use a network that predicts v",
        t.t, t.alpha, t.sigma, factor, largest));
}
/// A pipeline's stages whose sampler chooses its own levels.
template <class Stages, class Network>
adaptive_result integrate_adaptively(Stages const& stages, Network const& network, request const& r,
                                     conditions const& given) {
  using sampler = decltype(Stages::sampler);
  constexpr bool pair = sampler::is_pair;
  static_assert(pair,
                "adaptive steps need an embedded pair whose last slope is the next step's first: "
                "tableaux::bogacki_shampine or tableaux::dormand_prince");
  if constexpr (!pair) return {};
  else if constexpr (can_be_adaptive<Stages>()) {
    sampler const& s = stages.sampler;
    s.check();
    call_check(stages.predicts);
    call_check(stages.guidance);
    call_check(stages.threshold);
    if (calls_nothing(network))
      throw error("an empty network was given, expected one that can be called");
    auto const& schedule = stages.schedule;
    schedules::check(schedule);
    auto const range = grids::range_of_rho("adaptive steps", schedule, s.sigma_min, s.sigma_max);
    level const first = schedule.at(schedule.t_of_rho(range.high));
    check_pure_noise(first, "a start from noise");
    check_first_slope(stages.predicts, first);
    level const last = schedule.at(schedule.t_of_rho(range.low));
    return adaptive_loop<typename sampler::tableau, Stages, Network>(
               stages, network, first, last, s.tolerance, s.most_evaluations)
        .run(r, given);
  } else return {};
}

}  // namespace detail

/// `pipeline.sample` with the numbers of evaluations.
template <class... Stages>
adaptive_result integrate(pipeline<Stages...> const& p, request const& r,
                          conditions const& given = {labels{no_label}}) {
  if constexpr (pipeline<Stages...>::fits()) {
    auto const stages = p.stage_set();
    constexpr bool own = pipeline<Stages...>::is_adaptive;
    static_assert(own,
                  "integrate(pipeline, ...) needs adaptive steps: write ... | "
                  "samplers::adaptive<tableaux::dormand_prince>{.tolerance = 1e-4} | ...");
    if constexpr (own) return detail::integrate_adaptively(stages, p.network(), r, given);
  }
  return {};
}

}  // namespace tweedie
