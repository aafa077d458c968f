// Training, Algorithm 1 of Ho et al. 2020, for every parameterization.
//
// Per sample: t from Philox, x_t = alpha x0 + sigma eps and what the network is to predict, both
// written by one kernel that draws the noise. The loss is  mean_i weight_i mean (network -
// target)^2.
//
// A weight is a function of the level, stated for the error of eps, or for that of the network's
// own output (weights::plain). eps_of(t) = a x + b raw, so that |eps error|^2 = b^2 |raw error|^2:
// a weight for eps is the same loss whatever the network predicts.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <numbers>
#include <span>
#include <string>
#include <vector>

#include <tweedie/dsl/base/error.hpp>
#include <tweedie/dsl/device/launch.hpp>
#include <tweedie/dsl/language/hooks.hpp>
#include <tweedie/pipelines/fits.hpp>
#include <tweedie/schedules/check.hpp>

namespace tweedie {

namespace detail {
/// Throws unless a parameter of an objective lies in (0, inf), or in [0, inf).
inline void check_parameter(char const* of, char const* name, double value, bool or_zero = false) {
  if ((or_zero ? value >= 0 : value > 0) && std::isfinite(value)) return;
  throw error(fmt::format("{}: {} = {} was given, expected a finite one{}", of, name, value,
                          or_zero ? ", 0 or more" : " above 0"));
}
inline void check_finite(char const* of, char const* name, double value) {
  if (!std::isfinite(value))
    throw error(fmt::format("{}: {} = {} was given, expected a finite number", of, name, value));
}
}  // namespace detail

namespace weights {

/// The plain loss mean (network - target)^2 of whatever is predicted; 1 / b^2 in epsilon space. For
/// epsilon it is the simple loss of Ho et al. 2020, for v on a variance-preserving schedule SNR + 1
/// of Salimans & Ho 2022, for velocity the flow-matching loss.
struct plain {
  static constexpr char const* name = "plain";
  double of_raw(level, double /*b*/) const { return 1; }
};

/// 1: the simple loss of Ho et al. 2020, eq. 14.
struct uniform {
  static constexpr char const* name = "uniform";
  double operator()(level) const { return 1; }
};

/// (snr + 1) / snr (Salimans & Ho 2022, section 4, "SNR + 1", stated there for x0: snr + 1).
struct snr_plus_1 {
  static constexpr char const* name = "snr_plus_1";
  double operator()(level t) const { return 1 + 1 / t.snr(); }
};

/// max(snr, 1) / snr (Salimans & Ho 2022, section 4, "truncated SNR", stated there for x0: max(snr,
/// 1)).
struct truncated_snr {
  static constexpr char const* name = "truncated_snr";
  double operator()(level t) const { return std::max(1.0, 1 / t.snr()); }
};

/// min(snr, gamma) / snr (Hang et al. 2023, "min-SNR", stated there for x0: min(snr, gamma)).
struct min_snr {
  static constexpr char const* name = "min_snr";
  double gamma = 5;
  void check() const { detail::check_parameter("weights::min_snr", "gamma", gamma); }
  double operator()(level t) const { return std::min(1.0, gamma / t.snr()); }
};

/// 1 / (k + snr)^gamma (Choi et al. 2022, "P2", eq. 8 with lambda_t = 1 in eps).
struct p2 {
  static constexpr char const* name = "p2";
  double k = 1, gamma = 1;
  void check() const {
    detail::check_parameter("weights::p2", "k", k, true);
    detail::check_parameter("weights::p2", "gamma", gamma, true);
  }
  double operator()(level t) const { return std::pow(k + t.snr(), -gamma); }
};

/// (rho^2 + sd^2) / sd^2, sd = sigma_data (Karras et al. 2022, "EDM", table 1, stated there for x0:
/// (rho^2 + sd^2) / (rho sd)^2). For predicts::edm it is the plain loss.
struct edm {
  static constexpr char const* name = "edm";
  double sigma_data = 0.5;
  void check() const { detail::check_parameter("weights::edm", "sigma_data", sigma_data); }
  double operator()(level t) const { return 1 + t.rho() * t.rho() / (sigma_data * sigma_data); }
};

/// The loss of the velocity dx/dt = alpha' x0 + sigma' eps (Lipman et al. 2022, eq. 9), whose error
/// is (sigma' - alpha' sigma / alpha) that of eps; 1 / (1 - t)^2 for rectified flow. On a table t
/// is a share of its T steps.
struct flow_matching {
  static constexpr char const* name = "flow_matching";
  double operator()(level t) const {
    double const slope = t.steps * (t.dsigma - t.dalpha * t.rho());
    return slope * slope;
  }
};

/// sigmoid(bias - ln snr) |d ln snr / dt| (Kingma & Gao 2023, "Understanding diffusion objectives",
/// and, with other biases, Hoogeboom et al. 2024, "Simpler diffusion"): the weight is stated for an
/// integral over ln snr, so here for times that are uniform in t: not log_normal or logit_normal.
struct sigmoid {
  static constexpr char const* name = "sigmoid";
  double bias = 2;
  void check() const { detail::check_finite("weights::sigmoid", "bias", bias); }
  double operator()(level t) const {
    double const slope = 2 * t.steps * (t.dsigma / t.sigma - t.dalpha / t.alpha);
    return slope / (1 + t.snr() * std::exp(-bias));
  }
};

}  // namespace weights

namespace detail {

/// The factor of |raw error|^2, where b is the factor of raw in eps.
template <class Weight> double weight_of_raw(Weight const& weight, level t, double b) {
  constexpr bool of_raw = requires {
    { weight.of_raw(t, b) } -> std::convertible_to<double>;
  };
  constexpr bool other = !of_raw && (
                                        requires(Weight & w) { w.of_raw(t, b); } ||
                                        requires(Weight & w) { w.of_raw(t); });
  static_assert(!other,
                "a weight's of_raw would never be called: it is double of_raw(level t, double b) "
                "const, b the factor of raw in eps");
  if constexpr (of_raw) return weight.of_raw(t, b);
  else if constexpr (other) return 0;
  else if constexpr (std::is_invocable_r_v<double, Weight const&, level>) return weight(t) * b * b;
  else {
    static_assert(never<Weight>,
                  "a weight is a function of the level, double operator()(level t) const, or "
                  "double of_raw(level t, double b) const; an objective takes the schedule, the "
                  "prediction, the weight and then the times");
    return 0;
  }
}

/// The share that `times` draws.
template <class Times, class Schedule>
double share_of(Times const& times, Schedule const& schedule, double u) {
  if constexpr (requires {
                  { times.share(schedule, u) } -> std::convertible_to<double>;
                })
    return times.share(schedule, u);
  else {
    static_assert(never<Times>,
                  "how times are drawn is double share(schedule, double u) const, the share of the "
                  "schedule's time for a uniform u: a template, if it is for any schedule; an "
                  "objective takes the schedule, the prediction, the weight and then the times");
    return u;
  }
}

/// z with P(N(0, 1) < z) = u, 0 < u < 1: Newton's method from 0, which nears the root from one side
/// because the distribution is convex below 0.
inline double normal_quantile(double u) {
  if (u > 0.5) return -normal_quantile(1 - u);
  for (double z = 0;;) {
    double const density = std::exp(-z * z / 2) / std::sqrt(2 * std::numbers::pi);
    double const next = z - (std::erfc(-z / std::numbers::sqrt2) / 2 - u) / density;
    if (!(next < z)) return z;
    z = next;
  }
}

}  // namespace detail

/// How the times of a batch are drawn: `share(schedule, u)` makes of a uniform number the share of
/// the schedule's time, 0 at the clean end and 1 at the noisy one. On a table it means the step
/// that it falls into.
///
/// One that knows of the batch has `spread(u, row, rows)`, which replaces u. One whose `density` of
/// shares is not 1 but the loss should be that of uniform times says so: the weights are divided by
/// it. One that learns from the losses has `observe(share, loss)`.
namespace times {

/// Uniform over the T steps of a table, or over (0, end] in continuous time.
struct uniform {
  static constexpr char const* name = "uniform";
  template <class Schedule> double share(Schedule const&, double u) const { return u; }
};

/// ln rho ~ N(mean, sd^2), rho = sigma / alpha (Karras et al. 2022, table 1), as far as the
/// schedule goes.
struct log_normal {
  static constexpr char const* name = "log_normal";
  double mean = -1.2, sd = 1.2;
  void check() const {
    detail::check_finite("times::log_normal", "mean", mean);
    detail::check_parameter("times::log_normal", "sd", sd);
  }
  template <class Schedule> double share(Schedule const& schedule, double u) const {
    double const rho = std::exp(mean + sd * detail::normal_quantile(u)), end = schedule.end();
    return schedule.t_of_rho(std::clamp(rho, schedule.at(0).rho(), schedule.at(end).rho())) / end;
  }
};

/// ln(t / (1 - t)) ~ N(mean, sd^2), t the share of the time (Esser et al. 2024, "SD3", section
/// 3.1): more of the middle.
struct logit_normal {
  static constexpr char const* name = "logit_normal";
  double mean = 0, sd = 1;
  void check() const {
    detail::check_finite("times::logit_normal", "mean", mean);
    detail::check_parameter("times::logit_normal", "sd", sd);
  }
  template <class Schedule> double share(Schedule const&, double u) const {
    return 1 / (1 + std::exp(-(mean + sd * detail::normal_quantile(u))));
  }
};

/// In proportion to the root mean square of the last `kept` losses in each of as many equal `parts`
/// of the time, and the weights divided by the density, so that the loss remains what it is but
/// varies less (Nichol & Dhariwal 2021, section 3.3). Uniform until every part has so many losses;
/// a share of `least` remains so, as in the authors' code. objective::observe tells it the losses.
struct by_loss {
  static constexpr char const* name = "by_loss";
  std::size_t parts = 100, kept = 10;
  double least = 0.001;
  /// Of each part how many losses it was told and its last ones: all that it knows, for
  /// checkpoints.
  std::vector<double> memory = {};

  template <class Schedule> double share(Schedule const&, double u) const {
    if (!is_warm()) return u;
    double below = 0, sum = 0;
    for (std::size_t k = 0; k < parts; ++k) sum += root_mean_square(k);
    for (std::size_t k = 0;; ++k) {
      double const of_part = probability(k, sum);
      if (u < below + of_part || k + 1 == parts)
        return (static_cast<double>(k) + std::min((u - below) / of_part, 1.0)) / count();
      below += of_part;
    }
  }
  double density(double share) const {
    if (!is_warm()) return 1;
    double sum = 0;
    for (std::size_t k = 0; k < parts; ++k) sum += root_mean_square(k);
    return probability(part_of(share), sum) * count();
  }
  void observe(double share, double loss) {
    if (!(loss >= 0 && std::isfinite(loss)))
      throw error(fmt::format(
          "times::by_loss: a loss of {} was given, expected a finite one, 0 or more", loss));
    check();
    if (!is_sound())
      throw error(
          "times::by_loss: a memory with a loss or a count that is none was given, expected finite "
          "ones, 0 or more");
    memory.resize(parts * (kept + 1));
    double* const of_part = memory.data() + part_of(share) * (kept + 1);
    of_part[1 + static_cast<std::size_t>(std::fmod(of_part[0], kept))] = loss;
    of_part[0] += 1;
  }
  void check() const {
    if (parts == 0 || kept == 0)
      throw error(
          fmt::format("times::by_loss: parts = {} and kept = {} were given, expected one or "
                      "more of each",
                      parts, kept));
    if (constexpr std::size_t most = 1'000'000; parts > most || kept > most)
      throw error(
          fmt::format("times::by_loss: parts = {} and kept = {} were given, expected at "
                      "most {} of each",
                      parts, kept, most));
    if (!(least >= 0 && least <= 1))
      throw error(
          fmt::format("times::by_loss: least = {} was given, expected a share, 0 to 1", least));
    if (!has_own_size())
      throw error(fmt::format(
          "times::by_loss: a memory of {} numbers was given, expected {}: another's, or cut off",
          memory.size(), parts * (kept + 1)));
  }
  /// Whether `memory`, read from somewhere, can be one of this.
  bool is_sound() const {
    return has_own_size() &&
           std::ranges::all_of(memory, [](double d) { return d >= 0 && std::isfinite(d); });
  }

 private:
  bool has_own_size() const { return memory.empty() || memory.size() == parts * (kept + 1); }
  double count() const { return static_cast<double>(parts); }
  std::size_t part_of(double share) const {
    return static_cast<std::size_t>(std::clamp(share * count(), 0.0, count() - 1));
  }
  double const* of(std::size_t part) const { return memory.data() + part * (kept + 1); }
  bool is_warm() const {
    check();
    if (memory.size() != parts * (kept + 1)) return false;
    for (std::size_t k = 0; k < parts; ++k)
      if (of(k)[0] < static_cast<double>(kept)) return false;
    return true;
  }
  double root_mean_square(std::size_t part) const {
    double squares = 0;
    for (std::size_t i = 1; i <= kept; ++i) squares += of(part)[i] * of(part)[i];
    return std::sqrt(squares / static_cast<double>(kept));
  }
  double probability(std::size_t part, double sum) const {
    double const share = sum > 0 ? root_mean_square(part) / sum : 1 / count();
    return (1 - least) * share + least / count();
  }
};

/// One time from each of as many equal parts as the batch has rows: row i takes (i + u) / rows in
/// place of u. Every batch covers all levels, and its loss varies less (Kingma et al. 2021,
/// appendix I.1, with a draw of its own per row). An example then depends on its batch.
template <class Times = uniform> struct stratified {
  static constexpr char const* name = "stratified";
  Times times = {};
  void check() const requires requires(Times const& t) { t.check(); }
  { times.check(); }
  static double spread(double u, std::size_t row, std::size_t rows) {
    // Below 1 in spite of rounding.
    return std::min((static_cast<double>(row) + u) / static_cast<double>(rows), 1 - 0x1p-53);
  }
  template <class Schedule> double share(Schedule const& schedule, double u) const {
    return detail::share_of(times, schedule, u);
  }
  double density(double share) const requires requires(Times const& t) { t.density(share); }
  { return times.density(share); }
  void observe(double share, double loss) requires requires(Times& t) { t.observe(share, loss); }
  { times.observe(share, loss); }
};
template <class Times> stratified(Times) -> stratified<Times>;
stratified()->stratified<>;

}  // namespace times

/// The numbers of a batch of training examples, one per sample.
struct examples {
  std::vector<level> levels;
  std::vector<double> weights;
  std::vector<double> shares;  ///< of the schedule's time, as drawn: for objective::observe
};

namespace detail {

/// x0 and eps of a training example.
struct training_truth {
  auto x0_of(level) const { return symbols::known; }
  auto eps_of(level) const { return symbols::noise_stream<training_noise_stream>; }
};

/// What the network sees at one level and the target, from `known`, the clean sample, and noise.
template <class Predicts> auto noisy_and_target(Predicts predicts, level t) {
  using namespace symbols;
  double seen = 1;  // c_in, where the network is given c_in x
  if constexpr (requires { predicts.input_of(t); })
    seen = coefficient<sym::x>(lift(predicts.input_of(t)));
  auto const goal = [&] {
    if constexpr (target_fits<Predicts>()) return lift(predicts.target(t));
    else return lift(symbols::eps);
  }();
  return fuse(training_truth{}, t,
              std::tuple{x = seen * t.alpha * x0 + seen * t.sigma * eps, target = goal});
}

}  // namespace detail

/// A schedule, what the network predicts, how levels are weighted and how times are drawn.
template <class Schedule, class Predicts, class Weight = weights::plain,
          class Times = times::uniform>
struct objective {
  Schedule schedule;
  [[no_unique_address]] Predicts predicts;
  [[no_unique_address]] Weight weight = {};
  [[no_unique_address]] Times times = {};

  using program =
      typename decltype(detail::noisy_and_target(std::declval<Predicts>(), level{}))::type;

  /// The level of a sample, which is row `row` of a batch of `rows`.
  level draw(sample_key const& key, std::size_t row = 0, std::size_t rows = 1) const {
    return at_share(draw_share(key, row, rows));
  }

  /// The factor of |raw error|^2 in the loss at a level. Throws where it is not finite.
  double weight_of(level t) const {
    double const b = coefficient<sym::raw>(lift(predicts.eps_of(t)));
    double const w = detail::weight_of_raw(weight, t, b);
    if (!(std::isfinite(w) && w >= 0))
      throw error(fmt::format(
          "training: the weight of predicts::{} is {} at t = {} (alpha = {}, sigma = {}), "
          "expected a finite one, 0 or more; choose another weight or another prediction",
          Predicts::name, w, t.t, t.alpha, t.sigma));
    return w;
  }

  /// Draws the levels of a batch and writes what the network sees (x_t, or c_in x_t where it
  /// predicts::edm) and the target, in one kernel. `clean`, `noisy` and `target` are keys.size()
  /// rows of `pitch` floats; a key is (training seed; example, training step). Throws where the
  /// schedule contradicts itself, the prediction's x0_of and eps_of do not give back what its
  /// target is made of, a weight's or the times' parameters make none, a buffer is null, or a
  /// number is not finite.
  examples operator()(std::span<sample_key const> keys, float const* clean, float* noisy,
                      float* target, std::size_t pitch) const {
    check(keys, {clean, noisy, target}, pitch);
    examples e;
    std::vector<float> table;
    for (sample_key const& key : keys) {
      double const share = draw_share(key, e.levels.size(), keys.size());
      level const t = at_share(share);
      double density = 1;
      if constexpr (requires { times.density(share); }) density = times.density(share);
      if (!(density > 0 && std::isfinite(density)))
        throw error(fmt::format(
            "training: times of density {} at a share of {} were given, expected a finite one "
            "above 0",
            density, share));
      e.shares.push_back(share);
      e.levels.push_back(t);
      e.weights.push_back(weight_of(t) / density);
      for (double c : detail::noisy_and_target(predicts, t).c) {
        if (!std::isfinite(c))
          throw error(
              fmt::format("training: the target of predicts::{} is not finite at t = {} (alpha = "
                          "{}, sigma = {})",
                          Predicts::name, t.t, t.alpha, t.sigma));
        table.push_back(static_cast<float>(c));
      }
    }
    if (std::size_t const padded = (pitch + 3) / 4 * 4; padded == pitch)
      launch_on(keys, table, clean, noisy, target, pitch);
    else {  // kernels take rows of whole groups of four
      std::size_t const rows = keys.size();
      buffer in(rows * padded), seen(rows * padded), wanted(rows * padded);
      for (std::size_t i = 0; i < rows; ++i)
        std::copy_n(clean + i * pitch, pitch, in.data() + i * padded);
      launch_on(keys, table, in.data(), seen.data(), wanted.data(), padded);
      for (std::size_t i = 0; i < rows; ++i) {
        std::copy_n(seen.data() + i * padded, pitch, noisy + i * pitch);
        std::copy_n(wanted.data() + i * padded, pitch, target + i * pitch);
      }
    }
    return e;
  }

  /// Tells `times` how large the loss of each example was: `errors` are mean (network - target)^2,
  /// without weights. Only times::by_loss listens.
  void observe(examples const& e, std::span<double const> errors) {
    if (errors.size() != e.levels.size())
      throw error(
          fmt::format("training: {} errors were given for {} examples; expected one for each",
                      errors.size(), e.levels.size()));
    if constexpr (requires { times.observe(1.0, 1.0); })
      for (std::size_t i = 0; i < errors.size(); ++i)
        times.observe(e.shares[i], weight_of(e.levels[i]) * errors[i]);
  }

 private:
  double draw_share(sample_key const& key, std::size_t row, std::size_t rows) const {
    double u = tweedie::uniform(key, training_time_stream, 0);
    if constexpr (requires { times.spread(u, row, rows); }) u = times.spread(u, row, rows);
    double const share = detail::share_of(times, schedule, u);
    if (!(share >= 0 && share <= 1))
      throw error(fmt::format(
          "training: a share of {} of the schedule's time was drawn, expected 0 to 1", share));
    return share;
  }
  level at_share(double share) const {
    int const steps = schedule.table_steps();
    return schedule.at(steps ? std::min(std::floor(share * steps), steps - 1.0) + 1
                             : share * schedule.end());
  }
  static constexpr std::size_t most_floats = std::size_t{1} << 48;

  template <class Part> static void check_part(Part const& part) {
    if constexpr (detail::check_is_called<Part>()) detail::call_check(part);
  }
  void check(std::span<sample_key const> keys, std::array<float const*, 3> buffers,
             std::size_t pitch) const {
    if constexpr (tweedie::schedule<Schedule>) schedules::check(schedule);  // else a part of one
    else check_part(schedule);
    check_part(predicts);
    check_part(weight);
    check_part(times);
    check_target();
    if (keys.empty()) return;
    if (pitch == 0)
      throw error("training: a pitch of 0 was given, expected the floats from one row to the next");
    if (pitch > most_floats / keys.size())
      throw error(fmt::format("training: a pitch of {} was given for {} rows, expected at most {}",
                              pitch, keys.size(), most_floats / keys.size()));
    if (buffers[1] && (buffers[1] == buffers[2] || buffers[1] == buffers[0]))
      throw error(fmt::format(
          "training: noisy is the same memory as {}, expected memory of its own for each",
          buffers[1] == buffers[2] ? "target" : "clean"));
    if (!(buffers[0] && buffers[1] && buffers[2]))
      throw error(fmt::format("training: {} is null, expected keys.size() rows of `pitch` floats",
                              !buffers[0]   ? "clean"
                              : !buffers[1] ? "noisy"
                                            : "target"));
  }
  /// Throws where x0 and eps, derived from x_t and the target, are not those that both are made of:
  /// in the middle of the time, since a divisor may be kept from 0 at the ends.
  void check_target() const {
    if constexpr (requires { predicts.target(level{}); }) {
      std::string first;
      for (double share : {0.3, 0.5, 0.7}) {
        auto const sentence = sentence_of_target(at_share(share));
        if (sentence.empty()) return;
        if (first.empty()) first = sentence;
      }
      throw error(first);
    }
  }
  std::string sentence_of_target(level t) const {
    using namespace symbols;
    auto const of = fuse(detail::training_truth{}, t,
                         std::tuple{target = 0.0 * x0 + 0.0 * eps + predicts.target(t)});
    double const of_clean = of.c[0], of_noise = of.c[1];
    // The share of x0 and of eps in what a form over x and raw derives.
    auto const derived = [&](auto const& form) {
      double const of_x = coefficient<sym::x>(form), of_raw = coefficient<sym::raw>(form);
      return std::array{std::array{of_x * t.alpha, of_raw * of_clean},
                        std::array{of_x * t.sigma, of_raw * of_noise}};
    };
    auto const is = [](std::array<double, 2> sum, double expected) {
      double const size = std::abs(sum[0]) + std::abs(sum[1]) + 1;
      return !std::isfinite(size) || std::abs(sum[0] + sum[1] - expected) <= 1e-6 * size;
    };
    auto const x0_from = derived(lift(predicts.x0_of(t))),
               eps_from = derived(lift(predicts.eps_of(t)));
    auto const told = [&](char const* what, char const* symbol, auto const& from) {
      return fmt::format(
          "training: of a network that has learned the target of predicts::{} at t = {}, {} makes "
          "{:.6g} x0 + {:.6g} eps, expected {}: target(level) is what x0_of and eps_of take for "
          "raw",
          Predicts::name, t.t, what, from[0][0] + from[0][1], from[1][0] + from[1][1], symbol);
    };
    if (!is(x0_from[0], 1) || !is(x0_from[1], 0)) return told("x0_of", "x0", x0_from);
    if (!is(eps_from[0], 0) || !is(eps_from[1], 1)) return told("eps_of", "eps", eps_from);
    return "";
  }
  static void launch_on(std::span<sample_key const> keys, std::vector<float> const& table,
                        float const* clean, float* noisy, float* target, std::size_t pitch) {
    launch_per_sample<program>(table,
                               bindings{bind(symbols::known, clean), bind(symbols::x, noisy),
                                        bind(symbols::target, target)},
                               {.count = keys.size(), .pitch = pitch, .keys = keys.data()});
  }
};
template <class S, class P> objective(S, P) -> objective<S, P>;
template <class S, class P, class W> objective(S, P, W) -> objective<S, P, W>;
template <class S, class P, class W, class T> objective(S, P, W, T) -> objective<S, P, W, T>;

/// The exponential moving average of the weights as one kernel: average = decay average + (1 -
/// decay) weights. Throws unless 0 <= decay <= 1.
inline void average_weights(float* average, float const* weights, std::size_t count, double decay) {
  using namespace symbols;
  if (!(decay >= 0 && decay <= 1))
    throw error(fmt::format("average_weights: decay = {} was given, expected 0 to 1", decay));
  if (count > 0 && !(average && weights))
    throw error(fmt::format("average_weights: {} is null, expected {} floats",
                            average ? "weights" : "average", count));
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
