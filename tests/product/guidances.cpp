// Every guidance x threshold x sampler, on and off by `within`, on schedules of each kind and every
// prediction: what the paper's formula gives, or a sentence.
//
//   product_guidances [--part N] [--sampler NAME] --out FILE
//
// The formulas are here once more, in double, and the network that they make of two branches is run
// by the same sampler without guidance and threshold: both must draw the same samples. Where x0 and
// eps no longer make up x (CFG++, clip_x0_only) no network says so: ddim is held to its loop in
// double, and a sampler that reads one of the two to the network of that one.
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include <tweedie/dsl/kernel/noise.hpp>

#include "list.hpp"

using namespace tweedie;

namespace product {
namespace {

constexpr std::size_t samples = 4, dimensions = 8;
constexpr std::uint64_t seed = 5;

using numbers = std::vector<double>;

std::vector<distribution> data_of(bool labelled) {
  std::vector<distribution> r;
  for (std::size_t i = 0; i < dimensions; ++i) {
    double const shift = 0.1 * static_cast<double>(i);
    distribution both{{{0.5, -0.7 + shift, 0.2}, {0.5, 0.6 - shift / 2, 0.3}}};
    if (labelled) both.parts = {{1, -0.7 + shift, 0.2}};
    r.push_back(both);
  }
  return r;
}
std::vector<distribution> const labelled = data_of(true), unlabelled = data_of(false);

/// What is known of a sample at an evaluation.
struct parts {
  numbers x0, eps;
};

double dot(numbers const& a, numbers const& b) {
  double r = 0;
  for (std::size_t i = 0; i < a.size(); ++i) r += a[i] * b[i];
  return r;
}
double deviation(numbers const& a) {
  double mean = 0, r = 0;
  for (double v : a) mean += v / static_cast<double>(a.size());
  for (double v : a) r += (v - mean) * (v - mean) / static_cast<double>(a.size());
  return std::sqrt(r);
}
numbers combined(double k, numbers const& a, double l, numbers const& b) {
  numbers r(a.size());
  for (std::size_t i = 0; i < a.size(); ++i) r[i] = k * a[i] + l * b[i];
  return r;
}

/// The raw output of a prediction from x0 and eps, and back.
numbers raw_of(std::string_view prediction, level const& t, parts const& of) {
  auto const [p, q] = weights_of(prediction, t);
  return p == 0   ? combined(q, of.eps, 0, of.eps)
         : q == 0 ? combined(p, of.x0, 0, of.x0)
                  : combined(p, of.x0, q, of.eps);
}
parts parts_of(std::string_view prediction, level const& t, numbers const& x, numbers const& raw) {
  auto const [p, q] = weights_of(prediction, t);
  double const determinant = t.alpha * q - t.sigma * p;
  return {combined(q / determinant, x, -t.sigma / determinant, raw),
          combined(t.alpha / determinant, raw, -p / determinant, x)};
}

struct guidance_of_product {
  std::string name;
  ready::guidance_choice guidance;
};
std::vector<guidance_of_product> all_guidances() {
  using namespace tweedie::guidance;
  return {{"none", none{}},
          {"classifier_free", classifier_free{1.5}},
          {"classifier_free_scale", classifier_free_scale{3}},
          {"rescaled", rescaled{3, 0.7}},
          {"apg", apg{4, 2.5, 0.3, -0.6}},
          {"cfg_zero_star", cfg_zero_star{2.5}},
          {"cfg_plus_plus", cfg_plus_plus{0.6}}};
}

/// The guidances by their papers; `momentum` is APG's, of this sample.
parts guided(ready::guidance_choice const& by, std::string_view prediction, level const& t,
             numbers const& x, parts const& c, parts const& u, numbers& momentum) {
  using namespace tweedie::guidance;
  numbers const rc = raw_of(prediction, t, c), ru = raw_of(prediction, t, u);
  auto const of_raw = [&](numbers const& raw) { return parts_of(prediction, t, x, raw); };
  if (auto const* g = std::get_if<classifier_free>(&by))  // Ho & Salimans 2022, eq. 6
    return of_raw(combined(1 + g->w, rc, -g->w, ru));
  if (auto const* g = std::get_if<classifier_free_scale>(&by))  // Saharia et al. 2022, eq. 2
    return of_raw(combined(g->s, rc, 1 - g->s, ru));
  if (auto const* g = std::get_if<rescaled>(&by)) {  // Lin et al. 2023, eqs. 14 to 16
    numbers const mixed = combined(g->s, rc, 1 - g->s, ru);
    double const factor = g->phi * deviation(rc) / deviation(mixed) + 1 - g->phi;
    return of_raw(combined(factor, mixed, 0, mixed));
  }
  if (auto const* g = std::get_if<cfg_zero_star>(&by)) {  // Fan et al. 2025, Algorithm 1
    double const best = dot(rc, ru) / dot(ru, ru);
    return of_raw(combined(g->s, rc, (1 - g->s) * best, ru));
  }
  if (auto const* g = std::get_if<apg>(&by)) {  // Sadat et al. 2024, Algorithm 1
    numbers d = combined(1, c.x0, -1, u.x0);
    d = combined(1, d, g->beta, momentum);
    momentum = d;
    double const length = std::sqrt(dot(d, d));
    numbers const shortened = combined(std::min(1.0, g->r / length), d, 0, d);
    double const along = dot(shortened, c.x0) / dot(c.x0, c.x0);
    numbers const kept = combined(1, shortened, (g->eta - 1) * along, c.x0);
    parts r{combined(1, c.x0, g->s - 1, kept), {}};
    r.eps = combined(1 / t.sigma, x, -t.alpha / t.sigma, r.x0);
    return r;
  }
  if (auto const* g = std::get_if<cfg_plus_plus>(&by))  // Chung et al. 2024, Algorithm 2
    return {combined(g->lambda, c.x0, 1 - g->lambda, u.x0), u.eps};
  return c;
}

/// The thresholds: DDPM's clip, and Saharia et al. 2022, section 2.3.
parts limited(ready::threshold_choice const& by, level const& t, numbers const& x, parts of) {
  using namespace tweedie::thresholds;
  auto const clipped = [&](double limit, double divisor) {
    for (double& v : of.x0) v = std::min(std::max(v, -limit), limit) / divisor;
  };
  if (auto const* c = std::get_if<clip>(&by)) clipped(c->limit, 1);
  if (auto const* c = std::get_if<clip_x0_only>(&by)) return clipped(c->limit, 1), of;
  if (auto const* d = std::get_if<dynamic>(&by)) {
    numbers sizes;
    for (double v : of.x0) sizes.push_back(std::abs(v));
    std::sort(sizes.begin(), sizes.end());
    double const place = d->p * static_cast<double>(sizes.size() - 1);
    auto const below = static_cast<std::size_t>(place);
    std::size_t const above = std::min(below + 1, sizes.size() - 1);
    double const share = place - static_cast<double>(below);
    double const s = std::max(1.0, sizes[below] + share * (sizes[above] - sizes[below]));
    clipped(s, s);
  }
  if (!std::holds_alternative<no_threshold>(by))
    of.eps = combined(1 / t.sigma, x, -t.alpha / t.sigma, of.x0);
  return of;
}

/// A pipeline's stages before the sampler.
struct composition {
  std::string_view prediction;
  ready::guidance_choice guidance;
  std::optional<ready::recipe::interval> within;
  ready::threshold_choice threshold;

  parts at(level const& t, numbers const& x, numbers& momentum) const {
    parts c{numbers(x.size()), numbers(x.size())}, u = c;
    for (std::size_t i = 0; i < x.size(); ++i) {
      c.x0[i] = labelled[i].x0(x[i], t), c.eps[i] = labelled[i].eps(x[i], t);
      u.x0[i] = unlabelled[i].x0(x[i], t), u.eps[i] = unlabelled[i].eps(x[i], t);
    }
    bool const on = !within || (within->lo <= t.t && t.t <= within->hi);
    if (on) c = guided(guidance, prediction, t, x, c, u, momentum);
    return limited(threshold, t, x, c);
  }
  /// Whether x = alpha x0 + sigma eps no longer holds somewhere.
  bool tears() const {
    bool const of_guidance = std::holds_alternative<tweedie::guidance::cfg_plus_plus>(guidance);
    bool const none = std::holds_alternative<no_threshold>(threshold);
    return std::holds_alternative<tweedie::thresholds::clip_x0_only>(threshold) ||
           (of_guidance && none);
  }
};

/// The same as a network of one branch. Of x0 and eps that don't make up x it keeps x0, or what a
/// flow in theta follows, alpha eps - sigma x0, but for the last step.
struct mixed_network {
  composition of;
  bool keeps_v = false;
  std::size_t evaluations = 0;  ///< of the plan
  std::shared_ptr<std::size_t> done = std::make_shared<std::size_t>(0);
  std::shared_ptr<std::vector<numbers>> momenta =
      std::make_shared<std::vector<numbers>>(samples, numbers(dimensions));

  void operator()(batch const& b) const {
    ++*done;
    for (std::size_t row = 0; row < b.rows(); ++row) {
      level const& t = b.level_of(row);
      numbers x;
      for (float v : b.x_of(row))
        x.push_back(static_cast<double>(v) * input_scale(of.prediction, t));
      parts p = of.at(t, x, (*momenta)[row]);
      if (of.tears()) {
        if (keeps_v && *done < evaluations)
          p = parts_of("v", t, x, combined(t.alpha, p.eps, -t.sigma, p.x0));
        else p.eps = combined(1 / t.sigma, x, -t.alpha / t.sigma, p.x0);
      }
      numbers const raw = raw_of(of.prediction, t, p);
      for (std::size_t i = 0; i < dimensions; ++i) b.out_of(row)[i] = static_cast<float>(raw[i]);
    }
  }
};

/// Song et al. 2021, eq. 12, over a composition, with the noise that a plan's sample draws.
numbers ddim_loop(composition const& of, std::vector<level> const& levels, double eta, numbers x,
                  std::uint64_t id) {
  numbers momentum(dimensions);
  for (std::size_t k = 0; k + 1 < levels.size(); ++k) {
    level const t = levels[k], s = levels[k + 1];
    parts const p = of.at(t, x, momentum);
    double const a = t.alpha / s.alpha, beta = t.sigma * t.sigma - a * a * s.sigma * s.sigma;
    double const kappa = eta * s.sigma / t.sigma * std::sqrt(beta);
    float normals[dimensions];
    fill_normals(normals, 0, dimensions / 4, {seed, id, static_cast<std::uint32_t>(k)}, 0);
    double const kept = std::sqrt(std::max(0.0, s.sigma * s.sigma - kappa * kappa));
    for (std::size_t i = 0; i < dimensions; ++i)
      x[i] = s.alpha * p.x0[i] + (kept == 0 ? 0 : kept * p.eps[i]) +
             kappa * static_cast<double>(normals[i]);
  }
  return x;
}

/// Samplers whose steps are written in x and x0 alone.
bool reads_x0_alone(std::string_view sampler) {
  for (std::string_view one : {"ancestral", "dpmpp", "unipc", "sde_dpmpp"})
    if (sampler.starts_with(one)) return true;
  return false;
}

/// Samplers whose steps follow the flow in theta, and so read x0 and eps as one.
bool reads_v(std::string_view sampler) {
  for (std::string_view one : {"heun", "midpoint", "ralston", "kutta_3", "rk4"})
    if (sampler == one) return true;
  return false;
}

double difference(images const& a, images const& b) {
  double sum = 0, size = 0;
  for (std::size_t i = 0; i < a.data.size(); ++i) {
    double const x = static_cast<double>(a.data[i]), y = static_cast<double>(b.data[i]);
    sum += (x - y) * (x - y);
    size += y * y;
  }
  auto const n = static_cast<double>(a.data.size());
  return std::sqrt(sum / n) / (1 + std::sqrt(size / n));
}

struct place {
  std::string name;
  ready::schedule_choice schedule;
  ready::grid_choice grid;
};
std::vector<place> all_places() {
  namespace s = tweedie::schedules;
  namespace g = tweedie::grids;
  return {{"cosine uniform", s::cosine{}, g::uniform{}},
          {"linear karras", s::linear{}, g::karras{}},
          {"continuous_cosine uniform", s::continuous::cosine{}, g::uniform{}},
          {"rectified_flow uniform", s::rectified_flow{}, g::uniform{}},
          {"variance_exploding uniform", s::variance_exploding{}, g::uniform{}},
          {"edm karras", s::edm{}, g::karras{}}};
}

struct product_walk {
  std::FILE* out;
  std::string only_sampler;
  long part = 1;
  long counter = 0, wrong = 0;
  static constexpr double bound = 2e-3;

  void walk() {
    for (sampler_of_product const& s : all_samplers())
      for (guidance_of_product const& g : all_guidances())
        for (bool const within : {false, true})
          std::apply(
              [&](auto const&... th) {
                (of_threshold(s, g, within, th.name, ready::threshold_choice{th.value}), ...);
              },
              ready::thresholds);
  }

  void of_threshold(sampler_of_product const& s, guidance_of_product const& g, bool within,
                    std::string_view threshold_name, ready::threshold_choice const& threshold) {
    if (!only_sampler.empty() && only_sampler != s.name) return;
    if (within && g.name == "none") return;
    for (place const& p : all_places())
      for (int steps : {1, 3, 10})
        std::apply(
            [&](auto const&... prediction) {
              auto const one = [&](auto const& of) {
                if (counter++ % part != 0) return;
                composition c{of.name, g.guidance, {}, threshold};
                double const end = std::visit([](auto const& on) { return on.end(); }, p.schedule);
                if (within) c.within = {{0.3 * end, 0.8 * end}};
                std::string const cell =
                    fmt::format("{}\t{}{}\t{}\t{}\t{}\t{}", s.name, g.name, within ? " within" : "",
                                threshold_name, p.name, of.name, steps);
                check(cell, s, c, p, ready::prediction_choice{of.value}, steps);
              };
              (one(prediction), ...);
            },
            ready::predictions);
  }

  void check(std::string const& cell, sampler_of_product const& s, composition const& c,
             place const& p, ready::prediction_choice const& prediction, int steps) {
    ready::recipe recipe, plain;
    recipe.sampler = plain.sampler = s.sampler;
    recipe.grid = plain.grid = p.grid;
    recipe.steps = plain.steps = steps;
    recipe.guidance = c.guidance;
    recipe.within = c.within;
    recipe.threshold = c.threshold;
    request const asked{.shape = {samples, dimensions}, .seed = seed};
    try {
      auto const plan =
          ready::make_plan(recipe, p.schedule, prediction,
                           forget_network(network{c.prediction, labelled, unlabelled}));
      images const got = plan.sample(asked, label{0});
      mixed_network const by_formula{c, reads_v(s.name), plan.network_evaluations()};
      auto const mixed =
          ready::make_plan(plain, p.schedule, prediction, forget_network(by_formula));
      images expected = mixed.sample(asked, label{0});
      std::string held = "the same sampler over the formula";
      bool const of_ddim = s.name.starts_with("ddim");
      if (of_ddim && (c.tears() || s.name == "ddim")) {
        double const eta = s.name == "ddim" ? 0 : s.name == "ddim_eta" ? 1 : 0.5;
        auto const start = take(plan.start(asked, label{0}));
        held = "its loop in double";
        for (std::size_t i = 0; i < samples; ++i) {
          numbers x;
          for (float v : start[i]) x.push_back(static_cast<double>(v));
          x = ddim_loop(c, plan.levels(), eta, x, i);
          for (std::size_t k = 0; k < dimensions; ++k)
            expected.data[i * dimensions + k] = static_cast<float>(x[k]);
        }
      }
      bool const idle =
          c.tears() && !of_ddim && !reads_v(s.name) && !reads_x0_alone(s.name) && plan.steps() > 1;
      double const off = difference(got, expected);
      double const ratio = idle ? INFINITY : off / bound;
      if (!(ratio <= 1)) ++wrong;
      fmt::print(out, "{}\tmeasured\t{:.4g}\t{}\n", cell, ratio, idle ? "does nothing" : held);
    } catch (tweedie::error const& e) {
      fmt::print(out, "{}\trefused\t{}\n", cell, e.what());
    }
  }
};

}  // namespace
}  // namespace product

int main(int argc, char** argv) {
  product::product_walk walk{stdout, ""};
  std::string file;
  for (int i = 1; i + 1 < argc; i += 2) {
    std::string_view const option = argv[i];
    if (option == "--part") walk.part = std::atol(argv[i + 1]);
    else if (option == "--sampler") walk.only_sampler = argv[i + 1];
    else if (option == "--out") file = argv[i + 1];
  }
  if (!file.empty()) walk.out = std::fopen(file.c_str(), "w");
  walk.walk();
  if (!file.empty()) std::fclose(walk.out);
  fmt::print("{} above what is allowed\n", walk.wrong);
}
