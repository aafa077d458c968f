// tweedie likelihood: how probable pictures are to a model, by the probability-flow ODE (Song et
// al. 2021, score SDE, section 4.3).
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>
#include <variant>

#include <tweedie/networks/unet_network.hpp>
#include <tweedie/pipelines/likelihood.hpp>
#include <tweedie/samplers/euler.hpp>
#include <tweedie/samplers/heun.hpp>
#include <tweedie/samplers/runge_kutta.hpp>

#include "checks.hpp"
#include "drawing.hpp"
#include "say.hpp"
#include "tool.hpp"

namespace tweedie::tool {
namespace {

using rk4 = samplers::runge_kutta<tableaux::rk4>;
using any_flow = std::variant<samplers::heun, rk4, samplers::euler>;
std::initializer_list<named<any_flow>> const flow_choices{
    {"heun", samplers::heun{}}, {"rk4", rk4{}}, {"euler", samplers::euler{}}};

constexpr std::size_t at_once = 50;  // pictures

/// A network that has its derivative, known at run time only.
struct any_differentiable {
  using kind = kinds::network;
  std::variant<networks::unet_network, networks::differentiable_file_network> which;

  void operator()(batch const& b) const {
    std::visit([&](auto const& n) { n(b); }, which);
  }
  void vjp(batch const& b, float const* probe, float* result) const {
    std::visit([&](auto const& n) { n.vjp(b, probe, result); }, which);
  }
  void check(std::span<std::size_t const> shape, std::span<int const> given, int branches) const {
    std::visit([&](auto const& n) { n.check(shape, given, branches); }, which);
  }
  void check_arrays(std::span<named_array const> arrays, int without) const {
    std::visit([&](auto const& n) { tweedie::detail::check_arrays(n, arrays, without); }, which);
  }
  friend bool operator==(any_differentiable const&, any_differentiable const&) = default;
};

any_differentiable network_of(loaded_model const& m, int threads) {
  if (m.has_card()) {
    if (!m.of_file.differentiates)
      throw error(
          fmt::format("--model '{}' was given; expected a model of tweedie train, or a TorchScript "
                      "file: a likelihood needs the network's derivative, which this "
                      "file does not give",
                      m.path));
    return {networks::differentiable_file_network{m.of_file, {.threads = threads}}};
  }
  networks::unet::set_threads(threads);
  return {networks::unet_network{m.of_unet.network}};
}

struct options {
  std::string model, in, label = "none", sampler = "heun";
  std::optional<double> sigma_min, sigma_max, tolerance;
  std::optional<long long> steps;
  std::optional<std::string> dequantize;
  long long probes = 2, draws = 1, threads = 1;
  std::uint64_t seed = 0;
};

/// In bits per dimension, one number a picture.
struct result {
  std::vector<double> nats, bits, of_steps, of_chance;
  int fewest = std::numeric_limits<int>::max(), most = 0;
};

/// Some pictures by one draw of their dequantization, or as they are.
likelihood_estimate by_draw(options const& o, loaded_model const& m,
                            any_differentiable const& network, images const& pictures,
                            labels const& given, bool dequantize, likelihood_steps const& steps,
                            likelihood_options const& of) {
  auto const predicted = prediction_of("'" + o.model + "': predicts", m.predicts);
  auto const schedule = schedule_of(m.schedule, o.model);
  return std::visit(
      [&](auto sampler) {
        return log_likelihood(schedule | run_time_prediction{predicted} | sampler | network,
                              dequantize ? dequantized(pictures, of) : pictures, steps, given,
                              divergence::hutchinson{.count = static_cast<int>(o.probes)}, of);
      },
      choose("--sampler", o.sampler, flow_choices));
}

/// Adds pictures, whose first has the id `first`, to a result.
void add(result& r, options const& o, loaded_model const& m, any_differentiable const& network,
         images const& pictures, labels const& given, bool dequantize, likelihood_steps steps,
         std::size_t first) {
  likelihood_options of{.seed = o.seed, .first_id = first};
  auto const draws = static_cast<double>(o.draws);
  std::vector<double> sum(pictures.count()), squares = sum, of_steps = sum, of_probes = sum;
  for (; of.draw < o.draws; ++of.draw) {
    auto const e = by_draw(o, m, network, pictures, given, dequantize, steps, of);
    steps.exactly = e.steps;  // those that the first draw needed
    r.fewest = std::min(r.fewest, e.steps);
    r.most = std::max(r.most, e.steps);
    for (std::size_t i = 0; i < sum.size(); ++i) {
      sum[i] += e.nats[i];
      squares[i] += e.nats[i] * e.nats[i];
      of_steps[i] = std::max(of_steps[i], e.of_steps[i]);
      of_probes[i] = e.of_probes[i];
    }
  }
  std::size_t const n = pictures.data.size() / pictures.count();
  double const bit = std::numbers::ln2 * static_cast<double>(n);
  for (std::size_t i = 0; i < sum.size(); ++i) {
    double const mean = sum[i] / draws;
    r.nats.push_back(mean);
    r.bits.push_back(bits_per_dimension(mean, n));
    r.of_steps.push_back(of_steps[i] / bit);
    // Draws have probes of their own: their spread is that of both.
    r.of_chance.push_back(
        (o.draws > 1 ? std::sqrt(std::max(squares[i] / draws - mean * mean, 0.0) / (draws - 1))
                     : of_probes[i]) /
        bit);
  }
}

bool dequantizes(options const& o, images const& pictures) {
  bool const quantized = is_quantized(pictures);
  if (!o.dequantize) return quantized;
  if (*o.dequantize == "none") return false;
  if (*o.dequantize != "uniform")
    throw error(
        fmt::format("--dequantize '{}' was given; expected uniform or none", *o.dequantize));
  if (!quantized)
    throw error(fmt::format(
        "--dequantize uniform was given for '{}', which has other values than the 256 of a PNG; "
        "expected --dequantize none",
        o.in));
  return true;
}

int run(options const& o) {
  if (o.steps) check_whole("--steps", *o.steps, 4, 1'000'000);
  if (o.steps && o.tolerance)
    throw error(fmt::format(
        "--steps {} and --tolerance {} were given; expected one of the two, a tolerance "
        "chooses the steps",
        *o.steps, *o.tolerance));
  check_whole("--probes", o.probes, 1, 1'000'000);
  check_whole("--draws", o.draws, 1, 1'000'000);
  check_whole("--threads", o.threads, 1, 1024);
  auto const m = load(o.model);
  if (m.range && *m.range != std::pair{-1.0, 1.0})
    throw error(
        fmt::format("--model '{}' was given, whose data lie in [{}, {}]; expected [-1, 1]: a "
                    "likelihood counts in bins of 2/255, those of its pictures",
                    o.model, m.range->first, m.range->second));
  auto const network = network_of(m, static_cast<int>(o.threads));
  auto const pictures = read_pictures("--in", o.in, m.shape, m.range);
  auto given = labels_of(o.label, m);
  if (given.size() != 1 && given.size() != pictures.count())
    throw error(fmt::format("{} labels were given for {} pictures; expected one, or one for each",
                            given.size(), pictures.count()));
  bool const dequantize = dequantizes(o, pictures);
  if (o.draws > 1 && !dequantize)
    throw error(fmt::format(
        "--draws {} was given for pictures that are not dequantized; expected 1", o.draws));

  likelihood_steps steps;
  if (o.tolerance) steps.tolerance = *o.tolerance;
  if (o.steps) steps.exactly = static_cast<int>(*o.steps);
  steps.sigma_max = o.sigma_max;
  // The schedule as its own type: it may have a sigma_min.
  steps.sigma_min = std::visit(
      [&](auto const& of) {
        double const end = of.at(of.end()).rho();
        return grids::range_of_rho("a likelihood", of, o.sigma_min, std::min(end, 1e300)).low;
      },
      schedule_of(m.schedule, o.model).which);

  result r;
  for (std::size_t i = 0; i < pictures.count(); i += at_once) {
    std::size_t const some = std::min(at_once, pictures.count() - i);
    auto const of = static_cast<std::ptrdiff_t>(i);
    labels const theirs =
        given.size() == 1
            ? given
            : labels(given.begin() + of, given.begin() + of + static_cast<std::ptrdiff_t>(some));
    add(r, o, m, network, slice(pictures, i, some), theirs, dequantize, steps, i);
  }

  char const* const chance = o.draws > 1 ? "draws and probes" : "probes";
  auto const bars = [&](double of_chance, double of_steps) {
    return (std::isnan(of_chance) ? "" : fmt::format(" +- {:.4f} ({})", of_chance, chance)) +
           fmt::format(" +- {:.4f} (steps)", of_steps);
  };
  double sum = 0, squares = 0, of_steps = 0, of_chance = 0;
  for (std::size_t i = 0; i < r.bits.size(); ++i) {
    fmt::print("picture {}: {:.2f} nats, {:.4f}{} bits per dimension\n", i, r.nats[i], r.bits[i],
               bars(r.of_chance[i], r.of_steps[i]));
    sum += r.bits[i];
    squares += r.bits[i] * r.bits[i];
    of_steps += r.of_steps[i];
    of_chance += r.of_chance[i] * r.of_chance[i];
  }
  double const count = static_cast<double>(r.bits.size()), mean = sum / count;
  fmt::print("mean: {:.4f}", mean);
  if (r.bits.size() > 1)
    fmt::print(" +- {:.4f} (pictures)",
               std::sqrt(std::max(squares / count - mean * mean, 0.0) / (count - 1)));
  fmt::print("{} bits per dimension of {}\n", bars(std::sqrt(of_chance) / count, of_steps / count),
             pictures.data.size() / pictures.count());
  fmt::print(
      "by {}, {} steps, {} probe{}; bins of 2/255, {}; the density at the last noisy level\n",
      o.sampler,
      r.fewest == r.most ? fmt::format("{}", r.most) : fmt::format("{} to {}", r.fewest, r.most),
      o.probes, o.probes == 1 ? "" : "s",
      dequantize ? fmt::format("dequantized uniformly, {} draw{}", o.draws, o.draws == 1 ? "" : "s")
                 : "not dequantized");
  double const worst = *std::ranges::max_element(r.of_steps);
  if (worst > likelihood_steps{}.tolerance && o.steps)
    say("tweedie: {} steps may leave {:.2g} bits per dimension; without --steps as many are "
        "taken as are needed\n",
        *o.steps, worst);
  return 0;
}

}  // namespace

action add_likelihood(CLI::App& app, std::string const&) {
  auto const o = std::make_shared<options>();
  app.add_option("--model", o->model,
                 "the model file of tweedie train, or net.pt (TorchScript) with its card")
      ->required();
  app.add_option("--in", o->in, "x.png, x.jpg, x.npy or test:3,7 (pictures of the test set)")
      ->required();
  app.add_option("--label", o->label, "none, or the classes of the pictures, one for all or each")
      ->capture_default_str();
  app.add_option("--sampler", o->sampler, "of the flow: " + list_of(flow_choices))
      ->capture_default_str();
  app.add_option("--steps", o->steps, "of the flow (as many as the tolerance needs)");
  app.add_option("--tolerance", o->tolerance, "of the steps, in bits per dimension (0.01)");
  app.add_option("--sigma-min", o->sigma_min,
                 "noise over signal at which the density is taken (the schedule's least)");
  app.add_option("--sigma-max", o->sigma_max, "noise over signal where the flow ends (80)");
  app.add_option("--probes", o->probes, "of Hutchinson's estimator")->capture_default_str();
  app.add_option("--dequantize", o->dequantize,
                 "uniform: values spread over their bins of 2/255; or none (uniform, where the "
                 "pictures have the 256 values of a PNG)");
  app.add_option("--draws", o->draws, "of the dequantization")->capture_default_str();
  add_seed(app, o->seed, "of the probes and the dequantization");
  app.add_option("--threads", o->threads, "threads")->capture_default_str();
  return [o] { return run(*o); };
}

}  // namespace tweedie::tool
