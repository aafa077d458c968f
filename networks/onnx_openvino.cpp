// ONNX files by OpenVINO. No other source knows of it.
#include <fmt/format.h>
#include <algorithm>
#include <mutex>
#include <openvino/frontend/manager.hpp>
#include <openvino/openvino.hpp>

#include "engine.hpp"

namespace tweedie::networks {
namespace {

ov::Core& core() {
  static ov::Core
      one;  // an engine may outlive it no longer than the library, which is never unloaded
  return one;
}

/// The engine's words without the places of its own sources.
std::string reason(std::exception const& e) {
  std::string_view const all = e.what();
  std::string r;
  for (std::size_t from = 0; from < all.size();) {
    std::size_t const to = std::min(all.find('\n', from), all.size());
    std::string_view line = all.substr(from, to - from);
    from = to + 1;
    if (line.empty() || line.starts_with("Exception from") || line.starts_with("Check '")) continue;
    if (r.size() + line.size() > 400) break;
    r += (r.empty() ? "" : " ") + std::string(line);
  }
  return r.empty() ? std::string(all.substr(0, 400)) : r;
}

std::string in_words(ov::Shape const& shape) {
  std::string r;
  for (auto n : shape) r += fmt::format("{}{}", r.empty() ? "" : ", ", n);
  return "{" + r + "}";
}

struct openvino_engine final : engine {
  std::string path;
  std::shared_ptr<ov::Model> model;
  ov::AnyMap properties;

  /// The file compiled, and its requests that nobody runs.
  struct copy {
    ov::CompiledModel compiled;
    std::vector<ov::InferRequest> idle;
  };
  std::size_t rows = 0;  // 0: there is no copy for a number of rows
  mutable copy of_rows, of_any;
  mutable std::mutex mutex;

  explicit openvino_engine(char const* from) : path(from) {
    name = "OpenVINO " +
           std::string(ov::get_openvino_version().buildNumber)
               .substr(0, std::string_view(ov::get_openvino_version().buildNumber).find('-'));
    try {
      // Of this format alone: the others would try the file too, and write what they think of it.
      static ov::frontend::FrontEndManager formats;
      auto const onnx = formats.load_by_framework("onnx");
      model = onnx->convert(onnx->load(path));
      // 16-bit and double inputs and outputs are floats for who uses it.
      ov::preprocess::PrePostProcessor ports(model);
      for (std::size_t i = 0; i < model->inputs().size(); ++i)
        if (auto const type = model->input(i).get_element_type();
            type.is_real() && type != ov::element::f32)
          ports.input(i).tensor().set_element_type(ov::element::f32);
      for (std::size_t i = 0; i < model->outputs().size(); ++i)
        if (model->output(i).get_element_type() != ov::element::f32)
          ports.output(i).tensor().set_element_type(ov::element::f32);
      model = ports.build();
    } catch (std::exception const& e) {
      throw error(fmt::format("'{}' could not be read: {} says: {}", path, name, reason(e)));
    }
    for (auto const& p : model->inputs()) inputs.push_back(port_of(p));
    for (auto const& p : model->outputs()) outputs.push_back(port_of(p));
    auto const& info = model->get_rt_info();
    if (auto const found = info.find("framework");
        found != info.end() && found->second.is<ov::AnyMap>())
      for (auto const& [key, value] : found->second.as<ov::AnyMap>())
        if (value.is<std::string>()) metadata[key] = value.as<std::string>();
  }

  static port port_of(ov::Output<ov::Node> const& p) {
    port r{p.get_names().empty() ? std::string() : p.get_any_name(),
           p.get_element_type().get_type_name(),
           {}};
    auto const& shape = p.get_partial_shape();
    if (shape.rank().is_static())
      for (auto const& n : shape) r.shape.push_back(n.is_static() ? n.get_length() : -1);
    r.any_shape = shape.rank().is_dynamic();
    return r;
  }

  void prepare(int threads, precision p, std::size_t of) override {
    auto const type = p == precision::float32    ? ov::element::f32
                      : p == precision::bfloat16 ? ov::element::bf16
                                                 : ov::element::f16;
    try {
      properties = {ov::hint::inference_precision(type),
                    ov::hint::performance_mode(ov::hint::PerformanceMode::LATENCY),
                    ov::num_streams(1)};
      if (threads > 0) properties.insert(ov::inference_num_threads(threads));
      if (of > 0) compile_for(of);
      // Compiling is what a short program waits for: nothing is compiled twice unasked.
      if (rows == 0) of_any.compiled = core().compile_model(model, "CPU", properties);
    } catch (std::exception const& e) {
      throw error(fmt::format("'{}' cannot be run: {} says: {}", path, name, reason(e)));
    }
    auto const& compiled = rows > 0 ? of_rows.compiled : of_any.compiled;
    if (auto const used = compiled.get_property(ov::hint::inference_precision); used != type)
      throw error(
          fmt::format("'{}': {} was asked for, {} computes in {} on this processor; expected "
                      "float32",
                      path, name_of(p), name, used.get_type_name()));
  }

  /// Its inputs of any number of rows for that number. A file that takes none alone, since its
  /// operators want another, is left as it is.
  void compile_for(std::size_t n) {
    std::map<ov::Output<ov::Node>, ov::PartialShape> shapes;
    auto const fixed = model->clone();
    for (auto const& in : fixed->inputs())
      if (auto shape = in.get_partial_shape();
          shape.rank().is_static() && shape.size() > 0 && shape[0].is_dynamic()) {
        shape[0] = static_cast<std::int64_t>(n);
        shapes[in] = shape;
      }
    if (shapes.empty()) return;
    try {
      fixed->reshape(shapes);
    } catch (std::exception const&) {
      return;
    }
    of_rows.compiled = core().compile_model(fixed, "CPU", properties);
    rows = n;
  }

  ov::InferRequest take(copy& of) const {
    std::lock_guard const lock(mutex);
    if (!of.compiled) of.compiled = core().compile_model(model, "CPU", properties);
    if (of.idle.empty()) return of.compiled.create_infer_request();
    ov::InferRequest r = std::move(of.idle.back());
    of.idle.pop_back();
    return r;
  }

  /// Whether all inputs of any number of rows have the number that there is a copy for.
  bool has_rows(std::vector<given> const& in) const {
    if (rows == 0) return false;
    for (std::size_t i = 0; i < in.size(); ++i)
      if (!inputs[i].shape.empty() && inputs[i].shape[0] < 0 && in[i].shape[0] != rows)
        return false;
    return true;
  }

  void run(std::vector<given> const& in, std::vector<wanted> const& out) const override {
    try {
      copy& of = has_rows(in) ? of_rows : of_any;
      ov::InferRequest request = take(of);
      for (std::size_t i = 0; i < in.size(); ++i)
        request.set_input_tensor(
            i, ov::Tensor(model->input(i).get_element_type(), ov::Shape(in[i].shape),
                          const_cast<void*>(in[i].data)));
      request.infer();
      for (wanted const& w : out) {
        ov::Tensor const result = request.get_output_tensor(w.output);
        if (result.get_shape() != ov::Shape(w.shape))
          throw error(fmt::format("'{}': its output '{}' has shape {}; expected {}", path,
                                  outputs[w.output].name, in_words(result.get_shape()),
                                  in_words(ov::Shape(w.shape))));
        std::copy_n(result.data<float>(), result.get_size(), w.data);
      }
      std::lock_guard const lock(mutex);
      of.idle.push_back(std::move(request));
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
  return new tweedie::networks::openvino_engine(path);
}
