// TorchScript files by LibTorch. No other source knows of it.
#include <fmt/format.h>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/passes/freeze_module.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/csrc/jit/serialization/import.h>
#include <torch/version.h>

#include <dlfcn.h>

#include <algorithm>
#include <cstring>
#include <string_view>
#include <utility>

#include "engine.hpp"

namespace tweedie::networks {
namespace {

using at::Tensor;

/// LibTorch's first sentence, without the places of its own sources.
std::string reason(std::exception const& e) {
  auto const* const own = dynamic_cast<c10::Error const*>(&e);
  std::string_view all = own ? own->what_without_backtrace() : e.what();
  // A failure within a network: the last lines say what failed.
  if (auto const at = all.rfind("RuntimeError: "); at != all.npos) all.remove_prefix(at + 14);
  while (!all.empty() && all.front() == '\n') all.remove_prefix(1);
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

struct torchscript_engine final : engine {
  std::string path;
  torch::jit::Module module;
  std::vector<c10::Argument> arguments_of_forward;
  bool returns_tuple = false;

  explicit torchscript_engine(char const* from) : path(from) {
    name = std::string("LibTorch ") + TORCH_VERSION;
    differentiates = true;
    torch::jit::ExtraFilesMap notes{{"tweedie", ""}};
    try {
      module = torch::jit::load(path, at::Device(at::kCPU), notes);
      module.eval();
    } catch (std::exception const& e) {
      throw error(
          fmt::format("'{}' could not be read: {} says: {}; expected a TorchScript file, as "
                      "torch.jit.save writes it: one of weights alone, of torch.save, has "
                      "no network in it",
                      path, name, reason(e)));
    }
    if (!notes["tweedie"].empty()) metadata["tweedie"] = notes["tweedie"];
    auto const method = module.find_method("forward");
    if (!method) throw error(fmt::format("'{}' has no method forward; expected a network", path));
    auto const& schema = method->function().getSchema();
    arguments_of_forward.assign(schema.arguments().begin() + 1, schema.arguments().end());
    for (auto const& one : arguments_of_forward) inputs.push_back(port_of(one));
    if (schema.returns().size() == 1) name_outputs(schema.returns()[0].type());
    if (outputs.empty())
      throw error(fmt::format(
          "'{}': its forward returns {}; expected a tensor, or a tuple of tensors", path,
          schema.returns().empty() ? "nothing" : schema.returns()[0].type()->annotation_str()));
  }

  port port_of(c10::Argument const& a) const {
    port r{a.name(), "", {}};
    r.may_be_left_out = a.default_value().has_value();
    auto kind = a.type()->kind();
    if (auto const optional = a.type()->cast<c10::OptionalType>())
      kind = optional->getElementType()->kind();
    if (kind == c10::TypeKind::TensorType) r.any_shape = true;
    else if (kind == c10::TypeKind::FloatType) r.type = "f32";
    else if (kind == c10::TypeKind::IntType) r.type = "i64";
    else r.type = a.type()->annotation_str();
    return r;
  }

  void name_outputs(c10::TypePtr const& type) {
    auto const add = [&](std::string const& called) {
      port p{called, "f32", {}};
      p.any_shape = true;
      outputs.push_back(p);
    };
    if (type->kind() == c10::TypeKind::TensorType) return add("out");
    auto const tuple = type->cast<c10::TupleType>();
    if (!tuple) return;
    for (auto const& element : tuple->elements())
      if (element->kind() != c10::TypeKind::TensorType) return;
    returns_tuple = true;
    auto const names = tuple->names();
    for (std::size_t i = 0; i < tuple->elements().size(); ++i)
      add(names && i < names->size() ? std::string((*names)[i]) : std::to_string(i));
  }

  void prepare(int threads, precision p, std::size_t /*rows*/) override {
    if (p != precision::float32)
      throw error(
          fmt::format("'{}': {} was asked for, {} runs TorchScript in float32 here; "
                      "expected float32",
                      path, name_of(p), name));
    for (auto const& in : inputs)
      if (!in.any_shape && in.type != "f32" && in.type != "i64" && in.type != "i32" &&
          !in.may_be_left_out)
        throw error(fmt::format("'{}': its forward takes '{}', a {}; expected tensors and numbers",
                                path, in.name, in.type));
    try {
      module = torch::jit::freeze(module);
    } catch (std::exception const& e) {
      throw error(fmt::format("'{}' cannot be run: {} says: {}", path, name, reason(e)));
    }
    if (threads == 0) return;
    at::set_num_threads(threads);
    // OpenBLAS on pthreads keeps its own count, whatever LibTorch is told; another BLAS has no such
    // function.
    using setter = void (*)(int);
    if (auto set = reinterpret_cast<setter>(dlsym(RTLD_DEFAULT, "openblas_set_num_threads")))
      set(threads);
  }

  /// The arguments of forward. What is given stays the caller's, for as long as the call lasts.
  std::vector<at::IValue> arguments(std::vector<given> const& in) const {
    std::vector<at::IValue> r;
    for (std::size_t i = 0; i < in.size(); ++i) {
      auto const& type = inputs[i].type;
      if (!in[i].data) {
        r.push_back(*arguments_of_forward[i].default_value());
      } else if (takes_number(arguments_of_forward[i].type())) {
        if (type == "f32") r.emplace_back(double{*static_cast<float const*>(in[i].data)});
        else r.emplace_back(*static_cast<std::int64_t const*>(in[i].data));
      } else {
        auto const of = type == "f32" ? at::kFloat : type == "i32" ? at::kInt : at::kLong;
        r.emplace_back(at::from_blob(const_cast<void*>(in[i].data), extents_of(in[i].shape), of));
      }
    }
    return r;
  }

  static bool takes_number(c10::TypePtr type) {
    if (auto const optional = type->cast<c10::OptionalType>()) type = optional->getElementType();
    return type->kind() != c10::TypeKind::TensorType;
  }

  Tensor called(std::vector<at::IValue> arguments, wanted const& w) const {
    auto const all = module.get_method("forward")(std::move(arguments));
    Tensor r = returns_tuple ? all.toTupleRef().elements()[w.output].toTensor() : all.toTensor();
    if (r.sizes() != at::IntArrayRef(extents_of(w.shape)))
      throw error(fmt::format("'{}': its output '{}' has shape {}; expected {}", path,
                              outputs[w.output].name, in_words(r.sizes()),
                              in_words(extents_of(w.shape))));
    return r;
  }

  template <class Call> auto guarded(Call const& call) const {
    try {
      return call();
    } catch (error const&) {
      throw;
    } catch (std::bad_alloc const&) {
      throw;
    } catch (std::exception const& e) {
      throw error(fmt::format("'{}' failed: {} says: {}", path, name, reason(e)));
    }
  }

  void run(std::vector<given> const& in, std::vector<wanted> const& out) const override {
    guarded([&] {
      at::NoGradGuard const no_gradient;
      for (wanted const& w : out) {
        Tensor const r = called(arguments(in), w).to(at::kFloat).contiguous();
        std::copy_n(r.data_ptr<float>(), r.numel(), w.data);
      }
    });
  }

  void vjp(std::vector<given> const& in, std::size_t x, wanted const& probe,
           float* result) const override {
    guarded([&] {
      at::AutoGradMode const with_gradient(true);
      // The executor specializes by whether there is a gradient; operator by operator it is exact,
      // and a likelihood asks too seldom for the difference to count.
      torch::jit::GraphOptimizerEnabledGuard const as_it_is(false);
      auto all = arguments(in);
      Tensor const leaf = all[x].toTensor().clone().requires_grad_(true);
      all[x] = leaf;
      Tensor const y = called(std::move(all), probe);
      Tensor const direction = at::from_blob(probe.data, extents_of(probe.shape), at::kFloat);
      Tensor r;
      if (y.requires_grad())
        r = torch::autograd::grad({y.to(at::kFloat)}, {leaf}, {direction}, c10::nullopt, false,
                                  true)[0];
      // A network that does not look at x.
      if (!r.defined()) r = at::zeros_like(leaf);
      r = r.to(at::kFloat).contiguous();
      std::copy_n(r.data_ptr<float>(), r.numel(), result);
    });
  }
};

}  // namespace
}  // namespace tweedie::networks

tweedie::networks::engine* tweedie_open_engine(char const* path) {
  return new tweedie::networks::torchscript_engine(path);
}
