// tweedie likelihood: how probable pictures are to a model, by the probability-flow ODE (Song et al.
// 2021, score SDE, section 4.3).
#include <fmt/format.h>

#include <cmath>
#include <memory>

#include <tweedie/networks/unet_network.hpp>
#include <tweedie/pipelines/likelihood.hpp>
#include <tweedie/samplers/euler.hpp>
#include <tweedie/samplers/heun.hpp>

#include "checks.hpp"
#include "drawing.hpp"
#include "tool.hpp"

namespace tweedie::tool {
namespace {

using any_flow = std::variant<samplers::heun, samplers::euler>;
std::initializer_list<named<any_flow>> const flow_choices{{"heun", samplers::heun{}},
                                                          {"euler", samplers::euler{}}};

struct options {
  std::string model, in, label = "none", sampler = "heun";
  std::optional<double> sigma_min, sigma_max;
  long long steps = 20, probes = 1, threads = 1;
  std::uint64_t seed = 0;
};

std::vector<double> likelihoods(options const& o, networks::model const& m, images const& pictures,
                                labels const& given) {
  auto const predicted = prediction_of("'" + o.model + "': predicts", m.predicts);
  auto const schedule = schedule_of(m.schedule, o.model);
  grids::karras grid;
  grid.sigma_min = o.sigma_min;
  grid.sigma_max = o.sigma_max ? o.sigma_max : std::optional<double>(80);
  // The schedule as its own type: the grid may ask for its sigma_min.
  auto const levels = std::visit(
      [&](auto const& of) { return grid.levels(of, static_cast<int>(o.steps)); }, schedule.which);
  return std::visit(
      [&](auto sampler) {
        return log_likelihood(
            schedule | run_time_prediction{predicted} | sampler | networks::unet_network{m.network},
            pictures, grids::given{levels}, static_cast<int>(o.steps), given,
            divergence::hutchinson{.count = static_cast<int>(o.probes)}, {.seed = o.seed});
      },
      choose("--sampler", o.sampler, flow_choices));
}

int run(options const& o) {
  check_whole("--steps", o.steps, 2, 1'000'000);
  check_whole("--probes", o.probes, 1, 1'000'000);
  check_whole("--threads", o.threads, 1, 1024);
  auto const m = networks::load_model(o.model);
  auto const pictures = read_pictures("--in", o.in, m.network->config());
  auto given = labels_of(o.label, m);
  if (given.size() != 1 && given.size() != pictures.count())
    throw error(fmt::format("{} labels were given for {} pictures; expected one, or one for each",
                            given.size(), pictures.count()));
  networks::unet::set_threads(static_cast<int>(o.threads));
  auto const nats = likelihoods(o, m, pictures, given);
  std::size_t const n = m.network->elements();
  double sum = 0, squares = 0;
  for (std::size_t i = 0; i < nats.size(); ++i) {
    if (!std::isfinite(nats[i]))
      throw error(
          fmt::format("the likelihood of picture {} is {}; expected more --steps", i, nats[i]));
    double const bits = bits_per_dimension(nats[i], n);
    sum += bits;
    squares += bits * bits;
    fmt::print("picture {}: {:.2f} nats, {:.4f} bits per dimension\n", i, nats[i], bits);
  }
  double const count = static_cast<double>(nats.size()), mean = sum / count;
  fmt::print("mean: {:.4f} bits per dimension of {}", mean, n);
  if (nats.size() > 1)
    fmt::print(", standard error {:.4f}",
               std::sqrt(std::max(squares / count - mean * mean, 0.0) / (count - 1)));
  fmt::print(" ({}, {} steps, {} probe{}, the density at the last noisy level)\n", o.sampler,
             o.steps, o.probes, o.probes == 1 ? "" : "s");
  return 0;
}

}  // namespace

action add_likelihood(CLI::App& app, std::string const&) {
  auto const o = std::make_shared<options>();
  app.add_option("--model", o->model, "the model file of tweedie train")->required();
  app.add_option("--in", o->in, "x.png, x.npy or test:3,7 (pictures of the test set)")->required();
  app.add_option("--label", o->label, "none, or the classes of the pictures, one for all or each")
      ->capture_default_str();
  app.add_option("--sampler", o->sampler, "of the flow: " + list_of(flow_choices))
      ->capture_default_str();
  app.add_option("--steps", o->steps, "of Karras's grid")->capture_default_str();
  app.add_option("--sigma-min", o->sigma_min,
                 "noise over signal at which the density is taken (the schedule's least)");
  app.add_option("--sigma-max", o->sigma_max, "noise over signal where the flow ends (80)");
  app.add_option("--probes", o->probes, "of Hutchinson's estimator, at each evaluation")
      ->capture_default_str();
  add_seed(app, o->seed, "of the probes");
  app.add_option("--threads", o->threads, "threads")->capture_default_str();
  return [o] { return run(*o); };
}

}  // namespace tweedie::tool
