// An inference engine behind plain pointers: it opens a file, says what goes in and comes out, and
// runs it. One source file for each engine, in a library of its own that is loaded with the first
// file. C++17, which is what LibTorch's headers want of clang.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <tweedie/dsl/base/error.hpp>

namespace tweedie::networks {

/// In what a network computes. Its input and output are floats either way.
enum class precision { float32, bfloat16, float16 };
constexpr char const* name_of(precision p) {
  return p == precision::float32 ? "float32" : p == precision::bfloat16 ? "bfloat16" : "float16";
}

/// An input or output of a file.
struct port {
  std::string name;
  std::string type;  ///< "f32", "i32", "i64"; others as the engine calls them; "": the file is mute
  std::vector<std::int64_t> shape;  ///< -1: any
  bool any_shape = false;           ///< the file says none, not even of how many extents
  bool may_be_left_out = false;     ///< it has a default
};

/// "f32 {any, 1, 28, 28}", "numbers of any type and shape"
std::string in_words(port const& p);

struct engine {
  std::string name;  ///< "OpenVINO 2026.4.1"
  std::vector<port> inputs, outputs;
  std::map<std::string, std::string> metadata;  ///< of the file
  bool differentiates = false;                  ///< whether it has `vjp`

  virtual ~engine() = default;
  /// Makes it ready to run, for calls of `rows` rows above all; 0: of any number alike. Throws
  /// tweedie::error if an operator is missing, or if the processor does not compute in that
  /// precision.
  virtual void prepare(int threads, precision p, std::size_t rows) = 0;

  struct given {
    void const* data = nullptr;  ///< of the port's type, dense; null: left out
    std::vector<std::size_t> shape;
  };
  struct wanted {
    std::size_t output;  ///< of `outputs`
    float* data;         ///< room for what is expected, dense
    std::vector<std::size_t> shape;
  };
  /// One for each of `inputs`. Several threads may call it at once. Throws tweedie::error if the
  /// engine fails, or if an output has another shape than is wanted.
  virtual void run(std::vector<given> const& inputs, std::vector<wanted> const& outputs) const = 0;

  /// The transposed Jacobian of an output in the input `x` times `probe`, which has the output's
  /// shape, to `result`, which has that of x. Throws tweedie::error where the engine has none.
  virtual void vjp(std::vector<given> const&, std::size_t /*x*/, wanted const& /*probe*/,
                   float* /*result*/) const {
    throw error(name + " has no derivatives of a network");
  }

 protected:
  engine() = default;
  engine(engine const&) = delete;
  engine& operator=(engine const&) = delete;
};

/// Opens an ONNX file with the engine that this library was built with. Throws tweedie::error,
/// which names the file, if it is none, or larger than 2 GiB, which no ONNX file is; and if there
/// is no engine.
std::unique_ptr<engine> open_onnx(std::filesystem::path const& path);
/// Opens a TorchScript file, as torch.jit.save writes it, with LibTorch. Throws as `open_onnx`.
std::unique_ptr<engine> open_torchscript(std::filesystem::path const& path);
/// Opens a package of AOTInductor, which is code and runs as this program does, with LibTorch 2.
/// Throws as `open_onnx`.
std::unique_ptr<engine> open_aoti(std::filesystem::path const& path);
/// Opens a file by the format that its ending says: .onnx, .pt, or .pt2.
std::unique_ptr<engine> open_network(std::filesystem::path const& path);
/// Whether a name has the ending of such a file.
bool is_network_name(std::filesystem::path const& path);

}  // namespace tweedie::networks

// What an engine's library exports.
extern "C" tweedie::networks::engine* tweedie_open_engine(char const* path);
