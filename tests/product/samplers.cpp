// Every sampler x schedule x grid by its defaults x prediction x number of steps: each is right or
// a sentence. So are plans that are entered at a later level, and those that encode.
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

#include <tweedie/dsl/kernel/noise.hpp>
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

/// Of a column of samples, or of a law.
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
double start_scale(any_plan const& plan) {
  state const s = plan.start(request_of());
  float normals[4];
  fill_normals(normals, 0, 1, {seed, 0, 0}, start_stream);
  double const scale = static_cast<double>(take(s).data[0]) / static_cast<double>(normals[0]);
  return scale;
}

/// One column of samples for each number of the data.
using columns = std::vector<std::vector<double>>;
columns run(any_plan const& plan, columns const& from) {
  images start{{samples, dimensions}, {}};
  for (std::size_t row = 0; row < samples; ++row)
    for (std::size_t i = 0; i < dimensions; ++i)
      start.data.push_back(static_cast<float>(from[i][row]));
  images const end = plan.run(plan.start_at(start, request_of()));
  columns r(dimensions);
  for (std::size_t i = 0; i < end.data.size(); ++i)
    r[i % dimensions].push_back(static_cast<double>(end.data[i]));
  return r;
}

/// Where the exact flow takes the even normals.
std::vector<double> exact(distribution const& d) {
  std::vector<double> r;
  for (double z : even_normals()) r.push_back(d.of_normal(z));
  return r;
}

/// The same by a formula, with the noise that the plan's samples draw.
std::vector<double> along(path_formula const& path, way w, std::size_t dimension,
                          std::vector<double> const& from) {
  std::vector<double> r;
  for (std::size_t i = 0; i < samples; ++i) {
    w.noise = [&](std::size_t evaluation) {
      float normals[4];
      fill_normals(normals, 0, 1, {seed, i, static_cast<std::uint32_t>(evaluation)}, 0);
      return static_cast<double>(normals[dimension]);
    };
    // As the plan's start is rounded.
    double const x = static_cast<double>(static_cast<float>(from[i]));
    r.push_back(path(x, w));
  }
  return r;
}

/// Mean and standard deviation of all that a formula draws of the normal data from a normal start:
/// its steps are linear there, so that each noise adds the square of what it moves.
moments law_of(path_formula const& path, way w, moments start) {
  constexpr std::size_t most_evaluations = 102;  // one for the start's noise, two a step
  w.noise = [](std::size_t) { return 0.0; };
  double const mean = path(start.mean, w), by_start = path(start.mean + start.sd, w) - mean;
  double variance = by_start * by_start;
  for (std::size_t k = 0; k < most_evaluations; ++k) {
    w.noise = [k](std::size_t evaluation) { return evaluation + 1 == k ? 1.0 : 0.0; };
    double const moved = path(start.mean, w) - mean;
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

/// Where a plan begins and where it ends.
enum class route { from_noise, from_later, to_noise };

struct product_walk {
  std::FILE* out;
  std::string only_schedule;
  long part = 1;
  long counter = 0, wrong = 0;

  /// A number of a cell in units of what is allowed.
  void line(std::string const& cell, std::string_view of, double ratio, moments got, moments truth,
            std::string const& held) {
    if (!(ratio <= 1)) ++wrong;
    fmt::print(out, "{}\tmeasured\t{}\t{:.4g}\t{:.4f} {:.4f}\t{:.4f} {:.4f}\t{}\n", cell, of, ratio,
               got.mean, got.sd, truth.mean, truth.sd, held);
  }

  void walk() {
    auto const samplers_ = all_samplers();
    auto const walk = [&]<class S>(ready::named<S> const& s) {  // a table is as those of the list
      if constexpr (ready::is_made_by_name<S>()) of_schedule(s.name, s.value, samplers_);
    };
    std::apply([&](auto const&... s) { (walk(s), ...); }, ready::schedules);
  }

  /// The start is N(0, alpha^2 + sigma^2), or the noise alone where alpha = 1, and so far out that
  /// the exact flow makes of it what the data are, but for 5 %.
  void check_start(std::string const& cell, level const& first, double scale) {
    double const all = std::hypot(first.alpha, first.sigma);
    double const expected = first.alpha == 1 ? first.sigma : all;
    line(cell, "start", std::abs(scale / expected - 1) / 1e-4, {0, scale}, {0, expected},
         fmt::format("alpha {:.4g} sigma {:.4g}", first.alpha, first.sigma));
    for (distribution const& d : data) {
      double const there = std::hypot(first.alpha * d.sd(), first.sigma);
      line(cell, "start seen", std::abs(expected / there - 1) / 0.05, {0, expected}, {0, there},
           fmt::format("sigma / alpha {:.4g}", first.rho()));
    }
  }

  void of_schedule(std::string_view name, ready::schedule_choice const& schedule,
                   std::vector<sampler_of_product> const& samplers_) {
    if (!only_schedule.empty() && only_schedule != name) return;
    std::apply(
        [&](auto const&... g) {
          (of_grid(name, schedule, g.name, ready::grid_choice{g.value}, route::from_noise,
                   samplers_),
           ...);
        },
        ready::grids);
    namespace g = tweedie::grids;
    of_grid(name, schedule, "karras from 2", g::karras{.sigma_max = 2}, route::from_later,
            samplers_);
    of_grid(name, schedule, "exponential from 2", g::exponential{.sigma_max = 2}, route::from_later,
            samplers_);
    of_grid(name, schedule, "uniform, encoding", g::uniform{}, route::to_noise, samplers_);
    of_grid(name, schedule, "karras, encoding", g::karras{}, route::to_noise, samplers_);
  }

  void of_grid(std::string_view schedule_name, ready::schedule_choice const& schedule,
               std::string_view grid_name, ready::grid_choice const& grid, route along_route,
               std::vector<sampler_of_product> const& samplers_) {
    for (int steps : all_steps)
      std::apply(
          [&](auto const&... p) {
            (of_prediction(fmt::format("{}\t{}\t{}\t{}", schedule_name, grid_name, p.name, steps),
                           schedule, grid, p.name, ready::prediction_choice{p.value}, steps,
                           along_route, samplers_),
             ...);
          },
          ready::predictions);
  }

  /// SDEdit's start: clean samples noised to the plan's first level, by noise of its own stream.
  void check_entry(std::string const& cell, any_plan const& plan) {
    images const clean{{1, dimensions}, {0.25f, -0.5f}};
    request r = request_of();
    r.shape = clean.shape;
    images const noised = take(plan.start_from(clean, r));
    float normals[4];
    fill_normals(normals, 0, 1, {seed, 0, 0}, noising_stream);
    level const first = plan.levels()[0];
    for (std::size_t i = 0; i < dimensions; ++i) {
      double const got = static_cast<double>(noised.data[i]);
      double const expected = first.alpha * static_cast<double>(clean.data[i]) +
                              first.sigma * static_cast<double>(normals[i]);
      line(cell, "start_from", std::abs(got - expected) / 1e-5 / (1 + std::abs(expected)), {got, 0},
           {expected, 0}, "");
    }
  }

  void check_column(std::string const& cell, sampler_of_product const& s, any_plan const& plan,
                    way const& w, std::size_t i, columns const& from, distribution const& at_end,
                    std::vector<double> const& got) {
    moments const truth = moments_of(exact(at_end));
    moments const by_ddim = moments_of(along(ddim_path(0), w, i, from[i]));
    double const allowed = 2 * distance(by_ddim, truth) + 0.01 * truth.sd;
    std::string const held = fmt::format("ddim {:.4f} {:.4f}", by_ddim.mean, by_ddim.sd);
    std::string const of = i == 0 ? "normal" : "two modes";
    if (!s.path) {
      // One that draws noise has no place here without its formula.
      double const off =
          plan.is_deterministic() ? distance(moments_of(got), truth) / allowed : INFINITY;
      return line(cell, of, off, moments_of(got), truth, held);
    }
    std::vector<double> const expected = along(s.path, w, i, from[i]);
    moments const m = moments_of(expected);
    line(cell, of + ", paths", root_mean_square(got, expected) / (0.01 * truth.sd + 0.01 * m.sd),
         moments_of(got), m, "");
    if (i > 0) return;
    // Even normals have not quite a standard deviation of 1.
    moments const law = law_of(s.path, w, moments_of(from[i]));
    line(cell, "law", distance(law, truth) / allowed, law, truth, held);
  }

  void of_prediction(std::string const& cell, ready::schedule_choice const& schedule,
                     ready::grid_choice const& grid, std::string_view prediction_name,
                     ready::prediction_choice const& prediction, int steps, route along_route,
                     std::vector<sampler_of_product> const& samplers_) {
    if (counter++ % part != 0) return;
    any_network const net = forget_network(network{prediction_name, data, data});
    ready::recipe recipe;
    recipe.grid = grid;
    recipe.steps = steps;
    bool const encoding = along_route == route::to_noise;
    auto const at_rho = [&](double rho) {
      return std::visit(
          [rho](auto const& of) {
            return of.at(of.t_of_rho(std::min(rho, of.at(of.end()).rho())));
          },
          schedule);
    };

    std::optional<double> scale;
    for (sampler_of_product const& s : samplers_) {
      std::string const here = s.name + "\t" + cell;
      recipe.sampler = s.sampler;
      try {
        auto const plan = ready::make_plan(recipe, schedule, prediction, net, encoding);
        level const first = plan.levels().front();
        if (along_route == route::from_noise && !scale) {
          scale = start_scale(plan);
          check_start(here, first, *scale);
        }
        if (along_route == route::from_later && !plan.layout().enters) check_entry(here, plan);
        columns from;
        for (distribution const& d : data) {
          from.push_back(scale ? even_normals() : exact(d.noised(first)));
          if (scale)
            for (double& x : from.back()) x *= *scale;
        }
        columns const got = run(plan, from);
        for (std::size_t i = 0; i < dimensions; ++i)
          check_column(here, s, plan, {data[i], plan.levels(), at_rho, {}}, i, from,
                       data[i].noised(plan.levels().back()), got[i]);
        if (encoding) check_return(here, ready::make_plan(recipe, schedule, prediction, net), got);
      } catch (tweedie::error const& e) {
        fmt::print(out, "{}\trefused\t{}\n", here, e.what());
      }
    }
  }

  /// What was encoded is decoded: there and back by ddim in double is the measure.
  void check_return(std::string const& cell, any_plan const& decoder, columns const& encoded) {
    columns const back = run(decoder, encoded);
    std::vector<level> there = decoder.levels();
    std::reverse(there.begin(), there.end());
    for (std::size_t i = 0; i < dimensions; ++i) {
      std::vector<double> const clean = exact(data[i]);
      auto const code = along(ddim_path(0), {data[i], there, {}, {}}, i, clean);
      auto const by_ddim = along(ddim_path(0), {data[i], decoder.levels(), {}, {}}, i, code);
      moments const truth = moments_of(clean);
      double const allowed = 2 * root_mean_square(by_ddim, clean) + 0.01 * truth.sd;
      line(cell, i == 0 ? "normal, back" : "two modes, back",
           root_mean_square(back[i], clean) / allowed, moments_of(back[i]), truth, "");
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
  fmt::print("{} above what is allowed\n", walk.wrong);
}
