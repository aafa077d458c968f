// What `--model` names: a file of tweedie train, or an ONNX file with its card.
#pragma once

#include <CLI/CLI.hpp>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <tweedie/networks/onnx.hpp>
#include <tweedie/networks/unet_file.hpp>
#include <tweedie/pipelines/plan_builder.hpp>

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
  networks::model of_unet;                         ///< empty for an ONNX file
  networks::onnx_description of_onnx;              ///< empty for any other

  bool is_onnx() const { return !of_unet.network; }
  bool is_picture() const { return shape.size() == 3 && (shape[0] == 1 || shape[0] == 3); }
};

/// Reads what a model says of itself. The engine of an ONNX file is not made ready yet. Throws a
/// sentence.
loaded_model load(std::string const& path);
/// Of a model of tweedie train.
loaded_model described(networks::model m, std::string const& path);

/// A model of tweedie train: what `what` needs of it, no ONNX file has.
networks::model load_unet(std::string const& path, char const* what);

inline constexpr char const* model_help =
    "the model file of tweedie train, or net.onnx with its card (see tweedie inspect)";

/// How the network is run.
struct engine_options {
  long long threads = 1;
  std::string precision = "float32";
};
void add_engine_options(CLI::App& app, engine_options& o);

/// The --clip that is taken without one: the bound of the data, 0 where there is none.
double usual_clip_of(loaded_model const& m);

/// The network, ready to be called.
any_network network_of(loaded_model const& m, engine_options const& o);

}  // namespace tweedie::tool
