// A network in a TorchScript file, run by LibTorch, as a stage of a pipeline.
//
//   auto const network = networks::torchscript{"net.pt"};
//
// As networks/onnx.hpp, with two differences. The card is net.toml beside it or the extra file
// `tweedie` inside, torch.jit.save(module, "net.pt", _extra_files={"tweedie": card}), and has to
// say the shape of a sample and types that are not the usual ones, since the file says neither. And
// the network has a derivative, so that there are likelihoods.
#pragma once

#include <filesystem>

#include <tweedie/networks/file_network.hpp>

namespace tweedie::networks {

using torchscript_options = file_options;

/// Copies share the file. Several threads may use it at once. LibTorch has one number of threads
/// for the whole program: the last one that was asked for.
class torchscript : public differentiable_file_network {
 public:
  static constexpr char const* name = "torchscript";

  /// Throws tweedie::error, which names the file: if it is no TorchScript, if it has no card, or if
  /// the card and the file contradict each other; for any precision but float32.
  explicit torchscript(std::filesystem::path const& path, torchscript_options const& options = {})
      : differentiable_file_network(path, options, open_torchscript) {}

  friend bool operator==(torchscript const&, torchscript const&) = default;
};

/// Whether this build has LibTorch for it.
bool has_torchscript_engine();

}  // namespace tweedie::networks
