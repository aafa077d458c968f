#include <tweedie/pipelines/ready/scheduler_config.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numbers>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <tweedie/pipelines/ready/programs.hpp>
#include <tweedie/pipelines/ready/stages.hpp>
#include <tweedie/samplers/consistency.hpp>

namespace tweedie::ready {
namespace {

using json = nlohmann::json;

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

constexpr std::string_view ddim = "DDIMScheduler", ddpm = "DDPMScheduler",
                           dpm = "DPMSolverMultistepScheduler", euler = "EulerDiscreteScheduler",
                           euler_ancestral = "EulerAncestralDiscreteScheduler",
                           heun = "HeunDiscreteScheduler", unipc = "UniPCMultistepScheduler",
                           flow = "FlowMatchEulerDiscreteScheduler", lcm = "LCMScheduler";

// ---- the text

constexpr std::size_t longest_text = 1 << 20, longest_shown = 100;
constexpr int most_timesteps = 100'000;

std::string shown(json const& value) {
  std::string r = value.dump(-1, ' ', true, json::error_handler_t::replace);
  if (r.size() > longest_shown) r = r.substr(0, longest_shown) + "...";
  return r;
}

/// Python writes Infinity and NaN, which are no JSON: as texts of themselves.
std::string with_quoted_infinities(std::string_view text) {
  std::string r;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"' && (i == 0 || text[i - 1] != '\\')) quoted = !quoted;
    bool found = false;
    for (std::string_view const word : {"-Infinity", "Infinity", "NaN"})
      if (!quoted && !found && text.substr(i).starts_with(word)) {
        r += fmt::format("\"{}\"", word);
        i += word.size() - 1;
        found = true;
      }
    if (!found) r += text[i];
  }
  return r;
}

json parsed(std::string_view text, std::string const& source) {
  if (text.size() > longest_text)
    throw error(fmt::format("{}: a text of {} bytes was given; expected {} at most", source,
                            text.size(), longest_text));
  std::set<std::string> seen;
  json::parser_callback_t const look = [&](int depth, json::parse_event_t event, json& value) {
    if (depth > 8)
      throw error(fmt::format("{}: lists are nested deeper than 8; expected one level", source));
    if (depth == 1 && event == json::parse_event_t::key &&
        !seen.insert(value.get<std::string>()).second)
      throw error(
          fmt::format("{}: the key {} is given twice; expected it once", source, shown(value)));
    return true;
  };
  try {
    return json::parse(with_quoted_infinities(text), look);
  } catch (json::exception const& e) {
    std::string what = e.what();  // "[json.exception.parse_error.101] parse error at line 1, ..."
    if (auto const at = what.find("] "); at != std::string::npos) what.erase(0, at + 2);
    throw error(fmt::format("{}: {}", source, what.substr(0, 2 * longest_shown)));
  }
}

/// Keys that some scheduler of diffusers has, and these do not read.
std::vector<std::string_view> const& keys_of_others() {
  static std::vector<std::string_view> const all{"num_train_timesteps",
                                                 "beta_start",
                                                 "beta_end",
                                                 "beta_schedule",
                                                 "trained_betas",
                                                 "prediction_type",
                                                 "timestep_spacing",
                                                 "steps_offset",
                                                 "rescale_betas_zero_snr",
                                                 "clip_sample",
                                                 "clip_sample_range",
                                                 "set_alpha_to_one",
                                                 "thresholding",
                                                 "dynamic_thresholding_ratio",
                                                 "sample_max_value",
                                                 "variance_type",
                                                 "solver_order",
                                                 "algorithm_type",
                                                 "solver_type",
                                                 "lower_order_final",
                                                 "euler_at_final",
                                                 "use_karras_sigmas",
                                                 "use_exponential_sigmas",
                                                 "use_beta_sigmas",
                                                 "use_lu_lambdas",
                                                 "use_flow_sigmas",
                                                 "flow_shift",
                                                 "final_sigmas_type",
                                                 "lambda_min_clipped",
                                                 "interpolation_type",
                                                 "timestep_type",
                                                 "sigma_min",
                                                 "sigma_max",
                                                 "predict_x0",
                                                 "disable_corrector",
                                                 "solver_p",
                                                 "use_dynamic_shifting",
                                                 "time_shift_type",
                                                 "shift",
                                                 "base_shift",
                                                 "max_shift",
                                                 "base_image_seq_len",
                                                 "max_image_seq_len",
                                                 "invert_sigmas",
                                                 "shift_terminal",
                                                 "stochastic_sampling",
                                                 "original_inference_steps",
                                                 "timestep_scaling",
                                                 "skip_prk_steps",
                                                 "sigma_data",
                                                 "sigma_schedule",
                                                 "s_noise",
                                                 "rho",
                                                 "noise_sampler_seed",
                                                 "gamma",
                                                 "snr_shift_scale"};
  return all;
}

/// A configuration, key by key.
class reader {
 public:
  reader(json of, std::string source, std::string class_name)
      : of_(std::move(of)), source_(std::move(source)), class_(std::move(class_name)) {}

  [[noreturn]] void refuse(std::string const& key, std::string const& expected) const {
    auto const given = of_.find(key);
    if (given == of_.end())
      throw error(
          fmt::format("{}: no {} was given for {}, whose usual one does not fit; expected {}",
                      source_, key, class_, expected));
    throw error(fmt::format("{}: {} = {} was given for {}; expected {}", source_, key,
                            shown(*given), class_, expected));
  }
  bool has(char const* key) {
    read_.insert(key);
    return of_.contains(key) && !of_[key].is_null();
  }
  double number(char const* key, double usual) {
    if (!has(key)) return usual;
    if (!of_[key].is_number()) refuse(key, "a number");
    return of_[key].get<double>();
  }
  std::optional<double> maybe(char const* key) {
    if (!has(key)) return {};
    return number(key, 0);
  }
  int whole(char const* key, int usual, int least, int most) {
    double const r = number(key, usual);
    if (!(r == std::floor(r) && r >= least && r <= most))
      refuse(key, fmt::format("a whole number from {} to {}", least, most));
    return static_cast<int>(r);
  }
  bool flag(char const* key, bool usual) {
    if (!has(key)) return usual;
    if (!of_[key].is_boolean()) refuse(key, "true or false");
    return of_[key].get<bool>();
  }
  std::string choice(char const* key, char const* usual,
                     std::vector<std::string_view> const& there) {
    if (!has(key)) return usual;
    if (!of_[key].is_string() ||
        std::ranges::find(there, of_[key].get_ref<std::string const&>()) == there.end())
      refuse(key, there.size() == 1 ? fmt::format("{}, which alone is followed", there[0])
                                    : fmt::format("one of: {}", fmt::join(there, ", ")));
    return of_[key].get<std::string>();
  }
  /// What would change numbers if it had another value.
  void off(char const* key) {
    if (has(key) && of_[key] != json(false)) refuse(key, "false: it is not followed");
  }
  void only(char const* key, json const& value) {
    if (has(key) && of_[key] != value)
      refuse(key, fmt::format("{}: another one is not followed", shown(value)));
  }
  /// What changes no number here.
  void pass(char const* key) { has(key); }
  json const& at(char const* key) const { return of_.at(key); }

  /// Keys that no scheduler has are refused; those of others are returned.
  std::vector<std::string> unread() const {
    std::vector<std::string> r;
    for (auto const& item : of_.items()) {
      if (read_.contains(item.key()) || item.key().starts_with("_")) continue;
      auto const& there = keys_of_others();
      if (std::ranges::find(there, item.key()) == there.end()) {
        std::vector<std::string_view> const own(read_.begin(), read_.end());
        throw error(fmt::format("{}: the key {} was given for {}; {}", source_, shown(item.key()),
                                class_, expected_names(item.key(), own)));
      }
      r.push_back(item.key());
    }
    return r;
  }
  std::string const& source() const { return source_; }

 private:
  json of_;
  std::string source_, class_;
  std::set<std::string> read_;
};

/// That library's tables are float32: 1 - beta is rounded, products of them are summed up in double
/// and rounded, and 1 - abar of the first timesteps has lost four digits. Its samples follow these;
/// so do those here. Betas that are lost altogether stay as they are.
void round_as_tables(std::vector<double> const& betas, std::vector<double>& log_abar) {
  std::vector<double> rounded;
  double product = 1, last = 1;
  for (double const beta : betas) {
    product *= double{1.0f - static_cast<float>(beta)};
    double const abar = double{static_cast<float>(product)};
    if (!(abar < last && abar > 0)) return;
    rounded.push_back(std::log(last = abar));
  }
  log_abar = std::move(rounded);
}

/// ln abar of timesteps 0 .. T - 1. `least`: abar of the last one under rescale_betas_zero_snr (Lin
/// et al. 2023, Algorithm 1), which the solvers in sigma keep above 0.
std::vector<double> read_betas(reader& r, scheduler_config& c, double first, double last,
                               char const* usual, double least, bool rescales = true) {
  int const T = c.num_train_timesteps;
  first = r.number("beta_start", first);
  last = r.number("beta_end", last);
  std::string const kind =
      r.choice("beta_schedule", usual, {"linear", "scaled_linear", "squaredcos_cap_v2"});
  std::vector<double> betas;
  if (r.has("trained_betas")) {
    json const& given = r.at("trained_betas");
    if (!given.is_array() || given.size() != static_cast<std::size_t>(T) ||
        !std::ranges::all_of(given, [](json const& one) { return one.is_number(); }))
      r.refuse("trained_betas", fmt::format("a list of num_train_timesteps = {} numbers", T));
    betas = given.get<std::vector<double>>();
  } else if (kind == "squaredcos_cap_v2") {
    tweedie::schedules::cosine const s{.steps = T};
    for (int i = 1; i <= T; ++i) betas.push_back(s.beta(i));
  } else if (kind == "linear") {
    tweedie::schedules::linear const s{first, last, T};
    for (int i = 1; i <= T; ++i) betas.push_back(s.beta(i));
  } else {
    tweedie::schedules::scaled_linear const s{first, last, T};
    for (int i = 1; i <= T; ++i) betas.push_back(s.beta(i));
  }
  std::vector<double> log_abar;
  double sum = 0;
  for (std::size_t i = 0; i < betas.size(); ++i) {
    if (!(betas[i] > 0 && betas[i] < 1))
      throw error(fmt::format("{}: the beta of timestep {} is {}; expected above 0 and below 1",
                              r.source(), i, betas[i]));
    log_abar.push_back(sum += std::log1p(-betas[i]));
  }
  round_as_tables(betas, log_abar);
  if (rescales && r.flag("rescale_betas_zero_snr", false)) {
    double const root_first = std::exp(log_abar.front() / 2),
                 root_last = std::exp(log_abar.back() / 2);
    for (double& one : log_abar)
      one = 2 * std::log((std::exp(one / 2) - root_last) * root_first / (root_first - root_last));
    log_abar.back() = std::log(least);
  }
  return log_abar;
}

void read_clip(reader& r, scheduler_config& c, char const* clips) {
  bool const clip = clips && r.flag("clip_sample", clips == std::string_view("true"));
  double const range = clips ? r.number("clip_sample_range", 1) : 1;
  c.thresholding_ratio = r.number("dynamic_thresholding_ratio", 0.995);
  double const most = r.number("sample_max_value", 1);
  if (r.flag("thresholding", false)) {
    if (!(c.thresholding_ratio > 0 && c.thresholding_ratio <= 1))
      r.refuse("dynamic_thresholding_ratio", "above 0, 1 at most");
    if (!(most >= 1 && std::isfinite(most)))
      r.refuse("sample_max_value", "a finite one, 1 or more: below it is not followed");
    // Their quantile is at most sample_max_value: with the usual 1 it is a clip to [-1, 1].
    if (most > 1) c.sample_max_value = most;
    else c.clip = 1;
  } else if (clip) {
    c.clip = range;
  }
  if (c.clip && !(*c.clip > 0 && std::isfinite(*c.clip)))
    r.refuse("clip_sample_range", "a finite one above 0");
}

void read_sigmas(reader& r, scheduler_config& c) {
  c.karras = r.flag("use_karras_sigmas", false);
  c.exponential = r.flag("use_exponential_sigmas", false);
  if (c.karras && c.exponential)
    r.refuse("use_exponential_sigmas", "one of use_karras_sigmas and use_exponential_sigmas");
  r.off("use_beta_sigmas");
}
/// `declares`: whether the class has the two among its own keys. The others ask for them all the
/// same where they convert sigmas, and nowhere else.
void read_sigma_range(reader& r, scheduler_config& c, bool declares = true) {
  bool const converts = c.karras || c.exponential;
  auto const sigma_min = r.maybe("sigma_min"), sigma_max = r.maybe("sigma_max");
  if (converts || declares) c.sigma_min = sigma_min, c.sigma_max = sigma_max;
  for (char const* key : {"sigma_min", "sigma_max"})
    if (auto const given = r.maybe(key)) {
      if (!(*given > 0 && std::isfinite(*given))) r.refuse(key, "a finite one above 0");
      if (declares && !converts)
        r.refuse(key, "none without use_karras_sigmas or use_exponential_sigmas");
    }
}
void read_final(reader& r, scheduler_config& c) {
  c.ends_clean = r.choice("final_sigmas_type", "zero", {"zero", "sigma_min"}) == "zero";
}
void read_spacing(reader& r, scheduler_config& c, char const* usual) {
  c.timestep_spacing = r.choice("timestep_spacing", usual, {"linspace", "leading", "trailing"});
  c.steps_offset = r.whole("steps_offset", 0, 0, c.num_train_timesteps - 1);
}
void read_prediction(reader& r, scheduler_config& c, bool of_sample = true) {
  std::vector<std::string_view> there{"epsilon", "v_prediction"};
  if (of_sample) there.push_back("sample");
  c.prediction_type = r.choice("prediction_type", "epsilon", there);
}

constexpr double smallest_abar = 0x1p-24;  // float32's, in the solvers in sigma

// ---- the grid

/// n points from a to b, as NumPy's.
std::vector<double> linspace(double a, double b, int n) {
  std::vector<double> r;
  double const step = n > 1 ? (b - a) / (n - 1) : 0;
  for (int i = 0; i < n; ++i) r.push_back(i > 0 && i + 1 == n ? b : a + i * step);
  return r;
}

/// Timesteps from noisy to clean. `solver`: one point more, of which the cleanest is left out.
std::vector<double> spaced(scheduler_config const& c, int n, bool solver, bool rounds) {
  int const total = c.num_train_timesteps;
  int T = total;
  if (std::isfinite(c.lambda_min_clipped) && solver)
    T -= static_cast<int>(std::ranges::count_if(c.log_abar, [&](double l) {
      return (l - std::log(-std::expm1(l))) / 2 < c.lambda_min_clipped;
    }));
  std::vector<double> r;
  if (c.timestep_spacing == "linspace") {
    r = linspace(0, T - 1, n + (solver ? 1 : 0));
    if (rounds)
      for (double& t : r) t = std::nearbyint(t);
  } else if (c.timestep_spacing == "leading") {
    int const stride = T / (n + (solver ? 1 : 0));
    for (int k = 0; k < n + (solver ? 1 : 0); ++k) r.push_back(k * stride + c.steps_offset);
  } else {
    // NumPy's arange(T, 0, -total / n): its values are T plus multiples of the first difference.
    double const stride = static_cast<double>(total) / n;
    double const step = (T - stride) - T;
    if (static_cast<int>(std::ceil(T / stride)) != n)
      throw error(
          fmt::format("timestep_spacing = \"trailing\" was given for {} and {} steps, of "
                      "which diffusers makes another number; expected another number of "
                      "steps, or another spacing",
                      c.class_name, n));
    for (int k = n - 1; k >= 0; --k) r.push_back(std::nearbyint(T + k * step) - 1);
  }
  if (solver && c.timestep_spacing != "trailing") r.erase(r.begin());
  std::ranges::reverse(r);
  if (r.front() > total - 1 || r.back() < 0)
    throw error(
        fmt::format("steps_offset = {} was given for {} and {} steps, whose first timestep is {} "
                    "then; expected "
                    "one of 0 to {} at most",
                    c.steps_offset, c.class_name, n, r.front(), total - 1));
  return r;
}

/// sigma / alpha of a timestep, between two linear in it.
double rho_of(scheduler_config const& c, double t) {
  auto const knot = [&](std::size_t i) {
    double const l = c.log_abar[std::min(i, c.log_abar.size() - 1)];
    return std::sqrt(-std::expm1(l)) / std::exp(l / 2);
  };
  auto const k = static_cast<std::size_t>(t);
  double const part = t - std::floor(t);
  return part == 0 ? knot(k) : knot(k) + part * (knot(k + 1) - knot(k));
}

/// The timestep of a sigma / alpha, between two linear in its logarithm.
double timestep_of(scheduler_config const& c, double rho) {
  std::size_t const last = c.log_abar.size() - 1;
  auto const log_knot = [&](std::size_t i) { return std::log(rho_of(c, static_cast<double>(i))); };
  double const l = std::log(std::max(rho, 1e-10));
  std::size_t low = 0, high = last;
  while (low + 1 < high) {
    std::size_t const middle = (low + high) / 2;
    (log_knot(middle) <= l ? low : high) = middle;
  }
  double const a = log_knot(low), b = log_knot(high);
  double const w = b > a ? std::clamp((l - a) / (b - a), 0.0, 1.0) : 0;
  return static_cast<double>(low) + w;
}

/// Karras et al. 2022, eq. 5, with their rho = 7; or geometric.
std::vector<double> converted(scheduler_config const& c, double high, double low, int n) {
  high = c.sigma_max.value_or(high);
  low = c.sigma_min.value_or(low);
  std::vector<double> r;
  for (double const share : linspace(0, 1, n))
    if (c.karras) {
      double const a = std::pow(high, 1 / 7.0), b = std::pow(low, 1 / 7.0);
      r.push_back(std::pow(a + share * (b - a), 7));
    } else {
      r.push_back(std::exp(std::log(high) + share * (std::log(low) - std::log(high))));
    }
  return r;
}

scheduler_grid grid_of_flow(scheduler_config const& c, int n, std::vector<double> sigmas,
                            std::optional<double> mu) {
  double const T = c.num_train_timesteps;
  if (c.use_dynamic_shifting && !mu)
    throw error(fmt::format(
        "use_dynamic_shifting = true was given for {} without mu; expected set_timesteps(..., mu)",
        c.class_name));
  auto const by_shift = [&](double s) { return c.shift * s / (1 + (c.shift - 1) * s); };
  if (sigmas.empty())  // shifted here, and below once more: theirs is
    sigmas =
        c.use_dynamic_shifting ? linspace(1, 1 / T, n) : linspace(by_shift(1), by_shift(1 / T), n);
  for (double& s : sigmas) {
    if (!(s > 0 && s <= 1))
      throw error(fmt::format("the sigma {} was given for {}; expected above 0, 1 at most", s,
                              c.class_name));
    double const m = c.shifts_by_exp ? std::exp(mu.value_or(0)) : mu.value_or(1);
    s = c.use_dynamic_shifting ? m / (m + (1 / s - 1)) : by_shift(s);
  }
  if (c.shift_terminal && *c.shift_terminal != 0) {
    double const factor = (1 - sigmas.back()) / (1 - *c.shift_terminal);
    for (double& s : sigmas) s = 1 - (1 - s) / factor;
  }
  scheduler_grid g;
  for (double const s : sigmas) g.timesteps.push_back(s * T);
  g.at = g.timesteps;
  g.sigmas = std::move(sigmas);
  g.sigmas.push_back(0);
  return g;
}

std::vector<double> timesteps_of_lcm(scheduler_config const& c, int n) {
  int const original = c.original_inference_steps, k = c.num_train_timesteps / original;
  if (n > original)
    throw error(
        fmt::format("{} steps were given for {}; expected original_inference_steps = {} at most", n,
                    c.class_name, original));
  std::vector<double> r;
  for (int i = 0; i < n; ++i) {
    auto const at = static_cast<int>(std::floor(i * (static_cast<double>(original) / n)));
    r.push_back((original - at) * k - 1);
  }
  return r;
}

/// DDIM's step goes from t to t - T / n, whatever the next timestep is.
void check_chain(scheduler_config const& c, std::vector<double> const& timesteps, int n) {
  int const stride = c.num_train_timesteps / n;
  bool chain = timesteps.back() - stride < 0;
  for (std::size_t i = 1; i < timesteps.size(); ++i)
    chain = chain && timesteps[i - 1] - stride == timesteps[i];
  if (!chain)
    throw error(fmt::format(
        "timestep_spacing = \"{}\" was given for {} and {} steps: it steps from each timestep t to "
        "t - {}, which is not the next one, so that its levels are no path; expected \"leading\", "
        "or \"trailing\" and a number of steps that divides {}",
        c.timestep_spacing, c.class_name, n, stride, c.num_train_timesteps));
}

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

/// Luo et al. 2023, "Latent Consistency Models", eq. 9 as in the authors' code: c_skip x + c_out x0
/// in place of x0, of another prediction.
template <class P> struct boundary {
  using kind = kinds::parameterization;
  static constexpr char const* name = "LCM";
  P of;
  double scaling = 10;
  auto x0_of(level t) const { return c_out(t) * of.x0_of(t) + c_skip(t) * x; }
  auto eps_of(level t) const {
    return x / t.sigma - t.alpha / t.sigma * (c_out(t) * of.x0_of(t) + c_skip(t) * x);
  }
  auto target(level t) const { return of.target(t); }

 private:
  static constexpr double sigma_data = 0.5;
  double scaled(level t) const { return (t.t - 1) * scaling; }  // their timestep
  double c_skip(level t) const {
    return sigma_data * sigma_data / (scaled(t) * scaled(t) + sigma_data * sigma_data);
  }
  double c_out(level t) const { return scaled(t) / std::hypot(scaled(t), sigma_data); }
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

/// The last step of order 1, where its level is a noisy one.
struct lower_at {
  double rho = -1;  ///< of its end; -1: none
  bool operator()(level s) const { return s.rho() == rho; }
};

/// samplers::dpmpp_2m and sde_dpmpp_2m without a bound of the slope, as diffusers has them.
struct dpmpp {
  using kind = kinds::sampler;
  int order = 2;
  bool heun = false;
  lower_at lower;
  auto step(level t, level s) const {
    double const h = s.lambda() - t.lambda();
    return tweedie::step(x = s.sigma / t.sigma * x - s.alpha * std::expm1(-h) * x0);
  }
  auto step(level r, level t, level s) const {
    double const h = s.lambda() - t.lambda(), h_0 = t.lambda() - r.lambda();
    double w = 0;
    if (order > 1 && !lower(s))
      w = s.alpha * (heun ? std::expm1(-h) / h + 1 : -std::expm1(-h) / 2) * h / h_0;
    return tweedie::step(x = s.sigma / t.sigma * x + (w - s.alpha * std::expm1(-h)) * x0 -
                             w * past_x0<1>);
  }
};

/// Of order 3, with half of the second difference, as samplers::dpmpp_3m_published has it.
struct dpmpp_3 {
  using kind = kinds::sampler;
  bool heun = false;
  lower_at lower, second;
  auto step(level t, level s) const { return dpmpp{}.step(t, s); }
  auto step(level r, level t, level s) const { return dpmpp{2, heun, lower}.step(r, t, s); }
  auto step(level q, level r, level t, level s) const {
    double const h = s.lambda() - t.lambda(), h_0 = t.lambda() - r.lambda();
    double const r0 = h_0 / h, r1 = (r.lambda() - q.lambda()) / h;
    double d0 = 0, d1 = 0;  // factors of (m0 - m1) / r0 and (m1 - m2) / r1
    if (second(s)) {
      d0 = s.alpha * (heun ? std::expm1(-h) / h + 1 : -std::expm1(-h) / 2);
    } else if (!lower(s)) {
      double const w1 = s.alpha * (std::expm1(-h) / h + 1);
      double const w2 = -s.alpha * ((std::expm1(-h) + h) / (h * h) - 0.5);
      d0 = w1 * (1 + r0 / (r0 + r1)) + w2 / (r0 + r1);
      d1 = -w1 * r0 / (r0 + r1) - w2 / (r0 + r1);
    }
    return tweedie::step(x = s.sigma / t.sigma * x + (d0 / r0 - s.alpha * std::expm1(-h)) * x0 +
                             (d1 / r1 - d0 / r0) * past_x0<1> - d1 / r1 * past_x0<2>);
  }
};

struct sde_dpmpp {
  using kind = kinds::sampler;
  int order = 2;
  bool heun = false;
  lower_at lower;
  auto step(level t, level s) const {
    double const h = s.lambda() - t.lambda();
    return tweedie::step(x = kept(t, s) * x - s.alpha * std::expm1(-2 * h) * x0 +
                             fresh(t, s) * noise);
  }
  auto step(level r, level t, level s) const {
    double const h = s.lambda() - t.lambda(), h_0 = t.lambda() - r.lambda();
    double w = 0;
    if (order > 1 && !lower(s))
      w = s.alpha * (heun ? std::expm1(-2 * h) / (2 * h) + 1 : -std::expm1(-2 * h) / 2) * h / h_0;
    return tweedie::step(x = kept(t, s) * x + (w - s.alpha * std::expm1(-2 * h)) * x0 -
                             w * past_x0<1> + fresh(t, s) * noise);
  }

 private:
  static double kept(level t, level s) {
    return s.sigma / t.sigma * std::exp(t.lambda() - s.lambda());
  }
  static double fresh(level t, level s) {
    return s.sigma * std::sqrt(-std::expm1(2 * (t.lambda() - s.lambda())));
  }
};

/// samplers::unipc_2 without the bounds, and at order 1.
struct unipc_of {
  using kind = kinds::sampler;
  int order = 2;
  bool bh1 = false;
  lower_at lower;

 private:
  double big_b(double h) const { return bh1 ? h : -std::expm1(-h); }
  static auto to(level t, level s, auto from, auto m) {
    return s.sigma / t.sigma * from - s.alpha * std::expm1(t.lambda() - s.lambda()) * m;
  }
  auto predicted(level r, level t, level s, auto corrected) const {
    double const h = s.lambda() - t.lambda(), r_r = (r.lambda() - t.lambda()) / h;
    double const w = order == 1 || lower(s) ? 0 : s.alpha * big_b(h) / (2 * r_r);
    return to(t, s, corrected, x0) + w * (past_x0<1> - x0);
  }

 public:
  auto step(level t, level s) const { return tweedie::step(keep<0> = x, x = to(t, s, x, x0)); }
  auto step(level r, level t, level s) const {
    double const w = t.alpha * big_b(t.lambda() - r.lambda()) / 2;
    auto const corrected = to(r, t, keep<0>, past_x0<1>) + w * (x0 - past_x0<1>);
    return tweedie::step(keep<0> = corrected, x = predicted(r, t, s, corrected));
  }
  auto step(level q, level r, level t, level s) const {
    double const h = t.lambda() - r.lambda(), r_q = (q.lambda() - r.lambda()) / h;
    double const g1 = 1 + std::expm1(-h) / h, g2 = 1 - 2 * g1 / h;
    double const w_q = order == 1 ? 0 : (g1 - g2) / (1 - r_q);
    double const w_t = order == 1 ? big_b(h) / 2 : g1 - w_q;
    auto const d_q = (past_x0<2> - past_x0<1>) / r_q;
    auto const d_t = x0 - past_x0<1>;
    auto const corrected = to(r, t, keep<0>, past_x0<1>) + t.alpha * (w_q * d_q + w_t * d_t);
    return tweedie::step(keep<0> = corrected, x = predicted(r, t, s, corrected));
  }
};

}  // namespace

bool scheduler_config::is_scaled() const {
  return class_name == euler || class_name == euler_ancestral || class_name == heun;
}
int scheduler_config::order() const { return class_name == heun ? 2 : 1; }
bool scheduler_config::draws_noise() const {
  return class_name == ddpm || class_name == euler_ancestral || class_name == lcm || is_sde;
}

std::vector<std::string_view> scheduler_classes() {
  return {ddim, ddpm, dpm, euler, euler_ancestral, heun, unipc, flow, lcm};
}

scheduler_config parse_scheduler_config(std::string_view text, std::string const& source,
                                        std::string_view class_name) {
  json j = parsed(text, source);
  if (!j.is_object())
    throw error(
        fmt::format("{}: {} was given; expected a table of keys and values", source, shown(j)));
  std::string name(class_name);
  if (name.empty()) {
    if (!j.contains("_class_name") || !j["_class_name"].is_string())
      throw error(fmt::format("{}: the key '_class_name' is missing; expected one of: {}", source,
                              fmt::join(scheduler_classes(), ", ")));
    name = j["_class_name"].get<std::string>();
  }
  auto const there = scheduler_classes();
  if (std::ranges::find(there, name) == there.end())
    throw error(fmt::format("{}: the scheduler {} was given; {}", source, shown(name),
                            expected_names(name, there)));
  // What was never given, but was another class's usual value: this class has its own.
  if (auto const usual = j.find("_use_default_values"); usual != j.end()) {
    bool const names = usual->is_array() &&
                       std::ranges::all_of(*usual, [](json const& one) { return one.is_string(); });
    if (!names)
      throw error(fmt::format("{}: _use_default_values is {}; expected a list of keys", source,
                              shown(*usual)));
    auto const keys = usual->get<std::vector<std::string>>();
    for (auto const& key : keys)
      if (!key.starts_with("_")) j.erase(key);
  }
  scheduler_config c;
  c.class_name = name;
  c.lambda_min_clipped = -infinity;
  reader r(j, source, name);
  c.num_train_timesteps = r.whole("num_train_timesteps", 1000, 2, most_timesteps);
  if (name == flow) {
    c.shift = r.number("shift", 1);
    if (!(c.shift > 0 && std::isfinite(c.shift))) r.refuse("shift", "a finite one above 0");
    c.use_dynamic_shifting = r.flag("use_dynamic_shifting", false);
    c.shifts_by_exp =
        r.choice("time_shift_type", "exponential", {"exponential", "linear"}) == "exponential";
    c.shift_terminal = r.maybe("shift_terminal");
    if (c.shift_terminal && !(*c.shift_terminal >= 0 && *c.shift_terminal < 1))
      r.refuse("shift_terminal", "0 or more, below 1");
    for (char const* key : {"base_shift", "max_shift", "base_image_seq_len", "max_image_seq_len"})
      r.pass(key);  // what a pipeline makes mu of
    for (char const* key : {"invert_sigmas", "use_karras_sigmas", "use_exponential_sigmas",
                            "use_beta_sigmas", "stochastic_sampling"})
      r.off(key);
    c.unread = r.unread();
    return c;
  }
  bool const in_sigma = name != ddim && name != ddpm && name != lcm;
  if (name == lcm) c.log_abar = read_betas(r, c, 0.00085, 0.012, "scaled_linear", 0);
  else if (name == heun) {
    c.log_abar = read_betas(r, c, 0.00085, 0.012, "linear", smallest_abar, false);
  } else {
    c.log_abar = read_betas(r, c, 0.0001, 0.02, "linear", in_sigma ? smallest_abar : 0);
  }
  read_prediction(r, c, name != heun);
  read_spacing(r, c, in_sigma ? "linspace" : "leading");
  if (name == ddim) {
    read_clip(r, c, "true");
    c.ends_clean = r.flag("set_alpha_to_one", true);
  } else if (name == ddpm) {
    read_clip(r, c, "true");
    c.variance_type =
        r.choice("variance_type", "fixed_small", {"fixed_small", "fixed_small_log", "fixed_large"});
  } else if (name == lcm) {
    r.off("clip_sample");
    r.pass("clip_sample_range");
    r.off("thresholding");
    r.pass("dynamic_thresholding_ratio");
    r.pass("sample_max_value");
    r.pass("set_alpha_to_one");  // its last step ends at the clean level in any case
    c.original_inference_steps = r.whole("original_inference_steps", 50, 1, c.num_train_timesteps);
    c.timestep_scaling = r.number("timestep_scaling", 10);
  } else if (name == heun) {
    bool const clips = r.flag("clip_sample", false);
    double const range = r.number("clip_sample_range", 1);
    if (clips) c.clip = range;
    read_sigmas(r, c);
    read_sigma_range(r, c, false);
  } else if (name == euler) {
    read_sigmas(r, c);
    read_sigma_range(r, c);
    read_final(r, c);
    r.only("interpolation_type", "linear");
    r.only("timestep_type", "discrete");
  } else if (name == dpm || name == unipc) {
    read_clip(r, c, nullptr);
    read_sigmas(r, c);
    read_sigma_range(r, c, name == unipc);
    read_final(r, c);
    c.solver_order = r.whole("solver_order", 2, 1, 3);
    if (c.solver_order == 3 && name == unipc)
      r.refuse("solver_order", "1 or 2: another one is not followed");
    c.lower_order_final = r.flag("lower_order_final", true);
    r.off("use_flow_sigmas");
    r.pass("flow_shift");  // without use_flow_sigmas it is not read
    r.off("use_dynamic_shifting");
    r.pass("time_shift_type");
    if (name == dpm) {
      c.is_sde = r.choice("algorithm_type", "dpmsolver++", {"dpmsolver++", "sde-dpmsolver++"}) ==
                 "sde-dpmsolver++";
      if (c.is_sde && c.solver_order == 3)
        r.refuse("solver_order", "1 or 2 with algorithm_type = \"sde-dpmsolver++\"");
      // As diffusers: those of UniPC are taken for the usual one, and the other way round.
      if (r.choice("solver_type", "midpoint", {"midpoint", "heun", "bh1", "bh2"}) == "heun")
        c.solver_type = "heun";
      else c.solver_type = "midpoint";
      c.euler_at_final = r.flag("euler_at_final", false);
      r.off("use_lu_lambdas");
      if (r.has("variance_type")) {  // of the network; a fixed one changes nothing here
        json const& given = r.at("variance_type");
        if (given == "learned" || given == "learned_range" || !given.is_string())
          r.refuse("variance_type", "none: a learned one is not followed");
      }
      if (r.has("lambda_min_clipped") && r.at("lambda_min_clipped") != json("-Infinity"))
        c.lambda_min_clipped = r.number("lambda_min_clipped", 0);
    } else {
      if (r.choice("solver_type", "bh2", {"bh1", "bh2", "midpoint", "heun"}) == "bh1")
        c.solver_type = "bh1";
      else c.solver_type = "bh2";
      r.only("predict_x0", true);
      if (r.has("disable_corrector") &&
          !(r.at("disable_corrector").is_array() && r.at("disable_corrector").empty()))
        r.refuse("disable_corrector", "[]: another one is not followed");
      if (r.has("solver_p")) r.refuse("solver_p", "none: another solver is not followed");
      if (r.has("shift_terminal")) r.refuse("shift_terminal", "none");
      if (!c.lower_order_final && c.ends_clean && c.solver_order > 1)
        r.refuse(
            "lower_order_final",
            "true where final_sigmas_type is \"zero\": of order 2 the last step has no number");
    }
    c.rounds_timesteps =
        name == unipc || !r.has("beta_schedule") || r.at("beta_schedule") != "squaredcos_cap_v2";
  }
  c.unread = r.unread();
  return c;
}

scheduler_grid grid_of(scheduler_config const& c, int steps, std::vector<double> const& sigmas,
                       std::optional<double> mu) {
  int const n = sigmas.empty() ? steps : static_cast<int>(sigmas.size());
  if (n < 1 || n > c.num_train_timesteps)
    throw error(fmt::format("{} steps were given for {}; expected 1 to num_train_timesteps = {}", n,
                            c.class_name, c.num_train_timesteps));
  if (c.is_flow()) return grid_of_flow(c, n, sigmas, mu);
  if (!sigmas.empty() || mu)
    throw error(fmt::format("{} was given for {}; expected it for {} alone",
                            sigmas.empty() ? "mu" : "sigmas", c.class_name, flow));
  bool const solver = c.class_name == dpm || c.class_name == unipc;
  scheduler_grid g;
  g.at = c.class_name == lcm ? timesteps_of_lcm(c, n) : spaced(c, n, solver, !c.is_scaled());
  if (c.class_name == ddim) check_chain(c, g.at, n);
  if (c.class_name == ddpm && c.variance_type == "fixed_large" && g.at.back() > 0)
    throw error(fmt::format(
        "variance_type = \"fixed_large\" was given for {} with a last timestep of {}, after which "
        "noise would be left in the sample; expected one of 0: steps_offset = 0",
        c.class_name, g.at.back()));
  for (double const t : g.at) g.sigmas.push_back(rho_of(c, t));
  if (c.karras || c.exponential) {
    double const T = c.num_train_timesteps;
    g.sigmas = solver ? converted(c, rho_of(c, T - 1), rho_of(c, 0), n)
                      : converted(c, g.sigmas.front(), g.sigmas.back(), n);
    for (std::size_t i = 0; i < g.at.size(); ++i) {
      g.at[i] = timestep_of(c, g.sigmas[i]);
      // Theirs are whole numbers in the end, of an exponential grid without rounding.
      if (solver)
        g.at[i] = c.karras && c.rounds_timesteps ? std::nearbyint(g.at[i]) : std::floor(g.at[i]);
    }
  }
  g.sigmas.push_back(c.ends_clean ? 0 : rho_of(c, 0));
  if (g.sigmas.back() >= g.sigmas[g.sigmas.size() - 2] * (1 - 1e-9))
    throw error(fmt::format(
        "{} was given for {} and {} steps, whose last one would have no length; expected {}",
        c.class_name == ddim ? "set_alpha_to_one = false" : "final_sigmas_type = \"sigma_min\"",
        c.class_name, n, c.class_name == ddim ? "true, or steps_offset = 1" : "\"zero\""));
  for (std::size_t i = 0; i < g.at.size(); ++i)
    for (int k = 0; k < (i == 0 ? 1 : c.order()); ++k) g.timesteps.push_back(g.at[i]);
  if (c.is_scaled()) {
    double const most = g.sigmas.front();
    g.init_noise_sigma = c.timestep_spacing == "leading" ? std::hypot(most, 1) : most;
  }
  return g;
}

namespace {

std::vector<level> levels_of(scheduler_config const& c, scheduler_grid const& g, bool scaled) {
  std::vector<level> r;
  for (std::size_t i = 0; i < g.sigmas.size(); ++i) {
    double const s = g.sigmas[i], T = c.num_train_timesteps;
    double const t = i < g.at.size() ? g.at[i] + 1 : c.ends_clean ? 0 : 1;
    // Nothing here asks for a derivative: what did would get a plan refused.
    if (c.is_flow()) r.push_back({s, 1 - s, s, -1, 1});
    else if (scaled) r.push_back({t, 1, s, nan, nan, T});
    else if (std::isinf(s)) r.push_back({t, 0, 1, nan, nan, T});
    else r.push_back({t, 1 / std::hypot(1, s), s / std::hypot(1, s), nan, nan, T});
  }
  return r;
}

any_prediction prediction_of(scheduler_config const& c, bool scaled) {
  auto const made = [&](auto p) {
    if (c.class_name == lcm) return forget_prediction(boundary<decltype(p)>{p, c.timestep_scaling});
    return forget_prediction(p);
  };
  if (c.is_flow()) return forget_prediction(predicts::velocity{});
  if (c.prediction_type == "epsilon") return made(predicts::epsilon{});
  if (c.prediction_type == "sample") return made(predicts::x0{});
  if (scaled) return forget_prediction(v_scaled{});
  return made(predicts::v{});
}

any_sampler sampler_of(scheduler_config const& c, scheduler_options const& o, int n,
                       double last_but_one, double last_rho) {
  namespace s = tweedie::samplers;
  lower_at lower;
  if (c.class_name == dpm && (c.euler_at_final || (c.lower_order_final && n < 15)))
    lower.rho = last_rho;
  if (c.class_name == unipc && c.lower_order_final) lower.rho = last_rho;
  bool const second = c.solver_type == "heun";
  if (c.class_name == dpm && c.solver_order == 3)
    return forget_sampler(
        dpmpp_3{second, lower, {c.lower_order_final && n < 15 ? last_but_one : -1}});
  if (c.class_name == dpm)
    return c.is_sde ? forget_sampler(sde_dpmpp{c.solver_order, second, lower})
                    : forget_sampler(dpmpp{c.solver_order, second, lower});
  if (c.class_name == unipc)
    return forget_sampler(unipc_of{c.solver_order, c.solver_type == "bh1", lower});
  if (c.class_name == ddpm)
    return forget_sampler(s::ancestral{c.variance_type == "fixed_large" ? s::variance::beta
                                                                        : s::variance::beta_tilde});
  if (c.class_name == heun) return forget_sampler(s::heun_in_rho{});
  if (c.class_name == lcm) return forget_sampler(s::consistency{0});
  if (c.class_name == euler_ancestral) return forget_sampler(s::ddim_eta{1});
  if (o.eta != 0) return forget_sampler(s::ddim_eta{o.eta});
  return forget_sampler(s::ddim{});
}

any_threshold threshold_of(scheduler_config const& c, scheduler_options const& o) {
  bool const keeps_eps = c.class_name == ddim && !o.rederives;
  if (c.sample_max_value) {
    if (keeps_eps)
      return forget_threshold(dynamic_up_to<false>{c.thresholding_ratio, *c.sample_max_value});
    return forget_threshold(dynamic_up_to<true>{c.thresholding_ratio, *c.sample_max_value});
  }
  if (!c.clip) return {};
  if (keeps_eps) return forget_threshold(thresholds::clip_x0_only{*c.clip});
  return forget_threshold(thresholds::clip{*c.clip});
}

/// What a plan says against its stages, in the words of a configuration.
std::string in_its_words(std::string what, scheduler_config const& c, int steps) {
  // The stages' own advice names other stages.
  for (std::string_view const advice : {"; use ", ": use ", ", use "})
    if (auto const at = what.find(advice); at != std::string::npos) what.erase(at);
  std::string const type = fmt::format("prediction_type = \"{}\"", c.prediction_type);
  for (auto const& [stage, key] : {std::pair<std::string, std::string>{"predicts::LCM", type},
                                   {"predicts::epsilon", type},
                                   {"predicts::x0", type},
                                   {"predicts::v", type},
                                   {"predicts::velocity", type},
                                   {"samplers::heun_in_rho: ", ""}})
    for (auto at = what.find(stage); at != std::string::npos; at = what.find(stage))
      what.replace(at, stage.size(), key);
  std::vector<std::string> expected{"another number of steps"};
  if (c.class_name == ddim || c.class_name == ddpm || c.class_name == heun)
    expected.push_back("clip_sample = true");
  if (c.class_name == dpm || c.class_name == unipc) expected.push_back("thresholding = true");
  if ((c.class_name == dpm || c.class_name == unipc || c.class_name == euler ||
       c.class_name == heun) &&
      !c.karras)
    expected.push_back("use_karras_sigmas = true");
  if (!c.is_flow() && c.prediction_type == "epsilon")
    expected.push_back("a network of prediction_type = \"v_prediction\"");
  return fmt::format("the configuration of {} in {} steps makes no plan: {}; expected {}",
                     c.class_name, steps, what, fmt::join(expected, ", or "));
}

}  // namespace

any_plan make_plan(scheduler_config const& c, scheduler_grid const& grid,
                   scheduler_options const& o, any_network const& network) {
  if (o.eta != 0 && c.class_name != ddim)
    throw error(fmt::format("eta = {} was given for {}; expected it for {} alone", o.eta,
                            c.class_name, ddim));
  bool const scaled = o.scaled && c.is_scaled();
  auto levels = levels_of(c, grid, scaled);
  auto const n = static_cast<int>(levels.size()) - 1;
  if (o.from_step >= levels.size() - 1)
    throw error(fmt::format("a loop from step {} was asked for; expected 0 to {}", o.from_step,
                            levels.size() - 2));
  levels.erase(levels.begin(), levels.begin() + static_cast<std::ptrdiff_t>(o.from_step));
  any_stages stages{
      .predicts = prediction_of(c, scaled),
      .guidance = forget_guidance(guidance::none{}),
      .threshold = threshold_of(c, o),
      .sampler = sampler_of(c, o, n, levels[levels.size() - 2].rho(), levels.back().rho())};
  if (o.noise && std::ranges::any_of(stages.sampler.mentioned, &symbol_id::is_noise))
    stages.noise = o.noise;
  try {
    return build_plan(stages, network, std::move(levels), {}, compiled_programs());
  } catch (error const& e) {
    throw error(in_its_words(e.what(), c, n));
  }
}

}  // namespace tweedie::ready
