// The class of unet.hpp, over a body in a library that is loaded with the first network or
// `set_threads`: LibTorch takes half a second to load, and a program that ends before it has a
// network need not wait for it.
#include <dlfcn.h>

#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

#include "unet_body.hpp"

namespace tweedie::networks {
namespace {

#if defined(TWEEDIE_UNET_LIBRARY)

// Beside the program, where it was built, or else wherever the system looks for libraries.
std::string path_of_library() {
  std::error_code none;
  std::filesystem::path const name = TWEEDIE_UNET_LIBRARY, built = TWEEDIE_UNET_FOLDER / name;
  auto const program = std::filesystem::read_symlink("/proc/self/exe", none);
  auto const beside = program.parent_path() / name;
  if (!program.empty() && std::filesystem::exists(beside, none)) return beside;
  return std::filesystem::exists(built, none) ? built : name;
}

template <class Function> Function* function_of(void* library, char const* name) {
  if (void* found = dlsym(library, name)) return reinterpret_cast<Function*>(found);
  throw error("unet: the library '" TWEEDIE_UNET_LIBRARY "' has no function " + std::string(name) +
              "; expected the library of the same build");
}

// Once, and for as long as the program runs.
void* library() {
  static void* const loaded = [] {
    auto const path = path_of_library();
    void* const found = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!found) {
      char const* const why = dlerror();
      throw error("unet: the library '" + path + "' could not be loaded (" +
                  (why ? why : "no reason was given") +
                  "); expected '" TWEEDIE_UNET_LIBRARY
                  "' beside the program, in '" TWEEDIE_UNET_FOLDER
                  "' or on LD_LIBRARY_PATH, and LibTorch where it was built with it");
    }
    auto const layout = function_of<decltype(tweedie_unet_layout)>(found, "tweedie_unet_layout")();
    if (layout != unet_layout) {
      dlclose(found);
      throw error("unet: the library '" + path + "' has layout " + std::to_string(layout) +
                  ", this program " + std::to_string(unet_layout) +
                  "; expected the library of the same build");
    }
    return found;
  }();
  return loaded;
}

template <class Function> Function* function(char const* name) {
  return function_of<Function>(library(), name);
}

#else

template <class Function> Function* function(char const*) {
  throw error(
      "unet: this build has no LibTorch, which runs and trains the U-Net; expected it when it is "
      "configured (Debian: libtorch-dev), or an ONNX file, as tweedie export writes it");
}

#endif

run_of<float const> read_only(run_of<float> r) { return {r.data(), r.size()}; }

}  // namespace

unet_config unet_config::tiny() {
  unet_config c;
  c.size = 8;
  c.base = 8;
  c.multipliers = {1};
  c.blocks = {1};
  c.attention = {};
  c.groups = 4;
  return c;
}

unet::unet(unet_config config, std::uint64_t seed)
    : body_(function<decltype(tweedie_unet_make)>("tweedie_unet_make")(config, seed)) {}
unet::unet(unet&&) noexcept = default;
unet& unet::operator=(unet&&) noexcept = default;
unet::~unet() = default;

unet_config const& unet::config() const { return body_->config; }
std::size_t unet::elements() const { return body_->elements(); }

void unet::forward(float const* x, std::size_t pitch, double const* times, int const* labels,
                   std::size_t rows, float* out, std::size_t out_pitch) const {
  body_->forward(x, pitch, times, labels, rows, out, out_pitch);
}

char const* unet::why_not_on_devices() const { return body_->why_not_on_devices(); }
void unet::forward_on_device(float const* x, std::size_t pitch, double const* times,
                             int const* labels, std::size_t samples, std::size_t branches,
                             float* out, void* stream) const {
  body_->forward_in(unet_memory::device, x, pitch, times, labels, samples, branches, out, stream);
}

void unet::vjp(float const* x, std::size_t pitch, double const* times, int const* labels,
               std::size_t rows, float const* probe, std::size_t probe_pitch, float* result,
               std::size_t result_pitch) const {
  body_->vjp(x, pitch, times, labels, rows, probe, probe_pitch, result, result_pitch);
}

double unet::train_step(float const* x, float const* target, double const* times, int const* labels,
                        float const* weights, std::size_t samples, std::uint64_t dropout_seed,
                        adam const& settings, double* errors) {
  ++body_->changes;
  return body_->train_step(x, target, times, labels, weights, samples, dropout_seed, settings,
                           errors);
}

run_of<float> unet::parameters() {
  ++body_->changes;
  return body_->parameters();
}
run_of<float const> unet::parameters() const { return read_only(body_->parameters()); }
run_of<float> unet::first_moment() { return body_->first_moment(); }
run_of<float const> unet::first_moment() const { return read_only(body_->first_moment()); }
run_of<float> unet::second_moment() { return body_->second_moment(); }
run_of<float const> unet::second_moment() const { return read_only(body_->second_moment()); }

std::int64_t unet::steps() const { return body_->steps; }
void unet::set_steps(std::int64_t steps) {
  if (steps < 0)
    throw error("unet: a step count of " + std::to_string(steps) +
                " was given, it must be 0 or more");
  body_->steps = steps;
}
std::vector<unet_tensor> const& unet::tensors() const { return body_->tensors; }

void unet::set_threads(int threads) {
  function<decltype(tweedie_unet_set_threads)>("tweedie_unet_set_threads")(threads);
}

}  // namespace tweedie::networks
