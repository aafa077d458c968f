// tweedie train: Algorithm 1 of Ho et al. 2020 on Fashion-MNIST.
//
// Everything random is a function of the seed and the step: which picture is next, its level and
// noise, whether it loses its label, the dropout inside the network. So a checkpoint is plain
// numbers, and a training that continues from one has the bits of one that never stopped.
#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <fstream>
#include <memory>
#include <numbers>
#include <numeric>

#include <tweedie/dsl/device/buffer.hpp>
#include <tweedie/io/fashion_mnist.hpp>
#include <tweedie/io/file.hpp>
#include <tweedie/networks/unet.hpp>
#include <tweedie/networks/unet_file.hpp>

#include "checks.hpp"
#include "choices.hpp"
#include "gnuplot.hpp"
#include "interrupt.hpp"
#include "progress.hpp"
#include "say.hpp"
#include "tool.hpp"

namespace tweedie::tool {
namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t order_stream = first_reserved_stream + 0x10;
constexpr std::uint32_t label_stream = first_reserved_stream + 0x11;
constexpr std::uint32_t dropout_stream = first_reserved_stream + 0x12;

/// The options, as they are typed.
struct options {
  std::string data = "fashion-mnist", schedule = "cosine", decay = "none";
  std::string predicts, weight, times, config;  // empty: what suits the schedule, or --from
  long long epochs = 0, steps = 0, batch = 128, warmup = 0, threads = 1, limit = 0;
  long long checkpoint_every = 1000;
  std::uint64_t seed = 0;
  double rate = 2e-4, ema = 0.999, label_dropout = 0.1, dropout = 0.1, clip = 1;
  bool unconditional = false;
  std::string from, out, checkpoint, loss;
  std::string command;
};

/// How the learning rate goes down, from 1 to the factor at the end of the training.
struct decay {
  enum { none, linear, cosine } how;
  double operator()(double part) const {
    switch (how) {
      case linear:
        return 1 - part;
      case cosine:
        return (1 + std::cos(std::numbers::pi * part)) / 2;
      case none:
        break;
    }
    return 1;
  }
};
std::initializer_list<named<decay>> const decay_choices{
    {"none", {decay::none}}, {"linear", {decay::linear}}, {"cosine", {decay::cosine}}};

/// What the options name.
struct setup {
  any_schedule schedule;
  any_weight weight;
  any_times times;
  decay down;
  networks::unet_config config;
  std::shared_ptr<networks::unet> from;  // whose weights it begins with, or null
};

/// The pictures in an order of their own for each epoch, by Fisher & Yates.
class picture_order {
 public:
  picture_order(std::uint64_t seed, std::size_t count) : seed_(seed), order_(count) {}

  /// The picture at a position of the whole training.
  std::size_t operator()(std::uint64_t position) {
    auto const epoch = position / order_.size();
    if (!shuffled_ || epoch != epoch_) shuffle(epoch);
    return order_[position % order_.size()];
  }

 private:
  void shuffle(std::uint64_t epoch) {
    std::iota(order_.begin(), order_.end(), std::size_t{0});
    for (std::size_t i = order_.size() - 1; i > 0; --i) {
      double const u = uniform({seed_, epoch, 0}, order_stream, static_cast<std::uint32_t>(i));
      std::swap(order_[i], order_[static_cast<std::size_t>(u * static_cast<double>(i + 1))]);
    }
    epoch_ = epoch;
    shuffled_ = true;
  }

  std::uint64_t seed_, epoch_ = 0;
  bool shuffled_ = false;
  std::vector<std::size_t> order_;
};

/// A training as it stands after some steps.
struct state {
  networks::unet network;
  buffer average;              // of the weights
  std::vector<double> losses;  // one per step done
  any_times times;             // with what it has seen of the losses

  std::size_t steps() const { return losses.size(); }
};

/// What a checkpoint must agree on with the command that continues it.
using settings = std::vector<std::pair<std::string, std::string>>;

/// 1 had no checksum.
std::string const checkpoint_format = "tweedie checkpoint 2";

std::string const& value_of(settings const& chosen, std::string_view name) {
  return std::ranges::find(chosen, name, &settings::value_type::first)->second;
}

constexpr char const* memory_name = "times.memory";

/// A setting in a sentence; an option that was not given is empty.
std::string in_words(std::string const& value) { return value.empty() ? "none" : value; }

void write_checkpoint(fs::path const& path, state const& s, settings const& chosen) {
  io::tensor_file file;
  file.metadata["format"] = checkpoint_format;
  file.metadata["step"] = std::to_string(s.steps());
  for (auto const& [name, value] : chosen) file.metadata["setting " + name] = value;
  networks::append_weights(file.tensors, s.network, "weights.", s.network.parameters().data());
  networks::append_weights(file.tensors, s.network, "average.", s.average.data());
  networks::append_weights(file.tensors, s.network, "moment1.", s.network.first_moment().data());
  networks::append_weights(file.tensors, s.network, "moment2.", s.network.second_moment().data());
  file.tensors.push_back(io::make_tensor("losses", {s.steps()}, std::span<double const>(s.losses)));
  if (auto const* by_loss = s.times.by_loss())
    file.tensors.push_back(io::make_tensor(memory_name, {by_loss->memory.size()},
                                           std::span<double const>(by_loss->memory)));
  io::seal(file);
  io::write_safetensors(path, file);
}

/// Throws unless a training whose checkpoint is after `done` steps of `there` is one of `steps` as
/// well: only a rate that decays knows how many there are.
void check_steps(fs::path const& path, std::size_t done, std::string const& there,
                 settings const& chosen) {
  auto const& steps = value_of(chosen, "steps");
  auto const& decay = value_of(chosen, "decay");
  if (there == steps) return;
  if (decay != "none")
    throw error(fmt::format(
        "'{}' is a checkpoint of a training of {} steps, over which --decay {} takes the rate to "
        "0: "
        "with --steps {} other rates would have led there; give --steps {}, or train the finished "
        "model further with --from and another --out",
        path.string(), there, decay, steps, there));
  if (std::to_string(done) != steps && done > std::stoull(steps))
    throw error(
        fmt::format("'{}' is after step {} already; expected --steps {} or more, {} was given",
                    path.string(), done, done, steps));
}

void read_checkpoint(fs::path const& path, state& s, settings const& chosen) {
  io::safetensors_file const opened(path);  // its header alone, until it is known to be the one
  auto const refuse = [&](std::string const& why) {
    throw error(fmt::format(
        "'{}' is a checkpoint of another training: {}; give the settings it was begun with, or "
        "another --checkpoint",
        path.string(), why));
  };
  auto const text_of = [&](std::string const& key) {
    auto const found = opened.metadata().find(key);
    return found == opened.metadata().end() ? std::string() : found->second;
  };
  if (text_of("format") != checkpoint_format)
    throw error(
        fmt::format("'{}' has the format {}; expected a checkpoint of this release's train, "
                    "'{}'",
                    path.string(), io::in_quotes(text_of("format")), checkpoint_format));
  for (auto const& [name, value] : chosen)
    if (auto const there = text_of("setting " + name); there != value && name != "steps")
      refuse(fmt::format("its {} is {}, but {} was given", name, in_words(there), in_words(value)));

  std::vector<std::string> names{"losses"};
  auto* const by_loss = s.times.by_loss();
  if (by_loss) names.push_back(memory_name);
  for (auto prefix : {"weights.", "average.", "moment1.", "moment2."})
    networks::append_names(names, s.network, prefix);
  opened.expect_names(names);
  auto const file = opened.read_all();
  io::expect_sealed(file);
  auto const numbers = [&](char const* name) {
    auto const found = std::ranges::find(file.tensors, name, &io::tensor::name);
    return io::values<double>(file, name, {found->bytes.size() / sizeof(double)});
  };
  s.losses = numbers("losses");
  std::size_t const count = s.losses.size();
  if (text_of("step") != std::to_string(count))
    throw error(fmt::format("'{}' has {} losses for step {}; expected one per step", path.string(),
                            count, text_of("step")));
  check_steps(path, count, text_of("setting steps"), chosen);
  if (by_loss) {
    by_loss->memory = numbers(memory_name);
    if (!by_loss->is_sound())
      throw error(fmt::format("'{}': {} is not what --times {} keeps of the losses", path.string(),
                              memory_name, value_of(chosen, "times")));
  }
  networks::extract_weights(file, s.network, "weights.", s.network.parameters().data());
  networks::extract_weights(file, s.network, "average.", s.average.data());
  networks::extract_weights(file, s.network, "moment1.", s.network.first_moment().data());
  networks::extract_weights(file, s.network, "moment2.", s.network.second_moment().data());
  s.network.set_steps(static_cast<std::int64_t>(count));
}

constexpr std::size_t mean_over = 100;  // steps of the loss's running mean

double running_mean(std::vector<double> const& losses, std::size_t end) {
  std::size_t const begin = end > mean_over ? end - mean_over : 0;
  double sum = 0;
  for (std::size_t i = begin; i < end; ++i) sum += losses[i];
  return sum / static_cast<double>(std::max<std::size_t>(end - begin, 1));
}

constexpr std::string_view losses_heading = "step,loss,mean\n";

void write_losses(fs::path const& path, std::vector<double> const& losses) {
  std::string text(losses_heading);
  for (std::size_t i = 0; i < losses.size(); ++i)
    text += fmt::format("{},{:.9g},{:.9g}\n", i + 1, losses[i], running_mean(losses, i + 1));
  io::write_file(path, text);
}

fs::path plot_of(fs::path const& csv) { return fs::path(csv).replace_extension(".png"); }

/// Throws where a file would be written over that no training made: the table of the losses is
/// known by its first line, and their plot lies beside it.
void check_own(fs::path const& csv) {
  if (fs::exists(csv)) {
    std::ifstream in(csv);
    std::string line;
    if (std::getline(in, line) && line + '\n' == losses_heading) return;
    throw error(
        fmt::format("'{}' is there and is no table of losses, which would be written over "
                    "it; expected another --loss or --out",
                    csv.string()));
  }
  if (auto const plot = plot_of(csv); fs::exists(plot))
    throw error(
        fmt::format("'{}' is there, and the plot of the loss would be written over it; "
                    "expected another --loss or --out",
                    plot.string()));
}

/// The losses as a picture beside their table, where gnuplot is found.
void plot_losses(fs::path const& csv) {
  try {
    std::string const script = fmt::format(
        "set terminal pngcairo size 900,500; set datafile separator ','; "
        "set logscale y; set xlabel 'step'; set ylabel 'loss'; set grid; "
        "plot {} using 1:2 every ::1 with dots lc rgb '#9aa7b5' title 'each step', "
        "'' using 1:3 every ::1 with lines lw 2 lc rgb '#c0392b' title 'mean of {}'\n",
        quoted(csv.string()), mean_over);
    io::write_file(plot_of(csv), gnuplot(script, end_of_png));
  } catch (error const& why) {
    say("no plot of the loss was made: {}\n", why.what());
  }
}

template <class Predicts> int train(options const& o, Predicts predicted, setup const& with) {
  auto const folder =
      o.data == "fashion-mnist" ? fs::path(io::fashion_mnist_folder) : fs::path(o.data);
  auto data = io::read_fashion_mnist(io::fashion_mnist_part::train, folder);
  if (data.count == 0)
    throw error(fmt::format("'{}' has no pictures; expected at least one", folder.string()));
  if (o.limit > 0) data.count = std::min(data.count, static_cast<std::size_t>(o.limit));

  auto const batch = static_cast<std::size_t>(o.batch);
  auto const steps = o.steps
                         ? static_cast<std::size_t>(o.steps)
                         : (static_cast<std::size_t>(o.epochs) * data.count + batch - 1) / batch;
  if (steps > 100'000'000)
    throw error(fmt::format("{} steps were asked for; expected at most 100000000", steps));

  settings const chosen{{"predicts", o.predicts},
                        {"schedule", networks::to_json(describe(o.schedule, with.schedule))},
                        {"weight", o.weight},
                        {"times", o.times},
                        {"network", networks::to_json(with.config)},
                        {"from", o.from},
                        {"data", o.data},
                        {"pictures", std::to_string(data.count)},
                        {"steps", std::to_string(steps)},
                        {"batch", std::to_string(batch)},
                        {"rate", fmt::format("{}", o.rate)},
                        {"decay", o.decay},
                        {"warmup", std::to_string(o.warmup)},
                        {"clip", fmt::format("{}", o.clip)},
                        {"ema", fmt::format("{}", o.ema)},
                        {"label-dropout", fmt::format("{}", o.label_dropout)},
                        {"seed", std::to_string(o.seed)}};

  networks::unet::set_threads(static_cast<int>(o.threads));
  networks::unet fresh(with.config, o.seed);
  std::size_t const parameters = fresh.parameters().size(), elements = fresh.elements();
  if (with.from)
    std::copy_n(std::as_const(*with.from).parameters().data(), parameters,
                fresh.parameters().data());
  state s{std::move(fresh), buffer(parameters), {}, with.times};
  std::copy_n(s.network.parameters().data(), parameters, s.average.data());
  if (fs::exists(o.checkpoint)) {
    read_checkpoint(o.checkpoint, s, chosen);
    say("continuing after step {} of {} from '{}'\n", s.steps(), steps, o.checkpoint);
  } else if (with.from) say("begun with the weights of '{}'\n", o.from);
  say("training {} on {} pictures: {} parameters, {} steps of {}, {} thread{}\n", o.predicts,
      data.count, parameters, steps, batch, o.threads, o.threads == 1 ? "" : "s");

  objective goal{with.schedule, predicted, with.weight, s.times};
  picture_order order(o.seed, data.count);
  buffer clean(batch * elements), noisy(batch * elements), target(batch * elements);
  std::vector<sample_key> keys(batch);
  std::vector<int> labels(batch);
  std::vector<double> times(batch), errors(batch);
  std::vector<float> factors(batch);
  auto const save = [&] {
    s.times = goal.times;
    write_checkpoint(o.checkpoint, s, chosen);
    write_losses(o.loss, s.losses);
  };
  catch_interrupts();
  progress bar("train", steps, s.steps());
  while (s.steps() < steps && !interrupted()) {
    std::size_t const step = s.steps();
    for (std::size_t row = 0; row < batch; ++row) {
      std::uint64_t const position = std::uint64_t{step} * batch + row;
      keys[row] = {o.seed, position, static_cast<std::uint32_t>(step)};
      std::size_t const picture = order(position);
      std::copy_n(data.images.data() + picture * elements, elements, clean.data() + row * elements);
      bool const dropped = uniform(keys[row], label_stream) < o.label_dropout;
      labels[row] = with.config.classes == 0 || dropped ? no_label : data.labels[picture];
    }
    auto const drawn = goal(keys, clean.data(), noisy.data(), target.data(), elements);
    for (std::size_t row = 0; row < batch; ++row) {
      times[row] = drawn.levels[row].t;
      factors[row] = static_cast<float>(drawn.weights[row]);
    }

    auto const done = static_cast<double>(step);
    networks::adam adam;
    adam.rate = o.rate * with.down(done / static_cast<double>(steps));
    if (o.warmup > 0) adam.rate *= std::min(1.0, (done + 1) / static_cast<double>(o.warmup));
    adam.clip = o.clip;
    // One draw per step: its bits are the seed of the network's own dropout.
    auto const dropout_seed = std::bit_cast<std::uint64_t>(
        uniform({o.seed, 0, static_cast<std::uint32_t>(step)}, dropout_stream));
    s.losses.push_back(s.network.train_step(noisy.data(), target.data(), times.data(),
                                            labels.data(), factors.data(), batch, dropout_seed,
                                            adam, errors.data()));
    goal.observe(drawn, errors);
    // The average begins short, so that it forgets the first weights.
    average_weights(s.average.data(), s.network.parameters().data(), parameters,
                    std::min(o.ema, (1 + done) / (10 + done)));

    bar.update(s.steps(), [&] {
      return fmt::format("loss {:.4f}  {:.0f} images/s", running_mean(s.losses, s.steps()),
                         bar.rate(s.steps()) * static_cast<double>(batch));
    });
    if (s.steps() % static_cast<std::size_t>(o.checkpoint_every) == 0 && s.steps() < steps) save();
  }
  bar.clear();

  save();
  if (s.steps() < steps) {
    say("interrupted after step {} of {}: '{}' holds it, the same command continues\n", s.steps(),
        steps, o.checkpoint);
    return interrupted_exit_code();
  }

  networks::model m;
  m.network = std::make_shared<networks::unet>(with.config, o.seed);
  std::copy_n(s.average.data(), parameters, m.network->parameters().data());
  m.predicts = o.predicts;
  m.schedule = describe(o.schedule, with.schedule);
  if (with.config.classes > 0)
    m.labels.assign(io::fashion_mnist_classes.begin(), io::fashion_mnist_classes.end());
  m.notes = {{"command", o.command},
             {"steps", std::to_string(steps)},
             {"batch", std::to_string(batch)},
             {"weight", o.weight},
             {"times", o.times},
             {"weights", "exponential moving average, decay " + fmt::format("{}", o.ema)},
             {"data", o.data + ", " + std::to_string(data.count) + " training pictures"},
             {"loss", fmt::format("{:.6g}, mean of the last {} steps",
                                  running_mean(s.losses, steps), mean_over)}};
  if (with.from) m.notes["from"] = o.from;
  networks::save_model(o.out, m);
  plot_losses(o.loss);
  fmt::print("'{}': {} steps, loss {:.4f}, {}\n", o.out, steps, running_mean(s.losses, steps),
             duration_text(bar.seconds()));
  return 0;
}

/// The network of --config, or of the model that it begins with. Throws where the two differ.
networks::unet_config config_of(options const& o, networks::unet const* from) {
  auto const asked = [&](networks::unet_config config) {
    config.dropout = static_cast<float>(o.dropout);
    if (o.unconditional) config.classes = 0;
    return config;
  };
  if (!from)
    return asked(choose("--config", o.config.empty() ? "small" : o.config, config_choices));
  auto const there = asked(from->config());
  auto config = o.config.empty() ? there : asked(choose("--config", o.config, config_choices));
  config.time_scale = there.time_scale;  // the schedule's affair
  if (networks::to_json(config) != networks::to_json(there) ||
      there.classes != from->config().classes)
    throw error(fmt::format(
        "--from '{}' holds the network {}, which is not the one asked for, {}; expected --from "
        "without --config and --unconditional",
        o.from, networks::to_json(from->config()), networks::to_json(config)));
  return config;
}

int run(options o) {
  setup with{.schedule = {ready::choose("--schedule", o.schedule, ready::schedules)},
             .weight = {},
             .times = {},
             .down = choose("--decay", o.decay, decay_choices),
             .config = {},
             .from = {}};
  // Where alpha is 1 at the noisy end too, the noise is many times larger than a network can read:
  // it is given c_in x.
  bool const explodes = with.schedule.at(with.schedule.end()).alpha == 1;
  if (o.predicts.empty()) o.predicts = explodes ? predicts::edm::name : predicts::v::name;
  if (o.weight.empty()) o.weight = explodes ? weights::edm::name : weights::plain::name;
  if (o.times.empty()) o.times = o.schedule == "edm" ? "stratified_log_normal" : "stratified";
  auto const predicted = choose("--predicts", o.predicts, trained_choices);
  with.weight = choose("--weight", o.weight, weight_choices);
  with.times = choose("--times", o.times, times_choices);
  if (!o.from.empty()) with.from = networks::load_model(o.from).network;

  if (o.steps == 0 && o.epochs == 0) o.epochs = 20;
  check_whole("--batch", o.batch, 1, 65536);
  check_whole("--warmup", o.warmup, 0, 100'000'000);
  check_whole("--threads", o.threads, 1, 1024);
  check_whole("--checkpoint-every", o.checkpoint_every, 1, 100'000'000);
  if (!(o.rate > 0 && std::isfinite(o.rate)))
    throw error(fmt::format("--rate {} was given; expected a number above 0", o.rate));
  if (!(o.clip >= 0 && std::isfinite(o.clip)))
    throw error(fmt::format("--clip-gradient {} was given; expected 0 (off) or more", o.clip));
  check_part("--ema", o.ema, 0, 1);
  check_part("--dropout", o.dropout, 0, 1);
  if (!(o.label_dropout >= 0 && o.label_dropout <= 1))
    throw error(fmt::format("--label-dropout {} was given; expected 0 to 1", o.label_dropout));

  with.config = config_of(o, with.from.get());
  with.config.time_scale = with.schedule.table_steps() ? 1 : 1000 / with.schedule.end();
  auto const beside = [&](char const* ending) {
    return fs::path(o.out).replace_extension(ending).string();
  };
  if (o.checkpoint.empty()) o.checkpoint = beside(".checkpoint");
  if (o.loss.empty()) o.loss = beside(".csv");
  check_writable("--out", o.out);
  check_writable("--checkpoint", o.checkpoint);
  check_writable("--loss", o.loss);
  // The plot lies beside the table of the loss; four names for four files.
  std::set<fs::path> names;
  for (fs::path const& name :
       {fs::path(o.out), fs::path(o.checkpoint), fs::path(o.loss), plot_of(o.loss)})
    if (!names.insert(fs::weakly_canonical(fs::absolute(name))).second)
      throw error(fmt::format(
          "'{}' would be written for two purposes (the model, the checkpoint, the table of "
          "the loss and its plot); expected other --out, --checkpoint and --loss",
          name.string()));
  check_own(o.loss);
  if (fs::exists(o.out) && !fs::exists(o.checkpoint))
    throw error(
        fmt::format("--out '{}' is there, and would be written over: it has no checkpoint '{}' "
                    "that this training could continue; expected another --out, and --from '{}' "
                    "to begin with its weights",
                    o.out, o.checkpoint, o.out));
  std::visit(
      [&](auto p) {
        // What sampling from the noisiest level would refuse is not trained for an hour first.
        level const end = with.schedule.at(with.schedule.end());
        for (double c : lift(p.x0_of(end)).c)
          if (!std::isfinite(static_cast<float>(c)))
            throw error(
                fmt::format("--predicts {} was given with --schedule {}, whose noisiest level has "
                            "alpha = {}: no x0 follows from it there; expected v, x0 or velocity",
                            o.predicts, o.schedule, end.alpha));
      },
      predicted);
  return std::visit([&](auto p) { return train(o, p, with); }, predicted);
}

}  // namespace

action add_train(CLI::App& app, std::string const& command) {
  auto const o = std::make_shared<options>();
  o->command = command;
  auto const whole = [&](char const* name, long long& value, char const* what, long long least) {
    return app
        .add_option_function<long long>(
            name,
            [name, &value, least](long long given) {
              check_whole(name, given, least, 100'000'000);
              value = given;
            },
            what)
        ->default_str(value ? std::to_string(value) : "");
  };
  app.add_option("--data", o->data,
                 "'fashion-mnist' (Debian's dataset-fashion-mnist), or a folder with its files")
      ->capture_default_str();
  whole("--limit", o->limit, "only the first so many pictures", 1);
  app.add_option("--predicts", o->predicts,
                 "what the network predicts: " + list_of(trained_choices))
      ->default_str("v; edm where alpha is 1");
  app.add_option("--schedule", o->schedule, "levels of noise: " + names_of_list(ready::schedules))
      ->capture_default_str();
  app.add_option("--weight", o->weight,
                 "weight of a level's loss: that of what is predicted (plain), else stated for the "
                 "error of epsilon: " +
                     list_of(weight_choices))
      ->default_str("plain; edm where alpha is 1");
  app.add_option("--times", o->times, "how a batch's times are drawn: " + list_of(times_choices))
      ->default_str("stratified; stratified_log_normal on edm");
  app.add_option("--config", o->config, "the network: " + list_of(config_choices))
      ->default_str("small, or that of --from");
  app.add_option("--from", o->from, "a model whose weights the training begins with");
  app.add_flag("--unconditional", o->unconditional, "a network without labels");
  auto* epochs = whole("--epochs", o->epochs, "times through all pictures (20)", 1);
  whole("--steps", o->steps, "steps of Adam, instead of epochs", 1)->excludes(epochs);
  app.add_option("--batch", o->batch, "pictures per step")->capture_default_str();
  app.add_option("--rate", o->rate, "Adam's learning rate")->capture_default_str();
  app.add_option("--decay", o->decay, "of the rate to 0: " + list_of(decay_choices))
      ->capture_default_str();
  app.add_option("--warmup", o->warmup, "steps in which the rate rises from 0")
      ->capture_default_str();
  app.add_option("--clip-gradient", o->clip, "largest norm of the gradient; 0: as it is")
      ->capture_default_str();
  app.add_option("--ema", o->ema, "decay of the weights' moving average, which is what is saved")
      ->capture_default_str();
  app.add_option("--label-dropout", o->label_dropout,
                 "part of the pictures that lose their label, for guidance")
      ->capture_default_str();
  app.add_option("--dropout", o->dropout, "inside the network")->capture_default_str();
  add_seed(app, o->seed, "of everything random");
  app.add_option("--threads", o->threads,
                 "threads; a training has the same bits again at the same number")
      ->capture_default_str();
  app.add_option("--out", o->out, "the model, a safetensors file")->required();
  app.add_option("--checkpoint", o->checkpoint,
                 "where it is kept how far the training is (the model's name with .checkpoint); "
                 "the same command continues from it, and without --decay one with more --steps");
  whole("--checkpoint-every", o->checkpoint_every, "steps between checkpoints", 1);
  app.add_option("--loss", o->loss,
                 "table of the losses (the model's name with .csv), with a plot beside it");
  return [o] { return run(*o); };
}

}  // namespace tweedie::tool
