// What diffusers' schedulers compute in each step, as sums with factors: their state machines, read
// in version 0.42.1, are walked once, and what is left of them are numbers.
//
// The papers are named where a formula stands; that library's own deviations from them are kept and
// are said. Held to its numbers by tests/replay and tests/python.
#include <tweedie/pipelines/ready/scheduler_config.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include <tweedie/pipelines/ready/linear_steps.hpp>
#include <tweedie/pipelines/ready/programs.hpp>
#include <tweedie/pipelines/ready/scheduler_common.hpp>
#include <tweedie/pipelines/ready/stages.hpp>
#include <tweedie/samplers/ancestral_learned.hpp>

namespace tweedie::ready {
namespace {

using namespace scheduler_names;

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

// ---- stages that only they have

using namespace symbols;

/// v of a network that sees x / sqrt(1 + rho^2), where x = x0 + rho eps.
struct v_scaled {
  using kind = kinds::parameterization;
  static constexpr char const* name = "v";
  auto x0_of(level t) const { return (x - t.sigma * t.scale() * raw) / n(t); }
  auto eps_of(level t) const { return (t.sigma * x + t.scale() * raw) / n(t); }
  auto target(level t) const { return (eps - t.sigma * symbols::x0) / t.scale(); }

 private:
  static double n(level t) { return 1 + t.sigma * t.sigma; }
};

/// predicts::edm of a network whose caller scales what it sees, F or -F.
struct edm_scaled {
  using kind = kinds::parameterization;
  static constexpr char const* name = "edm";
  double sigma_data = 0.5, sign = 1;
  auto x0_of(level t) const {
    return (sigma_data * sigma_data * x + sign * t.sigma * sigma_data * std::sqrt(n(t)) * raw) /
           n(t);
  }
  auto eps_of(level t) const {
    return (t.sigma * x - sign * sigma_data * std::sqrt(n(t)) * raw) / n(t);
  }
  auto target(level t) const {
    return sign * (t.sigma * symbols::x0 - sigma_data * sigma_data * eps) /
           (sigma_data * std::sqrt(n(t)));
  }

 private:
  double n(level t) const { return t.sigma * t.sigma + sigma_data * sigma_data; }
};
/// The same, which scales it itself.
struct edm_signed : edm_scaled {
  auto input_of(level t) const { return x / std::hypot(t.sigma, sigma_data); }
};

/// Song et al. 2023, "Consistency Models", eq. 5 with c_skip and c_out of appendix C, where
/// alpha = 1: x0 = c_skip x + c_out raw, which is x at sigma_min.
struct consistent_scaled {
  using kind = kinds::parameterization;
  static constexpr char const* name = "consistency";
  double sigma_min = 0.002, sigma_data = 0.5;
  auto x0_of(level t) const { return c_skip(t) * x + c_out(t) * raw; }
  auto eps_of(level t) const { return ((1 - c_skip(t)) * x - c_out(t) * raw) / t.sigma; }
  auto target(level) const { return +symbols::x0; }

 private:
  double c_skip(level t) const {
    double const d = t.sigma - sigma_min;
    return sigma_data * sigma_data / (d * d + sigma_data * sigma_data);
  }
  double c_out(level t) const {
    return (t.sigma - sigma_min) * sigma_data / std::hypot(t.sigma, sigma_data);
  }
};
struct consistent : consistent_scaled {
  auto input_of(level t) const { return x / std::hypot(t.sigma, sigma_data); }
};

struct clamped {
  static constexpr std::size_t parameters = 1;
  static constexpr char const* name = "clamp from 1 to";
  TWEEDIE_HD static float apply(float const* p, float const* a) {
    float const low = a[0] < 1 ? 1.0f : a[0];
    return low > p[0] ? p[0] : low;
  }
};

/// thresholds::dynamic with a largest s; DDIM's leaves eps as it is.
template <bool Rederives> struct dynamic_up_to {
  using kind = kinds::threshold;
  static constexpr char const* name = "dynamic thresholding";
  double p = 0.995, most = 1;
  void check() const { thresholds::dynamic{p}.check(); }
  auto x0_of(level) const {
    auto const s = tweedie::detail::pointwise_of<clamped>({most}, quantile_of_abs(x0, p));
    return tweedie::detail::pointwise_of<thresholds::detail::scaled_clip>({}, x0, s);
  }
  auto eps_of(level t) const {
    if constexpr (Rederives) return thresholds::detail::rederived(t);
    else return +eps;
  }
};

void check_options(scheduler_config const& c, scheduler_options const& o) {
  auto const refuse = [&](std::string const& given, std::string const& expected) {
    throw error(fmt::format("{} was given for {}; expected {}", given, c.class_name, expected));
  };
  if (o.eta && c.class_name != tcd && c.class_name != ddim && *o.eta != 0)
    refuse(fmt::format("eta = {}", *o.eta), fmt::format("it for {} or {} alone", ddim, tcd));
  if (o.eta && !(*o.eta >= 0 && *o.eta <= 1)) refuse(fmt::format("eta = {}", *o.eta), "0 to 1");
  if (o.s_churn != 0 && c.class_name != euler)
    refuse(fmt::format("s_churn = {}", o.s_churn), fmt::format("it for {} alone", euler));
  if (!(o.s_churn >= 0 && std::isfinite(o.s_churn)))
    refuse(fmt::format("s_churn = {}", o.s_churn), "a finite one, 0 or more");
  if (!(o.s_noise >= 0 && std::isfinite(o.s_noise)))
    refuse(fmt::format("s_noise = {}", o.s_noise), "a finite one, 0 or more");
  if (!(o.order >= 1 && o.order <= 16)) refuse(fmt::format("order = {}", o.order), "1 to 16");
  if (o.from_step > 0 && c.class_name == pndm)
    refuse(fmt::format("a loop from step {}", o.from_step),
           "one from the first step: its warm-up is not followed from another one");
  if (o.order != 4 && c.class_name != lms)
    refuse(fmt::format("order = {}", o.order), fmt::format("it for {} alone", lms));
}

// ---- levels

/// A level by its sigma / alpha, and of a flow by sigma.
level level_by(scheduler_config const& c, double s, double t, bool scaled) {
  double const T = c.num_train_timesteps;
  if (c.is_flow()) return {s, 1 - s, s, -1, 1};
  if (scaled || c.has_edm_levels()) return {t, 1, s, nan, nan, T};
  if (std::isinf(s)) return {t, 0, 1, nan, nan, T};
  return {t, 1 / std::hypot(1, s), s / std::hypot(1, s), nan, nan, T};
}

std::vector<level> levels_of(scheduler_config const& c, scheduler_grid const& g, bool scaled) {
  std::vector<level> r;
  // Nothing here asks for a derivative: what did would get a plan refused. A network that reads t
  // is told what theirs is: of a table counted from 1, and of EDM's levels sigma.
  for (std::size_t i = 0; i < g.sigmas.size(); ++i) {
    double t = g.sigmas[i] == 0 ? 0 : 1;
    if (c.has_edm_levels()) t = g.sigmas[i];
    else if (i < g.at.size() && c.class_name == ipndm) t = g.at[i];
    else if (i < g.at.size() && c.class_name == ddim_inverse) t = g.timesteps[i] + 1;
    else if (i < g.at.size()) t = g.at[i] + 1;
    r.push_back(level_by(c, g.sigmas[i], t, scaled));
  }
  // Where theirs stands still, as from timestep 0 to timestep 0, a plan's next level is a millionth
  // of rho away.
  bool const rises = g.sigmas.front() < g.sigmas.back();
  for (std::size_t k = 1; k < r.size(); ++k) {
    double const a = r[k].sigma * r[k - 1].alpha, b = r[k - 1].sigma * r[k].alpha;
    if (std::abs(a - b) <= 1e-9 * b)
      r[k] = level_by(c, g.sigmas[k] * (rises ? 1 + 0x1p-20 : 1 - 0x1p-20), r[k].t, scaled);
  }
  return r;
}

// ---- steps

/// Solves a x = b by elimination; the matrices of UniPC are Vandermonde's, of at most 3 rows.
std::vector<double> solved(std::vector<std::vector<double>> a, std::vector<double> b) {
  std::size_t const n = b.size();
  for (std::size_t k = 0; k < n; ++k)
    for (std::size_t i = 0; i < n; ++i) {
      if (i == k) continue;
      double const f = a[i][k] / a[k][k];
      for (std::size_t j = k; j < n; ++j) a[i][j] -= f * a[k][j];
      b[i] -= f * b[k];
    }
  for (std::size_t k = 0; k < n; ++k) b[k] /= a[k][k];
  return b;
}

/// Of even steps, for as many slopes as there are, the newest first.
constexpr double adams_bashforth[4][4] = {{1},
                                          {3 / 2.0, -1 / 2.0},
                                          {23 / 12.0, -16 / 12.0, 5 / 12.0},
                                          {55 / 24.0, -59 / 24.0, 37 / 24.0, -9 / 24.0}};

/// A configuration's steps, one method for each family of schedulers.
class walk {
 public:
  walk(scheduler_config const& config, scheduler_grid const& grid, scheduler_options const& options,
       std::vector<level> const& of)
      : c(config),
        g(grid),
        o(options),
        levels(of),
        n(levels.size() - 1),
        scaled(o.scaled && c.is_scaled()) {}

  std::vector<linear_step> steps() {
    std::string const& name = c.class_name;
    if (name == ddim) ddim_steps();
    else if (name == ddim_inverse) ddim_inverse_steps();
    else if (name == ddpm) ddpm_steps();
    else if (name == lcm) lcm_steps();
    else if (name == tcd) tcd_steps();
    else if (name == pndm) pndm_steps();
    else if (name == ipndm) ipndm_steps();
    else if (name == consistency) consistency_steps();
    else if (name == euler || name == edm_euler) euler_steps();
    else if (name == euler_ancestral) euler_ancestral_steps();
    else if (name == flow) flow_steps();
    else if (name == heun || name == flow_heun) heun_steps();
    else if (name == kdpm2 || name == kdpm2_ancestral) kdpm2_steps();
    else if (name == lms) lms_steps();
    else if (name == dpm || name == edm_dpm || name == dpm_inverse) dpm_steps();
    else if (name == dpm_single) dpm_singlestep_steps();
    else if (name == deis) deis_steps();
    else if (name == unipc) unipc_steps();
    else sa_steps();
    return std::move(all);
  }

 private:
  scheduler_config const& c;
  scheduler_grid const& g;
  scheduler_options const& o;
  std::vector<level> const& levels;
  std::size_t n;
  bool scaled;
  std::vector<linear_step> all;

  /// The outputs that a multistep method has at step k: a loop that begins midway has none before.
  std::size_t outputs_at(std::size_t k) const {
    return k + 1 - (k < o.from_step ? 0 : o.from_step);
  }

  double eta() const { return o.eta.value_or(c.class_name == tcd ? 0.3 : 0); }
  void add(std::vector<linear_statement> statements) { all.push_back({{{std::move(statements)}}}); }
  void add(linear to) { add({{sym::x::id, std::move(to)}}); }

  // abar of a timestep, and after the last one.
  double abar(double t) const { return std::exp(c.log_abar[static_cast<std::size_t>(t)]); }
  double abar_or_end(double t) const {
    if (t >= 0) return abar(t);
    return c.ends_clean ? 1 : abar(0);
  }
  /// T / n as Python's //.
  double stride() const { return c.num_train_timesteps / static_cast<int>(g.at.size()); }

  double alpha(std::size_t k) const { return levels[k].alpha; }
  double sigma(std::size_t k) const { return levels[k].sigma; }
  double lambda(std::size_t k) const { return std::log(alpha(k)) - std::log(sigma(k)); }

  // Of those that hold x as x0 + rho eps: x / alpha, which is what their formulas are about.
  double rho(std::size_t k) const { return g.sigmas[k]; }
  level at_rho(double s, double t) const { return level_by(c, s, t, scaled); }
  static linear held(level const& t) { return x_now / t.alpha; }
  static linear_statement x_from(linear const& held, level const& t) {
    return {sym::x::id, t.alpha * held};
  }

  /// What the network gave, of rho: from what follows of it and x / alpha.
  linear raw_at(double s, linear const& x) const {
    if (c.prediction_type == "sample") return data;
    if (c.prediction_type == "epsilon") return epsilon;
    double const scale = std::hypot(1, s);  // v = alpha eps - sigma x0 = (eps - sigma x) / alpha
    return scale * epsilon - s / scale * x;
  }

  // ---- those of abar

  /// Song et al. 2021, "Denoising Diffusion Implicit Models", eq. 12 and 16, from t to t - T // n,
  /// whatever the next timestep is.
  void ddim_steps() {
    for (double const t : g.at) {
      double const a = abar(t), a_s = abar_or_end(t - stride());
      double const deviation = eta() * std::sqrt((1 - a_s) / (1 - a) * (1 - a / a_s));
      linear to =
          std::sqrt(a_s) * data + std::sqrt(std::max(0.0, 1 - a_s - squared(deviation))) * epsilon;
      if (eta() > 0) to += deviation * fresh;
      add(to);
    }
  }
  /// The network is told the timestep that the step goes to.
  void ddim_inverse_steps() {
    for (double const t : g.timesteps)
      add(std::sqrt(abar(t)) * data + std::sqrt(1 - abar(t)) * epsilon);
  }
  /// Ho et al. 2020, "Denoising Diffusion Probabilistic Models", eq. 6 and 7.
  void ddpm_steps() {
    for (std::size_t k = 0; k < n; ++k) {
      double const t = g.at[k], a = abar(t), a_s = k + 1 < n ? abar(g.at[k + 1]) : 1;
      double const beta = 1 - a / a_s;
      linear to =
          std::sqrt(a_s) * beta / (1 - a) * data + std::sqrt(a / a_s) * (1 - a_s) / (1 - a) * x_now;
      double const variance = c.variance_type == "fixed_large" ? beta : (1 - a_s) / (1 - a) * beta;
      if (t > 0) to += std::sqrt(std::max(variance, 1e-20)) * fresh;
      add(to);
    }
  }
  /// Luo et al. 2023, "Latent Consistency Models", Algorithm 3; c_skip and c_out (eq. 9) as in the
  /// authors' code, of the timestep times timestep_scaling.
  void lcm_steps() {
    constexpr double sigma_data = 0.5;
    for (std::size_t k = 0; k < n; ++k) {
      double const t = g.at[k] * c.timestep_scaling;
      double const c_skip = squared(sigma_data) / (squared(t) + squared(sigma_data));
      linear to = t / std::hypot(t, sigma_data) * data + c_skip * x_now;
      if (k + 1 < n)
        to = std::sqrt(abar(g.at[k + 1])) * to + std::sqrt(1 - abar(g.at[k + 1])) * fresh;
      add(to);
    }
  }
  /// Zheng et al. 2024, "Trajectory Consistency Distillation", Algorithm 4: to s' = (1 - gamma) s,
  /// then noised to s.
  void tcd_steps() {
    for (std::size_t k = 0; k < n; ++k) {
      bool const is_last = k + 1 == n;
      double const s = is_last ? 0 : g.at[k + 1];
      double const a_s = abar(s), a = abar(std::floor((1 - eta()) * s));
      linear to = std::sqrt(a) * data + std::sqrt(1 - a) * epsilon;
      if (eta() > 0 && !is_last) to = std::sqrt(a_s / a) * to + std::sqrt(1 - a_s / a) * fresh;
      add(to);
    }
  }

  /// Liu et al. 2022, "Pseudo Numerical Methods for Diffusion Models on Manifolds", eq. 11: DDIM's
  /// step from t to s with `out` in place of the output.
  linear transferred(linear const& x, double t, double s, linear const& out) const {
    double const a = abar(t), a_s = abar_or_end(s);
    linear e = out;
    if (c.prediction_type == "v_prediction") e = std::sqrt(a) * out + std::sqrt(1 - a) * x;
    return std::sqrt(a_s / a) * x -
           (a_s - a) / (a * std::sqrt(1 - a_s) + std::sqrt(a * (1 - a) * a_s)) * e;
  }
  /// Eq. 13 (Runge and Kutta's) for three steps or, without them, eq. 12's warm-up; then the linear
  /// multistep method of eq. 12. The outputs of four steps are kept where they are: the oldest is
  /// overwritten.
  void pndm_steps() {
    int outputs = 0;  // so far
    auto const slot = [](int i) { return kept(2 + i % 4); };
    auto const output_at = [&](double t) {
      double const a = abar(t);
      if (c.prediction_type == "epsilon") return epsilon;
      return (epsilon - std::sqrt(1 - a) * x_now) / std::sqrt(a);
    };
    auto const where = [&](double t) {
      return std::optional(level_by(c, std::sqrt(1 / abar(t) - 1), t + 1, false));
    };
    // Of the newest `count` outputs, this evaluation's among them.
    auto const multistep = [&](int count, linear const& newest) {
      auto const& w = adams_bashforth[count - 1];
      linear r = w[0] * newest;
      for (int i = 1; i < count; ++i) r += w[i] * linear(slot(outputs - i));
      return r;
    };
    std::size_t at = 0;  // of the timesteps
    if (c.skips_runge_kutta) {
      double const t = g.timesteps[0], s = g.timesteps.size() > 1 ? g.timesteps[1] : t - stride();
      linear_step first;
      first.evaluations.push_back(
          {{{kept(0), x_now},
            {slot(0), output_at(t)},
            {sym::x::id, transferred(x_now, t, t - stride(), output_at(t))}},
           where(t)});
      if (g.timesteps.size() > 1) {
        linear const mean = 0.5 * (output_at(s) + linear(slot(0)));
        first.evaluations.push_back(
            {{{sym::x::id, transferred(linear(kept(0)), s + stride(), s, mean)}}, where(s)});
      }
      outputs = 1;
      at = 2;
      all.push_back(first);
    } else {
      double const half = std::floor(stride() / 2);
      for (; at < 12; at += 4) {
        double const t = g.timesteps[at];
        linear_step step;
        for (std::size_t i = 0; i < 4; ++i) {
          double const told = g.timesteps[at + i], to = i % 2 == 0 ? told - half : told;
          linear const out = output_at(told), from = i == 0 ? x_now : linear(kept(0));
          linear const sum = i == 0 ? linear() : linear(kept(1));  // so far, of the four
          std::vector<linear_statement> s;
          if (i == 0) s = {{kept(0), x_now}, {slot(outputs), out}};
          if (i < 3) s.push_back({kept(1), sum + (i == 0 ? 1 / 6.0 : 1 / 3.0) * out});
          s.push_back({sym::x::id, transferred(from, t, to, i == 3 ? sum + 1 / 6.0 * out : out)});
          step.evaluations.push_back({std::move(s), where(told)});
        }
        ++outputs;
        all.push_back(step);
      }
    }
    for (; at < g.timesteps.size(); ++at) {
      double const t = g.timesteps[at];
      linear const out = output_at(t);
      int const count = std::min(outputs + 1, 4);
      linear const to = transferred(x_now, t, t - stride(), multistep(count, out));
      all.push_back({{{{{slot(outputs), out}, {sym::x::id, to}}, where(t)}}});
      ++outputs;
    }
  }
  /// Zhang & Chen 2023, "Fast Sampling of Diffusion Models with Exponential Integrator": iPNDM, on
  /// x = alpha x0 + beta eps. Theirs takes x0 for 0 where alpha is.
  void ipndm_steps() {
    for (std::size_t k = 0; k < n; ++k) {
      int const past = static_cast<int>(std::min<std::size_t>(outputs_at(k) - 1, 3));
      auto const& w = adams_bashforth[past];
      linear e = w[0] * epsilon;
      for (int i = 1; i <= past; ++i) e += w[i] * linear(symbol_id{sym::word::past_eps, i});
      double const a = alpha(k);
      linear const x0 = a > 0 ? (x_now - sigma(k) * e) / a : linear();
      add(alpha(k + 1) * x0 + sigma(k + 1) * e);
    }
  }
  /// Song et al. 2023, "Consistency Models", Algorithm 1.
  void consistency_steps() {
    for (std::size_t k = 0; k < n; ++k) {
      double const s = std::clamp(g.sigmas[k + 1], c.edm_sigma_min, c.edm_sigma_max);
      linear to = data;
      if (n > 1) to += c.s_noise * std::sqrt(squared(s) - squared(c.edm_sigma_min)) * fresh;
      add(to);
    }
  }

  // ---- those of rho

  /// Karras et al. 2022, Algorithm 2 without its second evaluation; theirs evaluates the network
  /// before the noise is added.
  void euler_steps() {
    // Theirs counts its list of sigmas, which has one more where they are spaced in their
    // logarithm.
    bool const has_more = c.log_linear && !c.karras && !c.exponential && !c.beta;
    std::size_t const listed = n + (has_more ? 1 : 0);
    for (std::size_t k = 0; k < n; ++k) {
      double const s = rho(k);
      bool const churns = o.s_churn > 0 && s >= o.s_tmin && s <= o.s_tmax;
      double const gamma =
          churns ? std::min(o.s_churn / static_cast<double>(listed), std::sqrt(2.0) - 1) : 0;
      double const up = s * (1 + gamma);
      linear from = held(levels[k]), slope = epsilon;
      if (gamma > 0) {
        linear const raw = raw_at(s, from);
        from += o.s_noise * std::sqrt(squared(up) - squared(s)) * fresh;
        if (c.prediction_type == "epsilon") slope = raw;
        else if (c.prediction_type == "sample") slope = (from - raw) / up;
        else slope = (from - (from / (1 + squared(s)) - s / std::hypot(1, s) * raw)) / up;
      }
      add({x_from(from + (rho(k + 1) - up) * slope, levels[k + 1])});
    }
  }
  void euler_ancestral_steps() {
    for (std::size_t k = 0; k < n; ++k) {
      auto const [up, down] = ancestral_step(rho(k), rho(k + 1));
      add({x_from(held(levels[k]) + (down - rho(k)) * epsilon + up * fresh, levels[k + 1])});
    }
  }
  /// Euler's step of a flow, whose velocity is eps - x0.
  void flow_steps() {
    for (std::size_t k = 0; k < n; ++k)
      add(x_now + (g.sigmas[k + 1] - g.sigmas[k]) * (epsilon - data));
  }
  void heun_steps() {
    bool const is_flow = c.is_flow();
    linear const slope = is_flow ? epsilon - data : epsilon;
    auto const held_at = [&](std::size_t k) { return is_flow ? x_now : held(levels[k]); };
    auto const to = [&](linear const& h, std::size_t k) {
      return is_flow ? linear_statement{sym::x::id, h} : x_from(h, levels[k]);
    };
    for (std::size_t k = 0; k < n; ++k) {
      double const dt = rho(k + 1) - rho(k);
      linear const from = held_at(k);
      if (rho(k + 1) == 0) {
        add({to(from + dt * slope, k + 1)});
        continue;
      }
      // keep<0> has taken half of the first slope's way.
      all.push_back({{{{{kept(0), from + dt / 2 * slope}, to(from + dt * slope, k + 1)}},
                      {{to(linear(kept(0)) + dt / 2 * slope, k + 1)}, levels[k + 1]}}});
    }
  }
  /// from + dt (x - x0) / s, rounded to float32 after each operation as theirs is: where x is
  /// 20,000 times x0 the next one is what rounding leaves.
  static std::vector<linear_statement> along(linear const& from, double dt, linear const& x,
                                             double s) {
    auto const let = [](int i) { return symbol_id{sym::word::let, i}; };
    return {{let(0), data},
            {let(1), x - linear(let(0)), 1},
            {let(2), let(1), s},
            {let(3), dt * linear(let(2)), 1},
            {let(4), from + linear(let(3)), 1},
            {sym::x::id, let(4)}};
  }
  /// Karras et al. 2022, Algorithm 2 with the second evaluation in the geometric middle (DPM-
  /// Solver-2 in rho: Lu et al. 2022, Algorithm 1).
  void kdpm2_steps() {
    bool const draws = c.class_name == kdpm2_ancestral;
    for (std::size_t k = 0; k < n; ++k) {
      double const s = rho(k);
      ancestral const to = draws ? ancestral_step(s, rho(k + 1)) : ancestral{0, rho(k + 1)};
      linear const from = held(levels[k]);
      if (k + 1 == n) {
        add({x_from(from - s * epsilon, levels[k + 1])});
        continue;
      }
      double const middle = draws ? between(s, to.down) : between(to.down, s);
      level const there = at_rho(middle, g.timesteps[2 * k + 1] + 1);
      auto first = along(from, middle - s, from, s);
      auto second = along(linear(kept(0)), to.down - s, held(there), middle);
      linear end = second.back().value;
      if (draws) end += to.up * fresh;
      first.back() = x_from(first.back().value, there);
      second.back() = x_from(end, levels[k + 1]);
      first.push_back({kept(0), from});
      all.push_back({{{std::move(first)}, {std::move(second), there}}});
    }
  }
  /// The linear multistep method of any order (see samplers/lms_3.hpp).
  void lms_steps() {
    for (std::size_t k = 0; k < n; ++k) {
      std::size_t const order = std::min(k + 1, static_cast<std::size_t>(o.order));
      std::vector<double> at;
      for (std::size_t i = 0; i < order; ++i) at.push_back(rho(k - i));
      linear to = held(levels[k]);
      // Begun midway, theirs has the weights of the whole order for the slopes that are there.
      for (std::size_t i = 0; i < std::min(order, outputs_at(k)); ++i)
        to += integral(rho(k), rho(k + 1), [&](double s) { return lagrange(at, i, s); }) *
              past(sym::word::past_eps, epsilon, i);
      add({x_from(to, levels[k + 1])});
    }
  }

  // ---- those of lambda

  static linear past(sym::word w, linear const& now, std::size_t i) {
    return i == 0 ? now : linear(symbol_id{w, static_cast<int>(i)});
  }
  bool is_of_data() const { return c.algorithm_type.ends_with("++"); }
  /// x0 or eps of i evaluations ago.
  linear model(std::size_t i) const {
    return is_of_data() ? past(sym::word::past_x0, data, i) : past(sym::word::past_eps, epsilon, i);
  }

  /// Lu et al. 2022, "DPM-Solver" (eq. 3.7 and appendix B) and "DPM-Solver++" (section 4 and
  /// appendix D): a step of h in lambda from level `from` to level `to`, by the model's value m
  /// there and its divided differences d1 and d2 in units of h.
  linear dpm_solver(std::size_t from, std::size_t to, linear const& x, int order, linear const& m,
                    linear const& d1, linear const& d2) const {
    double const h = lambda(to) - lambda(from), a = alpha(to), s = sigma(to);
    bool const heun = c.solver_type == "heun" || order == 3;
    std::string const& kind = c.algorithm_type;
    double fx, f0, f1, f2, f_noise = 0;
    if (kind == "dpmsolver++") {
      double const e = std::expm1(-h);
      fx = s / sigma(from), f0 = -a * e;
      f1 = heun ? a * (e / h + 1) : -a * e / 2;
      f2 = -a * ((e + h) / (h * h) - 0.5);
    } else if (kind == "sde-dpmsolver++") {
      double const e = std::expm1(-2 * h);
      fx = s / sigma(from) * std::exp(-h), f0 = -a * e;
      f1 = heun ? a * (e / (2 * h) + 1) : -a * e / 2;
      f2 = a * ((-e - 2 * h) / (4 * h * h) - 0.5);
      f_noise = s * std::sqrt(-e);
    } else if (kind == "dpmsolver") {
      double const e = std::expm1(h);
      fx = a / alpha(from), f0 = -s * e;
      f1 = heun ? -s * (e / h - 1) : -s * e / 2;
      f2 = -s * ((e - h) / (h * h) - 0.5);
    } else {
      double const e = std::expm1(h);
      fx = a / alpha(from), f0 = -2 * s * e;
      f1 = heun ? -2 * s * (e / h - 1) : -s * e;
      f2 = 0;
      f_noise = s * std::sqrt(std::expm1(2 * h));
    }
    linear to_x = fx * x + f0 * m;
    if (order > 1) to_x += f1 * d1;
    if (order > 2) to_x += f2 * d2;
    if (kind.starts_with("sde")) to_x += f_noise * fresh;
    return to_x;
  }
  void dpm_steps() {
    for (std::size_t k = 0; k < n; ++k) {
      bool const is_short = c.lower_order_final && n < 15;
      bool const lowest = k + 1 == n && (c.euler_at_final || is_short || sigma(n) == 0);
      int order = std::min(c.solver_order, static_cast<int>(outputs_at(k)));
      if (lowest) order = 1;
      else if (k + 2 == n && is_short) order = std::min(order, 2);
      linear d1, d2;
      double const h = lambda(k + 1) - lambda(k);
      if (order > 1) d1 = h / (lambda(k) - lambda(k - 1)) * (model(0) - model(1));
      if (order > 2) {
        double const r0 = (lambda(k) - lambda(k - 1)) / h, r1 = (lambda(k - 1) - lambda(k - 2)) / h;
        linear const before = 1 / r1 * (model(1) - model(2));
        d2 = 1 / (r0 + r1) * (d1 - before);  // half of the second difference
        d1 += r0 * d2;
      }
      add(dpm_solver(k, k + 1, x_now, order, model(0), d1, d2));
    }
  }
  /// The orders of the evaluations of singlestep methods: 1, 2, 3, 1, 2, 3, ...
  std::vector<int> orders_of_singlesteps() const {
    std::vector<int> r;
    int const order = c.solver_order, count = static_cast<int>(n);
    bool const lower = c.lower_order_final || sigma(n) == 0 || count % order != 0;
    for (int i = 0; i < count; ++i) r.push_back(1 + i % order);
    if (lower && order == 3 && count % 3 == 0) r[n - 1] = 1;
    if (lower && order == 2 && count % 2 == 0) r[n - 1] = 1;
    if (sigma(n) == 0) r[n - 1] = 1;
    return r;
  }
  void dpm_singlestep_steps() {
    auto const orders = orders_of_singlesteps();
    for (std::size_t k = 0; k < n; ++k) {
      auto const order = std::min(static_cast<std::size_t>(orders[k]), outputs_at(k));
      std::size_t const from = k + 1 - order;
      linear const x = order == 1 ? x_now : linear(kept(0));
      linear d1, d2;
      double const h = lambda(k + 1) - lambda(from);
      if (order == 2) d1 = h / (lambda(k) - lambda(from)) * (model(0) - model(1));
      if (order == 3) {
        double const r0 = (lambda(k) - lambda(from)) / h, r1 = (lambda(k - 1) - lambda(from)) / h;
        linear const inner = 1 / r1 * (model(1) - model(2)), outer = 1 / r0 * (model(0) - model(2));
        d1 = outer;
        if (c.solver_type == "heun") {
          d1 = 1 / (r0 - r1) * (r0 * inner - r1 * outer);
          d2 = 2 / (r0 - r1) * (outer - inner);
        }
      }
      std::vector<linear_statement> s;
      if (order == 1 && c.solver_order > 1) s.push_back({kept(0), x_now});
      s.push_back({sym::x::id,
                   dpm_solver(from, k + 1, x, static_cast<int>(order), model(order - 1), d1, d2)});
      add(std::move(s));
    }
  }
  /// Zhang & Chen 2023, eq. 15: polynomials in ln(rho), integrated over rho.
  void deis_steps() {
    for (std::size_t k = 0; k < n; ++k) {
      bool const is_short = c.lower_order_final && n < 15;
      std::size_t order = std::min(static_cast<std::size_t>(c.solver_order), outputs_at(k));
      if (k + 1 == n && is_short) order = 1;
      else if (k + 2 == n && is_short) order = std::min<std::size_t>(order, 2);
      std::vector<double> at;
      for (std::size_t i = 0; i < order; ++i) at.push_back(-lambda(k - i));
      linear to = alpha(k + 1) / alpha(k) * x_now;
      for (std::size_t i = 0; i < order; ++i)
        to += alpha(k + 1) *
              integral(
                  -lambda(k), -lambda(k + 1),
                  [&](double l) { return std::exp(l) * lagrange(at, i, l); }, 16) *
              model(i);
      add(to);
    }
  }

  /// Zhao et al. 2023, "UniPC", Algorithms 1 to 4 with varying coefficients: what UniP and UniC add
  /// to a step of order 1 from level `from` to level `to`, by the differences of the model's values
  /// at `levels_before` from `m`; and `newest`, at level `to` itself.
  linear unified(std::size_t from, std::size_t to, linear const& x, linear const& m,
                 std::vector<std::pair<std::size_t, linear>> const& others,
                 linear const* newest) const {
    double const h = lambda(to) - lambda(from);
    double const hh = is_of_data() ? -h : h, phi_1 = std::expm1(hh);
    double const big_b = c.solver_type == "bh1" ? hh : phi_1;
    std::vector<double> r;
    std::vector<linear> d;
    for (auto const& [at, value] : others) {
      r.push_back((lambda(at) - lambda(from)) / h);
      d.push_back(1 / r.back() * (value - m));
    }
    if (newest) {
      r.push_back(1);
      d.push_back(*newest - m);
    }
    // Sums over i of rho_i r_i^(j - 1) = j! phi_(j + 1)(hh) hh^... / B, as theirs.
    std::vector<double> weights;
    if (r.size() == 1) weights = {0.5};  // "order 1 and 2 by hand"
    else if (!r.empty()) {
      std::vector<std::vector<double>> powers;
      std::vector<double> b;
      double phi = phi_1 / hh - 1, factorial = 1;
      for (std::size_t j = 0; j < r.size(); ++j) {
        powers.emplace_back();
        for (double const one : r) powers.back().push_back(std::pow(one, static_cast<double>(j)));
        b.push_back(phi * factorial / big_b);
        factorial *= static_cast<double>(j) + 2;
        phi = phi / hh - 1 / factorial;
      }
      weights = solved(std::move(powers), std::move(b));
    }
    double const scale = is_of_data() ? alpha(to) : sigma(to);
    linear sum =
        (is_of_data() ? sigma(to) / sigma(from) : alpha(to) / alpha(from)) * x - scale * phi_1 * m;
    for (std::size_t i = 0; i < d.size(); ++i) sum += -scale * big_b * weights[i] * d[i];
    return sum;
  }
  void unipc_steps() {
    std::size_t order_before = 0;
    for (std::size_t k = 0; k < n; ++k) {
      auto const others = [&](std::size_t from, std::size_t first, std::size_t order) {
        std::vector<std::pair<std::size_t, linear>> r;
        for (std::size_t i = 1; i < order; ++i) r.emplace_back(from - i, model(first + i));
        return r;
      };
      linear corrected = x_now;
      bool const corrects =
          outputs_at(k) > 1 && std::ranges::find(c.disable_corrector, static_cast<int>(k) - 1) ==
                                   c.disable_corrector.end();
      linear const now = model(0);
      if (corrects)
        corrected =
            unified(k - 1, k, linear(kept(0)), model(1), others(k - 1, 1, order_before), &now);
      std::size_t order = static_cast<std::size_t>(c.solver_order);
      if (c.lower_order_final) order = std::min(order, n - k);
      order = std::min(order, outputs_at(k));
      std::vector<linear_statement> s;
      if (k + 1 < n) s.push_back({kept(0), corrected});
      s.push_back({sym::x::id, unified(k, k + 1, corrected, now, others(k, 0, order), nullptr)});
      add(std::move(s));
      order_before = order;
    }
  }

  /// Xue et al. 2023, "SA-Solver", eq. 14 and 17: from level `from` to level `to` by the model's
  /// values at `at`, the newest first, with the strength tau of the noise.
  linear adams(std::size_t from, std::size_t to, linear const& x,
               std::vector<std::size_t> const& at, std::vector<linear> const& values, double tau,
               linear const& noise, bool corrects) const {
    double const h = lambda(to) - lambda(from), a = 1 + tau * tau, end = lambda(to);
    std::vector<double> lambdas, w;
    for (std::size_t const i : at) lambdas.push_back(lambda(i));
    for (std::size_t i = 0; i < at.size(); ++i)  // without e^(a end), which is in `scale`
      w.push_back(integral(
          lambda(from), end,
          [&](double l) { return std::exp(a * (l - end)) * lagrange(lambdas, i, l); }, 16));
    if (at.size() == 2) {  // the authors' code has this, for order 2 alone
      double const rest = (h * a - 1 + std::exp(-a * h)) / (a * a);
      double const more =
          corrects ? h / 2 - rest / h : (h * h / 2 - rest) / (lambda(from) - lambdas[1]);
      w[0] += more;
      w[1] -= more;
    }
    double const scale = a * sigma(to) * std::exp(end);
    linear sum = std::exp(-tau * tau * h) * sigma(to) / sigma(from) * x;
    for (std::size_t i = 0; i < at.size(); ++i) sum += scale * w[i] * values[i];
    return sum + sigma(to) * std::sqrt(-std::expm1(-2 * tau * tau * h)) * noise;
  }
  void sa_steps() {
    auto const tau = [&](std::size_t k) { return g.at[k] >= 200 && g.at[k] <= 800 ? 1.0 : 0.0; };
    auto const p = static_cast<std::size_t>(c.predictor_order),
               q = static_cast<std::size_t>(c.corrector_order);
    std::size_t corrector = 0;
    for (std::size_t k = 0; k < n; ++k) {
      linear corrected = x_now;
      if (outputs_at(k) > 1) {
        std::vector<std::size_t> at;
        std::vector<linear> values;
        for (std::size_t i = 0; i < corrector; ++i) at.push_back(k - i), values.push_back(model(i));
        corrected = adams(k - 1, k, linear(kept(0)), at, values, tau(k - 1), linear(kept(1)), true);
      }
      std::size_t const seen = std::min(outputs_at(k) - 1, std::max(p, q - 1));
      std::size_t order = p;
      corrector = q;
      if (c.lower_order_final) order = std::min(p, n - k), corrector = std::min(q, n - k + 1);
      order = std::min(order, seen + 1), corrector = std::min(corrector, seen + 2);
      std::vector<std::size_t> at;
      std::vector<linear> values;
      for (std::size_t i = 0; i < order; ++i) at.push_back(k - i), values.push_back(model(i));
      std::vector<linear_statement> s;
      if (k + 1 < n) s = {{kept(0), corrected}, {kept(1), fresh}};
      s.push_back({sym::x::id, adams(k, k + 1, corrected, at, values, tau(k), fresh, false)});
      add(std::move(s));
    }
  }
};

// ---- the other stages

any_prediction prediction_of(scheduler_config const& c, bool scaled) {
  if (c.is_flow()) return forget_prediction(predicts::velocity{});
  if (c.class_name == ipndm) return forget_prediction(predicts::v{});
  if (c.class_name == consistency) {
    if (scaled) return forget_prediction(consistent_scaled{c.edm_sigma_min, c.sigma_data});
    return forget_prediction(consistent{{c.edm_sigma_min, c.sigma_data}});
  }
  if (c.has_edm_levels()) {
    double const sign = c.prediction_type == "epsilon" ? 1 : -1;
    if (scaled) return forget_prediction(edm_scaled{c.sigma_data, sign});
    return forget_prediction(edm_signed{{c.sigma_data, sign}});
  }
  if (c.prediction_type == "epsilon") return forget_prediction(predicts::epsilon{});
  if (c.prediction_type == "sample") return forget_prediction(predicts::x0{});
  if (scaled) return forget_prediction(v_scaled{});
  return forget_prediction(predicts::v{});
}

any_threshold threshold_of(scheduler_config const& c, scheduler_options const& o) {
  // UniPC's of eps has the keys and does not read them.
  if (c.class_name == unipc && !c.algorithm_type.ends_with("++")) return {};
  bool const keeps_eps = (c.class_name == ddim || c.class_name == ddim_inverse) && !o.rederives;
  if (c.sample_max_value) {
    if (keeps_eps)
      return forget_threshold(dynamic_up_to<false>{c.thresholding_ratio, *c.sample_max_value});
    return forget_threshold(dynamic_up_to<true>{c.thresholding_ratio, *c.sample_max_value});
  }
  if (!c.clip) return {};
  if (keeps_eps) return forget_threshold(thresholds::clip_x0_only{*c.clip});
  return forget_threshold(thresholds::clip{*c.clip});
}

}  // namespace

/// What a plan says against its stages, in the words of a configuration.
static std::string in_its_words(std::string what, scheduler_config const& c, std::size_t steps) {
  // The stages' own advice names other stages.
  for (std::string_view const advice : {"; use ", ": use ", ", use "})
    if (auto const at = what.find(advice); at != std::string::npos) what.erase(at);
  std::string const type = fmt::format("prediction_type = \"{}\"", c.prediction_type);
  for (std::string const stage : {"predicts::epsilon", "predicts::x0", "predicts::velocity",
                                  "predicts::edm", "predicts::consistency", "predicts::v"})
    for (auto at = what.find(stage); at != std::string::npos; at = what.find(stage))
      what.replace(at, stage.size(), type);
  return fmt::format(
      "the configuration of {} in {} steps makes no plan: {}; expected another number of steps, "
      "another prediction_type, or a schedule that begins with less noise",
      c.class_name, steps, what);
}

any_plan make_plan(scheduler_config const& c, scheduler_grid const& grid,
                   scheduler_options const& o, any_network const& network) {
  check_options(c, o);
  bool const scaled = o.scaled && c.is_scaled();
  auto levels = levels_of(c, grid, scaled);
  if (o.from_step >= levels.size() - 1)
    throw error(fmt::format("a loop from step {} was asked for; expected 0 to {}", o.from_step,
                            levels.size() - 2));
  auto steps = walk(c, grid, o, levels).steps();
  auto const left_out = static_cast<std::ptrdiff_t>(o.from_step);
  levels.erase(levels.begin(), levels.begin() + left_out);
  steps.erase(steps.begin(), steps.begin() + left_out);
  bool const learns = c.class_name == ddpm && c.variance_type == "learned_range";
  any_stages stages{.predicts = prediction_of(c, scaled),
                    .guidance = forget_guidance(guidance::none{}),
                    .threshold = threshold_of(c, o),
                    .sampler = learns ? forget_sampler(tweedie::samplers::ancestral_learned{})
                                      : forget_linear_steps(std::move(steps))};
  stages.checks_share = false;  // theirs may divide by an alpha of 5e-5, and are followed
  if (o.noise && std::ranges::any_of(stages.sampler.mentioned, &symbol_id::is_noise))
    stages.noise = o.noise;
  std::size_t const n = levels.size() - 1;
  try {
    return build_plan(stages, network, std::move(levels), {}, compiled_programs());
  } catch (error const& e) {
    throw error(in_its_words(e.what(), c, n));
  }
}

}  // namespace tweedie::ready
