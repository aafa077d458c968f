#include <tweedie/networks/file_network.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <initializer_list>
#include <mutex>
#include <system_error>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <tweedie/io/file.hpp>
#include <tweedie/io/nearest.hpp>

namespace tweedie::networks {
namespace {

namespace fs = std::filesystem;

std::string shape_in_words(std::span<std::int64_t const> shape) {
  std::vector<std::string> r;
  for (auto n : shape) r.push_back(n < 0 ? "any" : std::to_string(n));
  return fmt::format("{{{}}}", fmt::join(r, ", "));
}

std::vector<std::string_view> names_of(std::vector<port> const& ports) {
  std::vector<std::string_view> r;
  for (port const& p : ports) r.push_back(p.name);
  return r;
}

/// Whether a schedule's own times are the whole numbers of a table.
bool has_table(std::string const& schedule) {
  return schedule == "linear" || schedule == "scaled_linear" || schedule == "cosine" ||
         schedule == "tabulated";
}

void check_threads(int threads, std::string const& source) {
  if (threads < 0 || threads > 1024)
    throw error(fmt::format("'{}': threads = {} was given, expected 0 to 1024", source, threads));
}

bool is_time(port const& p) { return p.shape.size() <= 2 && p.type != "boolean"; }

/// What an input is by its name, where that is one of the usual ones.
bool is_called(port const& p, std::initializer_list<std::string_view> names) {
  std::string lower;
  for (char const c : p.name) lower += static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return std::ranges::find(names, lower) != names.end();
}
bool is_called_time(port const& p) {
  return is_called(p, {"t", "time", "times", "timestep", "timesteps", "time_step", "sigma",
                       "sigmas", "rho", "noise_level", "noise_labels", "c_noise", "log_snr"});
}
bool is_called_labels(port const& p) {
  return is_called(p, {"y", "label", "labels", "class", "classes", "class_label", "class_labels"});
}

/// Which units of time a schedule has: a table counts steps, a continuous one goes from 0 to 1, and
/// of the others t is sigma.
std::vector<time_unit> units_of(std::string const& schedule) {
  using enum time_unit;
  std::vector<time_unit> r{t,      rho,     log_rho,   quarter_log,
                           lambda, log_snr, alpha_bar, sqrt_alpha_bar};
  bool const is_sigma = schedule == "edm" || schedule == "variance_exploding";
  bool const is_share = schedule == "rectified_flow" || schedule == "sub_variance_preserving" ||
                        schedule.starts_with("continuous_");
  // A name that is not known is refused by whoever looks for its schedule, with the nearest one.
  if (!is_sigma && !is_share) r.insert(r.end(), {t_minus_1, t_by_steps});
  if (!is_sigma && !has_table(schedule)) r.insert(r.end(), {thousand_t, one_minus_t});
  return r;
}

/// Where an input or output stands that a card names.
std::size_t place_of(std::string const& name, char const* key, std::vector<port> const& ports,
                     std::string const& source) {
  auto const found = std::ranges::find(ports, name, &port::name);
  if (found == ports.end())
    throw error(fmt::format("'{}': its card says {} = \"{}\", and there is none of that name; {}",
                            source, key, name, io::expected_names(name, names_of(ports))));
  return static_cast<std::size_t>(found - ports.begin());
}

/// How a row of the network's numbers lies in the library's: channels first, dense.
void to_channels_last(float const* from, float* to, std::size_t channels, std::size_t points) {
  for (std::size_t c = 0; c < channels; ++c)
    for (std::size_t i = 0; i < points; ++i) to[i * channels + c] = from[c * points + i];
}
void to_channels_first(float const* from, float* to, std::size_t channels, std::size_t points) {
  for (std::size_t c = 0; c < channels; ++c)
    for (std::size_t i = 0; i < points; ++i) to[c * points + i] = from[i * channels + c];
}

}  // namespace

std::string in_words(port const& p) {
  if (p.type.empty())
    return p.any_shape ? "numbers of any type and shape"
                       : fmt::format("numbers of any type {}", shape_in_words(p.shape));
  return fmt::format("{} {}", p.type, p.any_shape ? "of any shape" : shape_in_words(p.shape));
}

std::optional<card> card_of(fs::path const& path, engine const& opened) {
  fs::path beside = path;
  beside.replace_extension(".toml");
  std::error_code none;
  // An empty one is what a shell makes before `tweedie inspect net.onnx > net.toml` runs.
  if (fs::symlink_status(beside, none).type() != fs::file_type::not_found &&
      !(fs::is_regular_file(beside, none) && fs::file_size(beside, none) == 0))
    return read_card(beside);
  if (auto const found = opened.metadata.find("tweedie"); found != opened.metadata.end())
    return parse_card(found->second, fmt::format("the card in '{}'", path.string()),
                      path.parent_path());
  return {};
}

struct file_network::file {
  std::string source;
  std::unique_ptr<networks::engine> engine;
  networks::card card;
  std::size_t x = 0, time = 0, to = 0, labels = 0, prediction = 0;  // of the ports
  std::vector<std::size_t> conditions;                              // of card.conditions
  bool has_time = false, has_to = false, has_labels = false, one_time = false;
  std::vector<std::size_t> shape;  // of a sample, channels first; 0: any
  std::size_t fixed_rows = 0;      // 0: any number
  std::mutex preparing;
  std::optional<file_options> prepared = {};

  file(fs::path const& path, file_options const& options, opener open)
      : source(path.string()), engine(open(path)) {
    check_threads(options.threads, source);
    auto found = options.card ? options.card : card_of(path, *engine);
    if (!found) {
      fs::path beside = path;
      throw error(
          fmt::format("'{}' has no card that says what its numbers mean; expected '{}', which "
                      "tweedie inspect {} prints to be filled in",
                      source, beside.replace_extension(".toml").string(), source));
    }
    card = *found;
    find_ports();
    fill_in_ports();
    check_ports();
  }

  /// Once: networks of one description share what the engine has made of it.
  void prepare(file_options const& options) {
    std::scoped_lock const lock(preparing);
    if (prepared && (prepared->threads != options.threads ||
                     prepared->precision != options.precision || prepared->rows != options.rows))
      throw error(fmt::format(
          "'{}': another network of the same description was made with other threads, precision or "
          "rows; expected the same, or one more describe_file",
          source));
    if (prepared) return;
    engine->prepare(options.threads, options.precision, fixed_rows > 0 ? fixed_rows : options.rows);
    prepared = options;
  }

  [[noreturn]] void contradict(std::string const& what) const {
    throw error(fmt::format("'{}' and its card contradict each other: {}", source, what));
  }

  void find_ports() {
    auto const& in = engine->inputs;
    auto const& out = engine->outputs;
    if (card.labels && !card.ports.labels.empty()) {
      labels = place_of(card.ports.labels, "inputs.labels", in, source);
      has_labels = true;
    }
    if (!card.ports.time.empty()) {
      time = place_of(card.ports.time, "inputs.time", in, source);
      has_time = true;
    }
    for (auto const* const one : {&card.ports.time_to, &card.ports.time_step})
      if (!one->empty()) {
        to = place_of(*one, one == &card.ports.time_to ? "inputs.time_to" : "inputs.time_step", in,
                      source);
        has_to = true;
      }
    for (auto const& c : card.conditions)
      conditions.push_back(
          place_of(c.input, ("conditions." + c.name + ".input").c_str(), in, source));
    // x: the input of most dimensions that is not named as another.
    if (!card.ports.x.empty()) x = place_of(card.ports.x, "inputs.x", in, source);
    else {
      auto const is_other = [&](std::size_t at) {
        return (has_time && at == time) || (has_to && at == to) || (has_labels && at == labels) ||
               std::ranges::find(conditions, at) != conditions.end();
      };
      auto const first = static_cast<std::size_t>(
          std::ranges::find_if(in,
                               [&](port const& p) {
                                 return p.any_shape &&
                                        !is_other(static_cast<std::size_t>(&p - in.data()));
                               }) -
          in.begin());
      // Where the file is mute about shapes, x is the first one, as functions are written.
      auto const rank = [&](port const& p) {
        auto const at = static_cast<std::size_t>(&p - in.data());
        if (p.any_shape) return std::size_t{at == first};
        return p.type == "f32" && !is_other(at) ? p.shape.size() : 0;
      };
      auto const most = std::ranges::max_element(in, {}, rank);
      if (most == in.end() || rank(*most) == 0 || std::ranges::count(in, rank(*most), rank) > 1)
        throw error(
            fmt::format("'{}': which input is x is not clear; expected inputs.x in its card, "
                        "one of: {}",
                        source, fmt::join(names_of(in), ", ")));
      x = static_cast<std::size_t>(most - in.begin());
    }
    if (!card.ports.prediction.empty())
      prediction = place_of(card.ports.prediction, "outputs.prediction", out, source);
    else if (out.size() > 1)
      throw error(
          fmt::format("'{}' has {} outputs; expected outputs.prediction in its card, one of: "
                      "{}",
                      source, out.size(), fmt::join(names_of(out), ", ")));
    if (has_time && has_labels && time == labels)
      contradict(fmt::format("inputs.time and inputs.labels are both '{}'", in[time].name));
    if (has_to && ((has_time && to == time) || (has_labels && to == labels)))
      contradict(
          fmt::format("the input '{}' of the second time has another meaning too", in[to].name));
    if ((has_time && time == x) || (has_to && to == x) || (has_labels && labels == x))
      contradict(fmt::format("inputs.x and another input are both '{}'", in[x].name));
    for (std::size_t k = 0; k < conditions.size(); ++k)
      if (conditions[k] == x || (has_time && conditions[k] == time) ||
          (has_to && conditions[k] == to) || (has_labels && conditions[k] == labels) ||
          std::find(conditions.begin(), conditions.begin() + static_cast<std::ptrdiff_t>(k),
                    conditions[k]) != conditions.begin() + static_cast<std::ptrdiff_t>(k))
        contradict(fmt::format("the input '{}' of conditions.{} has another meaning too",
                               in[conditions[k]].name, card.conditions[k].name));
    // What is left can be told if it is one: the time first, since a network without is rare.
    std::vector<std::size_t> left;
    for (std::size_t i = 0; i < in.size(); ++i)
      if (i != x && !(has_time && i == time) && !(has_to && i == to) &&
          !(has_labels && i == labels) && std::ranges::find(conditions, i) == conditions.end())
        left.push_back(i);
    // An input with a default is left at it, if it is not the only one that can be meant.
    std::vector<std::size_t> needed = left;
    std::erase_if(needed, [&](std::size_t i) { return in[i].may_be_left_out; });
    auto const& meant = needed.empty() ? left : needed;
    if (!has_time && meant.size() == 1 && !(card.labels && !has_labels) && is_time(in[meant[0]])) {
      time = meant[0];
      has_time = true;
      needed.clear();
    } else if (has_time && card.labels && !has_labels && meant.size() == 1) {
      labels = meant[0];
      has_labels = true;
      needed.clear();
    }
    // Two that are left are told apart by usual names, if both have one.
    if (!has_time && card.labels && !has_labels && meant.size() == 2)
      for (std::size_t const i : {0u, 1u})
        if (is_called_time(in[meant[i]]) && is_called_labels(in[meant[1 - i]])) {
          time = meant[i], labels = meant[1 - i];
          has_time = has_labels = true;
          needed.clear();
          break;
        }
    left = needed;
    if (card.labels && !has_labels) {
      std::vector<std::string_view> names;
      for (std::size_t const i : meant) names.push_back(in[i].name);
      throw error(
          fmt::format("'{}': which input takes the labels is not clear; expected "
                      "inputs.labels in its card{}",
                      source,
                      names.empty() ? ", and the file has none for them"
                                    : fmt::format(", one of: {}", fmt::join(names, ", "))));
    }
    if (!left.empty()) {
      std::vector<std::string> names;
      for (std::size_t i : left) names.push_back(fmt::format("'{}'", in[i].name));
      throw error(
          fmt::format("'{}' has the input{} {}, of which its card says nothing; expected "
                      "inputs.time, inputs.labels or a table [conditions.NAME] to name it",
                      source, names.size() == 1 ? "" : "s", fmt::join(names, ", ")));
    }
  }

  /// What the file does not say of its ports, the card does, or it is the usual thing.
  void fill_in_ports() {
    auto const type = [&](port& p, std::string const& given, std::string const& key,
                          char const* usual) {
      if (!given.empty() && !p.type.empty() && p.type != given)
        contradict(
            fmt::format("{} = \"{}\" was given, '{}' is {}", key, given, p.name, in_words(p)));
      if (p.type.empty()) p.type = given.empty() ? usual : given;
    };
    port& of_x = engine->inputs[x];
    std::int64_t const rows = card.rows > 0 ? static_cast<std::int64_t>(card.rows) : -1;
    if (of_x.any_shape) {
      if (card.shape.empty())
        throw error(
            fmt::format("'{}' does not say of what shape its samples are; expected its card to say "
                        "it, such as shape = [1, 64, 64]",
                        source));
      of_x.shape = {rows};
      of_x.shape.insert(of_x.shape.end(), card.shape.begin(), card.shape.end());
      if (card.channels_last && of_x.shape.size() > 2)
        std::rotate(of_x.shape.begin() + 1, of_x.shape.begin() + 2, of_x.shape.end());
      of_x.any_shape = false;
    } else if (rows > 0 && !of_x.shape.empty() && of_x.shape[0] >= 0 && of_x.shape[0] != rows)
      contradict(
          fmt::format("rows = {} was given, x, '{}', is {}", rows, of_x.name, in_words(of_x)));
    type(of_x, "", "", "f32");
    auto const of_rows = [&](port& p) {
      if (p.any_shape) p.shape = {rows};
      p.any_shape = false;
    };
    if (has_time) {
      of_rows(engine->inputs[time]);
      type(engine->inputs[time], card.ports.time_type, "inputs.time_type", "f32");
    }
    if (has_to) {
      of_rows(engine->inputs[to]);
      type(engine->inputs[to], card.ports.time_type, "inputs.time_type", "f32");
    }
    if (has_labels) {
      of_rows(engine->inputs[labels]);
      type(engine->inputs[labels], card.ports.labels_type, "inputs.labels_type", "i64");
    }
    for (std::size_t k = 0; k < conditions.size(); ++k)
      type(engine->inputs[conditions[k]], card.conditions[k].type,
           "conditions." + card.conditions[k].name + ".type", "f32");
    if (port& out = engine->outputs[prediction]; out.any_shape) {
      out.shape = of_x.shape;
      if (card.learns_variance) out.shape[card.channels_last ? out.shape.size() - 1 : 1] *= 2;
      out.any_shape = false;
    }
  }

  void check_ports() {
    port const& of_x = engine->inputs[x];
    if (of_x.type != "f32")
      contradict(fmt::format("x, '{}', is {}; expected floats", of_x.name, in_words(of_x)));
    if (of_x.shape.size() < 2)
      contradict(
          fmt::format("x, '{}', is {}; expected samples in the first place and their numbers "
                      "behind it",
                      of_x.name, in_words(of_x)));
    fixed_rows = of_x.shape[0] >= 0 ? static_cast<std::size_t>(of_x.shape[0]) : card.rows;
    std::vector<std::int64_t> sample(of_x.shape.begin() + 1, of_x.shape.end());
    if (card.channels_last)
      std::rotate(
          sample.begin(),
          sample.begin() + (sample.size() > 0 ? static_cast<std::ptrdiff_t>(sample.size()) - 1 : 0),
          sample.end());
    for (auto n : sample) shape.push_back(n < 0 ? 0 : static_cast<std::size_t>(n));
    if (!card.shape.empty()) {
      bool fits = card.shape.size() == shape.size();
      for (std::size_t i = 0; fits && i < shape.size(); ++i)
        fits = shape[i] == 0 || shape[i] == card.shape[i];
      if (!fits)
        contradict(fmt::format("shape = [{}] was given, x is {}{}", fmt::join(card.shape, ", "),
                               in_words(of_x), card.channels_last ? ", channels last" : ""));
      shape = card.shape;
    }

    auto const same_rows = [&](port const& p, bool may_be_one) {
      std::int64_t const n = p.shape.empty() ? -1 : p.shape[0];
      if (n >= 0 && !(may_be_one && n == 1) && n != of_x.shape[0])
        contradict(fmt::format("'{}' is {} and x, '{}', is {}; expected as many rows", p.name,
                               in_words(p), of_x.name, in_words(of_x)));
    };
    if (std::ranges::find(of_x.shape, 0) != of_x.shape.end())
      contradict(
          fmt::format("x, '{}', is {}; expected extents of 1 or more", of_x.name, in_words(of_x)));
    auto const of_rows = [&](std::size_t at, char const* what) {
      port const& p = engine->inputs[at];
      same_rows(p, (at == time && has_time) || (at == to && has_to));
      if (p.type != "f32" && p.type != "i64" && p.type != "i32")
        contradict(
            fmt::format("{}, '{}', is {}; expected f32, i32 or i64", what, p.name, in_words(p)));
      bool const fits = p.shape.size() <= 2 && (p.shape.size() < 2 || p.shape[1] == 1);
      if (!fits)
        contradict(fmt::format("{}, '{}', is {}; expected one number for each sample", what, p.name,
                               in_words(p)));
    };
    auto const fitting = units_of(card.schedule.name);
    auto const listed = [&](auto const& some) {
      std::vector<std::string> names;
      for (time_unit const one : some) names.push_back(fmt::format("\"{}\"", name_of(one)));
      return fmt::format("{}", fmt::join(names, ", "));
    };
    if (has_time && std::ranges::find(fitting, card.time) == fitting.end())
      contradict(
          fmt::format("time = \"{}\" was given, which times of the schedule {} are not told "
                      "in; expected one of: {}",
                      name_of(card.time), card.schedule.name, listed(fitting)));
    auto const of_times = [&](std::size_t at, char const* what) {
      of_rows(at, what);
      port const& p = engine->inputs[at];
      bool const counts = card.time == time_unit::t || card.time == time_unit::t_minus_1;
      bool const whole =
          (counts && has_table(card.schedule.name)) || card.time == time_unit::thousand_t;
      std::vector<time_unit> wholes{time_unit::thousand_t};
      if (has_table(card.schedule.name)) wholes = {time_unit::t, time_unit::t_minus_1};
      if (p.type != "f32" && !whole)
        contradict(fmt::format(
            "{}, '{}', is {} and takes whole numbers, which time = \"{}\" of "
            "the schedule {} is not; expected {}, or an input of floats",
            what, p.name, in_words(p), name_of(card.time), card.schedule.name, listed(wholes)));
      one_time = one_time || is_one_number(at);
    };
    if (has_time) of_times(time, "the time");
    if (has_to) of_times(to, "the second time");
    if (has_labels) {
      of_rows(labels, "the labels");
      if (engine->inputs[labels].shape.empty())
        contradict(fmt::format("the labels, '{}', are one number; expected one for each sample",
                               engine->inputs[labels].name));
      auto const& l = *card.labels;
      double const largest = engine->inputs[labels].type == "f32"   ? 3e38
                             : engine->inputs[labels].type == "i32" ? 2147483647.0
                                                                    : 9007199254740992.0;
      double const last = l.first + l.step * static_cast<double>(l.count);
      for (double const one : {l.first, last, l.null.value_or(0)})
        if (!(std::abs(one) <= largest))
          contradict(fmt::format("a label is told as {}; expected at most {} in {}", one, largest,
                                 in_words(engine->inputs[labels])));
      if (engine->inputs[labels].type != "f32" &&
          (l.first != std::floor(l.first) || l.step != std::floor(l.step) ||
           (l.null && *l.null != std::floor(*l.null))))
        contradict(
            "the labels are whole numbers in the file, and labels.first, step or null is none");
    }
    for (std::size_t at : conditions)
      if (port const& p = engine->inputs[at];
          same_rows(p, false), (p.type != "f32" && p.type != "i64" && p.type != "i32") ||
                                   (p.shape.empty() && !p.any_shape))
        contradict(
            fmt::format("a condition, '{}', is {}; expected f32, i32 or i64, a row for each "
                        "sample",
                        p.name, in_words(p)));
    for (std::size_t k = 0; k < conditions.size(); ++k)
      if (port const& p = engine->inputs[conditions[k]]; p.type != "f32" && card.conditions[k].null)
        if (double const n = *card.conditions[k].null;
            n != std::floor(n) || !(std::abs(n) <= (p.type == "i32" ? 2147483647.0 : 9e15)))
          contradict(
              fmt::format("conditions.{}.null = {} was given, its input '{}' is {}; expected "
                          "a whole number that it holds",
                          card.conditions[k].name, n, p.name, in_words(p)));
    auto const& of_out = engine->outputs[prediction];
    std::vector<std::int64_t> expected = of_x.shape;
    std::size_t const channels = card.channels_last ? expected.size() - 1 : 1;
    if (card.learns_variance && expected[channels] >= 0) expected[channels] *= 2;
    bool fits = of_out.shape.size() == expected.size();
    for (std::size_t i = 1; fits && i < expected.size(); ++i)
      fits = of_out.shape[i] < 0 || expected[i] < 0 || of_out.shape[i] == expected[i];
    if (!fits)
      contradict(
          fmt::format("its output '{}' is {}; expected {}, as its input{}", of_out.name,
                      in_words(of_out), shape_in_words(expected),
                      card.learns_variance
                          ? " and as many channels for the variance"
                          : ". If the second half of the channels is a variance, its card says "
                            "variance = \"learned\""));
  }

  /// Whether an input takes one number for all rows.
  bool is_one_number(std::size_t at) const {
    port const& p = engine->inputs[at];
    return p.shape.empty() || (p.shape[0] == 1 && fixed_rows != 1);
  }

  double told(int label) const {
    auto const& l = *card.labels;
    return label == no_label ? l.null.value_or(0) : l.first + label * l.step;
  }
};

file_network::file_network(fs::path const& path, file_options const& options, opener open) {
  auto const opened = std::make_shared<file>(path, options, open);
  opened->prepare(options);
  file_ = opened;
}

file_network::file_network(file_description const& described, file_options const& options) {
  if (options.card)
    throw error(
        "a network in a file: a card was given beside a description, which has one; expected one "
        "of them");
  auto const opened = std::static_pointer_cast<file>(described.opened);
  if (!opened)
    throw error(
        "a network in a file: an empty description was given; expected one of "
        "describe_file(path)");
  check_threads(options.threads, opened->source);
  opened->prepare(options);
  file_ = opened;
}

differentiable_file_network::differentiable_file_network(file_description const& described,
                                                         file_options const& options)
    : file_network(described, options) {
  if (!described.differentiates)
    throw error(
        fmt::format("a network that {} runs was given where its derivative is needed, which that "
                    "engine does not have; expected a TorchScript file",
                    engine_name()));
}

file_description describe_file(fs::path const& path) {
  auto const opened = std::make_shared<file_network::file>(path, file_options{}, open_network);
  return {opened->card, opened->shape, opened->engine->differentiates, opened};
}

card const& file_network::card() const { return file_->card; }
training_schedule file_network::trained_on() const {
  auto const unit = card().time;
  return {file_->source, card().schedule,
          file_->has_time && (unit == time_unit::t || unit == time_unit::t_minus_1 ||
                              unit == time_unit::t_by_steps || unit == time_unit::thousand_t ||
                              unit == time_unit::one_minus_t)};
}
std::vector<std::size_t> const& file_network::shape() const { return file_->shape; }
std::string const& file_network::engine_name() const { return file_->engine->name; }

void file_network::check(std::span<std::size_t const> shape, std::span<int const> labels,
                         int branches) const {
  auto const& f = *file_;
  bool fits = shape.size() == f.shape.size() + 1;
  for (std::size_t i = 0; fits && i < f.shape.size(); ++i)
    fits = f.shape[i] == 0 || f.shape[i] == shape[i + 1];
  if (!fits) {
    std::vector<std::string> expected{"samples"};
    for (std::size_t n : f.shape) expected.push_back(n == 0 ? "any" : std::to_string(n));
    throw error(fmt::format("'{}': the shape {{{}}} was given, expected {{{}}}", f.source,
                            fmt::join(shape, ", "), fmt::join(expected, ", ")));
  }
  if (branches > 1 && !conditional())
    throw error(
        fmt::format("'{}': a guidance with {} branches was given, but its network takes no "
                    "conditions; use guidance::none",
                    f.source, branches));
  for (auto const& c : card().conditions)
    if (branches > 1 && !c.null && c.negative.empty())
      throw error(
          fmt::format("'{}': a guidance with {} branches was given, but its card does not say what "
                      "the condition '{}' is without (conditions.{}.null); use guidance::none",
                      f.source, branches, c.name, c.name));
  if (!card().labels) {
    for (int label : labels)
      if (label != no_label)
        throw error(
            fmt::format("'{}': label {} was given, but its network takes none", f.source, label));
    return;
  }
  auto const& l = *card().labels;
  if (branches > 1 && !l.null)
    throw error(
        fmt::format("'{}': a guidance with {} branches was given, but its card does not say "
                    "how \"no label\" is told (labels.null); use guidance::none",
                    f.source, branches));
  bool const none = std::ranges::all_of(labels, [](int label) { return label == no_label; });
  if (branches > 1 && none && card().conditions.empty())
    throw error(
        fmt::format("'{}': a guidance with {} branches was given and no label, so that its "
                    "branches are the same; give labels, or use guidance::none",
                    f.source, branches));
  for (int label : labels) {
    if (label == no_label && !l.null)
      throw error(
          fmt::format("'{}': a sample without a label was given, but its card does not say "
                      "how that is told (labels.null); expected a label",
                      f.source));
    if (label != no_label && (label < 0 || static_cast<std::size_t>(label) >= l.count))
      throw error(
          fmt::format("'{}': label {} was given, expected 0 to {}", f.source, label, l.count - 1));
  }
}

void file_network::check_arrays(std::span<named_array const> arrays, int without) const {
  auto const& f = *file_;
  std::vector<std::string_view> known;
  auto const expect = [&](std::string const& called, std::size_t at, bool needed) {
    known.push_back(called);
    auto const found = std::ranges::find(arrays, called, &named_array::name);
    if (found == arrays.end()) {
      if (!needed) return;
      throw error(fmt::format(
          "'{}': the condition '{}' is missing; expected conditions{{}}.with(\"{}\", "
          "...), numbers for its input '{}', {}",
          f.source, called, called, f.engine->inputs[at].name, in_words(f.engine->inputs[at])));
    }
    auto const& of = f.engine->inputs[at].shape;
    bool const any = f.engine->inputs[at].any_shape;
    bool fits = any || of.size() == found->shape.size() + 1;
    for (std::size_t i = 1; fits && !any && i < of.size(); ++i)
      fits = of[i] < 0 || static_cast<std::size_t>(of[i]) == found->shape[i - 1];
    if (fits && f.engine->inputs[at].type != "f32")
      for (float const v : found->data)
        if (v != std::floor(v) ||
            !(std::abs(v) <= (f.engine->inputs[at].type == "i32" ? 2147483520.0f : 9e15f)))
          throw error(fmt::format(
              "'{}': the condition '{}' has the value {}; expected whole numbers "
              "for its input '{}', {}",
              f.source, called, v, f.engine->inputs[at].name, in_words(f.engine->inputs[at])));
    if (!fits)
      throw error(fmt::format(
          "'{}': the condition '{}' of shape {{{}}} was given for each sample; expected that of "
          "its input '{}', {}, without the first extent",
          f.source, called, fmt::join(found->shape, ", "), f.engine->inputs[at].name,
          in_words(f.engine->inputs[at])));
  };
  auto const& all = card().conditions;
  for (std::size_t k = 0; k < all.size(); ++k) {
    expect(all[k].name, f.conditions[k], true);
    if (all[k].negative.empty()) continue;
    expect(all[k].negative, f.conditions[k], without > 0);
    auto const with = std::ranges::find(arrays, all[k].name, &named_array::name),
               none = std::ranges::find(arrays, all[k].negative, &named_array::name);
    if (none != arrays.end() && none->shape != with->shape)
      throw error(fmt::format(
          "'{}': the condition '{}' of shape {{{}}} was given beside '{}' of shape {{{}}}, which "
          "stands in its place; expected the same shape",
          f.source, none->name, fmt::join(none->shape, ", "), with->name,
          fmt::join(with->shape, ", ")));
  }
  for (named_array const& a : arrays)
    if (std::ranges::find(known, a.name) == known.end())
      throw error(fmt::format("'{}': a condition '{}' was given; {}", f.source, a.name,
                              io::expected_names(a.name, known)));
}

/// What one call of the engine is asked: rows `begin` to `end`, of a file of a fixed number of rows
/// the last one over and over.
struct file_network::asked {
  std::size_t begin, end, rows;
  std::vector<engine::given> given;      ///< for each input
  std::vector<std::size_t> in, out;      ///< shapes of x and of the prediction
  std::size_t channels, points, halves;  ///< halves: 2 with a learned variance

  /// Which row of the batch a row of the call is.
  std::size_t source_of(std::size_t i) const { return std::min(begin + i, end - 1); }
};

template <class Ask> void file_network::for_each_call(batch const& b, Ask const& ask) const {
  auto const& f = *file_;
  auto const& in = f.engine->inputs;
  if (b.on_device)
    throw error(
        fmt::format("'{}': a batch on a device was given; expected one on the host, where {} "
                    "runs here",
                    f.source, engine_name()));
  bool const last = card().channels_last;
  std::size_t const channels = b.shape.empty() ? 1 : b.shape[0], points = b.elements / channels;

  if (f.has_to && !b.targets)
    throw error(
        fmt::format("'{}': its network takes the time that a step goes to, and was asked where no "
                    "step is taken; expected a sampler on a grid, and no likelihood",
                    f.source));
  std::vector<double> times, seconds;
  auto const time_at = [&](level const& l) {
    double const time = time_of(card().time, l);
    if (!std::isfinite(time))
      throw error(fmt::format(
          "'{}': its card says time = \"{}\", which is {} at t = {:.6g}; expected levels "
          "where it is finite, as on the grid karras with a sigma_max and a sigma_min",
          f.source, name_of(card().time), time, l.t));
    return time;
  };
  for (std::size_t row = 0; row < b.rows(); ++row) {
    times.push_back(f.has_time || f.has_to ? time_at(b.level_of(row)) : 0);
    if (!f.has_to) continue;
    double const to = time_at(b.target_of(row));
    bool const is_index = card().time == time_unit::t_minus_1;  // which ends at 0, and a step not
    seconds.push_back(card().ports.time_step.empty() ? to
                      : is_index ? std::abs(b.target_of(row).t - b.level_of(row).t)
                                 : std::abs(to - times.back()));
  }
  // Rows of numbers, of the type that an input has.
  struct column {
    std::vector<float> f32;
    std::vector<std::int32_t> i32;
    std::vector<std::int64_t> i64;
    void const* data = nullptr;
  };
  auto const put = [](std::string const& type, std::vector<double> const& values) {
    column c;
    for (double v : values) {
      if (type == "f32") c.f32.push_back(static_cast<float>(v));
      else if (type == "i32") c.i32.push_back(static_cast<std::int32_t>(std::llround(v)));
      else c.i64.push_back(std::llround(v));
    }
    c.data = type == "f32"   ? static_cast<void const*>(c.f32.data())
             : type == "i32" ? static_cast<void const*>(c.i32.data())
                             : static_cast<void const*>(c.i64.data());
    return c;
  };

  for (std::size_t begin = 0; begin < b.rows();) {
    std::size_t end = f.fixed_rows > 0 ? std::min(b.rows(), begin + f.fixed_rows) : b.rows();
    if (f.one_time)
      for (std::size_t row = begin; row < end; ++row)
        if (times[row] != times[begin] || (f.has_to && seconds[row] != seconds[begin])) end = row;
    std::size_t const rows = f.fixed_rows > 0 ? f.fixed_rows : end - begin;
    asked one{begin,    end,    rows,
              {},       {rows}, {},
              channels, points, card().learns_variance ? std::size_t{2} : std::size_t{1}};

    std::vector<float> gathered;
    float const* x = b.x + begin * b.pitch;
    bool const as_it_is = !last && b.pitch == b.elements && end <= b.samples && rows == end - begin;
    if (!as_it_is) {
      gathered.resize(rows * b.elements);
      for (std::size_t i = 0; i < rows; ++i) {
        float const* const from = b.x_of(one.source_of(i)).data();
        float* const to = gathered.data() + i * b.elements;
        if (last) to_channels_last(from, to, channels, points);
        else std::copy_n(from, b.elements, to);
      }
      x = gathered.data();
    }
    one.in.insert(one.in.end(), b.shape.begin(), b.shape.end());
    if (last) std::rotate(one.in.begin() + 1, one.in.begin() + 2, one.in.end());
    one.out = one.in;
    one.out[last ? one.out.size() - 1 : 1] *= one.halves;

    std::vector<double> of_time, of_to, of_labels;
    for (std::size_t i = 0; i < rows; ++i) {
      of_time.push_back(times[one.source_of(i)]);
      if (f.has_to) of_to.push_back(seconds[one.source_of(i)]);
      if (f.has_labels) of_labels.push_back(f.told(b.label_of(one.source_of(i))));
    }
    if (f.has_time && f.is_one_number(f.time)) of_time.resize(1);
    if (f.has_to && f.is_one_number(f.to)) of_to.resize(1);
    column const r = put(f.has_to ? in[f.to].type : "f32", of_to);
    column const t = put(f.has_time ? in[f.time].type : "f32", of_time);
    column const y = put(f.has_labels ? in[f.labels].type : "f32", of_labels);
    auto const shape_of_rows = [&](std::size_t at, std::size_t n) {
      return in[at].shape.empty()       ? std::vector<std::size_t>{}
             : in[at].shape.size() == 2 ? std::vector<std::size_t>{n, 1}
                                        : std::vector<std::size_t>{n};
    };
    std::vector<column> of_conditions;
    std::vector<std::vector<std::size_t>> shapes_of_conditions;
    for (std::size_t k = 0; k < f.conditions.size(); ++k) {
      auto const& c = card().conditions[k];
      auto const find = [&](std::string const& called) {
        auto const found = std::ranges::find(b.arrays, called, &named_array::name);
        return found == b.arrays.end() ? nullptr : &*found;
      };
      named_array const* const with = find(c.name);
      named_array const* const without = c.negative.empty() ? nullptr : find(c.negative);
      if (!with || (!c.negative.empty() && b.branches > b.conditions && !without))
        throw error(fmt::format("'{}': the condition '{}' is missing", f.source,
                                with ? c.negative : c.name));
      std::vector<double> values;
      for (std::size_t i = 0; i < rows; ++i) {
        std::size_t const row = one.source_of(i);
        named_array const* const a = b.has_condition(row) ? with : without;
        for (std::size_t e = 0; e < with->elements; ++e)
          values.push_back(a ? double{a->data[row % b.samples * a->elements + e]}
                             : c.null.value_or(0));
      }
      of_conditions.push_back(put(in[f.conditions[k]].type, values));
      shapes_of_conditions.push_back({rows});
      shapes_of_conditions.back().insert(shapes_of_conditions.back().end(), with->shape.begin(),
                                         with->shape.end());
    }
    one.given.resize(in.size());
    for (std::size_t k = 0; k < f.conditions.size(); ++k)
      one.given[f.conditions[k]] = {of_conditions[k].data, shapes_of_conditions[k]};
    one.given[f.x] = {x, one.in};
    if (f.has_time) one.given[f.time] = {t.data, shape_of_rows(f.time, of_time.size())};
    if (f.has_to) one.given[f.to] = {r.data, shape_of_rows(f.to, of_to.size())};
    if (f.has_labels) one.given[f.labels] = {y.data, shape_of_rows(f.labels, rows)};
    ask(one);
    begin = end;
  }
}

void file_network::operator()(batch const& b) const {
  auto const& f = *file_;
  if (b.variance && !card().learns_variance)
    throw error(
        fmt::format("'{}': a sampler that reads a learned variance was given, and its card "
                    "says none; expected variance = \"learned\" there, or another sampler",
                    f.source));
  for_each_call(b, [&](asked const& one) {
    bool const last = card().channels_last;
    std::size_t const of_row = one.halves * b.elements;
    std::vector<float> result(one.rows * of_row);
    f.engine->run(one.given, {{f.prediction, result.data(), one.out}});

    std::vector<float> row_first(last ? of_row : 0);
    for (std::size_t i = 0; i < one.end - one.begin; ++i) {
      std::size_t const row = one.begin + i;
      float const* from = result.data() + i * of_row;
      if (last) {
        to_channels_first(from, row_first.data(), one.halves * one.channels, one.points);
        from = row_first.data();
      }
      std::copy_n(from, b.elements, b.out_of(row).data());
      bool const reads_both = one.halves == 2 && b.variance && row < b.samples;
      if (reads_both) std::copy_n(from + b.elements, b.elements, b.variance_of(row).data());
      float const* const end_of_row = from + (reads_both ? 2 : 1) * b.elements;
      auto const bad = std::find_if(from, end_of_row, [](float v) { return !std::isfinite(v); });
      if (bad != end_of_row)
        throw error(
            fmt::format("'{}': at t = {:.6g} its output for sample {} is {}; expected finite "
                        "numbers",
                        f.source, b.level_of(row).t, row % b.samples,
                        std::isnan(*bad) ? "NaN"
                        : *bad > 0       ? "infinite"
                                         : "-infinite"));
    }
  });
}

void file_network::vjp_of(batch const& b, float const* probe, float* result) const {
  auto const& f = *file_;
  for_each_call(b, [&](asked const& one) {
    bool const last = card().channels_last;
    std::size_t const of_row = one.halves * b.elements;
    // The second half, a variance, and the rows that fill up a call: nobody asks of them.
    std::vector<float> probes(one.rows * of_row), products(one.rows * b.elements), row_last(of_row);
    for (std::size_t i = 0; i < one.end - one.begin; ++i) {
      float const* const from = probe + (one.begin + i) % b.samples * b.pitch;
      float* const to = probes.data() + i * of_row;
      std::copy_n(from, b.elements, to);
      if (last) {
        std::copy_n(to, of_row, row_last.data());
        to_channels_last(row_last.data(), to, one.halves * one.channels, one.points);
      }
    }
    f.engine->vjp(one.given, f.x, {f.prediction, probes.data(), one.out}, products.data());
    for (std::size_t i = 0; i < one.end - one.begin; ++i) {
      float const* const from = products.data() + i * b.elements;
      float* const to = result + (one.begin + i) * b.pitch;
      if (last) to_channels_first(from, to, one.channels, one.points);
      else std::copy_n(from, b.elements, to);
    }
  });
}

std::string card_to_fill_in(engine const& opened) {
  std::string text =
      "# predicts = \"epsilon\"   # or x0, v, velocity, score, edm\n"
      "# schedule = \"linear\"    # what it was trained on: linear, cosine, scaled_linear, edm, "
      "...\n"
      "# time = \"t - 1\"         # or t, 1000 t, t / T, 1 - t, rho, ln(rho), ln(rho) / 4, lambda\n"
      "range = [-1.0, 1.0]    # of the data; leave it out where they are not bounded\n";
  auto const rank = [](port const& p) { return p.any_shape ? 99 : p.shape.size(); };
  auto const most = std::ranges::max_element(opened.inputs, {}, rank);  // the first of them
  auto const x = static_cast<std::size_t>(most - opened.inputs.begin());
  if (most != opened.inputs.end()) {
    if (most->any_shape)
      text += "shape = [1, 64, 64]     # of a sample, channels first: the file does not say it\n";
    bool const last = most->shape.size() == 4 && most->shape[3] > 0 && most->shape[3] <= 4 &&
                      !(most->shape[1] > 0 && most->shape[1] <= 4);
    if (last) text += "layout = \"channels_last\"\n";
    text += fmt::format("\n[inputs]\nx = \"{}\"\n", most->name);
    // Those of one number a row: by their names, else the only one is the time.
    std::vector<std::size_t> numbers;
    std::string others;
    for (std::size_t i = 0; i < opened.inputs.size(); ++i) {
      port const& p = opened.inputs[i];
      bool const is_one_number = p.shape.size() <= 1 || (p.shape.size() == 2 && p.shape[1] == 1);
      if (i == x) continue;
      if (is_one_number && numbers.size() < 2) numbers.push_back(i);
      else
        others +=
            fmt::format("\n[conditions.\"{}\"]   # given by this name\ninput = \"{}\"   # {}\n",
                        p.name, p.name, in_words(p));
    }
    auto const said = [&](char const* what, port const& p, char const* type) {
      text += fmt::format("{} = \"{}\"   # {}\n", what, p.name, in_words(p));
      if (p.type.empty())
        text += fmt::format("{}_type = \"{}\"   # or f32, i32, i64\n", what, type);
    };
    bool has_labels = numbers.size() == 2;
    if (numbers.size() == 1) {
      port const& p = opened.inputs[numbers[0]];
      has_labels = is_called_labels(p);
      said(has_labels ? "labels" : "time", p, has_labels ? "i64" : "f32");
    } else if (numbers.size() == 2) {
      port const &a = opened.inputs[numbers[0]], &b = opened.inputs[numbers[1]];
      bool const is_usual = is_called_time(a) || is_called_labels(b);
      bool const is_turned = is_called_time(b) || is_called_labels(a);
      if (is_usual != is_turned) {
        said("time", is_usual ? a : b, "f32");
        said("labels", is_usual ? b : a, "i64");
      } else {  // nothing tells them apart
        for (port const* one : {&a, &b})
          text += fmt::format("# time or labels = \"{}\"   # {}\n", one->name, in_words(*one));
      }
    }
    if (has_labels)
      text +=
          "\n[labels]\n# count = 10   # how many there are, or names = [...]\n"
          "# null = 10    # how \"no label\" is told; without it there is no guidance\n";
    text += others;
  }
  if (opened.outputs.size() > 1)
    text += fmt::format("\n[outputs]\nprediction = \"{}\"\n", opened.outputs[0].name);
  return text;
}

}  // namespace tweedie::networks
