// A network that AOTInductor has compiled, run by LibTorch 2, as a stage of a pipeline.
//
//   auto const network = networks::aoti{"net.pt2"};
//
// As networks/torchscript.hpp, without a derivative. Its inputs and outputs have no names but their
// places, "0", "1" and so on. The card is net.toml beside it, or the metadata `tweedie` of the
// package: inductor_configs={"aot_inductor.metadata": {"tweedie": card}}. A package is machine
// code: open none that you would not run.
#pragma once

#include <filesystem>

#include <tweedie/networks/file_network.hpp>

namespace tweedie::networks {

using aoti_options = file_options;

/// Copies share the file. Several threads may use it at once.
class aoti : public file_network {
 public:
  static constexpr char const* name = "aoti";

  /// Throws tweedie::error, which names the file: if it is no package, if it has no card, or if the
  /// card and the file contradict each other; for any precision but float32, which stands for the
  /// package's own; if this build has no LibTorch of 2.x.
  explicit aoti(std::filesystem::path const& path, aoti_options const& options = {})
      : file_network(path, options, open_aoti) {}

  friend bool operator==(aoti const&, aoti const&) = default;
};

/// Whether this build has LibTorch 2 for it.
bool has_aoti_engine();

}  // namespace tweedie::networks
