// The U-Net as a stage of a pipeline: all branches of a guidance go through it as one batch.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <tweedie/dsl/language/composition.hpp>
#include <tweedie/dsl/language/hooks.hpp>
#include <tweedie/networks/unet.hpp>

namespace tweedie::networks {

/// Copies share the network. Safe to call from several threads at once.
struct unet_network {
  using kind = kinds::network;
  static constexpr char const* name = "unet";
  std::shared_ptr<unet const> network;

  friend bool operator==(unet_network const&, unet_network const&) = default;
  friend bool operator==(unet_network const& n, std::nullptr_t) { return n.network == nullptr; }

  int classes() const { return network->config().classes; }
  /// Whether it was trained with labels, and so with the null class that guidance needs.
  bool conditional() const { return classes() > 0; }

  /// Asked by a plan before anything is drawn. `shape` begins with the number of samples. Throws
  /// tweedie::error where a picture, a label or the number of branches does not fit the network.
  void check(std::span<std::size_t const> shape, std::span<int const> labels, int branches) const {
    auto const& c = network->config();
    std::size_t const channels = static_cast<std::size_t>(c.channels),
                      size = static_cast<std::size_t>(c.size);
    if (shape.size() != 4 || shape[1] != channels || shape[2] != size || shape[3] != size) {
      std::string given;
      for (std::size_t extent : shape)
        given += (given.empty() ? "" : ", ") + std::to_string(extent);
      throw error("unet: the shape {" + given + "} was given, expected {samples, " +
                  std::to_string(channels) + ", " + std::to_string(size) + ", " +
                  std::to_string(size) + "}");
    }
    if (branches > 1 && !conditional())
      throw error("unet: a guidance with " + std::to_string(branches) +
                  " branches was given, but the network is unconditional; use guidance::none");
    if (branches > 1 && std::ranges::all_of(labels, [](int label) { return label == -1; }))
      throw error(
          "unet: a guidance with " + std::to_string(branches) +
          " branches was given and no label, so that its branches are the same; give labels, "
          "such as conditions{labels{3}}, or use guidance::none");
    for (int label : labels)
      if (label != -1 && (label < 0 || label >= classes()))
        throw error("unet: label " + std::to_string(label) + " was given, " +
                    (conditional() ? "the network has classes 0 to " + std::to_string(classes() - 1)
                                   : "but the network is unconditional"));
  }

  void check_arrays(std::span<named_array const> arrays) const {
    tweedie::detail::refuse_arrays("unet", arrays);
  }

  /// It can be on the devices that its LibTorch has. What was recorded would go on in memory that
  /// LibTorch has given to others since.
  device_use on_devices() const {
    if (char const* why_not = network->why_not_on_devices()) return {.why_not = why_not};
    return {.enqueues = true, .is_capturable = false};
  }

  /// Throws tweedie::error where the batch's elements are not those of the network's pictures.
  void operator()(batch const& b) const {
    auto const [times, labels] = asked(b);
    if (b.on_device && on_devices().enqueues)  // else the memory is one that the host shares
      network->forward_on_device(b.x, b.pitch, times.data(), labels.data(), b.samples, b.branches,
                                 b.out, b.stream);
    else if (b.branches == 1)
      network->forward(b.x, b.pitch, times.data(), labels.data(), b.rows(), b.out, b.pitch);
    else
      network->forward(for_each_branch(b, b.x).data(), b.pitch, times.data(), labels.data(),
                       b.rows(), b.out, b.pitch);
  }

  /// For pipelines/likelihood.hpp: each row's transposed Jacobian times the sample's row of
  /// `probe`.
  void vjp(batch const& b, float const* probe, float* result) const {
    auto const [times, labels] = asked(b);
    network->vjp(for_each_branch(b, b.x).data(), b.pitch, times.data(), labels.data(), b.rows(),
                 for_each_branch(b, probe).data(), b.pitch, result, b.pitch);
  }

 private:
  struct rows_asked {
    std::vector<double> times;
    std::vector<int> labels;
  };
  rows_asked asked(batch const& b) const {
    if (b.elements != network->elements())
      throw error("unet: a sample of " + std::to_string(b.elements) +
                  " elements was given, the network's pictures have " +
                  std::to_string(network->elements()));
    rows_asked r;
    for (std::size_t row = 0; row < b.rows(); ++row) {
      r.times.push_back(b.level_of(row).t);
      r.labels.push_back(b.label_of(row));
    }
    return r;
  }

  // The branches read the same x; the U-Net wants a row of its own for each.
  static std::vector<float> for_each_branch(batch const& b, float const* rows) {
    std::vector<float> gathered(b.rows() * b.pitch);
    for (std::size_t branch = 0; branch < b.branches; ++branch)
      std::copy_n(rows, b.samples * b.pitch, gathered.data() + branch * b.samples * b.pitch);
    return gathered;
  }
};

}  // namespace tweedie::networks
