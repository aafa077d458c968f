// A U-Net as a file: safetensors with everything that sampling must know in its metadata, so that
// whoever has the file needs no flags to be right.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <tweedie/io/safetensors.hpp>
#include <tweedie/networks/schedule_description.hpp>
#include <tweedie/networks/unet.hpp>

namespace tweedie::networks {

/// {"name":"cosine","s":0.008,...}; doubles come back as they were.
std::string to_json(schedule_description const& schedule);
/// Throws `error`, which begins with `source`, where the text is not such an object.
schedule_description parse_schedule(std::string const& text, std::string const& source);

std::string to_json(unet_config const& config);
/// Throws `error`, which begins with `source`, where a key is missing, unknown or of another type.
unet_config parse_config(std::string const& text, std::string const& source);

struct model {
  std::shared_ptr<unet> network;
  std::string predicts;                      ///< the name of a prediction, "v"
  schedule_description schedule;             ///< what its levels, and so its times, are
  std::vector<std::string> labels;           ///< names of the classes, or none
  std::map<std::string, std::string> notes;  ///< how it was trained: command, steps, weight, ...
};

/// Writes the weights and what belongs to them, atomically. Throws `error`.
void save_model(std::filesystem::path const& path, model const& m);

/// Weights may be F32, F16 or BF16. Only the header is read of a file that is no model.
/// Throws `error`, a sentence that names the file and, where it is about one, the tensor: a file
/// that is not sound, a tensor that is missing or one too many, a wrong shape or dtype, a value
/// that is not finite, metadata that is missing or not understood.
model load_model(std::filesystem::path const& path);

/// One tensor per weight of the network, from `values` laid out as its parameters() are;
/// `prefix` comes before each name. For checkpoints, which hold several such sets.
void append_weights(std::vector<io::tensor>& tensors, unet const& network,
                    std::string const& prefix, float const* values);
/// The way back, into `values`. Throws as io::expect_tensor does.
void extract_weights(io::tensor_file const& file, unet const& network, std::string const& prefix,
                     float* values);
/// Their names, for io::expect_names.
void append_names(std::vector<std::string>& names, unet const& network, std::string const& prefix);

/// Throws `error` where the configuration asks for more weights than `floats`: before the network
/// is made, so that a small hostile file cannot ask for all memory.
void check_size(unet_config const& config, std::size_t floats, std::string const& source);

}  // namespace tweedie::networks
