// judge: are samples what was asked for, and are they new? A small classifier of Fashion-MNIST says
// the first, the distance to the nearest training picture beside that of test pictures the second.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <map>
#include <memory>
#include <new>
#include <numeric>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <tweedie/dsl/base/error.hpp>
#include <tweedie/io/fashion_mnist.hpp>
#include <tweedie/io/npy.hpp>
#include <tweedie/io/safetensors.hpp>

#include "checks.hpp"
#include "classifier.hpp"
#include "command_line.hpp"
#include "interrupt.hpp"
#include "say.hpp"

namespace tweedie::tool {
namespace {

namespace fs = std::filesystem;
constexpr std::size_t classes = classifier::classes, elements = classifier::elements;
static_assert(io::fashion_mnist_classes.size() == classes);

/// 1 is bad input, as everywhere; pictures that were judged and fall short are something else.
constexpr int falls_short = 2;

std::string const format_name = "tweedie classifier 1";

void save(fs::path const& path, classifier const& c,
          std::map<std::string, std::string> const& notes) {
  io::tensor_file file;
  file.metadata = notes;
  file.metadata["format"] = format_name;
  for (auto const& t : c.tensors())
    file.tensors.push_back(
        io::make_tensor(t.name, io::extents(t.shape.begin(), t.shape.end()),
                        std::span<float const>(c.parameters() + t.offset, t.count)));
  io::write_safetensors(path, file);
}

classifier load(fs::path const& path) {
  io::safetensors_file const file(path);
  auto const format = file.metadata().find("format");
  if (format == file.metadata().end() || format->second != format_name)
    throw error(
        fmt::format("'{}' is no classifier; expected a file of judge train", path.string()));
  classifier c;
  std::vector<std::string> names;
  for (auto const& t : c.tensors()) names.push_back(t.name);
  file.expect_names(names);
  for (auto const& t : c.tensors()) {
    auto const values = file.floats(t.name, io::extents(t.shape.begin(), t.shape.end()));
    std::copy(values.begin(), values.end(), c.parameters() + t.offset);
  }
  return c;
}

double share(std::size_t part, std::size_t whole) {
  return static_cast<double>(part) / static_cast<double>(whole);
}

io::labelled_images read_data(io::fashion_mnist_part part, fs::path const& folder) {
  auto data = io::read_fashion_mnist(part, folder);
  if (data.count == 0)
    throw error(fmt::format("'{}' has no pictures; expected at least one", folder.string()));
  return data;
}

/// The part of the pictures that the classifier names as their labels do.
double accuracy(classifier const& c, io::labelled_images const& pictures) {
  std::vector<std::uint8_t> named(pictures.count);
  c.classify(pictures.images.data(), pictures.count, named.data());
  std::size_t right = 0;
  for (std::size_t i = 0; i < pictures.count; ++i) right += named[i] == pictures.labels[i];
  return share(right, pictures.count);
}

struct training {
  std::string out, data{io::fashion_mnist_folder};
  long long epochs = 8, batch = 100, threads = 1;
  double rate = 3e-3;
  std::uint64_t seed = 0;
};

/// Fisher & Yates; the standard's shuffle differs between libraries.
void shuffle(std::vector<std::size_t>& order, std::mt19937_64& random) {
  for (std::size_t i = order.size() - 1; i > 0; --i) std::swap(order[i], order[random() % (i + 1)]);
}

int train(training const& o) {
  check_writable("--out", o.out);
  auto const data = read_data(io::fashion_mnist_part::train, o.data);
  auto const test = read_data(io::fashion_mnist_part::test, o.data);

  set_torch_threads(static_cast<int>(o.threads));
  catch_interrupts();
  classifier c(o.seed);
  std::mt19937_64 random(o.seed);
  std::vector<std::size_t> order(data.count);
  std::iota(order.begin(), order.end(), std::size_t{0});
  auto const batch = std::min(static_cast<std::size_t>(o.batch), data.count);
  auto const per_epoch = data.count / batch, epochs = static_cast<std::size_t>(o.epochs);
  std::vector<float> pictures(batch * elements);
  std::vector<std::uint8_t> labels(batch);
  for (std::size_t epoch = 0; epoch < epochs; ++epoch) {
    shuffle(order, random);
    double loss = 0;
    for (std::size_t step = 0; step < per_epoch; ++step) {
      if (interrupted()) {
        say("interrupted in epoch {} of {}: nothing was written\n", epoch + 1, epochs);
        return interrupted_exit_code();
      }
      for (std::size_t row = 0; row < batch; ++row) {
        std::size_t const picture = order[step * batch + row];
        std::copy_n(data.images.data() + picture * elements, elements,
                    pictures.data() + row * elements);
        labels[row] = data.labels[picture];
      }
      // Up within the first twentieth, then down to 0 in a straight line.
      double const done = share(epoch * per_epoch + step, epochs * per_epoch);
      double const rate = o.rate * std::min(20 * done + 0.01, (1 - done) / 0.95);
      loss += c.train_step(pictures.data(), labels.data(), batch, rate, random());
    }
    say("epoch {} of {}: loss {:.4f}\n", epoch + 1, epochs, loss / static_cast<double>(per_epoch));
  }

  double const right = accuracy(c, test);
  save(o.out, c,
       {{"command",
         fmt::format("judge train --epochs {} --batch {} --rate {} --seed {} --threads {}",
                     o.epochs, o.batch, o.rate, o.seed, o.threads)},
        {"data", fmt::format("Fashion-MNIST, {} training pictures, in [-1, 1]", data.count)},
        {"classes", fmt::format("{}", fmt::join(io::fashion_mnist_classes, ","))},
        {"accuracy", fmt::format("{:.4f} of the {} test pictures", right, test.count)}});
  fmt::print("'{}': {} weights, {:.2f} % of the {} test pictures are named right\n", o.out,
             c.size(), 100 * right, test.count);
  return 0;
}

struct testing {
  std::string classifier, data{io::fashion_mnist_folder};
  std::optional<double> require_accuracy;
};

int test(testing const& o) {
  auto const c = load(o.classifier);
  auto const pictures = read_data(io::fashion_mnist_part::test, o.data);
  set_torch_threads(1);
  double const right = accuracy(c, pictures);
  fmt::print("'{}': {:.2f} % of the {} test pictures are named right\n", o.classifier, 100 * right,
             pictures.count);
  if (o.require_accuracy && right < *o.require_accuracy) {
    say("judge: {:.2f} % were required\n", 100 * *o.require_accuracy);
    return falls_short;
  }
  return 0;
}

struct judging {
  std::string classifier, samples, labels = "all", data{io::fashion_mnist_folder};
  long long threads = 1;
  std::optional<double> require_accuracy;
  bool require_distance = false;
};

struct sample_pictures {
  std::size_t count;
  std::vector<float> images;
};

sample_pictures read_samples(fs::path const& path) {
  auto const array = io::read_npy(path);
  auto const& s = array.shape;
  if (s.size() != 4 || s[0] == 0 || s[1] != 1 || s[2] != 28 || s[3] != 28)
    throw error(fmt::format("'{}' has the shape {}; expected pictures, [count, 1, 28, 28]",
                            path.string(), io::to_text(s)));
  if (std::holds_alternative<std::vector<std::uint8_t>>(array.data))
    throw error(fmt::format("'{}' holds bytes; expected floats in [-1, 1]", path.string()));
  sample_pictures result{s[0], array.floats()};
  for (std::size_t i = 0; i < result.images.size(); ++i) {
    float& v = result.images[i];
    if (!std::isfinite(v))
      throw error(fmt::format("'{}' has the value {} in picture {}; expected numbers in [-1, 1]",
                              path.string(), v, i / elements));
    v = std::clamp(v, -1.0f, 1.0f);  // as a picture shows it
  }
  return result;
}

std::size_t class_of(std::string const& word) {
  auto const& names = io::fashion_mnist_classes;
  auto const name = std::find(names.begin(), names.end(), word);
  if (name != names.end()) return static_cast<std::size_t>(name - names.begin());
  if (word.size() == 1 && word[0] >= '0' && word[0] <= '9')
    return static_cast<std::size_t>(word[0] - '0');
  throw error(fmt::format("--labels '{}' was given; expected all, a .npy file, or from 0 to 9; {}",
                          word, expected_one_of(word, {names.begin(), names.end()})));
}

/// The labels of `--labels`, not yet shared out among the samples.
std::vector<std::size_t> read_labels(std::string const& text, std::size_t count) {
  std::vector<std::size_t> labels;
  if (text == "all") {
    labels.resize(classes);
    std::iota(labels.begin(), labels.end(), std::size_t{0});
  } else if (text.ends_with(".npy")) {
    auto const array = io::read_npy(text);
    if (array.shape != io::extents{count})
      throw error(fmt::format("'{}' has the shape {}; expected a label per picture, {}", text,
                              io::to_text(array.shape), io::to_text(io::extents{count})));
    for (float v : array.floats()) {
      if (!(v >= 0 && v < static_cast<float>(classes) && v == std::floor(v)))
        throw error(fmt::format("'{}' has the label {} at index {}; expected 0 to 9", text, v,
                                labels.size()));
      labels.push_back(static_cast<std::size_t>(v));
    }
  } else {
    for (auto const& word : CLI::detail::split(text, ',')) labels.push_back(class_of(word));
    if (labels.size() > count)
      throw error(
          fmt::format("--labels {} was given, {} labels for {} samples; expected a sample "
                      "or more for each",
                      text, labels.size(), count));
  }
  return labels;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  auto const half = values.size() / 2;
  return values.size() % 2 ? values[half] : (values[half - 1] + values[half]) / 2;
}

/// As many test pictures as there are samples, each of its sample's class: the classes differ more
/// in their distances than samples and test pictures do.
std::vector<float> test_pictures_like(std::vector<std::size_t> const& asked, fs::path const& data) {
  auto const test = read_data(io::fashion_mnist_part::test, data);
  std::array<std::vector<std::size_t>, classes> of_class;
  for (std::size_t i = 0; i < test.count; ++i) of_class[test.labels[i]].push_back(i);
  std::array<std::size_t, classes> taken{};
  std::vector<float> result;
  result.reserve(asked.size() * elements);
  for (std::size_t label : asked) {
    if (of_class[label].empty())
      throw error(fmt::format("the test pictures in '{}' have none of class {}; expected some",
                              data.string(), label));
    auto const from = static_cast<std::ptrdiff_t>(
        of_class[label][taken[label]++ % of_class[label].size()] * elements);
    auto const first = test.images.begin() + from;
    result.insert(result.end(), first, first + static_cast<std::ptrdiff_t>(elements));
  }
  return result;
}

double median_distance(std::vector<float> const& pictures, io::labelled_images const& training) {
  std::vector<double> distances(pictures.size() / elements);
  nearest_distances(pictures.data(), distances.size(), training.images.data(), training.count,
                    elements, distances.data());
  return median(std::move(distances));
}

int judge(judging const& o) {
  auto const c = load(o.classifier);
  auto const samples = read_samples(o.samples);
  auto const chosen = read_labels(o.labels, samples.count);
  std::vector<std::size_t> asked(samples.count);
  for (std::size_t i = 0; i < samples.count; ++i)
    asked[i] = chosen[i * chosen.size() / samples.count];  // as tweedie sample shares them out
  auto const training = read_data(io::fashion_mnist_part::train, o.data);
  auto const like = test_pictures_like(asked, o.data);

  set_torch_threads(static_cast<int>(o.threads));
  std::vector<std::uint8_t> named(samples.count);
  c.classify(samples.images.data(), samples.count, named.data());
  std::array<std::size_t, classes> total{}, right{};
  for (std::size_t i = 0; i < samples.count; ++i) {
    total[asked[i]] += 1;
    right[asked[i]] += named[i] == asked[i];
  }
  fmt::print("{:<10} {:>8} {:>18}\n", "asked for", "samples", "of that class");
  for (std::size_t k = 0; k < classes; ++k)
    if (total[k] > 0)
      fmt::print("{:<10} {:>8} {:>16.1f} %\n", io::fashion_mnist_classes[k], total[k],
                 100 * share(right[k], total[k]));
  double const accepted =
      share(std::accumulate(right.begin(), right.end(), std::size_t{0}), samples.count);
  fmt::print("{:<10} {:>8} {:>16.1f} %\n", "all", samples.count, 100 * accepted);
  std::fflush(stdout);  // the distances take seconds

  double const of_samples = median_distance(samples.images, training);
  double const of_test = median_distance(like, training);
  bool const closer = of_samples < of_test;
  fmt::print(
      "median distance to the nearest of {} training pictures: samples {:.3f}, as many test "
      "pictures of the same classes {:.3f}: samples are {}\n",
      training.count, of_samples, of_test, closer ? "CLOSER" : "no closer");

  int code = 0;
  if (o.require_accuracy && accepted < *o.require_accuracy) {
    say("judge: {:.1f} % of the samples are of the class asked for; {:.1f} % were "
        "required\n",
        100 * accepted, 100 * *o.require_accuracy);
    code = falls_short;
  }
  if (o.require_distance && closer) {
    say("judge: the samples are closer to the training pictures than test pictures "
        "are; no closer was required\n");
    code = falls_short;
  }
  return code;
}

void add_share(CLI::App& app, std::optional<double>& share, std::string const& what) {
  add_number(
      app, "--require-accuracy", share, "0 to 1", [](double s) { return s >= 0 && s <= 1; }, what);
}

void add_train(CLI::App& app, training& o) {
  app.add_option("--out", o.out, "the classifier, a safetensors file")->required();
  add_whole(app, "--epochs", o.epochs, 1, 1000, "times through all training pictures");
  add_whole(app, "--batch", o.batch, 1, 10'000, "pictures per step");
  add_number(
      app, "--rate", o.rate, "a number above 0", [](double r) { return r > 0; },
      "Adam's largest learning rate");
  add_seed(app, o.seed, "of everything random");
  add_whole(app, "--threads", o.threads, 1, 1024, "threads");
  app.add_option("--data", o.data, "the folder of Fashion-MNIST")->capture_default_str();
}

void add_test(CLI::App& app, testing& o) {
  app.add_option("--classifier", o.classifier, "the file of judge train")->required();
  add_share(app, o.require_accuracy,
            "exit code 2 where a smaller part is named right, such as 0.91");
  app.add_option("--data", o.data, "the folder of Fashion-MNIST")->capture_default_str();
}

void add_samples(CLI::App& app, judging& o) {
  app.add_option("--classifier", o.classifier, "the file of judge train")->required();
  app.add_option("--samples", o.samples,
                 "pictures as tweedie sample --out x.npy writes them: [count, 1, 28, 28], floats "
                 "in [-1, 1]; what is outside is clamped")
      ->required();
  app.add_option("--labels", o.labels,
                 "the classes asked for, as tweedie sample --label: all, or k classes by number or "
                 "name with commas between, where sample i of n is of the class at floor(i k / n); "
                 "or a .npy file of n numbers")
      ->capture_default_str();
  add_share(app, o.require_accuracy,
            "exit code 2 where a smaller part is of the class asked for, such as 0.9");
  app.add_flag("--require-distance", o.require_distance,
               "exit code 2 where the samples are closer to the training pictures than test "
               "pictures are");
  add_whole(app, "--threads", o.threads, 1, 1024, "threads");
  app.add_option("--data", o.data, "the folder of Fashion-MNIST")->capture_default_str();
}

int run(int argc, char** argv) {
  CLI::App app{"Samples of Fashion-MNIST judged: are they of the class asked for, are they new?",
               "judge"};
  app.require_subcommand(1);
  app.set_version_flag("--version", "judge " TWEEDIE_VERSION);
  app.get_formatter()->column_width(34);
  training to_train;
  testing to_test;
  judging to_judge;
  auto* const train_command = app.add_subcommand("train", "train the classifier");
  auto* const test_command = app.add_subcommand("test", "try the classifier on the test pictures");
  auto* const samples_command = app.add_subcommand(
      "samples",
      "the part of samples that is of the class asked for, and their distance to the "
      "nearest training picture");
  add_train(*train_command, to_train);
  add_test(*test_command, to_test);
  add_samples(*samples_command, to_judge);
  try {
    check_words(app, {argv + 1, argv + argc});
    app.parse(argc, argv);
    if (train_command->parsed()) return train(to_train);
    if (test_command->parsed()) return test(to_test);
    return judge(to_judge);
  } catch (CLI::ParseError const& stop) {
    if (stop.get_exit_code() == 0) return app.exit(stop);  // --help
    say("judge: {}\n", sentence_of(stop));
  } catch (std::bad_alloc const&) {
    say("judge: there is not enough memory; give fewer samples\n");
  } catch (std::exception const& sentence) {
    if (std::ferror(stdout)) return 0;  // which close_streams says
    say("judge: {}\n", sentence.what());
  }
  return 1;
}

}  // namespace
}  // namespace tweedie::tool

int main(int argc, char** argv) {
  tweedie::tool::open_streams();
  return tweedie::tool::close_streams("judge", tweedie::tool::run(argc, argv));
}
