// The network of --config: a name, or a TOML file of its settings.
#pragma once

#include <optional>
#include <string>

#include <tweedie/networks/unet.hpp>

namespace tweedie::tool {

/// Names, as a sentence lists them.
inline constexpr char const* config_names = "small, medium, tiny";

/// What --config says; what it leaves open follows from the pictures.
struct asked_network {
  networks::unet_config config;
  std::optional<int> channels, size, classes;
  bool has_attention = false, has_dropout = false;
};

/// Throws a sentence where it is no name of ours and no file of settings, or has one that is not
/// known, is missing or out of any range.
asked_network read_network(std::string const& config);

/// The network for such pictures. Attention that was not asked for is at all resolutions of 16
/// pixels and fewer, and at the last where it has 32 or fewer. Throws a sentence, with the nearest
/// sizes that fit, where the size cannot be halved as often as the network does.
networks::unet_config network_for(asked_network const& asked, std::string const& config,
                                  int channels, int size, int classes);

/// The network with its first weights. Throws a sentence with the name of --config, where it is
/// given, if its numbers do not fit together.
networks::unet make_network(networks::unet_config const& c, std::string const& config,
                            std::uint64_t seed = 0);

}  // namespace tweedie::tool
