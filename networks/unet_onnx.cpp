// The formulas of unet_torch.cpp once more, as ONNX's operators. Weights are found by their names,
// so that a layer which is renamed there is an error here and not another network.
//
// Compiled with TWEEDIE_ONNX_EXPORT where ONNX's own library is there for it.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <set>
#include <span>
#include <utility>
#include <variant>
#include <vector>

#include <tweedie/dsl/base/half.hpp>
#include <tweedie/io/file.hpp>
#include <tweedie/networks/unet_network.hpp>
#include <tweedie/networks/unet_onnx.hpp>

#ifdef TWEEDIE_ONNX_EXPORT
#include <onnx/onnx_pb.h>
#endif

namespace tweedie::networks {
card card_of(model const& m) {
  auto const& config = m.network->config();
  card c;
  c.predicts = m.predicts;
  c.schedule = m.schedule;
  c.range = {-1, 1};
  c.ports.x = "x";
  c.ports.time = "t";
  c.ports.prediction = "out";
  if (config.classes == 0) return c;
  c.ports.labels = "y";
  auto const classes = static_cast<std::size_t>(config.classes);
  if (!m.labels.empty() && m.labels.size() != classes)
    throw error(fmt::format("the model has {} names for {} classes; expected as many, or none",
                            m.labels.size(), classes));
  c.labels = {.count = classes, .names = m.labels, .null = config.classes};
  return c;
}

void save_onnx(std::filesystem::path const& path, model const& m, onnx_weights type) {
  io::write_file(path, to_onnx(m, type));
}

double largest_difference(model const& m, std::vector<double> const& times,
                          std::function<void(batch const&)> const& read) {
  auto const& config = m.network->config();
  std::size_t const samples = times.size(), branches = config.classes > 0 ? 2 : 1;
  std::size_t const elements = m.network->elements();
  std::vector<std::size_t> const shape{static_cast<std::size_t>(config.channels),
                                       static_cast<std::size_t>(config.size),
                                       static_cast<std::size_t>(config.size)};
  std::mt19937_64 random(7);
  std::vector<float> x(samples * elements);
  for (float& a : x) a = static_cast<float>(static_cast<double>(random() >> 11) * 0x1p-51 - 2);
  std::vector<level> levels(samples);
  std::vector<int> labels(samples);
  for (std::size_t i = 0; i < samples; ++i) {
    levels[i].t = times[i];
    labels[i] = config.classes > 0 ? static_cast<int>(i) % config.classes : no_label;
  }
  std::vector<float> expected(samples * branches * elements,
                              std::numeric_limits<float>::quiet_NaN());
  auto given = expected;
  auto const asked = [&](std::vector<float>& out) {
    batch b{.samples = samples, .branches = branches, .shape = shape};
    b.elements = b.pitch = elements;
    b.x = x.data();
    b.out = out.data();
    b.levels = levels.data();
    b.labels = config.classes > 0 ? labels.data() : nullptr;
    return b;
  };
  unet_network{m.network}(asked(expected));
  read(asked(given));
  double largest = 0;
  for (std::size_t i = 0; i < given.size(); ++i) {
    double const apart = std::abs(double{given[i]} - double{expected[i]});
    if (!std::isfinite(apart)) return std::numeric_limits<double>::infinity();
    largest = std::max(largest, apart);
  }
  return largest;
}

#ifndef TWEEDIE_ONNX_EXPORT

char const* why_not_onnx() {
  return "this build cannot write ONNX, expected one that found ONNX's library and Protocol "
         "Buffers (Debian: libonnx-dev and libprotobuf-dev)";
}

std::string to_onnx(model const&, onnx_weights) { throw error(why_not_onnx()); }

#else

char const* why_not_onnx() { return nullptr; }

namespace {

constexpr std::int64_t ir_version = 8;  // the first with opset 17

using values = std::vector<std::string>;
using numbers_of_shape = std::vector<std::int64_t>;

struct attribute {
  char const* name;
  std::variant<std::int64_t, float, char const*, numbers_of_shape> value;
};

/// A graph that grows node by node. A node's output has the node's name.
class writer {
 public:
  writer(::onnx::GraphProto& graph, model const& m, onnx_weights type)
      : graph_(graph), network_(*m.network), config_(m.network->config()), type_(type) {}

  void write() {
    std::int64_t const size = config_.size;
    declare(*graph_.add_input(), "x", ::onnx::TensorProto::FLOAT, {config_.channels, size, size});
    declare(*graph_.add_input(), "t", ::onnx::TensorProto::FLOAT, {});
    if (config_.classes > 0) declare(*graph_.add_input(), "y", ::onnx::TensorProto::INT64, {});
    declare(*graph_.add_output(), "out", ::onnx::TensorProto::FLOAT,
            {config_.channels, size, size});
    picture();
  }

 private:
  ::onnx::GraphProto& graph_;
  unet const& network_;
  unet_config const& config_;
  onnx_weights type_;
  std::set<std::string> constants_;  // those that several nodes share

  // --- What a graph is made of.

  static void declare(::onnx::ValueInfoProto& value, char const* name,
                      ::onnx::TensorProto::DataType type, numbers_of_shape const& behind) {
    value.set_name(name);
    auto& tensor = *value.mutable_type()->mutable_tensor_type();
    tensor.set_elem_type(type);
    tensor.mutable_shape()->add_dim()->set_dim_param("N");
    for (auto n : behind) tensor.mutable_shape()->add_dim()->set_dim_value(n);
  }

  std::string node(std::string const& name, char const* op, values const& inputs,
                   std::vector<attribute> const& attributes = {}, int outputs = 1) {
    auto& added = *graph_.add_node();
    added.set_name(name);
    added.set_op_type(op);
    for (auto const& input : inputs) added.add_input(input);
    if (outputs == 1) added.add_output(name);
    for (int i = 0; outputs > 1 && i < outputs; ++i) added.add_output(part(name, i));
    for (auto const& [key, value] : attributes) {
      auto& to = *added.add_attribute();
      to.set_name(key);
      if (auto const* whole = std::get_if<std::int64_t>(&value)) {
        to.set_type(::onnx::AttributeProto::INT);
        to.set_i(*whole);
      } else if (auto const* real = std::get_if<float>(&value)) {
        to.set_type(::onnx::AttributeProto::FLOAT);
        to.set_f(*real);
      } else if (auto const* text = std::get_if<char const*>(&value)) {
        to.set_type(::onnx::AttributeProto::STRING);
        to.set_s(*text);
      } else {
        to.set_type(::onnx::AttributeProto::INTS);
        for (auto n : std::get<numbers_of_shape>(value)) to.add_ints(n);
      }
    }
    return name;
  }
  static std::string part(std::string const& name, int i) { return fmt::format("{}.{}", name, i); }

  template <class T>
  std::string constant(std::string const& name, ::onnx::TensorProto::DataType type,
                       numbers_of_shape const& shape, std::span<T const> data) {
    auto& added = *graph_.add_initializer();
    added.set_name(name);
    added.set_data_type(type);
    for (auto n : shape) added.add_dims(n);
    added.set_raw_data(data.data(), data.size_bytes());  // little-endian, as the file wants it
    return name;
  }
  std::string floats(std::string const& name, numbers_of_shape const& shape,
                     std::span<float const> data) {
    return constant(name, ::onnx::TensorProto::FLOAT, shape, data);
  }
  std::string number(std::string const& name, float value) {
    return floats(name, {}, std::span(&value, 1));
  }
  /// Whole numbers that say a shape or axes: those that are equal are one constant.
  std::string shape(numbers_of_shape const& of) {
    std::string name = "shape";
    for (auto n : of) name += fmt::format(".{}", n);
    if (constants_.insert(name).second)
      constant(name, ::onnx::TensorProto::INT64, {static_cast<std::int64_t>(of.size())},
               std::span(of));
    return name;
  }

  // --- Weights.

  unet_tensor const& tensor(std::string const& name) const {
    auto const found = std::ranges::find(network_.tensors(), name, &unet_tensor::name);
    if (found == network_.tensors().end())
      throw error("the network has no weights '" + name + "', which its ONNX file needs");
    return *found;
  }
  std::span<float const> data(unet_tensor const& of) const {
    return {network_.parameters().data() + of.offset, of.count};
  }

  /// A weight of one number a channel, or of `shape`.
  std::string vector(std::string const& name, numbers_of_shape const& shape = {}) {
    auto const& of = tensor(name);
    return floats(name, shape.empty() ? of.shape : shape, data(of));
  }

  template <class T>
  std::string narrowed(std::string const& name, ::onnx::TensorProto::DataType type,
                       numbers_of_shape const& shape, std::span<float const> of) {
    std::vector<T> stored;
    for (float a : of) {
      stored.push_back(from_float<T>(a));
      if (!std::isfinite(to_float(stored.back())))
        throw error(
            fmt::format("the weights '{}' hold {}, which 16 bits of this type cannot; "
                        "expected to write them as f32",
                        name, a));
    }
    return node(name, "Cast", {constant(name + ".narrow", type, shape, std::span<T const>(stored))},
                {{"to", std::int64_t{::onnx::TensorProto::FLOAT}}});
  }
  /// A weight of many numbers, in the type that was asked for.
  std::string matrix(std::string const& name, numbers_of_shape const& shape,
                     std::span<float const> of) {
    switch (type_) {
      case onnx_weights::f16:
        return narrowed<float16>(name, ::onnx::TensorProto::FLOAT16, shape, of);
      case onnx_weights::bf16:
        return narrowed<bfloat16>(name, ::onnx::TensorProto::BFLOAT16, shape, of);
      case onnx_weights::f32:
        break;
    }
    return floats(name, shape, of);
  }
  std::string matrix(std::string const& name) {
    auto const& of = tensor(name);
    return matrix(name, of.shape, data(of));
  }

  // --- Layers. `at` is the layer's name, the beginning of its weights' names.

  std::string linear(std::string const& at, std::string const& x) {
    return node(at, "Gemm", {x, matrix(at + ".weight"), vector(at + ".bias")},
                {{"transB", std::int64_t{1}}});
  }

  /// On {N, tokens, channels}: MatMul has no transposed weights, so they are turned here.
  std::string linear_of_tokens(std::string const& at, std::string const& x) {
    auto const& of = tensor(at + ".weight");
    auto const rows = static_cast<std::size_t>(of.shape[0]),
               columns = static_cast<std::size_t>(of.shape[1]);
    auto const from = data(of);
    std::vector<float> turned(from.size());
    for (std::size_t i = 0; i < rows; ++i)
      for (std::size_t j = 0; j < columns; ++j) turned[j * rows + i] = from[i * columns + j];
    auto const weight = matrix(of.name, {of.shape[1], of.shape[0]}, turned);
    return node(at, "Add", {node(at + ".product", "MatMul", {x, weight}), vector(at + ".bias")});
  }

  std::string conv(std::string const& at, std::string const& x, std::int64_t stride = 1) {
    auto const side = tensor(at + ".weight").shape[2], padding = side / 2;
    return node(at, "Conv", {x, matrix(at + ".weight"), vector(at + ".bias")},
                {{"kernel_shape", numbers_of_shape{side, side}},
                 {"strides", numbers_of_shape{stride, stride}},
                 {"pads", numbers_of_shape{padding, padding, padding, padding}}});
  }

  /// GroupNormalization is opset 18's, with a scale a group, and 21's: of older engines too, groups
  /// are the channels of an instance norm. The answer is {N, channels, pixels}, and so is what is
  /// done to it with one number a channel: OpenVINO's kernels for any N are slow on the short rows
  /// of a picture.
  std::string norm(std::string const& at, std::string const& x) {
    auto const channels = tensor(at + ".weight").shape[0];
    if (constants_.insert("groups").second) {
      std::vector<float> const ones(static_cast<std::size_t>(config_.groups), 1.0f);
      std::vector<float> const zeros(ones.size(), 0.0f);
      floats("groups.ones", {config_.groups}, ones);
      floats("groups.zeros", {config_.groups}, zeros);
    }
    auto h = node(at + ".groups", "Reshape", {x, shape({0, config_.groups, -1})});
    h = node(at + ".normal", "InstanceNormalization", {h, "groups.ones", "groups.zeros"},
             {{"epsilon", 1e-5f}});
    h = node(at + ".channels", "Reshape", {h, shape({0, channels, -1})});
    h = node(at + ".scaled", "Mul", {h, vector(at + ".weight", {channels, 1})});
    return node(at, "Add", {h, vector(at + ".bias", {channels, 1})});
  }

  std::string silu(std::string const& at, std::string const& x) {
    return node(at + ".silu", "Mul", {x, node(at + ".sigmoid", "Sigmoid", {x})});
  }

  /// SiLU of a norm, a picture again.
  std::string active(std::string const& at, std::string const& x, int size) {
    return node(at + ".picture", "Reshape",
                {silu(at, x), shape({0, tensor(at + ".weight").shape[0], size, size})});
  }

  std::string block(std::string const& at, std::string const& x, std::string const& embedding,
                    int size) {
    auto const channels = tensor(at + ".conv1.bias").shape[0];
    auto h = active(at + ".norm1", norm(at + ".norm1", x), size);
    h = conv(at + ".conv1", h);
    auto e = linear(at + ".embedding", embedding);
    if (config_.scale_shift) {
      e = node(at + ".embedding.channels", "Unsqueeze", {e, shape({2})});
      auto const parts = node(at + ".embedding.parts", "Split", {e, shape({channels, channels})},
                              {{"axis", std::int64_t{1}}}, 2);
      if (constants_.insert("one").second) number("one", 1);
      auto const scale = node(at + ".scale", "Add", {part(parts, 0), "one"});
      h = node(at + ".scaled", "Mul", {norm(at + ".norm2", h), scale});
      h = node(at + ".shifted", "Add", {h, part(parts, 1)});
    } else {
      e = node(at + ".embedding.picture", "Unsqueeze", {e, shape({2, 3})});
      h = norm(at + ".norm2", node(at + ".embedded", "Add", {h, e}));
    }
    h = conv(at + ".conv2", active(at + ".norm2", h, size));
    bool const widens = tensor(at + ".norm1.weight").shape[0] != channels;
    return node(at, "Add", {h, widens ? conv(at + ".skip", x) : x});
  }

  std::string attention(std::string const& at, std::string const& x, int size) {
    auto const channels = tensor(at + ".norm.weight").shape[0];
    auto const turned = numbers_of_shape{0, 2, 1};
    auto h = node(at + ".tokens", "Transpose", {norm(at + ".norm", x)}, {{"perm", turned}});
    auto const parts =
        node(at + ".parts", "Split",
             {linear_of_tokens(at + ".qkv", h), shape({channels, channels, channels})},
             {{"axis", std::int64_t{2}}}, 3);
    auto const factor =
        number(at + ".factor", static_cast<float>(1 / std::sqrt(static_cast<double>(channels))));
    auto const q = node(at + ".q", "Mul", {part(parts, 0), factor});
    auto const k = node(at + ".k", "Transpose", {part(parts, 1)}, {{"perm", turned}});
    auto const scores = node(at + ".scores", "MatMul", {q, k});
    auto const shares = node(at + ".shares", "Softmax", {scores}, {{"axis", std::int64_t{2}}});
    h = linear_of_tokens(at + ".out", node(at + ".mixed", "MatMul", {shares, part(parts, 2)}));
    h = node(at + ".turned", "Transpose", {h}, {{"perm", turned}});
    h = node(at + ".picture", "Reshape", {h, shape({0, channels, size, size})});
    return node(at, "Add", {x, h});
  }

  /// sin and cos of t time_scale 10000^(-i / (half - 1)). unet_torch.cpp has the angles in double;
  /// in float32 the largest, 1000, is off by 6e-5, and of the shipped networks' answers one can't
  /// tell it from the order of sums.
  std::string sines() {
    auto const half = tensor("time.0.weight").shape[1] / 2;
    std::vector<float> frequencies;
    for (std::int64_t k = 0; k < half; ++k)
      frequencies.push_back(static_cast<float>(
          config_.time_scale *
          std::pow(10000.0, -static_cast<double>(k) / static_cast<double>(half - 1))));
    auto const angle = node("sines.angle", "Mul",
                            {node("sines.t", "Unsqueeze", {"t", shape({1})}),
                             floats("sines.frequencies", {half}, frequencies)});
    return node("sines", "Concat",
                {node("sines.sin", "Sin", {angle}), node("sines.cos", "Cos", {angle})},
                {{"axis", std::int64_t{1}}});
  }

  std::string embedding() {
    auto e = linear("time.1", silu("time.0", linear("time.0", sines())));
    if (config_.classes > 0) {
      auto const of =
          node("classes", "Gather", {matrix("classes.weight"), "y"}, {{"axis", std::int64_t{0}}});
      e = node("embedding", "Add", {e, of});
    }
    return silu("embedding", e);
  }

  void picture() {
    auto const e = embedding();
    auto const count = config_.multipliers.size();
    auto const attends = [&](int size) {
      return std::ranges::find(config_.attention, size) != config_.attention.end();
    };
    std::vector<std::string> skips;
    auto h = conv("first", "x");
    int size = config_.size;
    for (std::size_t i = 0; i < count; ++i) {
      auto const at = fmt::format("down.{}", i);
      for (int k = 0; k < config_.blocks[i]; ++k)
        skips.push_back(h = block(fmt::format("{}.{}", at, k), h, e, size));
      if (i + 1 == count) break;
      h = conv(at + ".downsample", h, 2);
      size /= 2;
    }
    if (attends(size)) h = attention("middle.attention", h, size);
    h = block("middle.0", h, e, size);
    for (std::size_t i = count; i-- > 0;) {
      auto const at = fmt::format("up.{}", i);
      if (i + 1 < count) {
        if (constants_.insert("twice").second)
          floats("twice", {4}, std::vector{1.0f, 1.0f, 2.0f, 2.0f});
        h = node(at + ".repeated", "Resize", {conv(at + ".upsample", h), "", "twice"},
                 {{"mode", "nearest"},
                  {"coordinate_transformation_mode", "asymmetric"},
                  {"nearest_mode", "floor"}});
        size *= 2;
      }
      for (int k = 0; k < config_.blocks[i]; ++k) {
        auto const name = fmt::format("{}.{}", at, k);
        auto const both =
            node(name + ".both", "Concat", {h, skips.back()}, {{"axis", std::int64_t{1}}});
        skips.pop_back();
        h = block(name, both, e, size);
      }
      // The smallest size's is in the middle.
      if (i + 1 < count && attends(size)) h = attention(at + ".attention", h, size);
    }
    h = active("last.norm", norm("last.norm", h), size);
    node("out", "Identity", {conv("last", h)});
  }
};

}  // namespace

std::string to_onnx(model const& m, onnx_weights type) {
  constexpr std::size_t most = std::size_t{1} << 31;  // of a protocol buffer
  std::size_t const bytes = m.network->parameters().size() * (type == onnx_weights::f32 ? 4 : 2);
  auto const card = to_toml(card_of(m));
  if (bytes + card.size() + (1 << 20) > most)
    throw error(
        fmt::format("the network has {} bytes of weights; expected less than {}, which one "
                    "ONNX file can hold",
                    bytes, most));
  ::onnx::ModelProto file;
  file.set_ir_version(ir_version);
  file.add_opset_import()->set_version(onnx_opset);
  file.set_producer_name("tweedie");
  file.set_producer_version(TWEEDIE_VERSION);
  auto& entry = *file.add_metadata_props();
  entry.set_key("tweedie");
  entry.set_value(card);
  auto& graph = *file.mutable_graph();
  graph.set_name("unet");
  writer(graph, m, type).write();
  std::string result;
  if (!file.SerializeToString(&result))
    throw error("the network could not be written as ONNX; expected one with room in memory");
  return result;
}

#endif

}  // namespace tweedie::networks
