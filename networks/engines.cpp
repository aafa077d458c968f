// Which file is opened by which engine, and the libraries of the engines: each is loaded with the
// first file that needs it.
#include <dlfcn.h>

#include <tweedie/networks/aoti.hpp>
#include <tweedie/networks/onnx.hpp>
#include <tweedie/networks/torchscript.hpp>

#include <algorithm>
#include <cctype>
#include <string_view>
#include <system_error>

#include <fmt/format.h>

#include <tweedie/io/file.hpp>

namespace tweedie::networks {
namespace {

namespace fs = std::filesystem;

using open_function = decltype(tweedie_open_engine);

/// An engine's library: beside the program, where it was built, or else wherever the system looks.
[[maybe_unused]] open_function* library(char const* file, char const* folder, char const* engine) {
  std::error_code none;
  fs::path const name = file, built = folder / name;
  auto const beside = fs::read_symlink("/proc/self/exe", none).parent_path() / name;
  fs::path const path = fs::exists(beside, none) ? beside : fs::exists(built, none) ? built : name;
  void* const opened = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  char const* const why = opened ? nullptr : dlerror();
  void* const found = opened ? dlsym(opened, "tweedie_open_engine") : nullptr;
  if (!found)
    throw error(
        fmt::format("a network in a file: the library '{}' could not be loaded ({}); expected it "
                    "beside the program or on LD_LIBRARY_PATH, and {} where it was built with it",
                    path.string(), why ? why : "it has no tweedie_open_engine", engine));
  return reinterpret_cast<open_function*>(found);
}

open_function* onnx_library() {
#if defined(TWEEDIE_OPENVINO_LIBRARY)
  static auto* const open = library(TWEEDIE_OPENVINO_LIBRARY, TWEEDIE_OPENVINO_FOLDER, "OpenVINO");
  return open;
#else
  throw error(
      "onnx: this build has no engine for ONNX files; expected OpenVINO when it is configured "
      "(`make deps` unpacks it, or -DOpenVINO_DIR= names it)");
#endif
}

open_function* torchscript_library() {
#if defined(TWEEDIE_TORCHSCRIPT_LIBRARY)
  static auto* const open =
      library(TWEEDIE_TORCHSCRIPT_LIBRARY, TWEEDIE_TORCHSCRIPT_FOLDER, "LibTorch");
  return open;
#else
  throw error(
      "torchscript: this build has no engine for TorchScript files; expected LibTorch when it is "
      "configured (Debian: libtorch-dev)");
#endif
}

open_function* aoti_library() {
#if defined(TWEEDIE_AOTI_LIBRARY)
  static auto* const open = library(TWEEDIE_AOTI_LIBRARY, TWEEDIE_AOTI_FOLDER, "LibTorch 2");
  return open;
#else
  throw error(
      "aoti: this build has no engine for packages of AOTInductor; expected a LibTorch of 2.x when "
      "it is configured (a wheel of PyTorch has one: -DTWEEDIE_AOTI=ON "
      "-DCMAKE_PREFIX_PATH=.../site-packages/torch), which Debian 12 has not");
#endif
}

/// Of a file that is there, no larger than `most` bytes, its first bytes: as many as `first` has.
std::string first_bytes(fs::path const& path, char const* what, std::uint64_t most,
                        char const* expected, std::size_t count) {
  std::error_code none;
  if (fs::exists(path, none) && !fs::is_regular_file(path, none))
    throw error(fmt::format("'{}' is a {}; expected {}", path.string(),
                            fs::is_directory(path, none) ? "folder" : "pipe or a device", what));
  io::input_file const file(path, std::uint64_t{1} << 40);
  if (file.size() > most)
    throw error(fmt::format("'{}' has {:.3g} GB; expected {}", path.string(),
                            static_cast<double>(file.size()) / 1e9, expected));
  std::string r(std::min<std::size_t>(count, file.size()), '\0');
  if (!r.empty()) file.read(0, std::as_writable_bytes(std::span(r)));
  return r;
}

std::string ending_of(fs::path const& path) {
  std::string r = path.extension().string();
  for (char& c : r) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return r;
}

struct format {
  std::string_view ending;
  std::unique_ptr<engine> (*open)(fs::path const&);
};
constexpr format formats[] = {{".onnx", open_onnx},
                              {".pt", open_torchscript},
                              {".pth", open_torchscript},
                              {".pt2", open_aoti}};

format const* format_of(fs::path const& path) {
  auto const found = std::ranges::find(formats, ending_of(path), &format::ending);
  return found == std::end(formats) ? nullptr : found;
}

}  // namespace

bool has_onnx_engine() {
#if defined(TWEEDIE_OPENVINO_LIBRARY)
  return true;
#else
  return false;
#endif
}
bool has_torchscript_engine() {
#if defined(TWEEDIE_TORCHSCRIPT_LIBRARY)
  return true;
#else
  return false;
#endif
}
bool has_aoti_engine() {
#if defined(TWEEDIE_AOTI_LIBRARY)
  return true;
#else
  return false;
#endif
}

bool is_network_name(fs::path const& path) { return format_of(path) != nullptr; }

std::unique_ptr<engine> open_network(fs::path const& path) {
  if (auto const* const f = format_of(path)) return f->open(path);
  throw error(
      fmt::format("'{}' was given; expected a network's file, .onnx, .pt or .pt2", path.string()));
}

std::unique_ptr<engine> open_onnx(fs::path const& path) {
  constexpr std::uint64_t most = std::uint64_t{2} << 30;  // what protobuf can hold
  // The first field of a model is its version, a number.
  if (first_bytes(path, "an ONNX file", most,
                  "an ONNX file, which has 2.1 at most and larger weights beside it", 1) != "\x08")
    throw error(
        fmt::format("'{}' is no ONNX file; expected a model as torch.onnx.export or tweedie "
                    "export writes it",
                    path.string()));
  return std::unique_ptr<engine>(onnx_library()(path.c_str()));
}

std::unique_ptr<engine> open_torchscript(fs::path const& path) {
  // LibTorch reads it into memory.
  if (first_bytes(path, "a TorchScript file", std::uint64_t{64} << 30,
                  "a TorchScript file of 64 at most", 4) != "PK\x03\x04")
    throw error(fmt::format("'{}' is no TorchScript file; expected one as torch.jit.save writes it",
                            path.string()));
  return std::unique_ptr<engine>(torchscript_library()(path.c_str()));
}

std::unique_ptr<engine> open_aoti(fs::path const& path) {
  if (first_bytes(path, "a package of AOTInductor", std::uint64_t{64} << 30,
                  "a package of AOTInductor of 64 at most", 4) != "PK\x03\x04")
    throw error(
        fmt::format("'{}' is no package of AOTInductor; expected one as "
                    "torch._inductor.aoti_compile_and_package writes it",
                    path.string()));
  return std::unique_ptr<engine>(aoti_library()(path.c_str()));
}

}  // namespace tweedie::networks
