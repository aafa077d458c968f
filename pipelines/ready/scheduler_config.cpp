#include <tweedie/pipelines/ready/scheduler_config.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <numbers>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <boost/math/special_functions/beta.hpp>
#include <nlohmann/json.hpp>

#include <tweedie/io/nearest.hpp>
#include <tweedie/pipelines/ready/scheduler_common.hpp>
#include <tweedie/schedules/cosine.hpp>

namespace tweedie::ready {
namespace {

using io::expected_names;
using json = nlohmann::json;

constexpr double infinity = std::numeric_limits<double>::infinity();

using namespace scheduler_names;

bool is_any_of(std::string_view name, std::initializer_list<std::string_view> some) {
  return std::ranges::find(some, name) != some.end();
}

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

/// torch.linspace in float32, which goes from both ends to the middle.
std::vector<float> float_linspace(double first, double last, int n) {
  auto const a = static_cast<float>(first), b = static_cast<float>(last);
  float const step = n > 1 ? (b - a) / static_cast<float>(n - 1) : 0;
  std::vector<float> r;
  for (int i = 0; i < n; ++i)
    r.push_back(i < n / 2 ? a + step * static_cast<float>(i)
                          : b - step * static_cast<float>(n - 1 - i));
  return r;
}

/// ln abar of timesteps 0 .. T - 1, from float32 as theirs: at the clean end sigma differs by some
/// 1e-4 of itself from that of the betas in double. `least`: abar of the last one under
/// rescale_betas_zero_snr (Lin et al. 2023, Algorithm 1), which the solvers in sigma keep above 0.
std::vector<double> read_betas(reader& r, scheduler_config& c, double first, double last,
                               char const* usual, double least, bool rescales = true) {
  int const T = c.num_train_timesteps;
  first = r.number("beta_start", first);
  last = r.number("beta_end", last);
  std::string const kind =
      r.choice("beta_schedule", usual, {"linear", "scaled_linear", "squaredcos_cap_v2"});
  std::vector<float> betas;
  if (r.has("trained_betas")) {
    json const& given = r.at("trained_betas");
    if (!given.is_array() || given.size() != static_cast<std::size_t>(T) ||
        !std::ranges::all_of(given, [](json const& one) { return one.is_number(); }))
      r.refuse("trained_betas", fmt::format("a list of num_train_timesteps = {} numbers", T));
    for (json const& one : given) betas.push_back(one.get<float>());
  } else if (kind == "squaredcos_cap_v2") {
    tweedie::schedules::cosine const s{.steps = T};
    for (int i = 1; i <= T; ++i) betas.push_back(static_cast<float>(s.beta(i)));
  } else if (kind == "linear") {
    betas = float_linspace(first, last, T);
  } else {
    betas = float_linspace(std::sqrt(first), std::sqrt(last), T);
    for (float& one : betas) one *= one;
  }
  std::vector<double> log_abar;
  double product = 1;  // PyTorch's cumprod of float32 carries it in double
  for (std::size_t i = 0; i < betas.size(); ++i) {
    if (!(betas[i] > 0 && betas[i] < 1))
      throw error(fmt::format("{}: the beta of timestep {} is {}; expected above 0 and below 1",
                              r.source(), i, betas[i]));
    product *= 1.0f - betas[i];
    log_abar.push_back(std::log(double{static_cast<float>(product)}));
  }
  if (rescales && r.flag("rescale_betas_zero_snr", false)) {
    // In float32 as theirs: the roots of abar are moved and stretched, and betas made of them.
    std::vector<float> roots;
    for (double const one : log_abar) roots.push_back(std::sqrt(static_cast<float>(std::exp(one))));
    float const first_root = roots.front(), last_root = roots.back();
    for (float& one : roots) one = (one - last_root) * (first_root / (first_root - last_root));
    product = 1;
    for (std::size_t i = 0; i < roots.size(); ++i) {
      float const abar = roots[i] * roots[i];
      float const alpha = i == 0 ? abar : abar / (roots[i - 1] * roots[i - 1]);
      product *= 1.0f - (1.0f - alpha);
      log_abar[i] = std::log(double{static_cast<float>(product)});
    }
    log_abar.back() = std::log(least);
  }
  if (auto const bad = std::ranges::find_if(log_abar, [](double l) { return !(l < 0); });
      bad != log_abar.end() || !std::ranges::all_of(log_abar.begin(), log_abar.end() - 1,
                                                    [](double l) { return std::isfinite(l); }))
    throw error(
        fmt::format("{}: the betas make an abar of 0 or 1 in float32; expected ones whose products "
                    "of 1 - beta lie between",
                    r.source()));
  return log_abar;
}

/// clip_sample and its range.
void read_clip_of_sample(reader& r, scheduler_config& c, bool usual) {
  bool const clips = r.flag("clip_sample", usual);
  double const range = r.number("clip_sample_range", 1);
  if (!clips) return;
  c.clip = range;
  if (!(range > 0 && std::isfinite(range))) r.refuse("clip_sample_range", "a finite one above 0");
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
  c.beta = r.flag("use_beta_sigmas", false);
  if (c.karras && c.exponential)
    r.refuse("use_exponential_sigmas", "one of use_karras_sigmas and use_exponential_sigmas");
  if (c.beta && (c.karras || c.exponential))
    r.refuse("use_beta_sigmas", "false beside use_karras_sigmas or use_exponential_sigmas");
}
/// `declares`: whether the class has the two among its own keys. The others ask for them all the
/// same where they convert sigmas, and nowhere else.
void read_sigma_range(reader& r, scheduler_config& c, bool declares = true) {
  bool const converts = c.karras || c.exponential || c.beta;
  auto const sigma_min = r.maybe("sigma_min"), sigma_max = r.maybe("sigma_max");
  if (converts || declares) c.sigma_min = sigma_min, c.sigma_max = sigma_max;
  for (char const* key : {"sigma_min", "sigma_max"})
    if (auto const given = r.maybe(key)) {
      if (!(*given > 0 && std::isfinite(*given))) r.refuse(key, "a finite one above 0");
      if (declares && !converts)
        r.refuse(key, "none without use_karras_sigmas, use_exponential_sigmas or use_beta_sigmas");
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

/// What the DPM-Solvers have in common.
void read_dpm(reader& r, scheduler_config& c) {
  std::string const& name = c.class_name;
  c.solver_order = r.whole("solver_order", 2, 1, 3);
  c.lower_order_final = r.flag("lower_order_final", name != dpm_single);
  std::vector<std::string_view> there{"dpmsolver++", "sde-dpmsolver++", "deis"};
  if (name != edm_dpm) there.push_back("dpmsolver");
  if (name == dpm || name == dpm_inverse) there.push_back("sde-dpmsolver");
  c.algorithm_type = r.choice("algorithm_type", "dpmsolver++", there);
  if (c.algorithm_type == "deis") c.algorithm_type = "dpmsolver++";  // as diffusers
  bool const is_sde = c.algorithm_type.starts_with("sde");
  // Of order 3 it has one of these, where that library's step has no value at all.
  bool const has_third =
      !is_sde || (name == dpm && c.algorithm_type == "sde-dpmsolver++") || name == dpm_single;
  if (c.solver_order == 3 && !has_third)
    r.refuse("solver_order", fmt::format("1 or 2 with algorithm_type = \"{}\"", c.algorithm_type));
  // As diffusers: those of UniPC are taken for the usual one, and the other way round.
  bool const heun =
      r.choice("solver_type", "midpoint", {"midpoint", "heun", "logrho", "bh1", "bh2"}) == "heun";
  c.solver_type = heun ? "heun" : "midpoint";
  if (name != dpm_single) c.euler_at_final = r.flag("euler_at_final", false);
  if (name == dpm) {
    c.lu = r.flag("use_lu_lambdas", false);
    if (c.lu && (c.exponential || c.beta)) c.exponential = c.beta = false;  // as diffusers
    if (c.karras) c.lu = false;
  }
  if (c.ends_clean && !c.algorithm_type.ends_with("++"))
    r.refuse("final_sigmas_type",
             fmt::format("\"sigma_min\" with algorithm_type = \"{}\"", c.algorithm_type));
}

// ---- what each class reads

void read_shift(reader& r, scheduler_config& c) {
  c.shift = r.number("shift", 1);
  if (!(c.shift > 0 && std::isfinite(c.shift))) r.refuse("shift", "a finite one above 0");
}
void read_flow(reader& r, scheduler_config& c) {
  read_shift(r, c);
  c.use_dynamic_shifting = r.flag("use_dynamic_shifting", false);
  c.shifts_by_exp =
      r.choice("time_shift_type", "exponential", {"exponential", "linear"}) == "exponential";
  c.shift_terminal = r.maybe("shift_terminal");
  if (c.shift_terminal && !(*c.shift_terminal >= 0 && *c.shift_terminal < 1))
    r.refuse("shift_terminal", "0 or more, below 1");
  for (char const* key : {"base_shift", "max_shift", "base_image_seq_len", "max_image_seq_len"})
    r.pass(key);  // what a pipeline makes mu of
  c.invert_sigmas = r.flag("invert_sigmas", false);
  for (char const* key :
       {"use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas", "stochastic_sampling"})
    r.off(key);
}

void read_edm(reader& r, scheduler_config& c) {
  c.edm_sigma_min = r.number("sigma_min", 0.002);
  c.edm_sigma_max = r.number("sigma_max", 80);
  c.sigma_data = r.number("sigma_data", 0.5);
  c.rho = r.number("rho", 7);
  for (auto const& [key, value] : {std::pair{"sigma_min", c.edm_sigma_min},
                                   {"sigma_max", c.edm_sigma_max},
                                   {"sigma_data", c.sigma_data},
                                   {"rho", c.rho}})
    if (!(value > 0 && std::isfinite(value))) r.refuse(key, "a finite one above 0");
  if (c.edm_sigma_min >= c.edm_sigma_max)
    r.refuse("sigma_min", fmt::format("less than sigma_max = {}", c.edm_sigma_max));
  if (c.class_name == consistency) {
    c.s_noise = r.number("s_noise", 1);
    if (!(c.s_noise >= 0 && std::isfinite(c.s_noise)))
      r.refuse("s_noise", "a finite one, 0 or more");
    if (r.flag("clip_denoised", true)) c.clip = 1;
    c.karras = true;
    c.ends_clean = false;
    return;
  }
  c.karras = r.choice("sigma_schedule", "karras", {"karras", "exponential"}) == "karras";
  c.exponential = !c.karras;
  c.prediction_type = r.choice("prediction_type", "epsilon", {"epsilon", "v_prediction"});
  read_final(r, c);
  if (c.class_name == edm_dpm) {
    read_clip(r, c, nullptr);
    read_dpm(r, c);
  }
}

void read_betas_of_class(reader& r, scheduler_config& c) {
  std::string const& name = c.class_name;
  bool const in_sigma = !is_any_of(name, {ddim, ddim_inverse, ddpm, lcm, tcd, pndm});
  // Whether the class has rescale_betas_zero_snr.
  bool const rescales = !is_any_of(
      name, {heun, kdpm2, kdpm2_ancestral, lms, pndm, deis, sa, dpm_single, dpm_inverse});
  double const least = in_sigma ? smallest_abar : 0;
  if (is_any_of(name, {lcm, tcd}))
    c.log_abar = read_betas(r, c, 0.00085, 0.012, "scaled_linear", least);
  else if (is_any_of(name, {heun, kdpm2, kdpm2_ancestral}))
    c.log_abar = read_betas(r, c, 0.00085, 0.012, "linear", least, false);
  else c.log_abar = read_betas(r, c, 0.0001, 0.02, "linear", least, rescales);
}

void read_of_abar(reader& r, scheduler_config& c) {
  std::string const& name = c.class_name;
  read_prediction(r, c, name != pndm);
  read_spacing(r, c, "leading");
  if (name == ddim_inverse && c.timestep_spacing == "linspace")
    r.refuse("timestep_spacing", "one of: leading, trailing");
  if (name == ddpm) {
    read_clip(r, c, "true");
    c.variance_type = r.choice("variance_type", "fixed_small",
                               {"fixed_small", "fixed_small_log", "fixed_large", "learned_range"});
    return;
  }
  if (name == lcm || name == tcd) {
    c.original_inference_steps = r.whole("original_inference_steps", 50, 1, c.num_train_timesteps);
    c.timestep_scaling = r.number("timestep_scaling", 10);
    if (name == lcm) read_clip(r, c, "false");
    else
      for (char const* key : {"clip_sample", "clip_sample_range", "thresholding",
                              "dynamic_thresholding_ratio", "sample_max_value"})
        r.pass(key);             // TCD has them and reads none
    r.pass("set_alpha_to_one");  // the last step's end does not depend on it
    return;
  }
  if (name == pndm) c.skips_runge_kutta = r.flag("skip_prk_steps", false);
  else if (name == ddim) read_clip(r, c, "true");
  else {  // DDIM's inverse has no thresholding
    read_clip_of_sample(r, c, true);
  }
  c.ends_clean = r.flag("set_alpha_to_one", name != pndm);
}

void read_of_rho(reader& r, scheduler_config& c) {
  std::string const& name = c.class_name;
  // The other classes raise NotImplementedError for prediction_type = "sample".
  read_prediction(r, c, is_any_of(name, {euler, lms, heun}));
  read_spacing(r, c, "linspace");
  if (name == heun) read_clip_of_sample(r, c, false);
  if (name == euler_ancestral) return;
  read_sigmas(r, c);
  read_sigma_range(r, c, name == euler);
  if (name == lms && c.karras) c.sigma_min = c.sigma_max = {};  // its Karras grid reads neither
  if (name != euler) return;
  read_final(r, c);
  c.log_linear = r.choice("interpolation_type", "linear", {"linear", "log_linear"}) == "log_linear";
  r.only("timestep_type", "discrete");
}

void read_solver(reader& r, scheduler_config& c) {
  std::string const& name = c.class_name;
  read_prediction(r, c);
  if (name == dpm_single) c.timestep_spacing = "linspace";
  else read_spacing(r, c, "linspace");
  read_clip(r, c, nullptr);
  read_sigmas(r, c);
  // Where a converted grid's last two sigmas are one, theirs divides by the step between them.
  if (is_any_of(name, {sa, deis, dpm_inverse}))
    for (char const* key : {"use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas"})
      r.off(key);
  read_sigma_range(r, c, name == unipc);
  if (is_any_of(name, {dpm, dpm_single, unipc})) read_final(r, c);
  else c.ends_clean = false;
  r.off("use_flow_sigmas");
  r.pass("flow_shift");  // without use_flow_sigmas it is not read
  r.off("use_dynamic_shifting");
  r.pass("time_shift_type");
  if (name == sa) {
    c.predictor_order = r.whole("predictor_order", 2, 1, 3);
    c.corrector_order = r.whole("corrector_order", 2, 1, 4);
    if (r.has("tau_func")) r.refuse("tau_func", "none: another one is not followed");
    r.only("algorithm_type", "data_prediction");
    c.algorithm_type = "dpmsolver++";
    c.lower_order_final = r.flag("lower_order_final", true);
  } else if (name == deis) {
    c.solver_order = r.whole("solver_order", 2, 1, 3);
    c.lower_order_final = r.flag("lower_order_final", true);
    r.choice("algorithm_type", "deis", {"deis", "dpmsolver", "dpmsolver++"});
    r.choice("solver_type", "logrho", {"logrho", "midpoint", "heun", "bh1", "bh2"});
    c.algorithm_type = "deis";
  } else if (name == unipc) {
    c.solver_order = r.whole("solver_order", 2, 1, 3);
    c.lower_order_final = r.flag("lower_order_final", true);
    c.solver_type = r.choice("solver_type", "bh2", {"bh1", "bh2", "midpoint", "heun"});
    if (c.solver_type != "bh1") c.solver_type = "bh2";
    c.algorithm_type = r.flag("predict_x0", true) ? "dpmsolver++" : "dpmsolver";
    if (r.has("disable_corrector")) {
      json const& given = r.at("disable_corrector");
      if (!given.is_array() || !std::ranges::all_of(given, [](json const& one) {
            return one.is_number_integer() && one >= 0 && one < most_timesteps;
          }))
        r.refuse("disable_corrector", "a list of steps, from 0");
      c.disable_corrector = given.get<std::vector<int>>();
    }
    if (r.has("solver_p")) r.refuse("solver_p", "none: another solver is not followed");
    if (r.has("shift_terminal")) r.refuse("shift_terminal", "none");
    if (c.ends_clean && !c.algorithm_type.ends_with("++"))
      r.refuse("final_sigmas_type", "\"sigma_min\" with predict_x0 = false");
    if (!c.lower_order_final && c.ends_clean && c.solver_order > 1)
      r.refuse("lower_order_final",
               "true where final_sigmas_type is \"zero\": of order 2 the last step has no number");
  } else {
    read_dpm(r, c);
  }
  if (is_any_of(name, {dpm, sa, dpm_single, dpm_inverse}) && r.has("variance_type")) {
    json const& given = r.at("variance_type");  // of the network; a fixed one changes nothing here
    if (given == "learned" || given == "learned_range" || !given.is_string())
      r.refuse("variance_type", "none: a learned one is not followed");
  }
  if (is_any_of(name, {dpm, sa, dpm_single, dpm_inverse}) && r.has("lambda_min_clipped") &&
      r.at("lambda_min_clipped") != json("-Infinity"))
    c.lambda_min_clipped = r.number("lambda_min_clipped", 0);
  c.rounds_timesteps = !is_any_of(name, {dpm}) || !r.has("beta_schedule") ||
                       r.at("beta_schedule") != "squaredcos_cap_v2";
}

// ---- the grid

/// n points from a to b, as NumPy's.
std::vector<double> linspace(double a, double b, int n) {
  std::vector<double> r;
  double const step = n > 1 ? (b - a) / (n - 1) : 0;
  for (int i = 0; i < n; ++i) r.push_back(i > 0 && i + 1 == n ? b : a + i * step);
  return r;
}

/// How many timesteps are left by lambda_min_clipped.
int timesteps_left(scheduler_config const& c) {
  if (!std::isfinite(c.lambda_min_clipped)) return c.num_train_timesteps;
  return c.num_train_timesteps - static_cast<int>(std::ranges::count_if(c.log_abar, [&](double l) {
           return (l - std::log(-std::expm1(l))) / 2 < c.lambda_min_clipped;
         }));
}

/// Timesteps from noisy to clean. `solver`: evenly spaced by one point more, of which the cleanest
/// is left out; trailing ones have none to leave out.
std::vector<double> spaced(scheduler_config const& c, int n, bool solver, bool rounds) {
  int const total = c.num_train_timesteps, T = timesteps_left(c);
  std::vector<double> r;
  if (c.timestep_spacing == "linspace") {
    r = linspace(0, T - 1, n + (solver ? 1 : 0));
    for (double& t : r) t = rounds ? std::nearbyint(t) : double{static_cast<float>(t)};
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
    auto const abar = static_cast<float>(std::exp(l));  // which it is
    return double{std::sqrt((1 - abar) / abar)};
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

/// Karras et al. 2022, eq. 5, with their rho = 7; or quantiles of a beta distribution (Lee et al.
/// 2024, "Beta Sampling is All You Need"); or geometric.
std::vector<double> converted(scheduler_config const& c, double high, double low, int n) {
  high = c.sigma_max.value_or(high);
  low = c.sigma_min.value_or(low);
  std::vector<double> r;
  for (double const share : linspace(0, 1, n))
    if (c.karras) {
      double const a = std::pow(high, 1 / c.rho), b = std::pow(low, 1 / c.rho);
      r.push_back(std::pow(a + share * (b - a), c.rho));
    } else if (c.beta) {
      r.push_back(low + (high - low) * boost::math::ibeta_inv(0.6, 0.6, 1 - share));
    } else {
      r.push_back(std::exp(std::log(high) + share * (std::log(low) - std::log(high))));
    }
  return r;
}

/// A step asks the network at its level and then at the next one; the last step asks once.
void repeat_timesteps(scheduler_grid& g, int times) {
  g.timesteps.clear();
  for (std::size_t i = 0; i < g.at.size(); ++i)
    for (int k = 0; k < (i == 0 ? 1 : times); ++k) g.timesteps.push_back(g.at[i]);
}

/// The evenly spaced ones from timestep 0 on, by one point more, of which the noisiest is left out.
std::vector<double> spaced_from_clean(scheduler_config const& c, int n) {
  std::vector<double> r = spaced(c, n + 1, false, true);
  std::ranges::reverse(r);
  r.pop_back();
  return r;
}

std::vector<double> log_spaced(double high, double low, int n) {
  std::vector<double> r;
  for (double const l : linspace(std::log(high), std::log(low), n)) r.push_back(std::exp(l));
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
  if (c.invert_sigmas) {
    for (double& s : g.sigmas) s = 1 - s;
    for (std::size_t i = 0; i < g.sigmas.size(); ++i) g.timesteps[i] = g.at[i] = g.sigmas[i] * T;
    g.sigmas.push_back(1);
    return g;
  }
  g.sigmas.push_back(0);
  if (c.class_name == flow_heun) repeat_timesteps(g, 2);
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

/// EDM's levels, and the consistency models', whose grid is thinned.
scheduler_grid grid_of_edm(scheduler_config const& c, int n) {
  scheduler_grid g;
  bool const consistent = c.class_name == consistency;
  int const total = consistent ? c.num_train_timesteps : n;
  auto const all = converted(c, c.edm_sigma_max, c.edm_sigma_min, total);
  for (int i = 0; i < n; ++i)
    g.sigmas.push_back(all[static_cast<std::size_t>(consistent ? i * (total / n) : i)]);
  if (n == 1 && c.exponential) g.sigmas[0] = c.edm_sigma_min;  // theirs begins at the other end
  for (double const s : g.sigmas) g.at.push_back((consistent ? 1000 : 1) * std::log(s) / 4);
  g.timesteps = g.at;
  g.sigmas.push_back(c.ends_clean                ? 0
                     : c.class_name == edm_euler ? g.sigmas.back()
                                                 : c.edm_sigma_min);
  g.init_noise_sigma = consistent ? c.edm_sigma_max : std::hypot(c.edm_sigma_max, 1);
  return g;
}

/// iPNDM's: beta = sin^2, alpha^2 + beta^2 = 1.
scheduler_grid grid_of_ipndm(int n) {
  scheduler_grid g;
  for (int i = 0; i <= n; ++i) {
    double const s = std::sin((n - i) * std::numbers::pi / (2 * n)), beta = s * s;
    double const alpha = std::sqrt(1 - beta * beta);
    g.sigmas.push_back(i == 0 ? infinity : beta / alpha);
    if (i < n) g.at.push_back(std::atan2(beta, alpha) / std::numbers::pi * 2);
  }
  g.timesteps = g.at;
  return g;
}

/// Of DDIM and its inverse and of PNDM, which step by T // n wherever the next timestep is.
scheduler_grid grid_of_strides(scheduler_config const& c, int n) {
  scheduler_grid g;
  double const stride = c.num_train_timesteps / n;
  auto const end = [&](double t) {
    return t >= 0 ? rho_of(c, t) : c.ends_clean ? 0 : rho_of(c, 0);
  };
  g.at = spaced(c, n, false, true);
  g.timesteps = g.at;
  if (c.class_name == ddim_inverse) {
    std::ranges::reverse(g.timesteps);
    g.at = g.timesteps;
    for (double& t : g.at) t = std::min(t - stride, c.num_train_timesteps - 1.0);
    for (double const t : g.at) g.sigmas.push_back(end(t));
    g.sigmas.push_back(rho_of(c, g.timesteps.back()));
    return g;
  }
  for (double const t : g.at) g.sigmas.push_back(rho_of(c, t));
  g.sigmas.push_back(end(g.at.back() - stride));
  if (c.class_name == pndm && c.skips_runge_kutta) {
    if (n > 1) g.timesteps.insert(g.timesteps.begin() + 1, g.timesteps[1]);
  } else if (c.class_name == pndm) {
    if (n < 4)
      throw error(
          fmt::format("{} steps were given for {} with skip_prk_steps = false; expected 4 or more",
                      n, c.class_name));
    g.timesteps.clear();
    double const half = std::floor(stride / 2);
    for (std::size_t i = 0; i < 3; ++i) {
      double const middle = g.at[i + 1] + half;
      g.timesteps.insert(g.timesteps.end(), {g.at[i], middle, middle, g.at[i + 1]});
    }
    g.timesteps.insert(g.timesteps.end(), g.at.begin() + 3, g.at.end());
  }
  return g;
}

}  // namespace

bool scheduler_config::is_flow() const { return class_name == flow || class_name == flow_heun; }
bool scheduler_config::has_edm_levels() const {
  return class_name == edm_euler || class_name == edm_dpm || class_name == consistency;
}
bool scheduler_config::is_scaled() const {
  return has_edm_levels() ||
         is_any_of(class_name, {euler, euler_ancestral, heun, kdpm2, kdpm2_ancestral, lms});
}
std::string scheduler_config::predicts() const {
  if (is_flow()) return "velocity";
  if (class_name == ipndm) return "v";
  if (class_name == consistency) return "a consistency model's output";
  if (has_edm_levels()) return prediction_type == "epsilon" ? "edm" : "edm with another sign";
  if (prediction_type == "sample") return "x0";
  return prediction_type == "v_prediction" ? "v" : "epsilon";
}
int scheduler_config::order() const {
  return is_any_of(class_name, {heun, flow_heun, kdpm2, kdpm2_ancestral}) ? 2 : 1;
}

std::vector<std::string_view> scheduler_classes() {
  return {ddim,      ddpm,    dpm,        euler,       euler_ancestral,
          heun,      unipc,   flow,       lcm,         tcd,
          pndm,      ipndm,   lms,        kdpm2,       kdpm2_ancestral,
          deis,      sa,      dpm_single, dpm_inverse, ddim_inverse,
          edm_euler, edm_dpm, flow_heun,  consistency};
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
  c.num_train_timesteps =
      r.whole("num_train_timesteps", name == consistency ? 40 : 1000, 2, most_timesteps);
  if (name == flow) read_flow(r, c);
  else if (name == flow_heun) read_shift(r, c);
  else if (name == ipndm) {
    if (r.has("trained_betas")) r.refuse("trained_betas", "none: others are not followed");
  } else if (c.has_edm_levels()) {
    read_edm(r, c);
  } else {
    read_betas_of_class(r, c);
    if (is_any_of(name, {ddim, ddim_inverse, ddpm, lcm, tcd, pndm})) read_of_abar(r, c);
    else if (c.is_scaled()) read_of_rho(r, c);
    else read_solver(r, c);
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
  if (c.has_edm_levels()) return grid_of_edm(c, n);
  if (c.class_name == ipndm) return grid_of_ipndm(n);
  if (is_any_of(c.class_name, {ddim, ddim_inverse, pndm})) return grid_of_strides(c, n);
  bool const solver = !c.is_scaled() && !is_any_of(c.class_name, {ddpm, lcm, tcd});
  scheduler_grid g;
  if (is_any_of(c.class_name, {lcm, tcd})) g.at = timesteps_of_lcm(c, n);
  else g.at = spaced(c, n, solver, !c.is_scaled());
  if (c.class_name == dpm_inverse) {
    std::ranges::reverse(g.at);  // the same ones but for the noisiest, in place of the cleanest
    if (c.timestep_spacing != "trailing") g.at = spaced_from_clean(c, n);
  }
  double const T = c.num_train_timesteps;
  for (double const t : g.at) g.sigmas.push_back(rho_of(c, t));
  if (c.log_linear) g.sigmas = log_spaced(rho_of(c, T - 1), rho_of(c, 0), n + 1);
  if (c.karras || c.exponential || c.beta || c.lu) {
    if (c.lu) g.sigmas = log_spaced(rho_of(c, T - 1), rho_of(c, 0), n);
    else
      g.sigmas = solver ? converted(c, rho_of(c, T - 1), rho_of(c, 0), n)
                        : converted(c, g.sigmas.front(), g.sigmas.back(), n);
    bool const rounds = (c.karras || c.lu) && c.rounds_timesteps;
    for (std::size_t i = 0; i < g.at.size(); ++i) {
      g.at[i] = timestep_of(c, g.sigmas[i]);
      if (rounds || (c.karras && is_any_of(c.class_name, {kdpm2, kdpm2_ancestral})))
        g.at[i] = std::nearbyint(g.at[i]);
      else if (solver) g.at[i] = std::floor(g.at[i]);  // theirs are whole numbers in the end
    }
  }
  if (c.class_name == dpm_inverse) g.sigmas.push_back(rho_of(c, timesteps_left(c) - 1));
  else if (g.sigmas.size() == g.at.size()) {
    bool const stays = c.class_name == unipc && (c.karras || c.exponential || c.beta);
    g.sigmas.push_back(c.ends_clean ? 0 : stays ? g.sigmas.back() : rho_of(c, 0));
  }
  for (double& one : g.sigmas) one = static_cast<float>(one);
  repeat_timesteps(g, c.order());
  if (is_any_of(c.class_name, {kdpm2, kdpm2_ancestral}))
    for (std::size_t k = 0; k + 1 < g.at.size(); ++k) {
      double const s = g.sigmas[k], to = g.sigmas[k + 1];
      bool const draws = c.class_name == kdpm2_ancestral;
      g.middles.push_back(draws ? between(s, ancestral_step(s, to).down) : between(to, s));
      g.timesteps[2 * k + 1] = timestep_of(c, g.middles.back());
    }
  if (c.is_scaled()) {
    double const most = g.sigmas.front();
    g.init_noise_sigma = c.timestep_spacing == "leading" ? std::hypot(most, 1) : most;
  }
  return g;
}

}  // namespace tweedie::ready
