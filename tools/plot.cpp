// tweedie plot: a schedule and a grid on it, and how well a model predicts at the grid's levels.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <memory>

#include <nlohmann/json.hpp>

#include <tweedie/dsl/device/buffer.hpp>
#include <tweedie/io/fashion_mnist.hpp>
#include <tweedie/io/file.hpp>
#include <tweedie/networks/unet_file.hpp>

#include "checks.hpp"
#include "command_line.hpp"
#include "gnuplot.hpp"
#include "grid_options.hpp"
#include "interrupt.hpp"
#include "loaded_model.hpp"
#include "progress.hpp"
#include "say.hpp"
#include "tool.hpp"
#include "training_data.hpp"

namespace tweedie::tool {
namespace {

namespace fs = std::filesystem;

struct options {
  std::string schedule = "cosine", model, data = "fashion-mnist", out;
  std::vector<std::string> parameters;
  std::string fit = "crop";
  grid_options grid{.steps = 20};
  bool loss = false, count_given = false;
  long long count = 100, threads = 1;
};

/// The mean over pictures of a level's squared error.
struct level_loss {
  double t = 0, mean = 0, standard_error = 0;
};

/// What is drawn.
struct figure {
  networks::schedule_description schedule;
  std::string title;
  std::vector<level> curve, levels;  // the schedule's, in time; the grid's, from noisy to clean
  bool log_time = false;
  std::string predicts;
  long long count = 0;  // of pictures
  std::string kind;     // of pictures
  std::vector<level_loss> losses;
};

double log_snr(level const& t) { return 2 * t.lambda(); }

/// Sets a parameter by "name=value".
void set_parameter(any_schedule& schedule, std::string const& name, std::string const& word) {
  auto const equals = std::min(word.find('='), word.size());
  char const* const begin = word.data() + std::min(equals + 1, word.size());
  char const* const end = word.data() + word.size();
  double number = 0;
  auto const read = std::from_chars(begin, end, number);
  if (read.ec != std::errc() || read.ptr != end || !std::isfinite(number))
    throw error(fmt::format("--set {} was given; expected a name, = and a finite number", word));
  bool known = false;
  std::visit(
      [&](auto& s) {
        each_parameter(s, [&](char const* key, auto& value) {
          if (word.compare(0, equals, key) != 0) return;
          using type = std::remove_reference_t<decltype(value)>;
          if (std::is_same_v<type, int> &&
              !(number >= 1 && number <= 1'000'000 && number == std::floor(number)))
            throw error(
                fmt::format("--set {} was given; expected a whole number from 1 to 1000000", word));
          value = static_cast<type>(number);
          known = true;
        });
      },
      schedule.which);
  if (known) return;
  std::vector<std::string> names;
  for (auto const& [key, value] : describe(schedule).parameters) names.push_back(key);
  throw error(fmt::format("--set {} was given for the schedule {}; {}", word, name,
                          expected_one_of(word.substr(0, equals), names)));
}

/// Where an axis of the time's logarithm begins: at the least noisy level, and three decades or
/// more below the end.
double first_time(std::vector<level> const& levels, double end) {
  return std::min(levels[levels.size() - 2].t, end / 1000);
}

/// The schedule at some five hundred times and at the grid's own, so that a curve goes through the
/// marks.
std::vector<level> curve_of(any_schedule const& schedule, std::vector<level> const& levels,
                            bool log_time) {
  constexpr int parts = 500;
  double const end = schedule.end(), first = first_time(levels, end);
  std::vector<double> times;
  for (level const& l : levels) times.push_back(l.t);
  for (int k = 0; k <= parts; ++k) {
    double const share = static_cast<double>(k) / parts;
    times.push_back(log_time ? std::min(first * std::pow(end / first, share), end) : end * share);
  }
  std::ranges::sort(times);
  times.erase(std::unique(times.begin(), times.end()), times.end());
  std::vector<level> curve;
  for (double t : times) curve.push_back(schedule.at(t));
  return curve;
}

/// A schedule of one level: training's own kernel then makes examples of that level.
struct one_level {
  level here;
  level at(double) const { return here; }
  double end() const { return 1; }
  int table_steps() const { return 0; }
};

/// The mean squared error of what the network predicts, at every noisy level, on pictures with
/// their labels. A picture has the same noise at each level, so that the curve is smooth. Nothing
/// where it was interrupted.
std::optional<std::vector<level_loss>> losses_of(networks::model const& m,
                                                 trained_prediction const& predicted,
                                                 std::vector<level> const& levels,
                                                 training_data const& data) {
  auto const& network = *m.network;
  constexpr std::size_t batch = 50;
  std::size_t const count = data.count;
  std::size_t const elements = network.elements(), noisy_levels = levels.size() - 1;
  buffer clean(batch * elements), noisy(batch * elements), target(batch * elements),
      out(batch * elements);
  std::vector<level_loss> losses;
  progress bar("plot", noisy_levels * count);
  for (std::size_t k = 0; k < noisy_levels; ++k) {
    double sum = 0, squares = 0;
    for (std::size_t begin = 0; begin < count; begin += batch) {
      if (interrupted()) return std::nullopt;
      std::size_t const rows = std::min(batch, count - begin);
      std::vector<sample_key> keys;
      std::vector<int> labels;
      for (std::size_t row = 0; row < rows; ++row) {
        keys.push_back({.seed = 0, .id = begin + row});
        labels.push_back(network.config().classes == 0 || data.labels.empty()
                             ? no_label
                             : data.labels[begin + row]);
        data.copy(begin + row, false, clean.data() + row * elements);
      }
      std::visit(
          [&](auto p) {
            objective{one_level{levels[k]}, p, weights::uniform{}}(keys, clean.data(), noisy.data(),
                                                                   target.data(), elements);
          },
          predicted);
      std::vector<double> const times(rows, levels[k].t);
      network.forward(noisy.data(), elements, times.data(), labels.data(), rows, out.data(),
                      elements);
      for (std::size_t row = 0; row < rows; ++row) {
        double of_picture = 0;
        for (std::size_t i = row * elements; i < (row + 1) * elements; ++i) {
          double const d = static_cast<double>(out.data()[i]) - target.data()[i];
          of_picture += d * d / static_cast<double>(elements);
        }
        sum += of_picture;
        squares += of_picture * of_picture;
      }
      bar.update(k * count + begin + rows,
                 [&] { return fmt::format("pictures at {} levels", noisy_levels); });
    }
    double const n = static_cast<double>(count), mean = sum / n;
    if (!std::isfinite(mean))
      throw error(
          fmt::format("the loss at t = {} is {}: nothing was written; expected a network "
                      "whose predictions are finite",
                      levels[k].t, mean));
    losses.push_back(
        {levels[k].t, mean, std::sqrt(std::max(squares / n - mean * mean, 0.0) / (n - 1))});
  }
  return losses;
}

/// The numbers. What is infinite, as the log-SNR of the clean level, is null.
std::string json_of(figure const& f) {
  auto const columns = [](std::vector<level> const& levels) {
    nlohmann::ordered_json r{{"t", {}}, {"alpha", {}}, {"sigma", {}}, {"log_snr", {}}};
    for (level const& l : levels) {
      r["t"].push_back(l.t);
      r["alpha"].push_back(l.alpha);
      r["sigma"].push_back(l.sigma);
      r["log_snr"].push_back(log_snr(l));
    }
    return r;
  };
  nlohmann::ordered_json all{
      {"title", f.title},
      {"schedule", nlohmann::ordered_json::parse(networks::to_json(f.schedule))},
      {"curve", columns(f.curve)},
      {"levels", columns(f.levels)}};
  if (!f.losses.empty()) {
    auto& loss = all["loss"] = {{"predicts", f.predicts}, {"pictures", f.count}};
    for (level_loss const& l : f.losses) {
      loss["t"].push_back(l.t);
      loss["mean"].push_back(l.mean);
      loss["standard_error"].push_back(l.standard_error);
    }
  }
  return all.dump(1) + "\n";
}

/// The picture as a script: one panel under the other over the same time.
std::string script_of(figure const& f, bool svg) {
  int const panels = f.losses.empty() ? 2 : 3, height = 60 + 310 * panels;
  // Colours that the colour-blind tell apart: Okabe & Ito 2008.
  std::string const blue = "'#0072b2'", orange = "'#d55e00'", green = "'#009e73'",
                    purple = "'#cc79a7'", dark = "'#404040'";
  std::string script =
      fmt::format("set terminal {} size 900,{} background 'white' noenhanced\n",
                  svg ? "svg dynamic font 'sans-serif,14'" : "pngcairo font 'Sans,11'", height);
  auto const block = [&](char const* name, std::vector<level> const& levels) {
    script += fmt::format("${} << END\n", name);
    for (level const& l : levels)
      script += fmt::format("{} {} {} {}\n", l.t, l.alpha, l.sigma, log_snr(l));
    script += "END\n";
  };
  block("curve", f.curve);
  block("levels", f.levels);
  if (!f.losses.empty()) {
    script += "$losses << END\n";
    for (level_loss const& l : f.losses)
      script += fmt::format("{} {} {}\n", l.t, l.mean, l.standard_error);
    script += "END\n";
  }
  // Margins in parts of the picture, so that the panels are equally wide and nothing meets the
  // title.
  script += fmt::format(
      "set encoding utf8; set border 3 lc rgb {}; set tics nomirror; set format '%g'\n"
      "set pointsize {}; "
      "set grid lc rgb '#d8d8d8' lt 1; set key right bottom at graph 1, graph 1.03 horizontal "
      "samplen 2; set xlabel 't'\n"
      "set multiplot layout {},1 title {} margins 0.1,0.97,{},{} spacing {}\n"
      "set xrange [{}:{}]\n",
      dark, svg ? 0.5 : 0.8, panels, quoted(f.title), 55.0 / height, 1 - 75.0 / height,
      90.0 / height, f.log_time ? first_time(f.levels, f.curve.back().t) : 0, f.curve.back().t);
  if (f.log_time) script += "set logscale x\n";

  auto const noisiest = std::ranges::max(f.curve, {}, &level::sigma);
  bool const log_sigma = noisiest.sigma > 2;  // alpha is at most 1
  script += fmt::format(
      "set ylabel 'factor'; {}\n"
      "plot $curve using 1:2 with lines lw 2 lc rgb {} title 'α, of the signal', "
      "'' using 1:3 with lines lw 2 lc rgb {} title 'σ, of the noise', "
      "$levels using 1:2 with points pt 7 lc rgb {} notitle, "
      "'' using 1:3 with points pt 7 lc rgb {} notitle, "
      "keyentry with points pt 7 lc rgb {} title 'levels of the grid'\n",
      log_sigma ? "set logscale y" : "set yrange [0:1.05]", blue, orange, blue, orange, dark);
  script += fmt::format(
      "unset logscale y; set yrange [*:*]; set ylabel 'log-SNR'\n"
      "plot $curve using 1:4 with lines lw 2 lc rgb {0} title 'ln(α² / σ²)', "
      "$levels using 1:4 with points pt 7 lc rgb {0} notitle\n",
      green);
  if (!f.losses.empty()) {
    auto const [least, most] = std::ranges::minmax(f.losses, {}, &level_loss::mean);
    bool const log_loss = least.mean > 0 && most.mean > 10 * least.mean;
    script += fmt::format(
        "set ylabel 'mean squared error'; {0}\n"
        "plot $losses using 1:2:3 with yerrorbars pt 7 lc rgb {1} notitle, "
        "'' using 1:2 with lines lw 2 lc rgb {1} "
        "title 'of the predicted {2}, {3} {4}, ± standard error'\n",
        log_loss ? "set logscale y" : "set yrange [0:*]", purple, f.predicts, f.count, f.kind);
  }
  return script + "unset multiplot\n";
}

std::initializer_list<named<io::fit>> const fit_choices{{"crop", io::fit::crop},
                                                        {"pad", io::fit::pad}};

/// Pictures for the model, their labels its own. Nothing, and a line that says so, where the usual
/// data set is not installed.
std::optional<training_data> pictures_for(networks::model const& m, options const& o) {
  bool const clothes = is_fashion_mnist(o.data);
  if (o.data == "fashion-mnist" && !io::has_fashion_mnist(io::fashion_mnist_part::test)) {
    say("no loss was drawn: Fashion-MNIST was not found (Debian: dataset-fashion-mnist)\n");
    return std::nullopt;
  }
  auto const& c = m.network->config();
  if (clothes && (c.channels != 1 || c.size != 28))
    throw error(
        fmt::format("'{}' is for pictures of {} channel(s) and {}x{} pixels, and '{}' has "
                    "those of Fashion-MNIST, 1 and 28x28; expected --data with pictures as "
                    "the model was trained on",
                    o.model, c.channels, c.size, c.size, o.data));
  data_options of{.data = o.data,
                  .channels = c.channels == 3 ? std::size_t{3} : 0,
                  .fit = choose("--fit", o.fit, fit_choices),
                  .limit = static_cast<std::size_t>(o.count),
                  .cache = "",
                  .test_part = true};
  if (!clothes) of.size = static_cast<std::size_t>(c.size);
  auto data = read_training_data(of);
  if (interrupted()) return data;
  if (data.channels != static_cast<std::size_t>(c.channels))
    throw error(
        fmt::format("'{}' is for pictures of 1 channel (gray), and '{}' has pictures in "
                    "colour; expected gray ones",
                    o.model, o.data));
  auto const there = static_cast<long long>(data.count);
  if (o.count_given) check_whole("--count", o.count, 2, there);
  if (there < 2) throw error(fmt::format("'{}' has one picture; expected at least two", o.data));
  std::vector<int> own;  // of the model, by the class's name
  for (auto const& name : data.classes) {
    auto const at = std::ranges::find(m.labels, name);
    if (c.classes > 0 && at == m.labels.end())
      throw error(fmt::format("'{}' has the class '{}', which '{}' has not; {}", o.data, name,
                              o.model, expected_one_of(name, m.labels)));
    own.push_back(static_cast<int>(at - m.labels.begin()));
  }
  for (int& label : data.labels) label = own[static_cast<std::size_t>(label)];
  return data;
}

int run(options const& o) {
  auto const ending = fs::path(o.out).extension();
  if (ending != ".svg" && ending != ".png" && ending != ".json")
    throw error(fmt::format(
        "--out '{}' was given; expected a name that ends in .svg, .png or .json", o.out));
  check_writable("--out", o.out);

  figure f;
  any_schedule schedule;
  networks::model m;
  trained_prediction predicted;
  if (o.model.empty()) {
    schedule = any_schedule{ready::choose("--schedule", o.schedule, ready::schedules)};
    for (auto const& word : o.parameters) set_parameter(schedule, o.schedule, word);
    f.schedule = describe(schedule);
  } else {
    m = load_unet(o.model, "the loss needs the network of LibTorch");
    schedule = schedule_of(m.schedule, o.model);
    f.schedule = m.schedule;
    f.predicts = m.predicts;
    predicted = choose("'" + o.model + "': predicts", m.predicts, trained_choices);
  }
  f.title = (o.model.empty() ? "" : m.predicts + " on ") + f.schedule.name;
  if (!o.parameters.empty()) f.title += fmt::format(" with {}", fmt::join(o.parameters, ", "));
  f.title += ", " + words_of(o.grid);
  f.log_time = schedule.table_steps() == 0 && schedule.end() != 1;  // EDM, whose t is sigma
  f.levels = levels_of(o.grid, schedule);
  f.curve = curve_of(schedule, f.levels, f.log_time);
  for (auto const* levels : {&f.curve, &f.levels})
    for (level const& l : *levels)
      if (!(l.alpha >= 0 && l.sigma >= 0 && std::isfinite(l.alpha + l.sigma)))
        throw error(
            fmt::format("the schedule {} has alpha = {} and sigma = {} at t = {}; expected "
                        "finite ones, 0 or more",
                        networks::to_json(f.schedule), l.alpha, l.sigma, l.t));
  if (ending != ".json")
    gnuplot("", "");  // that it is missing is said before the loss takes minutes

  if (o.loss) {
    catch_interrupts();
    if (auto const data = pictures_for(m, o)) {
      networks::unet::set_threads(static_cast<int>(o.threads));
      auto losses = interrupted() ? std::nullopt : losses_of(m, predicted, f.levels, *data);
      if (!losses) {
        say("interrupted: nothing was written\n");
        return interrupted_exit_code();
      }
      f.losses = std::move(*losses);
      f.count = static_cast<long long>(data->count);
      f.kind = is_fashion_mnist(o.data) ? "test pictures" : "pictures";
    }
  }
  bool const svg = ending == ".svg";
  io::write_file(o.out, ending == ".json"
                            ? json_of(f)
                            : gnuplot(script_of(f, svg), svg ? end_of_svg : end_of_png));
  fmt::print("'{}': {}\n", o.out, f.title);
  return 0;
}

}  // namespace

action add_plot(CLI::App& app, std::string const&) {
  auto const o = std::make_shared<options>();
  auto* model = app.add_option("--model", o->model, "a model file, which says its schedule");
  app.add_option("--schedule", o->schedule, "without a model: " + names_of_list(ready::schedules))
      ->capture_default_str()
      ->excludes(model);
  app.add_option("--set", o->parameters,
                 "the schedule's parameters, name=value with commas between: s=0.02,steps=500")
      ->delimiter(',')
      ->excludes(model);
  add_grid_options(app, o->grid, 1000);  // more marks than pixels
  auto* loss = app.add_flag("--loss", o->loss,
                            "draw the mean squared error of what the network predicts, on pictures "
                            "at the grid's levels")
                   ->needs(model);
  auto* count =
      add_whole(app, "--count", o->count, 2, 1'000'000, "pictures of the loss")->needs(loss);
  app.add_option("--fit", o->fit, "of --data: crop or pad, as in its training")
      ->capture_default_str()
      ->needs(loss);
  app.add_option("--data", o->data,
                 "a folder of pictures or x.npy, as of train; 'fashion-mnist' (the test part of "
                 "Debian's dataset-fashion-mnist), or a folder with its files")
      ->capture_default_str()
      ->needs(loss);
  add_whole(app, "--threads", o->threads, 1, 1024, "threads of the loss")->needs(loss);
  app.add_option("--out", o->out, "x.svg or x.png, drawn by gnuplot, or x.json, the numbers")
      ->required();
  return [o, count] {
    o->count_given = count->count() > 0;
    return run(*o);
  };
}

}  // namespace tweedie::tool
