// Packages of AOTInductor by LibTorch 2. No other source knows of them.
#include <fmt/format.h>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/inductor/aoti_package/model_package_loader.h>
#include <torch/version.h>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <string_view>

#include "engine.hpp"

namespace tweedie::networks {
namespace {

using at::Tensor;

/// LibTorch's first sentence, without the places of its own sources.
std::string reason(std::exception const& e) {
  auto const* const own = dynamic_cast<c10::Error const*>(&e);
  std::string_view const all = own ? own->what_without_backtrace() : e.what();
  return std::string(all.substr(0, std::min<std::size_t>(all.find('\n'), 400)));
}

std::vector<std::int64_t> extents_of(std::vector<std::size_t> const& shape) {
  return {shape.begin(), shape.end()};
}
std::string in_words(at::IntArrayRef shape) {
  std::string r;
  for (auto n : shape) r += (r.empty() ? "" : ", ") + std::to_string(n);
  return "{" + r + "}";
}

struct aoti_engine final : engine {
  std::string path;
  std::optional<torch::inductor::AOTIModelPackageLoader> package;

  explicit aoti_engine(char const* from) : path(from) {
    name = std::string("AOTInductor of LibTorch ") + TORCH_VERSION;
    // Else a type or a shape that is not the package's is read as if it were.
    setenv("AOTI_RUNTIME_CHECK_INPUTS", "1", 0);
    try {
      package.emplace(path);
      for (auto const& [key, value] : package->get_metadata()) metadata[key] = value;
      // What goes in and comes out: a tree in JSON, whose leaves are tensors.
      auto const spec = package->get_call_spec();
      for (std::size_t which : {0, 1}) {
        auto& ports = which == 0 ? inputs : outputs;
        for (std::size_t i = 0; i < leaves_of(spec.at(which)); ++i) {
          port p{std::to_string(i), which == 0 ? "" : "f32", {}};
          p.any_shape = true;
          ports.push_back(p);
        }
      }
    } catch (std::exception const& e) {
      throw error(
          fmt::format("'{}' could not be read: {} says: {}; expected a package as "
                      "torch._inductor.aoti_compile_and_package writes it",
                      path, name, reason(e)));
    }
    if (auto const device = metadata.find("AOTI_DEVICE_KEY");
        device != metadata.end() && device->second != "cpu")
      throw error(fmt::format("'{}' was compiled for the device {}; expected one for the cpu", path,
                              device->second));
  }

  static std::size_t leaves_of(std::string const& tree) {
    constexpr std::string_view leaf = "\"type\":null";
    std::string dense;
    for (char c : tree)
      if (c != ' ') dense += c;
    std::size_t n = 0;
    for (auto at = dense.find(leaf); at != dense.npos; at = dense.find(leaf, at + 1)) ++n;
    return n;
  }

  void prepare(int threads, precision p, std::size_t /*rows*/) override {
    if (p != precision::float32)
      throw error(
          fmt::format("'{}': {} was asked for, a package computes in what it was compiled "
                      "for; expected float32",
                      path, name_of(p)));
    if (threads > 0) at::set_num_threads(threads);
  }

  void run(std::vector<given> const& in, std::vector<wanted> const& out) const override {
    try {
      at::NoGradGuard const no_gradient;
      std::vector<Tensor> arguments;
      for (std::size_t i = 0; i < in.size(); ++i) {
        auto const& type = inputs[i].type;
        auto const of = type == "f32" ? at::kFloat : type == "i32" ? at::kInt : at::kLong;
        arguments.push_back(
            at::from_blob(const_cast<void*>(in[i].data), extents_of(in[i].shape), of));
      }
      auto const all =
          const_cast<torch::inductor::AOTIModelPackageLoader&>(*package).run(arguments);
      for (wanted const& w : out) {
        if (w.output >= all.size())
          throw error(fmt::format("'{}' has {} outputs; expected the number {} among them", path,
                                  all.size(), w.output));
        Tensor const r = all[w.output].to(at::kFloat).contiguous();
        if (r.sizes() != at::IntArrayRef(extents_of(w.shape)))
          throw error(fmt::format("'{}': its output '{}' has shape {}; expected {}", path,
                                  outputs[w.output].name, in_words(r.sizes()),
                                  in_words(extents_of(w.shape))));
        std::copy_n(r.data_ptr<float>(), r.numel(), w.data);
      }
    } catch (error const&) {
      throw;
    } catch (std::bad_alloc const&) {
      throw;
    } catch (std::exception const& e) {
      throw error(fmt::format("'{}' failed: {} says: {}", path, name, reason(e)));
    }
  }
};

}  // namespace
}  // namespace tweedie::networks

tweedie::networks::engine* tweedie_open_engine(char const* path) {
  return new tweedie::networks::aoti_engine(path);
}
