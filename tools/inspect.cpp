// tweedie inspect: what an ONNX or TorchScript file says of itself, and the card that it needs.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>
#include <memory>

#include <tweedie/io/document.hpp>

#include "choices.hpp"
#include "loaded_model.hpp"
#include "tool.hpp"

namespace tweedie::tool {
namespace {

void print_ports(char const* what, std::vector<networks::port> const& ports) {
  for (auto const& p : ports)
    fmt::print("#   {} {}: {}\n", what, io::shown(p.name), networks::in_words(p));
}

/// What does not go with the card is said here too, by the sentence that a sampling would meet.
int run(std::string const& path) {
  auto const opened = networks::open_network(path);
  fmt::print("# '{}', by {}\n", path, opened->name);
  print_ports("input", opened->inputs);
  print_ports("output", opened->outputs);
  for (auto const& [key, value] : opened->metadata)
    if (key != "tweedie") fmt::print("#   note {}: {}\n", io::shown(key), io::shown(value));
  auto const beside = std::filesystem::path(path).replace_extension(".toml");
  auto const card = networks::card_of(path, *opened);
  if (!card) {
    fmt::print("# It has no card that says what its numbers mean. '{}', to be filled in:\n\n{}",
               beside.string(), networks::card_to_fill_in(*opened));
    return 0;
  }
  auto const m = load(path);
  schedule_of(m.schedule, path);
  prediction_of("'" + path + "': predicts", m.predicts);
  fmt::print("# Its card, {}:\n\n{}\n# Samples of shape {{{}}}{}{}.\n",
             std::filesystem::exists(beside) ? "'" + beside.string() + "'" : "in the file",
             networks::to_toml(*card), fmt::join(m.shape, ", "),
             m.classes > 0 ? fmt::format(", labels 0 to {}", m.classes - 1) : ", no labels",
             m.can_be_guided ? ", can be guided" : "");
  return 0;
}

}  // namespace

action add_inspect(CLI::App& app, std::string const&) {
  auto const file = std::make_shared<std::string>();
  app.add_option("file", *file, "net.onnx or net.pt")->required();
  return [file] { return run(*file); };
}

}  // namespace tweedie::tool
