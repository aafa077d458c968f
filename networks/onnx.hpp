// A network in an ONNX file, run by an inference engine (OpenVINO), as a stage of a pipeline.
//
//   auto const network = networks::onnx{"net.onnx"};
//
// What its numbers mean is a card (networks/card.hpp): net.toml beside it, or the metadata
// `tweedie` in the file. `tweedie inspect net.onnx` prints what the file says, and a card to fill
// in.
#pragma once

#include <filesystem>

#include <tweedie/networks/file_network.hpp>

namespace tweedie::networks {

using onnx_options = file_options;

/// Copies share the file. Several threads may use it at once.
class onnx : public file_network {
 public:
  static constexpr char const* name = "onnx";

  /// Throws tweedie::error, which names the file: if it is no ONNX, if it has no card, or if the
  /// card and the file contradict each other; if the engine lacks an operator or the precision.
  explicit onnx(std::filesystem::path const& path, onnx_options const& options = {})
      : file_network(path, options, open_onnx) {}

  friend bool operator==(onnx const&, onnx const&) = default;
};

/// Whether this build has an engine at all.
bool has_onnx_engine();

}  // namespace tweedie::networks
