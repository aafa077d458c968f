// What `--model` names: a file of tweedie train, or an ONNX or TorchScript file with its card.
#pragma once

#include <CLI/CLI.hpp>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <tweedie/networks/file_network.hpp>
#include <tweedie/networks/unet_file.hpp>
#include <tweedie/pipelines/plan_builder.hpp>
#include <tweedie/pipelines/ready/recipe.hpp>

namespace tweedie::tool {

struct loaded_model {
  std::string path;
  std::string predicts;
  networks::schedule_description schedule;
  std::vector<std::size_t> shape;       ///< of a sample; of a picture {channels, height, width}
  std::size_t classes = 0;              ///< 0: it takes no labels
  std::vector<std::string> labels;      ///< their names, or none
  bool can_be_guided = false;           ///< whether it knows what "no label" is
  bool needs_label = false;             ///< whether it has to have one
  std::vector<std::string> conditions;  ///< names of what else it takes
  std::vector<std::string> negatives;   ///< what stands for none of each under a guidance, or ""
  std::optional<std::pair<double, double>> range;  ///< of its data; none: not bounded
  networks::model of_unet;                         ///< empty for a file with a card
  networks::file_description of_file;              ///< empty for any other

  bool has_card() const { return !of_unet.network; }
  bool is_picture() const { return shape.size() == 3 && (shape[0] == 1 || shape[0] == 3); }
};

/// Reads what a model says of itself. The engine of a file with a card is not made ready yet.
/// Throws a sentence.
loaded_model load(std::string const& path);
/// Of a model of tweedie train.
loaded_model described(networks::model m, std::string const& path);

/// A model of tweedie train: what `what` needs of it, no other file has.
networks::model load_unet(std::string const& path, char const* what);

inline constexpr char const* model_help =
    "the model file of tweedie train, or net.onnx or net.pt (TorchScript) with its card (see "
    "tweedie "
    "inspect)";

/// How the network is run.
struct engine_options {
  long long threads = 1;
  std::string precision = "float32";
};
void add_engine_options(CLI::App& app, engine_options& o);

/// The --clip that is taken without one: the bound of the data, 0 where there is none.
double usual_clip_of(loaded_model const& m);

/// The network, ready to be called, for calls of `rows` rows above all; 0: of any number.
any_network network_of(loaded_model const& m, engine_options const& o, std::size_t rows = 0);

/// How many rows each call has where all have as many, samples at a time times branches, and where
/// there are calls enough for it to matter; else 0.
std::size_t rows_of(std::size_t count, std::size_t batch, ready::recipe const& r);

}  // namespace tweedie::tool
