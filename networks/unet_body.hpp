// What a U-Net is behind unet.hpp: unet_torch.cpp is one, in a library of its own that unet.cpp
// loads.
#pragma once

#include "unet.hpp"

namespace tweedie::networks {

/// Where pictures lie.
enum class unet_memory { host, device };

/// The functions are those of `unet`, of the same names.
struct unet_body {
  unet_config config;
  std::vector<unet_tensor> tensors;
  std::int64_t steps = 0;
  /// How often somebody was given the weights to write.
  std::uint64_t changes = 0;

  virtual ~unet_body() = default;
  static unet_body const& of(unet const& network) { return *network.body_; }

  std::size_t elements() const {
    return static_cast<std::size_t>(config.channels) * static_cast<std::size_t>(config.size) *
           static_cast<std::size_t>(config.size);
  }

  virtual void forward(float const* x, std::size_t pitch, double const* times, int const* labels,
                       std::size_t rows, float* out, std::size_t out_pitch) const = 0;
  virtual char const* why_not_on_devices() const = 0;
  /// unet::forward_on_device. With the host's memory it does the same there, without a stream, so
  /// that it can be tested where there is no device.
  virtual void forward_in(unet_memory memory, float const* x, std::size_t pitch,
                          double const* times, int const* labels, std::size_t samples,
                          std::size_t branches, float* out, void* stream) const = 0;
  virtual void vjp(float const* x, std::size_t pitch, double const* times, int const* labels,
                   std::size_t rows, float const* probe, std::size_t probe_pitch, float* result,
                   std::size_t result_pitch) const = 0;
  virtual double train_step(float const* x, float const* target, double const* times,
                            int const* labels, float const* weights, std::size_t samples,
                            std::uint64_t dropout_seed, adam const& settings, double* errors) = 0;
  virtual run_of<float> parameters() const = 0;
  virtual run_of<float> first_moment() const = 0;
  virtual run_of<float> second_moment() const = 0;
};

/// Where it differs, a program and a library do not understand each other. The sizes see most
/// changes of what goes from one to the other; raise the first number with any other.
inline constexpr std::size_t unet_layout =
    (((2 * 10'000 + sizeof(unet_body)) * 10'000 + sizeof(unet_config)) * 10'000 + sizeof(adam)) *
        10'000 +
    sizeof(unet_tensor);

}  // namespace tweedie::networks

// What the library exports, by these names.
extern "C" {
std::size_t tweedie_unet_layout();
tweedie::networks::unet_body* tweedie_unet_make(tweedie::networks::unet_config const& config,
                                                std::uint64_t seed);
void tweedie_unet_set_threads(int threads);
}
