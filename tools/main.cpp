// tweedie: train a network, draw pictures with it, read a pipeline's formula.
#include <fmt/format.h>

#include <cstdio>
#include <exception>
#include <map>
#include <string>
#include <vector>

#include <tweedie/dsl/base/error.hpp>

#include "command_line.hpp"
#include "environment.hpp"
#include "say.hpp"
#include "tool.hpp"

namespace {

using tweedie::tool::say;

/// What was typed, quoted where a shell needs it, without the program's folder.
std::string as_typed(int argc, char** argv) {
  std::string line = "tweedie";
  for (int i = 1; i < argc; ++i) {
    std::string const word = argv[i];
    bool const plain = !word.empty() && word.find_first_not_of(
                                            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                            "0123456789-_./,:=+@%") == std::string::npos;
    line += ' ';
    if (plain) line += word;
    else {
      line += '\'';
      for (char c : word) line += c == '\'' ? std::string("'\\''") : std::string(1, c);
      line += '\'';
    }
  }
  return line;
}

int run(int argc, char** argv) {
  CLI::App app{
      "Diffusion models whose samplers are formulas: one evaluation of the network, one kernel.",
      "tweedie"};
  app.require_subcommand(1);
  app.set_version_flag("--version", "tweedie " TWEEDIE_VERSION);
  app.get_formatter()->column_width(34);
  std::map<CLI::App*, tweedie::tool::action> actions;
  auto const command = as_typed(argc, argv);
  try {
    auto add = [&](auto make, char const* name, char const* what) {
      auto* sub = app.add_subcommand(name, what);
      actions[sub] = make(*sub, command);
    };
    add(tweedie::tool::add_train, "train", "train a U-Net on pictures");
    add(tweedie::tool::add_sample, "sample", "draw pictures with a trained model");
    add(tweedie::tool::add_encode, "encode",
        "pictures to their noise, along the deterministic flow");
    add(tweedie::tool::add_interpolate, "interpolate", "pictures between two, through their noise");
    add(tweedie::tool::add_likelihood, "likelihood", "how probable pictures are to a model");
    add(tweedie::tool::add_export, "export", "a model as an ONNX file, for other engines");
    add(tweedie::tool::add_inspect, "inspect",
        "what an ONNX or TorchScript file takes and gives, and its card");
    add(tweedie::tool::add_plot, "plot",
        "draw a schedule with a grid, and a model's loss at each level");
    add(tweedie::tool::add_recipes, "recipes", "list, show or validate pipelines as text");
    add(tweedie::tool::add_explain, "explain",
        "print what a pipeline compiles to: formulas with their numbers, buffers, kernels");
    tweedie::tool::check_words(app, {argv + 1, argv + argc});
    app.parse(argc, argv);
    return actions.at(app.get_subcommands().front())();
  } catch (CLI::ParseError const& stop) {
    if (stop.get_exit_code() == 0) return app.exit(stop);  // --help, --version
    say("tweedie: {}\n", tweedie::tool::sentence_of(stop));
  } catch (tweedie::error const& sentence) {
    say("tweedie: {}\n", sentence.what());
  } catch (std::bad_alloc const&) {
    say("tweedie: there is not enough memory; ask for a smaller batch or network\n");
  } catch (std::exception const& other) {
    if (std::ferror(stdout)) return 0;  // which close_streams says
    say("tweedie: {}\n", other.what());
  }
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  tweedie::tool::prepare_environment(argv);
  tweedie::tool::open_streams();
  return tweedie::tool::close_streams("tweedie", run(argc, argv));
}
