// The U-Net as a stage of a pipeline: all branches of a guidance go through it as one batch.
#pragma once

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include <tweedie/dsl/stage.hpp>
#include <tweedie/networks/unet.hpp>

namespace tweedie::networks {

/// Copies share the network. Safe to call from several threads at once.
struct unet_network {
  using kind = kinds::network;
  static constexpr char const* name = "unet";
  std::shared_ptr<unet const> network;

  int classes() const { return network->config().classes; }
  /// Whether it was trained with labels, and so with the null class that guidance needs.
  bool conditional() const { return classes() > 0; }

  /// Throws tweedie::error where the batch's elements are not those of the network's pictures.
  void operator()(batch const& b) const {
    if (b.elements != network->elements())
      throw error("unet: a sample of " + std::to_string(b.elements) +
                  " elements was given, the network's pictures have " +
                  std::to_string(network->elements()));
    std::size_t const count = b.rows();
    std::vector<double> times(count);
    std::vector<int> labels(count);
    for (std::size_t r = 0; r < count; ++r) {
      times[r] = b.level_of(r).t;
      labels[r] = b.label_of(r);
    }
    if (b.branches == 1) {
      network->forward(b.x, b.pitch, times.data(), labels.data(), count, b.out, b.pitch);
      return;
    }
    // The branches read the same x; the U-Net wants a row of its own for each.
    std::vector<float> gathered(count * b.pitch);
    for (std::size_t branch = 0; branch < b.branches; ++branch)
      std::copy_n(b.x, b.samples * b.pitch, gathered.data() + branch * b.samples * b.pitch);
    network->forward(gathered.data(), b.pitch, times.data(), labels.data(), count, b.out, b.pitch);
  }
};

}  // namespace tweedie::networks
