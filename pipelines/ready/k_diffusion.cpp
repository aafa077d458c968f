#include <tweedie/pipelines/ready/k_diffusion.hpp>

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include <tweedie/io/nearest.hpp>
#include <tweedie/pipelines/ready/linear_steps.hpp>
#include <tweedie/pipelines/ready/programs.hpp>
#include <tweedie/pipelines/ready/scheduler_common.hpp>
#include <tweedie/pipelines/ready/stages.hpp>

namespace tweedie::ready {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

level at_sigma(double s) {
  double const nan = std::numeric_limits<double>::quiet_NaN();
  return {s, 1, s, nan, nan};
}

/// Lu et al. 2022, "DPM-Solver", eq. 3.7 and Algorithms 1 and 2, from one sigma to another. keep<0>
/// is x and keep<1> eps where the step begins; keep<2>, if it is asked for, what the order below
/// gives in the end.
linear_step dpm_solver(double from, double to, int order, bool keeps_lower) {
  double const h = std::log(from / to), e = std::expm1(h);
  linear const x = kept(0), slope = epsilon - linear(kept(1)), of_1 = x - to * e * linear(kept(1));
  if (order == 1) return {{{{{sym::x::id, x_now - to * e * epsilon}}, {}}}};
  double const r1 = order == 2 ? 0.5 : 1 / 3.0, r2 = 2 / 3.0;
  auto const there = [&](double r) { return at_sigma(from * std::exp(-r * h)); };
  linear_evaluation first{{{kept(0), x_now},
                           {kept(1), epsilon},
                           {sym::x::id, x_now - there(r1).sigma * std::expm1(r1 * h) * epsilon}},
                          {}};
  linear const of_2 = of_1 - to / (2 * r1) * e * slope;
  if (order == 2) {
    if (keeps_lower) first.statements.push_back({kept(2), x_now - to * e * epsilon});
    return {{first, {{{sym::x::id, of_2}}, there(r1)}}};
  }
  double const e2 = std::expm1(r2 * h), s2 = there(r2).sigma;
  linear_evaluation second{
      {{sym::x::id, x - s2 * e2 * linear(kept(1)) - s2 * r2 / r1 * (e2 / (r2 * h) - 1) * slope}},
      there(r1)};
  if (keeps_lower) second.statements.push_back({kept(2), of_2});
  return {{first, second, {{{sym::x::id, of_1 - to / r2 * (e / h - 1) * slope}}, there(r2)}}};
}

/// get_ancestral_step: where a step from one sigma to another goes, and what it then adds as noise.
ancestral ancestral_by(double from, double to, double eta) {
  double const up =
      std::min(to, eta * std::sqrt(squared(to) * (squared(from) - squared(to)) / squared(from)));
  return {up, std::sqrt(std::max(0.0, squared(to) - squared(up)))};
}

class walk {
 public:
  walk(k_sampler const& sampler, std::vector<double> const& sigmas, int evaluations)
      : o(sampler), s(sigmas), n(sigmas.size() - 1), nfe(evaluations) {}

  std::vector<linear_step> steps(std::string_view name) {
    if (name == "dpm_fast") {
      fast();
      return std::move(all);
    }
    for (std::size_t k = 0; k < n; ++k) {
      if (name == "euler") euler(k);
      else if (name == "heun") heun(k);
      else if (name == "dpm_2") dpm_2(k);
      else if (name == "euler_ancestral") euler_ancestral(k);
      else if (name == "dpm_2_ancestral") dpm_2_ancestral(k);
      else if (name == "dpmpp_2s_ancestral") dpmpp_2s_ancestral(k);
      else if (name == "dpmpp_sde") dpmpp_sde(k);
      else if (name == "lms") lms(k);
      else if (name == "dpmpp_2m") dpmpp_2m(k);
      else if (name == "dpmpp_2m_sde") dpmpp_2m_sde(k);
      else dpmpp_3m_sde(k);
    }
    return std::move(all);
  }

  /// Of dpm_fast: the sigmas between its steps.
  std::vector<double> grid_of_fast() const {
    int const m = nfe / 3 + 1;
    std::vector<double> r;
    for (int i = 0; i <= m; ++i)
      r.push_back(i == m ? s[1] : s[0] * std::pow(s[1] / s[0], static_cast<double>(i) / m));
    return r;
  }
  /// The sigma at which step k first asks the network, and the noise that takes it there.
  double churned(std::size_t k) const {
    bool const churns = o.s_churn > 0 && s[k] >= o.s_tmin && s[k] <= o.s_tmax;
    double const most = std::sqrt(2.0) - 1;
    return s[k] * (1 + (churns ? std::min(o.s_churn / static_cast<double>(n), most) : 0));
  }

 private:
  k_sampler const& o;
  std::vector<double> const& s;
  std::size_t n;
  int nfe;
  std::vector<linear_step> all;

  // keep<0> is x where a step began, keep<1> its first slope or x0.
  void add(linear to, std::optional<level> where = {}) {
    all.push_back({{{{{sym::x::id, std::move(to)}}, where}}});
  }
  void add(std::vector<linear_statement> first, std::optional<level> at,
           std::vector<linear_statement> second, level middle) {
    all.push_back({{{std::move(first), at}, {std::move(second), middle}}});
  }
  static linear_statement x_is(linear to) { return {sym::x::id, std::move(to)}; }
  static linear past(std::size_t i) {
    return i == 0 ? data : linear(symbol_id{sym::word::past_x0, static_cast<int>(i)});
  }
  linear noise_of(double deviation) const { return o.s_noise * deviation * fresh; }
  double t(std::size_t k) const { return -std::log(s[k]); }

  // Karras et al. 2022, Algorithm 2; `euler` is its first half, `dpm_2` has its second evaluation
  // in the geometric middle.
  void euler(std::size_t k) {
    double const from = churned(k);
    add(x_now + (s[k + 1] - from) * epsilon, at_sigma(from));
  }
  void heun(std::size_t k) {
    if (s[k + 1] == 0) return euler(k);
    double const from = churned(k), dt = s[k + 1] - from;
    add({{kept(0), x_now + dt / 2 * epsilon}, x_is(x_now + dt * epsilon)}, at_sigma(from),
        {x_is(linear(kept(0)) + dt / 2 * epsilon)}, at_sigma(s[k + 1]));
  }
  void dpm_2(std::size_t k) {
    if (s[k + 1] == 0) return euler(k);
    double const from = churned(k), middle = std::sqrt(from * s[k + 1]);
    add({{kept(0), x_now}, x_is(x_now + (middle - from) * epsilon)}, at_sigma(from),
        {x_is(linear(kept(0)) + (s[k + 1] - from) * epsilon)}, at_sigma(middle));
  }

  void euler_ancestral(std::size_t k) {
    auto const [up, down] = ancestral_by(s[k], s[k + 1], o.eta);
    linear to = x_now + (down - s[k]) * epsilon;
    if (s[k + 1] > 0) to += noise_of(up);
    add(to);
  }
  void dpm_2_ancestral(std::size_t k) {
    auto const [up, down] = ancestral_by(s[k], s[k + 1], o.eta);
    if (down == 0) return add(x_now - s[k] * epsilon);  // theirs adds no noise there
    double const middle = std::sqrt(s[k] * down);
    add({{kept(0), x_now}, x_is(x_now + (middle - s[k]) * epsilon)}, {},
        {x_is(linear(kept(0)) + (down - s[k]) * epsilon + noise_of(up))}, at_sigma(middle));
  }

  /// DPM-Solver++(1) (Lu et al. 2022b, eq. 4.1), to the sigma `to`.
  static linear dpmpp(double from, double to, linear const& x, linear const& x0) {
    return to / from * x + (1 - to / from) * x0;
  }
  void dpmpp_2s_ancestral(std::size_t k) {
    auto const [up, down] = ancestral_by(s[k], s[k + 1], o.eta);
    if (down == 0) return euler_ancestral(k);
    double const middle = std::sqrt(s[k] * down);
    linear to = dpmpp(s[k], down, linear(kept(0)), data);
    if (s[k + 1] > 0) to += noise_of(up);
    add({{kept(0), x_now}, x_is(dpmpp(s[k], middle, x_now, data))}, {}, {x_is(to)},
        at_sigma(middle));
  }
  void dpmpp_sde(std::size_t k) {
    if (s[k + 1] == 0) return add(data);
    double const middle = s[k] * std::pow(s[k + 1] / s[k], o.r), share = 1 / (2 * o.r);
    auto const half = ancestral_by(s[k], middle, o.eta);
    auto const whole = ancestral_by(s[k], s[k + 1], o.eta);
    linear const x0 = (1 - share) * linear(kept(1)) + share * data;
    add({{kept(0), x_now},
         {kept(1), data},
         x_is(dpmpp(s[k], half.down, x_now, data) + noise_of(half.up))},
        {}, {x_is(dpmpp(s[k], whole.down, linear(kept(0)), x0) + noise_of(whole.up))},
        at_sigma(middle));
  }

  void lms(std::size_t k) {
    std::size_t const order = std::min(k + 1, static_cast<std::size_t>(o.order));
    std::vector<double> at;
    for (std::size_t i = 0; i < order; ++i) at.push_back(s[k - i]);
    linear to = x_now;
    for (std::size_t i = 0; i < order; ++i) {
      double const w = integral(s[k], s[k + 1], [&](double v) { return lagrange(at, i, v); });
      to += w * (i == 0 ? epsilon : linear(symbol_id{sym::word::past_eps, static_cast<int>(i)}));
    }
    add(to);
  }

  void dpmpp_2m(std::size_t k) {
    if (k == 0 || s[k + 1] == 0) return add(dpmpp(s[k], s[k + 1], x_now, data));
    double const w = (t(k + 1) - t(k)) / (2 * (t(k) - t(k - 1)));
    add(dpmpp(s[k], s[k + 1], x_now, (1 + w) * data - w * past(1)));
  }
  void dpmpp_2m_sde(std::size_t k) {
    if (s[k + 1] == 0) return add(data);
    double const h = t(k + 1) - t(k), g = h * (1 + o.eta), e = -std::expm1(-g);
    linear to = s[k + 1] / s[k] * std::exp(-o.eta * h) * x_now + e * data;
    if (k > 0) {
      double const w = o.solver_type == "heun" ? 1 - e / g : e / 2;
      to += w * h / (t(k) - t(k - 1)) * (data - past(1));
    }
    if (o.eta > 0) to += noise_of(s[k + 1] * std::sqrt(-std::expm1(-2 * o.eta * h)));
    add(to);
  }
  void dpmpp_3m_sde(std::size_t k) {
    if (s[k + 1] == 0) return add(data);
    double const h = t(k + 1) - t(k), g = h * (1 + o.eta), e = -std::expm1(-g);
    double const phi_2 = 1 - e / g, phi_3 = phi_2 / g - 0.5;
    linear to = std::exp(-g) * x_now + e * data;
    if (k == 1) to += phi_2 * h / (t(1) - t(0)) * (data - past(1));
    if (k > 1) {
      double const r0 = (t(k) - t(k - 1)) / h, r1 = (t(k - 1) - t(k - 2)) / h;
      linear const d0 = 1 / r0 * (data - past(1)), d1 = 1 / r1 * (past(1) - past(2));
      linear const d2 = 1 / (r0 + r1) * (d0 - d1);
      to += phi_2 * (d0 + r0 * d2) - phi_3 * d2;
    }
    if (o.eta > 0) to += noise_of(s[k + 1] * std::sqrt(-std::expm1(-2 * o.eta * h)));
    add(to);
  }

  /// DPM-Solver-fast (Lu et al. 2022, appendix D.2): steps of order 3, and what is left over.
  void fast() {
    auto const grid = grid_of_fast();
    int const m = nfe / 3 + 1;
    for (int k = 0; k < m; ++k) {
      int const order = nfe % 3 == 0 ? (k < m - 2 ? 3 : m - k) : (k < m - 1 ? 3 : nfe % 3);
      double const from = grid[static_cast<std::size_t>(k)],
                   to = grid[static_cast<std::size_t>(k) + 1];
      all.push_back(dpm_solver(from, to, order, false));
    }
  }
};

constexpr std::string_view known[] = {
    "euler",     "heun", "dpm_2",    "euler_ancestral", "dpm_2_ancestral", "dpmpp_2s_ancestral",
    "dpmpp_sde", "lms",  "dpmpp_2m", "dpmpp_2m_sde",    "dpmpp_3m_sde",    "dpm_fast"};

bool is_any_of(std::string_view name, std::initializer_list<std::string_view> some) {
  return std::ranges::find(some, name) != some.end();
}

void check(k_sampler const& o, std::string_view name, std::vector<double> const& sigmas, int n) {
  auto const refuse = [&](std::string const& given, std::string const& expected) {
    throw error(fmt::format("{} was given for the sampler {}; expected {}", given, name, expected));
  };
  k_sampler const usual;
  auto const only = [&](char const* what, double given, double otherwise, double least, double most,
                        std::initializer_list<std::string_view> readers) {
    if (given != otherwise && !is_any_of(name, readers))
      refuse(fmt::format("{} = {}", what, given),
             fmt::format("it for {} alone", fmt::join(readers, ", ")));
    if (!(given >= least && given <= most))
      refuse(fmt::format("{} = {}", what, given), fmt::format("{} to {}", least, most));
  };
  double const largest = std::numeric_limits<float>::max();
  only("eta", o.eta, usual.eta, 0, largest,
       {"euler_ancestral", "dpm_2_ancestral", "dpmpp_2s_ancestral", "dpmpp_sde", "dpmpp_2m_sde",
        "dpmpp_3m_sde"});
  only("s_noise", o.s_noise, usual.s_noise, 0, largest,
       {"euler", "heun", "dpm_2", "euler_ancestral", "dpm_2_ancestral", "dpmpp_2s_ancestral",
        "dpmpp_sde", "dpmpp_2m_sde", "dpmpp_3m_sde"});
  only("s_churn", o.s_churn, usual.s_churn, 0, largest, {"euler", "heun", "dpm_2"});
  only("s_tmin", o.s_tmin, usual.s_tmin, 0, largest, {"euler", "heun", "dpm_2"});
  only("s_tmax", o.s_tmax, usual.s_tmax, 0, infinity, {"euler", "heun", "dpm_2"});
  only("r", o.r, usual.r, 1e-3, 1, {"dpmpp_sde"});
  only("order", o.order, usual.order, 1, 20, {"lms"});
  if (o.solver_type != "midpoint" && !(name == "dpmpp_2m_sde" && o.solver_type == "heun"))
    refuse(fmt::format("solver_type = '{}'", o.solver_type), "midpoint, or heun for dpmpp_2m_sde");
  if (sigmas.size() < 2) refuse(fmt::format("{} sigma(s)", sigmas.size()), "two or more");
  for (double const one : sigmas)
    if (!(one >= 0 && one <= largest))
      refuse(fmt::format("the sigma {}", one), "a finite one, 0 or more");
  if (name == "dpm_fast" && !(sigmas.size() == 2 && sigmas[1] > 0 && n >= 1 && n <= 100'000))
    refuse(fmt::format("{} sigmas and n = {}", sigmas.size(), n),
           "two, both above 0, and the number of evaluations");
  if (name != "dpm_fast" && n != 0) refuse(fmt::format("n = {}", n), "it for dpm_fast alone");
}

}  // namespace

std::vector<std::string_view> k_sampler_names() { return {std::begin(known), std::end(known)}; }

any_plan make_plan(k_sampler const& sampler, std::vector<double> const& sigmas,
                   any_network const& network, shared_call<void(noise_request const&)> noise,
                   int n) {
  std::string_view name = sampler.name;
  if (name.starts_with("sample_")) name.remove_prefix(7);
  auto const there = k_sampler_names();
  if (std::ranges::find(there, name) == there.end())
    throw error(fmt::format("the sampler '{}' was given; {}", sampler.name,
                            io::expected_names(name, there)));
  check(sampler, name, sigmas, n);
  walk of(sampler, sigmas, n);
  std::vector<level> levels;
  for (double const s : name == "dpm_fast" ? of.grid_of_fast() : sigmas)
    levels.push_back(at_sigma(s));
  // The noise before a step, which takes x to a higher level, is drawn as the step before ends;
  // theirs is drawn also where it is then not added.
  noise_before churns;
  if (sampler.s_churn > 0)
    for (std::size_t k = 0; k + 1 < sigmas.size(); ++k)
      churns.emplace_back(sigmas[k],
                          sampler.s_noise * std::sqrt(squared(of.churned(k)) - squared(sigmas[k])));
  any_stages stages{.predicts = forget_prediction(predicts::x0{}),
                    .guidance = forget_guidance(guidance::none{}),
                    .threshold = {},
                    .sampler = forget_linear_steps(of.steps(name), std::move(churns))};
  stages.checks_share = false;
  if (noise && std::ranges::any_of(stages.sampler.mentioned, &symbol_id::is_noise))
    stages.noise = noise;
  return build_plan(stages, network, std::move(levels), {}, compiled_programs());
}

namespace {

void check(k_adaptive const& o, double sigma_max, double sigma_min) {
  auto const refuse = [](std::string const& given, std::string const& expected) {
    throw error(
        fmt::format("{} was given for the sampler dpm_adaptive; expected {}", given, expected));
  };
  if (o.order != 2 && o.order != 3) refuse(fmt::format("order = {}", o.order), "2 or 3");
  for (auto const& [what, value] : {std::pair{"rtol", o.rtol},
                                    {"atol", o.atol},
                                    {"h_init", o.h_init},
                                    {"accept_safety", o.accept_safety}})
    if (!(value > 0 && std::isfinite(value)))
      refuse(fmt::format("{} = {}", what, value), "a finite one above 0");
  for (auto const& [what, value] :
       {std::pair{"pcoeff", o.pcoeff}, {"icoeff", o.icoeff}, {"dcoeff", o.dcoeff}})
    if (!std::isfinite(value)) refuse(fmt::format("{} = {}", what, value), "a finite one");
  if (!(sigma_min > 0 && sigma_min < sigma_max && std::isfinite(sigma_max)))
    refuse(fmt::format("sigma from {} to {}", sigma_max, sigma_min), "two that fall, above 0");
}

}  // namespace

k_adaptive_result sample_dpm_adaptive(k_adaptive const& o, double sigma_max, double sigma_min,
                                      any_network const& network, images x,
                                      conditions const& given) {
  check(o, sigma_max, sigma_min);
  k_adaptive_result r{std::move(x)};
  double h = o.h_init, errors[3] = {};
  double const b1 = (o.pcoeff + o.icoeff + o.dcoeff) / o.order,
               b2 = -(o.pcoeff + 2 * o.dcoeff) / o.order, b3 = o.dcoeff / o.order;
  double const end = -std::log(sigma_min);
  std::vector<float> before = r.samples.data;
  for (double s = -std::log(sigma_max); s < end - 1e-5;) {
    double const t = std::min(end, s + h);
    level const from = at_sigma(std::exp(-s)), to = at_sigma(std::exp(-t));
    any_stages stages{
        .predicts = forget_prediction(predicts::x0{}),
        .guidance = forget_guidance(guidance::none{}),
        .threshold = {},
        .sampler = forget_linear_steps({dpm_solver(from.sigma, to.sigma, o.order, true)})};
    stages.checks_share = false;
    any_plan const plan = build_plan(stages, network, {from, to}, {}, compiled_programs());
    state now = plan.start_at(r.samples, {}, given);
    plan.advance(now);
    r.evaluations += o.order;
    images const high = take(now);
    double squares = 0;
    for (std::size_t i = 0; i < high.data.size(); ++i) {
      float const low = now.keep[2].data()[i / now.elements * now.pitch + i % now.elements];
      double const size = std::max(std::abs(double{low}), std::abs(double{before[i]}));
      squares += squared((double{low} - high.data[i]) / std::max(o.atol, o.rtol * size));
    }
    double const error_of = std::sqrt(squares / static_cast<double>(high.data.size()));
    if (!std::isfinite(error_of))
      throw error(fmt::format(
          "dpm_adaptive: at sigma = {} the network's values are not finite; expected finite ones",
          from.sigma));
    double const inverse = 1 / (error_of + 1e-8);
    if (errors[0] == 0) errors[0] = errors[1] = errors[2] = inverse;
    errors[0] = inverse;
    double const factor =
        std::pow(errors[0], b1) * std::pow(errors[1], b2) * std::pow(errors[2], b3);
    double const limited = 1 + std::atan(factor - 1);
    if (limited >= o.accept_safety) {
      errors[2] = errors[1], errors[1] = errors[0];
      for (std::size_t i = 0; i < high.data.size(); ++i)
        before[i] = now.keep[2].data()[i / now.elements * now.pitch + i % now.elements];
      r.samples = high;
      s = t;
      ++r.steps;
    } else {
      ++r.rejected;
    }
    h *= limited;
    if (r.steps + r.rejected >= 10'000)
      throw error(fmt::format(
          "dpm_adaptive: after 10000 steps sigma is {}, expected to arrive at {}; use larger "
          "rtol and atol",
          std::exp(-s), sigma_min));
  }
  return r;
}

}  // namespace tweedie::ready
