// tweedie train: Algorithm 1 of Ho et al. 2020 on Fashion-MNIST or pictures of one's own.
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
#include <tweedie/io/file.hpp>
#include <tweedie/networks/unet.hpp>
#include <tweedie/networks/unet_file.hpp>
#include <tweedie/networks/unet_network.hpp>

#include "checks.hpp"
#include "choices.hpp"
#include "drawing.hpp"
#include "gnuplot.hpp"
#include "interrupt.hpp"
#include "loaded_model.hpp"
#include "network_config.hpp"
#include "progress.hpp"
#include "say.hpp"
#include "settings.hpp"
#include "tool.hpp"
#include "training_data.hpp"

namespace tweedie::tool {
namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t order_stream = first_reserved_stream + 0x10;
constexpr std::uint32_t label_stream = first_reserved_stream + 0x11;
constexpr std::uint32_t dropout_stream = first_reserved_stream + 0x12;
constexpr std::uint32_t flip_stream = first_reserved_stream + 0x13;

/// The options, as they are typed.
struct options {
  std::string data = "fashion-mnist", decay = "none";
  // Empty: those of --from, or what suits the schedule.
  std::string schedule, predicts, weight, times, config;
  long long epochs = 0, steps = 0, batch = 128, warmup = 0, threads = 1, limit = 0;
  long long checkpoint_every = 1000;
  std::optional<long long> size, preview_every;
  std::string fit = "crop";
  bool fit_given = false, gray = false, flip = false, dropout_given = false;
  std::uint64_t seed = 0;
  double rate = 2e-4, ema = 0.999, label_dropout = 0.1, dropout = 0.1, clip = 1;
  bool unconditional = false;
  std::string from, out, checkpoint, loss, cache, preview;
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
  networks::model from;  // whose weights it begins with; without a network where there is none
  training_data data;
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

/// 1 had no checksum.
std::string const checkpoint_format = "tweedie checkpoint 2";

std::string const& value_of(settings const& chosen, std::string_view name) {
  return std::ranges::find(chosen, name, &settings::value_type::first)->second;
}

constexpr char const* memory_name = "times.memory";

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
  auto const text_of = [&](std::string const& key) {
    auto const found = opened.metadata().find(key);
    return found == opened.metadata().end() ? std::string() : found->second;
  };
  if (text_of("format") != checkpoint_format)
    throw error(
        fmt::format("'{}' has the format {}; expected a checkpoint of this release's train, "
                    "'{}'",
                    path.string(), io::in_quotes(text_of("format")), checkpoint_format));
  settings there;
  for (auto const& [name, value] : chosen)
    there.emplace_back(name, name == "steps" ? value : text_of("setting " + name));
  if (auto const differ = differences(there, chosen, "here"); !differ.empty())
    throw error(fmt::format(
        "'{}' is a checkpoint of another training: {}; give the settings it was begun with, or "
        "another --checkpoint",
        path.string(), differ));

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

/// Some pictures of each class by the averaged weights, as they are now. A training goes on whether
/// they can be drawn or not, with the same bits.
void draw_preview(options const& o, setup const& with, state const& s) {
  try {
    auto const network = std::make_shared<networks::unet>(with.config, o.seed);
    std::copy_n(s.average.data(), s.average.size(), network->parameters().data());
    bool const labelled = with.config.classes > 0;
    std::size_t const rows = labelled ? std::min(std::size_t{10}, with.data.classes.size()) : 8;
    std::size_t const columns = 8, count = rows * columns;
    pipeline_options how;
    how.grid.steps = 20;
    auto const plan = ready::make_plan(recipe_of(how, labelled ? usual_guidance : 0),
                                       with.schedule.which, prediction_of("--predicts", o.predicts),
                                       forget_network(networks::unet_network{network}));
    loop all{.count = count, .seed = o.seed, .labels = std::vector<int>(count, no_label)};
    for (std::size_t i = 0; labelled && i < count; ++i)
      all.labels[i] = static_cast<int>(i / columns);
    double seconds = 0;
    auto const& c = network->config();
    auto const size = static_cast<std::size_t>(c.size);
    auto const pictures = run_plan(
        "preview", plan, {static_cast<std::size_t>(c.channels), size, size}, all,
        [](any_plan const& p, request r, std::size_t, conditions const& given) {
          return p.start(r, given);
        },
        seconds);
    if (pictures) write_pictures(o.preview, *pictures, columns);
  } catch (error const& why) {
    say("no preview was drawn after step {}: {}\n", s.steps(), why.what());
  }
}

std::initializer_list<named<io::fit>> const fit_choices{{"crop", io::fit::crop},
                                                        {"pad", io::fit::pad}};

template <class Predicts> int train(options const& o, Predicts predicted, setup const& with) {
  auto const& data = with.data;
  auto const batch = static_cast<std::size_t>(o.batch);
  auto const steps = o.steps
                         ? static_cast<std::size_t>(o.steps)
                         : (static_cast<std::size_t>(o.epochs) * data.count + batch - 1) / batch;
  if (steps > 100'000'000)
    throw error(fmt::format("{} steps were asked for; expected at most 100000000", steps));

  settings const chosen{{"predicts", o.predicts},
                        {"schedule", networks::to_json(describe(with.schedule))},
                        {"weight", o.weight},
                        {"times", o.times},
                        {"network", networks::to_json(with.config)},
                        {"from", o.from},
                        {"data", o.data},
                        {"pictures", std::to_string(data.count)},
                        // Fashion-MNIST is known by its name.
                        {"content", is_fashion_mnist(o.data) ? "" : data.fingerprint()},
                        {"flip", o.flip ? "on" : ""},
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
  networks::unet fresh = make_network(with.config, o.config, o.seed);
  std::size_t const parameters = fresh.parameters().size(), elements = fresh.elements();
  if (with.from.network)
    std::copy_n(std::as_const(*with.from.network).parameters().data(), parameters,
                fresh.parameters().data());
  state s{std::move(fresh), buffer(parameters), {}, with.times};
  std::copy_n(s.network.parameters().data(), parameters, s.average.data());
  if (fs::exists(o.checkpoint)) {
    read_checkpoint(o.checkpoint, s, chosen);
    say("continuing after step {} of {} from '{}'\n", s.steps(), steps, o.checkpoint);
  } else if (with.from.network) say("begun with the weights of '{}'\n", o.from);
  keep(data, o.cache);  // nothing is refused from here on
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
  progress bar("train", steps, s.steps());
  while (s.steps() < steps && !interrupted()) {
    std::size_t const step = s.steps();
    for (std::size_t row = 0; row < batch; ++row) {
      std::uint64_t const position = std::uint64_t{step} * batch + row;
      keys[row] = {o.seed, position, static_cast<std::uint32_t>(step)};
      std::size_t const picture = order(position);
      bool const flipped = o.flip && uniform(keys[row], flip_stream) < 0.5;
      data.copy(picture, flipped, clean.data() + row * elements);
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
    if (o.preview_every && s.steps() % static_cast<std::size_t>(*o.preview_every) == 0) {
      bar.clear();
      draw_preview(o, with, s);
    }
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
  m.schedule = describe(with.schedule);
  if (with.config.classes > 0) m.labels = data.classes;
  m.notes = {{"command", o.command},
             {"steps", std::to_string(steps)},
             {"batch", std::to_string(batch)},
             {"weight", o.weight},
             {"times", o.times},
             {"weights", "exponential moving average, decay " + fmt::format("{}", o.ema)},
             {"data", o.data + ", " + std::to_string(data.count) + " training pictures" +
                          (o.flip ? ", flipped at random" : "")},
             {"loss", fmt::format("{:.6g}, mean of the last {} steps",
                                  running_mean(s.losses, steps), mean_over)}};
  if (with.from.network) m.notes["from"] = o.from;
  networks::save_model(o.out, m);
  plot_losses(o.loss);
  fmt::print("'{}': {} steps, loss {:.4f}, {}\n", o.out, steps, running_mean(s.losses, steps),
             duration_text(bar.seconds()));
  return 0;
}

/// What the pictures must be: the size and the channels of --from or --config, where those are
/// given. Throws where two of them differ.
data_options data_options_of(options const& o, asked_network const* asked,
                             networks::unet const* from) {
  data_options d{.data = o.data, .limit = static_cast<std::size_t>(o.limit), .cache = o.cache};
  d.fit = choose("--fit", o.fit, fit_choices);
  bool const clothes = is_fashion_mnist(o.data);
  if (clothes && (o.fit_given || o.gray))
    throw error(
        fmt::format("{} was given for '{}', whose pictures are square and gray; expected "
                    "it with a folder of pictures, or x.npy",
                    o.fit_given ? "--fit " + o.fit : "--gray", o.data));
  if (clothes && o.size && *o.size != 28)
    throw error(
        fmt::format("--size {} was given for '{}', whose pictures have 28x28 pixels; "
                    "expected 28 or none",
                    *o.size, o.data));
  std::string by = "--size " + std::to_string(o.size.value_or(0));
  auto const size_of = [&](std::string const& other, int size) {
    if (d.size && d.size != static_cast<std::size_t>(size))
      throw error(
          fmt::format("{} was given, but {} is for pictures of {}x{} pixels; expected "
                      "--size {} or none",
                      by, other, size, size, size));
    d.size = static_cast<std::size_t>(size);
    by = other;
  };
  if (o.size) d.size = static_cast<std::size_t>(*o.size);
  if (asked && asked->size) size_of(fmt::format("--config '{}'", o.config), *asked->size);
  if (from) size_of(fmt::format("--from '{}'", o.from), from->config().size);
  if (from && clothes && from->config().size != 28)
    throw error(
        fmt::format("--from '{}' is for pictures of {}x{} pixels, but those of '{}' have "
                    "28x28; expected other --data",
                    o.from, from->config().size, from->config().size, o.data));
  if (o.gray) d.channels = 1;
  std::optional<int> const wanted = from    ? from->config().channels
                                    : asked ? asked->channels
                                            : std::nullopt;
  if (wanted == 3 && (o.gray || clothes))
    throw error(fmt::format(
        "{} is for pictures of 3 channels (RGB), but those of '{}' are gray; "
        "expected pictures in colour",
        from ? fmt::format("--from '{}'", o.from) : fmt::format("--config '{}'", o.config),
        o.data));
  if (from && wanted == 3) d.channels = 3;  // gray ones too: red, green and blue alike
  return d;
}

/// What was given goes before the file of --config, and that before --from.
float dropout_of(options const& o, asked_network const& asked, networks::unet const* from) {
  if (o.dropout_given) return static_cast<float>(o.dropout);
  if (asked.has_dropout) return asked.config.dropout;
  return from ? from->config().dropout : static_cast<float>(o.dropout);
}

/// Says where what is asked for is not what the weights of --from have learned.
void say_contradictions(options const& o, setup const& with, asked_network const& asked) {
  auto const contradicts = [&](std::string const& given, std::string const& there) {
    say("{} was given, but '{}' was trained with {}: its weights begin at that\n", given, o.from,
        there);
  };
  auto const schedule = describe(with.schedule);
  if (o.predicts != with.from.predicts) contradicts("--predicts " + o.predicts, with.from.predicts);
  if (networks::to_json(schedule) != networks::to_json(with.from.schedule))
    contradicts("--schedule " + o.schedule, with.from.schedule.name == schedule.name
                                                ? networks::to_json(with.from.schedule)
                                                : with.from.schedule.name);
  float const dropout = dropout_of(o, asked, with.from.network.get()),
              there = with.from.network->config().dropout;
  if (dropout != there)
    contradicts(fmt::format("{}dropout {}",
                            o.dropout_given ? "--" : fmt::format("'{}': ", o.config), dropout),
                fmt::format("{}", there));
}

/// Throws where the network of --config cannot be: before all pictures are read, which say what is
/// still open. Of an array the size is not known yet.
void check_network(options const& o, asked_network const& asked, data_options const& d) {
  std::error_code ignored;
  std::string const name = o.config.empty() ? "small" : o.config;
  int const size = d.size                              ? static_cast<int>(d.size)
                   : is_fashion_mnist(o.data)          ? 28
                   : fs::is_directory(o.data, ignored) ? static_cast<int>(usual_size)
                                                       : 0;
  if (size == 0) return;
  make_network(
      network_for(asked, name, asked.channels.value_or(1), size, asked.classes.value_or(0)),
      o.config);
}

/// Throws where a file would lie among the pictures: the next training would read its plot and its
/// previews as data.
void check_apart(options const& o) {
  std::error_code ignored;
  if (is_fashion_mnist(o.data) || !fs::is_directory(o.data, ignored)) return;
  std::vector<fs::path> folders{fs::canonical(o.data, ignored)};
  for (fs::directory_iterator at(o.data, ignored), end; !ignored && at != end;
       at.increment(ignored)) {
    std::error_code none;
    if (at->is_symlink(none) && at->is_directory(none))  // a class that lies elsewhere
      folders.push_back(fs::canonical(at->path(), none));
  }
  for (auto const& [option, file] :
       {std::pair{"--out", &o.out}, {"--checkpoint", &o.checkpoint}, {"--loss", &o.loss}}) {
    auto const path = fs::weakly_canonical(fs::absolute(*file));
    for (auto const& folder : folders)
      if (std::ranges::mismatch(folder, path).in1 == folder.end())
        throw error(fmt::format(
            "{} '{}' lies inside --data '{}', where the plot of the loss and the previews would be "
            "among the pictures of the next training; expected a file in another folder",
            option, *file, o.data));
  }
}

/// Throws where `tweedie sample` would not take the model by its name.
void check_name(std::string const& out) {
  if (fs::path(out).extension() != ".safetensors")
    throw error(fmt::format(
        "--out '{}' was given; expected a name that ends in .safetensors{}", out,
        fs::path(out).extension() == ".onnx" ? ": tweedie export makes an ONNX file of such a model"
                                             : ""));
}

/// What --from names. Throws where it is no model of tweedie train, by its name already.
networks::model load_from(std::string const& from) {
  auto const ending = fs::path(from).extension();
  if (ending == ".onnx" || ending == ".pt" || ending == ".pth" || ending == ".ckpt")
    throw error(
        fmt::format("--from '{}' was given, {}; expected a .safetensors of tweedie train, with "
                    "whose weights the training begins",
                    from, ending == ".onnx" ? "an ONNX file" : "a file of PyTorch"));
  return load_unet(from, "training begins with its weights");
}

/// "14 pictures of 2 classes: blues 8, reds 6".
void say_classes(options const& o, training_data const& data) {
  if (data.classes.empty()) return;
  constexpr std::size_t most = 20;
  std::vector<std::size_t> counts(data.classes.size());
  for (int label : data.labels) ++counts[static_cast<std::size_t>(label)];
  std::string list;
  for (std::size_t i = 0; i < std::min(most, counts.size()); ++i)
    list += fmt::format("{}{} {}", i ? ", " : "", data.classes[i], counts[i]);
  if (counts.size() > most) list += fmt::format(" and {} more", counts.size() - most);
  say("{} class{}{}: {}\n", counts.size(), counts.size() == 1 ? "" : "es",
      o.unconditional ? ", which --unconditional leaves out" : "", list);
}

/// The network of --config or of --from, for these pictures. Throws where they do not fit.
networks::unet_config config_of(options const& o, asked_network const& asked,
                                networks::unet const* from, training_data const& data) {
  int const channels = static_cast<int>(data.channels), size = static_cast<int>(data.size),
            classes = o.unconditional ? 0 : static_cast<int>(data.classes.size());
  auto const with_dropout = [&](networks::unet_config config) {
    config.dropout = dropout_of(o, asked, from);
    return config;
  };
  std::string const name = o.config.empty() ? "small" : o.config;
  if (!from) return with_dropout(network_for(asked, name, channels, size, classes));
  auto there = from->config();
  if (there.channels != channels)
    throw error(
        fmt::format("--from '{}' is for pictures of {} channel{}, but '{}' has pictures in "
                    "colour; expected --gray, which takes the colour away, or a model of 3 "
                    "channels",
                    o.from, there.channels, there.channels == 1 ? "" : "s", o.data));
  if (there.classes != classes && !o.unconditional)
    throw error(fmt::format("--from '{}' has {} class{}, but '{}' has {}; expected as many{}",
                            o.from, there.classes, there.classes == 1 ? "" : "es", o.data, classes,
                            there.classes == 0 ? ", or --unconditional" : ""));
  there = with_dropout(there);
  auto config = there;
  if (!o.config.empty()) config = with_dropout(network_for(asked, name, channels, size, classes));
  config.classes = classes;
  config.time_scale = there.time_scale;  // the schedule's affair
  if (networks::to_json(config) != networks::to_json(there))
    throw error(fmt::format(
        "--from '{}' holds another network than the one asked for: {}; expected --from without "
        "--config and --unconditional",
        o.from,
        differences({{"network", networks::to_json(there)}},
                    {{"network", networks::to_json(config)}}, "asked for")));
  return config;
}

int run(options o) {
  setup with{.schedule = {},
             .weight = {},
             .times = {},
             .down = choose("--decay", o.decay, decay_choices),
             .config = {},
             .from = {},
             .data = {}};
  if (!o.schedule.empty())
    with.schedule = {ready::choose("--schedule", o.schedule, ready::schedules)};
  auto const asked = read_network(o.config.empty() ? "small" : o.config);
  if (!o.from.empty()) {
    with.from = load_from(o.from);
    if (o.schedule.empty()) {
      with.schedule = schedule_of(with.from.schedule, o.from);
      o.schedule = with.from.schedule.name;
    }
    if (o.predicts.empty()) {
      choose(fmt::format("'{}': predicts", o.from), with.from.predicts, trained_choices);
      o.predicts = with.from.predicts;
    }
  } else if (o.schedule.empty()) {
    o.schedule = "cosine";
    with.schedule = {schedules::cosine{}};
  }
  // Where alpha is 1 at the noisy end too, the noise is many times larger than a network can read:
  // it is given c_in x.
  bool const explodes = with.schedule.at(with.schedule.end()).alpha == 1;
  if (o.predicts.empty()) o.predicts = explodes ? predicts::edm::name : predicts::v::name;
  if (o.weight.empty()) o.weight = explodes ? weights::edm::name : weights::plain::name;
  if (o.times.empty()) o.times = o.schedule == "edm" ? "stratified_log_normal" : "stratified";
  auto const predicted = choose("--predicts", o.predicts, trained_choices);
  with.weight = choose("--weight", o.weight, weight_choices);
  with.times = choose("--times", o.times, times_choices);

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

  auto const beside = [&](char const* ending) {
    return fs::path(o.out).replace_extension(ending).string();
  };
  if (o.checkpoint.empty()) o.checkpoint = beside(".checkpoint");
  if (o.loss.empty()) o.loss = beside(".csv");
  o.cache = beside(".pictures");
  o.preview = beside(".preview.png");
  check_writable("--out", o.out);
  check_name(o.out);
  check_writable("--checkpoint", o.checkpoint);
  check_writable("--loss", o.loss);
  // The plot lies beside the table of the loss, pictures and preview beside the model: a name each.
  std::set<fs::path> names;
  for (fs::path const& name : {fs::path(o.out), fs::path(o.checkpoint), fs::path(o.loss),
                               plot_of(o.loss), fs::path(o.cache), fs::path(o.preview)})
    if (!names.insert(fs::weakly_canonical(fs::absolute(name))).second)
      throw error(fmt::format(
          "'{}' would be written for two purposes (the model, the checkpoint, the table of "
          "the loss and its plot, the decoded pictures, the preview); expected other --out, "
          "--checkpoint and --loss",
          name.string()));
  check_apart(o);
  check_own(o.loss);
  if (o.preview_every && fs::exists(o.preview) && !fs::exists(o.checkpoint))
    throw error(
        fmt::format("'{}' is there, and the preview would be written over it; expected "
                    "another --out, or no --preview-every",
                    o.preview));
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
  catch_interrupts();
  auto const* const from = with.from.network.get();
  auto const from_data = data_options_of(o, o.config.empty() ? nullptr : &asked, from);
  if (!from || !o.config.empty()) check_network(o, asked, from_data);
  if (from) say_contradictions(o, with, asked);
  with.data = read_training_data(from_data);
  if (interrupted()) {
    say("interrupted while the pictures were read: nothing was written\n");
    return interrupted_exit_code();
  }
  say_classes(o, with.data);
  with.config = config_of(o, asked, from, with.data);
  with.config.time_scale = with.schedule.table_steps() ? 1 : 1000 / with.schedule.end();
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
                 "a folder of pictures (PNG, JPEG), or of folders whose names are the classes; "
                 "x.npy, bytes [count, height, width, channels] or floats [count, channels, "
                 "height, width] in [-1, 1]; 'fashion-mnist' (Debian's dataset-fashion-mnist), or "
                 "a folder with its files")
      ->capture_default_str();
  add_whole(app, "--size", o->size, 1, 1024,
            "pixels: pictures are brought to this width and height (32; of x.npy and --from, "
            "theirs)");
  auto* fit = app.add_option("--fit", o->fit,
                             "what is not square: crop, the middle; pad, all of it, on white")
                  ->capture_default_str();
  app.add_flag("--gray", o->gray, "takes the colour away");
  app.add_flag("--flip", o->flip, "mirrors half of the pictures, at random, left to right");
  whole("--limit", o->limit, "only the first so many pictures, of each class in turn", 1);
  app.add_option("--predicts", o->predicts,
                 "what the network predicts: " + list_of(trained_choices))
      ->default_str("v; edm where alpha is 1; that of --from");
  app.add_option("--schedule", o->schedule, "levels of noise: " + names_of_list(ready::schedules))
      ->default_str("cosine, or that of --from");
  app.add_option("--weight", o->weight,
                 "weight of a level's loss: that of what is predicted (plain), else stated for the "
                 "error of epsilon: " +
                     list_of(weight_choices))
      ->default_str("plain; edm where alpha is 1");
  app.add_option("--times", o->times, "how a batch's times are drawn: " + list_of(times_choices))
      ->default_str("stratified; stratified_log_normal on edm");
  app.add_option("--config", o->config,
                 fmt::format("the network: {}, or x.toml, its settings", config_names))
      ->default_str("small, or that of --from");
  app.add_option("--from", o->from,
                 "a model of this tool, with whose weights the training begins, and whose "
                 "prediction, schedule, "
                 "network and dropout it has where no other is given");
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
  auto* dropout = app.add_option("--dropout", o->dropout, "inside the network")
                      ->default_str("0.1, or that of --config or --from");
  add_seed(app, o->seed, "of everything random");
  app.add_option("--threads", o->threads,
                 "threads; a training has the same bits again at the same number")
      ->capture_default_str();
  app.add_option("--out", o->out, "the model, x.safetensors, in another folder than --data")
      ->required();
  app.add_option("--checkpoint", o->checkpoint,
                 "where it is kept how far the training is (the model's name with .checkpoint); "
                 "the same command continues from it, and without --decay one with more --steps");
  whole("--checkpoint-every", o->checkpoint_every, "steps between checkpoints", 1);
  app.add_option("--loss", o->loss,
                 "table of the losses (the model's name with .csv), with a plot beside it");
  add_whole(app, "--preview-every", o->preview_every, 1, 100'000'000,
            "steps between previews: a grid of pictures of the network so far (the model's name "
            "with .preview.png)");
  return [=] {
    o->fit_given = fit->count() > 0;
    o->dropout_given = dropout->count() > 0;
    return run(*o);
  };
}

}  // namespace tweedie::tool
