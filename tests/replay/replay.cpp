// replay FILE...: reads files of other libraries' runs, does each again on the fused path and says
// where they differ. The formats are in docs/replay.md; the exit status is 1 if a case disagrees.
#include <cmath>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <tweedie/pipelines/driven_loop.hpp>
#include <tweedie/pipelines/ready/k_diffusion.hpp>
#include <tweedie/pipelines/ready/scheduler_config.hpp>
#include <tweedie/pipelines/torch_noise.hpp>
#include <tweedie/tweedie.hpp>

namespace {

using json = nlohmann::json;
using namespace tweedie;

struct result {
  double picked = 0;  ///< largest difference of a picked value, over the largest magnitude
  double norm = 0;    ///< difference of the L2 norms, relative
  double times = 0;   ///< largest difference of a timestep
  std::string refused = {}, first = {};
  bool agrees() const { return refused.empty() && picked <= 1e-3 && norm <= 1e-3 && times <= 1; }
};

result compared(std::vector<float> const& last, json const& of, json const& meta) {
  double squares = 0, worst = 0;
  for (float const v : last) squares += double{v} * v;
  auto const& at = meta.at("picked_indices");
  for (std::size_t i = 0; i < at.size(); ++i) {
    double const there = of.at("picked")[i].get<double>();
    double const d = std::abs(last[at[i].get<std::size_t>()] - there);
    worst = d <= worst ? worst : d;  // NaN counts
  }
  double const norm = of.at("l2").get<double>();
  double const nothing = 1e-30;  // iPNDM's only step ends at 0
  return {worst / std::max(of.at("abs_max").get<double>(), nothing),
          std::abs(std::sqrt(squares) - norm) / std::max(norm, nothing)};
}

template <class T> T get_or(json const& of, char const* key, T usual) {
  return of.contains(key) && !of[key].is_null() ? of[key].get<T>() : usual;
}

/// The peers' noise: of the whole shape each time it is asked for.
shared_call<void(noise_request const&)> drawn_in_order() {
  auto const fresh = std::make_shared<torch_normals>(0);
  return [fresh](noise_request const& r) {
    std::vector<float> all(r.keys.size() * r.elements);
    fresh->draw(all);
    for (std::size_t i = 0; i < r.keys.size(); ++i)
      std::copy_n(&all[i * r.elements], r.elements, r.to + i * r.pitch);
  };
}
images scaled_start(std::vector<std::size_t> const& shape, double scale) {
  std::size_t n = 1;
  for (std::size_t const one : shape) n *= one;
  images r{shape, std::vector<float>(n)};
  torch_normals(1).draw(r.data);
  for (float& v : r.data) v = static_cast<float>(v * scale);
  return r;
}

result run_of_diffusers(json const& one, json const& meta) {
  using namespace ready;
  auto const shape = meta.at("shape").get<std::vector<std::size_t>>();
  scheduler_config const c = parse_scheduler_config(one.at("scheduler_config").dump(), "case");
  json const &set = one.at("set_timesteps"), &step = one.at("step");
  std::optional<double> mu, eta;
  if (set.contains("mu")) mu = set["mu"].get<double>();
  if (step.contains("eta")) eta = step["eta"].get<double>();
  scheduler_grid const g = grid_of(c, set.at("num_inference_steps").get<int>(), {}, mu);
  scheduler_options o{
      .eta = eta, .rederives = get_or(step, "use_clipped_model_output", false), .scaled = true};
  o.s_churn = get_or(step, "s_churn", 0.0);
  o.s_tmin = get_or(step, "s_tmin", 0.0);
  o.s_tmax = get_or(step, "s_tmax", o.s_tmax);
  o.s_noise = get_or(step, "s_noise", 1.0);
  o.order = get_or(step, "order", 4);
  o.noise = drawn_in_order();
  any_plan const plan = make_plan(c, g, o, {[](batch const&) {}, {}});

  driven_loop loop(plan, plan.start_at(scaled_start(shape, g.init_noise_sigma), {}));
  std::size_t k = 0;
  std::string first;
  while (batch const* ask = loop.next()) {
    double const t = g.timesteps.at(k++), wave = 0.2 * std::sin(0.01 * t);
    double const s = ask->levels[0].sigma / ask->levels[0].alpha;
    // What scale_model_input does.
    double const scale = !c.is_scaled()       ? 1
                         : c.has_edm_levels() ? 1 / std::hypot(s, c.sigma_data)
                                              : 1 / std::hypot(s, 1);
    for (std::size_t r = 0; r < ask->samples; ++r)
      for (std::size_t e = 0; e < ask->elements; ++e) {
        auto const x = static_cast<float>(scale) * ask->x[r * ask->pitch + e];
        ask->out[r * ask->pitch + e] = std::tanh(1.3f * x + static_cast<float>(wave));
        if (ask->variance) ask->variance[r * ask->pitch + e] = std::tanh(0.3f * x);
      }
    loop.answer();
    double squares = 0;
    for (float const v : loop.samples().data) squares += double{v} * v;
    double const there = one.at("l2_per_step").at(k - 1).get<double>();
    if (first.empty() && !(std::abs(std::sqrt(squares) - there) <= 3e-4 * there))
      first = fmt::format(", from evaluation {} on, whose norm is {:.6g} in place of {:.6g}", k,
                          std::sqrt(squares), there);
  }
  result r = compared(loop.samples().data, one, meta);
  r.first = first;
  auto const& theirs = one.at("timesteps");
  if (theirs.size() != g.timesteps.size())
    r.refused = fmt::format("{} evaluations, theirs has {}", g.timesteps.size(), theirs.size());
  for (std::size_t i = 0; i < std::min(theirs.size(), g.timesteps.size()); ++i) {
    r.times = std::max(r.times, std::abs(theirs[i].get<double>() - g.timesteps[i]));
  }
  return r;
}

result run_of_k_diffusion(json const& one, json const& meta) {
  using namespace ready;
  auto const shape = meta.at("shape").get<std::vector<std::size_t>>();
  json const &args = one.at("args"), &grid = one.at("grid");
  k_sampler o{.name = one.at("sampler").get<std::string>()};
  o.eta = get_or(args, "eta", o.eta);
  o.s_noise = get_or(args, "s_noise", o.s_noise);
  o.s_churn = get_or(args, "s_churn", o.s_churn);
  o.s_tmin = get_or(args, "s_tmin", o.s_tmin);
  o.s_tmax = get_or(args, "s_tmax", o.s_tmax);
  o.r = get_or(args, "r", o.r);
  o.order = get_or(args, "order", o.order);
  o.solver_type = get_or(args, "solver_type", o.solver_type);
  bool const ends = grid.at("kind") == "ends";
  std::vector<double> const sigmas =
      ends ? std::vector{grid.at("sigma_max").get<double>(), grid.at("sigma_min").get<double>()}
           : one.at("sigmas").get<std::vector<double>>();
  int evaluations = 0;
  auto const denoiser = [&](batch const& ask) {
    ++evaluations;
    double const s = ask.levels[0].sigma;
    auto const inner = static_cast<float>(1 / std::hypot(1, s)),
               outer = static_cast<float>(0.1 / (1 + s * s));
    for (std::size_t r = 0; r < ask.samples; ++r)
      for (std::size_t e = 0; e < ask.elements; ++e) {
        float const x = ask.x[r * ask.pitch + e];
        ask.out[r * ask.pitch + e] = 0.9f * std::tanh(x * inner) + outer * x;
      }
  };
  images const start = scaled_start(shape, one.at("start_scale"));
  result r;
  if (o.name == "sample_dpm_adaptive") {
    k_adaptive const adaptive{.order = o.order,
                              .rtol = args.at("rtol").get<double>(),
                              .atol = args.at("atol").get<double>()};
    auto const made = sample_dpm_adaptive(adaptive, sigmas[0], sigmas[1], {denoiser, {}}, start);
    r = compared(made.samples.data, one, meta);
    evaluations = made.evaluations;
  } else {
    any_plan const plan =
        make_plan(o, sigmas, {denoiser, {}}, drawn_in_order(), get_or(args, "n", 0));
    state s = plan.start_at(start, {});
    for (std::size_t k = 0; k < plan.steps(); ++k) plan.advance(s);
    r = compared(take(s).data, one, meta);
  }
  if (int const theirs = one.at("evaluations").get<int>(); evaluations != theirs)
    r.refused = fmt::format("{} evaluations, theirs has {}", evaluations, theirs);
  return r;
}

struct tally {
  int cases = 0, agreeing = 0, closely = 0;
  double worst = 0;
};

int replay(char const* path) {
  std::ifstream file(path);
  std::string text(std::istreambuf_iterator<char>(file), {});
  for (std::size_t i = 0; (i = text.find(":-Infinity", i)) != std::string::npos; i += 12)
    text.replace(i, 10, ":\"-Infinity\"");  // Python's, which is no JSON
  json const all = json::parse(text);
  std::map<std::string, tally> of;
  std::string differences;
  for (json const& one : all.at("cases")) {
    std::string const id = one.at("id").get<std::string>();
    std::string const name = id.substr(0, id.find('/'));
    result r;
    try {
      r = one.contains("sampler") ? run_of_k_diffusion(one, all.at("meta"))
                                  : run_of_diffusers(one, all.at("meta"));
    } catch (std::exception const& e) {
      r.refused = e.what();
    }
    tally& t = of[name];
    ++t.cases;
    double const worst = std::max(r.picked, r.norm);
    if (r.refused.empty()) t.worst = std::max(t.worst, worst);
    t.agreeing += r.agrees();
    t.closely += r.agrees() && worst <= 1e-4;
    if (!r.agrees())
      differences +=
          r.refused.empty()
              ? fmt::format("{}: {:.2g} of the largest value, norm {:.2g}, timesteps {:.2g}{}\n",
                            id, r.picked, r.norm, r.times, r.first)
              : fmt::format("{}: {}\n", id, r.refused);
  }
  tally sum;
  for (auto const& [name, t] : of) {
    fmt::print("{:40} {:3} of {:3} agree, {:3} within 1e-4, worst {:.1e}\n", name, t.agreeing,
               t.cases, t.closely, t.worst);
    sum.cases += t.cases, sum.agreeing += t.agreeing, sum.closely += t.closely;
  }
  fmt::print("{:40} {:3} of {:3} agree, {:3} within 1e-4\n{}", "in all", sum.agreeing, sum.cases,
             sum.closely, differences);
  return sum.agreeing == sum.cases ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  int r = 0;
  try {
    for (int i = 1; i < argc; ++i) r |= replay(argv[i]);
  } catch (std::exception const& e) {
    fmt::print(stderr, "{}\n", e.what());
    return 2;
  }
  return argc > 1 ? r : 2;
}
