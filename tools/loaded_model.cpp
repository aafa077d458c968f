#include "loaded_model.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include <tweedie/networks/unet_network.hpp>

#include "checks.hpp"
#include "choices.hpp"

namespace tweedie::tool {
namespace {

using networks::precision;
std::initializer_list<named<precision>> const precision_choices{{"float32", precision::float32},
                                                                {"bfloat16", precision::bfloat16},
                                                                {"float16", precision::float16}};

loaded_model load_with_card(std::string const& path) {
  auto const what = networks::describe_file(path);
  loaded_model m;
  m.path = path;
  m.of_file = what;
  m.predicts = what.card.predicts;
  m.schedule = what.card.schedule;
  // What the card leaves out has its usual value; a name or number that is none is told here.
  auto const schedule = schedule_of(m.schedule, path, false);
  std::visit([](auto const& s) { tweedie::detail::call_check(s); }, schedule.which);
  m.schedule = describe(schedule);
  m.shape = what.shape;
  for (auto const& c : what.card.conditions) {
    m.conditions.push_back(c.name);
    m.negatives.push_back(c.negative);
  }
  bool others_can = true;
  for (auto const& c : what.card.conditions) others_can &= c.null || !c.negative.empty();
  if (auto const& l = what.card.labels) {
    m.classes = l->count;
    m.labels = l->names;
    m.needs_label = !l->null;
  }
  m.can_be_guided = (what.card.labels || !m.conditions.empty()) && others_can && !m.needs_label;
  if (auto const& r = what.card.range) m.range = {r->lo, r->hi};
  if (std::ranges::find(m.shape, std::size_t{0}) != m.shape.end())
    throw error(fmt::format(
        "'{}' takes samples of any size, {{{}}} where 0 is any; expected its card to say "
        "one, such as shape = [1, 64, 64]",
        path, fmt::join(m.shape, ", ")));
  return m;
}

}  // namespace

loaded_model load(std::string const& path) {
  if (std::filesystem::path(path).extension() == ".ckpt")
    throw error(
        fmt::format("--model '{}' was given, a checkpoint of PyTorch; expected .safetensors of "
                    "tweedie train, or .onnx of torch.onnx.export or .pt of torch.jit.save with "
                    "its card",
                    path));
  return networks::is_network_name(path) ? load_with_card(path)
                                         : described(networks::load_model(path), path);
}

loaded_model described(networks::model of, std::string const& path) {
  loaded_model m;
  m.path = path;
  m.of_unet = std::move(of);
  m.predicts = m.of_unet.predicts;
  m.schedule = m.of_unet.schedule;
  auto const& c = m.of_unet.network->config();
  auto const size = static_cast<std::size_t>(c.size);
  m.shape = {static_cast<std::size_t>(c.channels), size, size};
  m.classes = static_cast<std::size_t>(c.classes);
  m.labels = m.of_unet.labels;
  m.can_be_guided = c.classes > 0;
  m.range = {-1.0, 1.0};
  return m;
}

networks::model load_unet(std::string const& path, char const* what) {
  if (networks::is_network_name(path))
    throw error(
        fmt::format("--model '{}' was given; expected a model of tweedie train: {}, which such a "
                    "file does not give",
                    path, what));
  return networks::load_model(path);
}

double usual_clip_of(loaded_model const& m) {
  return m.range && m.range->first == -m.range->second ? m.range->second : 0;
}

void add_engine_options(CLI::App& app, engine_options& o) {
  add_whole(app, "--threads", o.threads, 1, 1024, "threads");
  app.add_option("--precision", o.precision,
                 "in which an ONNX file is computed: " + list_of(precision_choices) +
                     "; 16 bits are faster where the processor has them, and pictures differ a "
                     "little")
      ->capture_default_str();
}

std::size_t rows_of(std::size_t count, std::size_t batch, ready::recipe const& r) {
  if (r.within || (count > batch && count % batch != 0)) return 0;
  std::size_t const rows = std::min(count, batch) * (r.guidance.index() != 0 ? 2 : 1);
  // To compile for a number takes some 30 ms longer; of the shipped network a call is then faster
  // by half a millisecond, and by a twelfth for each row.
  std::size_t const calls =
      static_cast<std::size_t>(r.steps) * std::max<std::size_t>(1, count / batch);
  return calls * (6 + rows) >= 1000 ? rows : 0;
}

any_network network_of(loaded_model const& m, engine_options const& o, std::size_t rows) {
  auto const precision = choose("--precision", o.precision, precision_choices);
  if (m.has_card())
    return forget_network(networks::file_network{
        m.of_file, {.threads = static_cast<int>(o.threads), .precision = precision, .rows = rows}});
  if (precision != networks::precision::float32)
    throw error(
        fmt::format("--precision {} was given for '{}', which is computed in float32; "
                    "expected an ONNX file, as tweedie export writes it",
                    o.precision, m.path));
  networks::unet::set_threads(static_cast<int>(o.threads));
  return forget_network(networks::unet_network{m.of_unet.network});
}

}  // namespace tweedie::tool
