// A network that an engine makes of an ONNX file, where an engine is built in.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include <tweedie/dsl/language/batch.hpp>
#ifdef TWEEDIE_ENGINE
#include <tweedie/networks/onnx.hpp>
#endif

namespace tweedie::tool {

struct read_network {
  std::string engine;
  std::function<void(batch const&)> answer;
};

#ifdef TWEEDIE_ENGINE
inline std::optional<read_network> read_network_of(std::filesystem::path const& path) {
  networks::onnx const network(path, {.threads = 1});
  return read_network{network.engine_name(), network};
}
#else
inline std::optional<read_network> read_network_of(std::filesystem::path const&) { return {}; }
#endif

}  // namespace tweedie::tool
