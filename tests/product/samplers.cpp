// Every sampler x schedule x grid by its defaults x prediction x number of steps: each is right or a
// sentence.
//
//   product_samplers [--part N] [--schedule NAME] --out FILE
//
// A line of FILE is a cell. Samplers without noise are held to the truth: the mean and the standard
// deviation no further from it than twice what ddim is on the same levels and 1 % of the standard
// deviation. Those with noise, and ddim, are held to their formula in double along the same paths.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include <tweedie/dsl/noise.hpp>
#include <tweedie/pipelines/ready/recipe.hpp>

#include "list.hpp"

using namespace tweedie;
namespace ready = tweedie::ready;

namespace product {
namespace {

// The first number of a sample is normal, the second of two modes.
std::vector<distribution> const data{{{{1, 0.3, 0.5}}}, {{{0.4, -0.6, 0.2}, {0.6, 0.5, 0.3}}}};
constexpr std::size_t samples = 64, dimensions = 2;
constexpr std::uint64_t seed = 11;
constexpr int all_steps[] = {1, 2, 3, 5, 10, 20, 50};

struct moments {
  double mean = 0, sd = 0;
};
moments moments_of(std::vector<double> const& values) {
  moments m;
  for (double v : values) m.mean += v / static_cast<double>(values.size());
  for (double v : values) m.sd += (v - m.mean) * (v - m.mean) / static_cast<double>(values.size());
  m.sd = std::sqrt(m.sd);
  return m;
}
/// Wasserstein's distance of two normals of these moments.
double distance(moments a, moments b) { return std::hypot(a.mean - b.mean, a.sd - b.sd); }

/// Normals at the middles of `samples` equal shares.
std::vector<double> const& even_normals() {
  static std::vector<double> const z = [] {
    distribution const standard{{{1, 0, 1}}};
    std::vector<double> r;
    for (std::size_t i = 0; i < samples; ++i) {
      double const share = (static_cast<double>(i) + 0.5) / samples;
      double low = -9, high = 9;
      for (int k = 0; k < 80; ++k) {
        double const middle = (low + high) / 2;
        (standard.cumulative(middle) < share ? low : high) = middle;
      }
      r.push_back(low);
    }
    return r;
  }();
  return z;
}

request request_of() { return {.shape = {samples, dimensions}, .seed = seed}; }

/// What a plan starts from: the factor of its normals. 0 where the starts are no multiples of them.
double start_scale(run_time_plan const& plan) {
  state const s = plan.start(request_of());
  float normals[4];
  fill_normals(normals, 0, 1, {seed, 0, 0}, start_stream);
  double const scale = static_cast<double>(take(s).data[0]) / static_cast<double>(normals[0]);
  return scale;
}

/// One column of samples for each number of the data.
using columns = std::vector<std::vector<double>>;
columns run(run_time_plan const& plan, double scale) {
  images start{{samples, dimensions}, {}};
  for (double z : even_normals())
    for (std::size_t i = 0; i < dimensions; ++i)
      start.data.push_back(static_cast<float>(scale * z));
  images const end = plan.run(plan.start_at(start, request_of()));
  columns r(dimensions);
  for (std::size_t i = 0; i < end.data.size(); ++i)
    r[i % dimensions].push_back(static_cast<double>(end.data[i]));
  return r;
}

/// The same by a formula, with the noise that the plan's samples draw.
columns along(path_formula const& path, way w, std::size_t dimension, double scale) {
  columns r(1);
  for (std::size_t i = 0; i < samples; ++i) {
    w.noise = [&](std::size_t evaluation) {
      float normals[4];
      fill_normals(normals, 0, 1, {seed, i, static_cast<std::uint32_t>(evaluation)}, 0);
      return static_cast<double>(normals[dimension]);
    };
    // As the plan's start is rounded.
    double const x = static_cast<double>(static_cast<float>(scale * even_normals()[i]));
    r[0].push_back(path(x, w));
  }
  return r;
}

/// Mean and standard deviation of all that a formula draws of the normal data: its steps are linear
/// there, so that each noise adds the square of what it moves.
moments law_of(path_formula const& path, way w, double scale) {
  constexpr std::size_t most_evaluations = 102;  // one for the start's noise, two a step
  w.noise = [](std::size_t) { return 0.0; };
  double const mean = path(0, w), by_start = path(scale, w) - mean;
  double variance = by_start * by_start;
  for (std::size_t k = 0; k < most_evaluations; ++k) {
    w.noise = [k](std::size_t evaluation) { return evaluation + 1 == k ? 1.0 : 0.0; };
    double const moved = path(0, w) - mean;
    variance += moved * moved;
  }
  return {mean, std::sqrt(variance)};
}

double root_mean_square(std::vector<double> const& a, std::vector<double> const& b) {
  double r = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    r += (a[i] - b[i]) * (a[i] - b[i]) / static_cast<double>(a.size());
  return std::sqrt(r);
}

struct product_walk {
  std::FILE* out;
  std::string only_schedule;
  long part = 1;
  long counter = 0, wrong = 0;

  void line(std::string const& cell, std::string const& outcome, std::string const& rest) {
    fmt::print(out, "{}\t{}\t{}\n", cell, outcome, rest);
    if (outcome == "wrong") ++wrong;
  }

  void walk() {
    auto const samplers_ = all_samplers();
    std::apply([&](auto const&... s) { (of_schedule(s.name, s.value, samplers_), ...); },
               ready::schedules);
  }

  void of_schedule(std::string_view name, ready::schedule_choice const& schedule,
                   std::vector<sampler_of_product> const& samplers_) {
    if (!only_schedule.empty() && only_schedule != name) return;
    std::apply(
        [&](auto const&... g) {
          (of_grid(name, schedule, g.name, ready::grid_choice{g.value}, samplers_), ...);
        },
        ready::grids);
  }

  void of_grid(std::string_view schedule_name, ready::schedule_choice const& schedule,
               std::string_view grid_name, ready::grid_choice const& grid,
               std::vector<sampler_of_product> const& samplers_) {
    for (int steps : all_steps)
      std::apply(
          [&](auto const&... p) {
            (of_prediction(fmt::format("{}\t{}\t{}\t{}", schedule_name, grid_name, p.name, steps),
                           schedule, grid, p.name, ready::prediction_choice{p.value}, steps,
                           samplers_),
             ...);
          },
          ready::predictions);
  }

  void of_prediction(std::string const& cell, ready::schedule_choice const& schedule,
                     ready::grid_choice const& grid, std::string_view prediction_name,
                     ready::prediction_choice const& prediction, int steps,
                     std::vector<sampler_of_product> const& samplers_) {
    if (counter++ % part != 0) return;
    any_network const net = forget_network(network{prediction_name, data, data});
    ready::recipe recipe;
    recipe.grid = grid;
    recipe.steps = steps;

    std::optional<double> scale;
    std::vector<moments> truth, by_ddim;
    for (sampler_of_product const& s : samplers_) {
      std::string const here = s.name + "\t" + cell;
      recipe.sampler = s.sampler;
      try {
        auto const plan = ready::make_plan(recipe, schedule, prediction, net);
        if (!scale) {
          scale = start_scale(plan);
          level const first = plan.levels()[0];
          double const r2 = first.alpha == 1
                                ? first.sigma * first.sigma
                                : first.alpha * first.alpha + first.sigma * first.sigma;
          if (std::abs(*scale - std::sqrt(r2)) > 1e-4 * std::sqrt(r2))
            line(here, "start",
                 fmt::format("N(0, {:.4g}^2) for {:.4g}^2, alpha {:.4g} sigma {:.4g}", *scale,
                             std::sqrt(r2), first.alpha, first.sigma));
          // A start from which data could be told: what the exact flow makes of it.
          for (std::size_t i = 0; i < dimensions; ++i) {
            double const v =
                first.alpha * first.alpha * data[i].sd() * data[i].sd() + first.sigma * first.sigma;
            double const off = std::abs(std::sqrt(r2 / v) - 1);
            if (off > 0.05)
              line(here, "early",
                   fmt::format("rho {:.4g} in silence: sd {:.0f} % off", first.rho(), 100 * off));
          }
          for (distribution const& d : data) {
            std::vector<double> exact;
            for (double z : even_normals()) exact.push_back(d.of_normal(z));
            truth.push_back(moments_of(exact));
          }
        }
        columns const got = run(plan, *scale);
        std::vector<level> const levels = plan.levels();
        for (std::size_t i = 0; i < dimensions; ++i) {
          moments const m = moments_of(got[i]);
          if (s.name == "ddim") by_ddim.push_back(m);
          way const w{data[i],
                      levels,
                      [&](double rho) {
                        return std::visit([rho](auto const& of) { return of.at(of.t_of_rho(rho)); },
                                          schedule);
                      },
                      {}};
          double ratio = 0;
          std::string held;
          if (s.path) {
            auto const expected = along(s.path, w, i, *scale)[0];
            moments const e = moments_of(expected);
            ratio = root_mean_square(got[i], expected) / (0.01 * truth[i].sd + 0.01 * e.sd);
            held = fmt::format("path {:.4f} {:.4f}", e.mean, e.sd);
          } else if (!plan.is_deterministic()) {
            ratio = INFINITY;
            held = "no formula here";
          } else {
            ratio = distance(m, truth[i]) /
                    (2 * distance(by_ddim.at(i), truth[i]) + 0.01 * truth[i].sd);
            held = fmt::format("ddim {:.4f} {:.4f}", by_ddim[i].mean, by_ddim[i].sd);
          }
          if (s.path && s.name != "ddim" && i == 0) {
            moments const law = law_of(s.path, w, *scale);
            double const off = distance(law, truth[i]) /
                               (2 * distance(by_ddim.at(i), truth[i]) + 0.01 * truth[i].sd);
            line(here, off <= 1 ? "law" : "far law",
                 fmt::format(
                     "normal\t{:.3f}\t{:.4f} {:.4f}\ttruth {:.4f} {:.4f}\tddim {:.4f} {:.4f}", off,
                     law.mean, law.sd, truth[i].mean, truth[i].sd, by_ddim[i].mean, by_ddim[i].sd));
          }
          line(here, ratio <= 1 ? "right" : "wrong",
               fmt::format("{}\t{:.3f}\t{:.4f} {:.4f}\ttruth {:.4f} {:.4f}\t{}",
                           i == 0 ? "normal" : "two modes", ratio, m.mean, m.sd, truth[i].mean,
                           truth[i].sd, held));
        }
      } catch (tweedie::error const& e) {
        line(here, "refused", e.what());
      }
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
    else if (option == "--schedule") walk.only_schedule = argv[i + 1];
    else if (option == "--out") file = argv[i + 1];
  }
  if (!file.empty()) walk.out = std::fopen(file.c_str(), "w");
  walk.walk();
  if (!file.empty()) std::fclose(walk.out);
  fmt::print("{} wrong\n", walk.wrong);
  return walk.wrong > 0;
}
