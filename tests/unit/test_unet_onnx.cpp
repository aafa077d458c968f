// The U-Net as ONNX: ONNX's own checker takes the file, and read operator by operator, by the loops
// below, it answers as the network does.
#define BOOST_TEST_DYN_LINK
#include <onnx/checker.h>
#include <onnx/onnx_pb.h>
#include <onnx/shape_inference/implementation.h>
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <map>
#include <numeric>
#include <random>

#include <tweedie/dsl/base/half.hpp>
#include <tweedie/networks/unet_network.hpp>
#include <tweedie/networks/unet_onnx.hpp>

#include "common.hpp"
#include "test_io_common.hpp"

using common::equal_bits;
using namespace tweedie;
using networks::model;
using networks::onnx_weights;
using networks::unet;
using networks::unet_config;

namespace {

using extents = std::vector<std::size_t>;

std::size_t product(extents const& of, std::size_t begin = 0, std::size_t end = ~std::size_t{0}) {
  std::size_t result = 1;
  for (std::size_t i = begin; i < std::min(end, of.size()); ++i) result *= of[i];
  return result;
}

/// Whole numbers are floats here: they are small.
struct array {
  extents shape;
  std::vector<float> data;
};

array array_of(onnx::TensorProto const& t) {
  array a;
  for (auto n : t.dims()) a.shape.push_back(static_cast<std::size_t>(n));
  auto const& bytes = t.raw_data();
  auto const read = [&]<class T>(T) {
    BOOST_TEST_REQUIRE(bytes.size() == product(a.shape) * sizeof(T));
    for (std::size_t i = 0; i < bytes.size(); i += sizeof(T)) {
      T value;
      std::memcpy(&value, bytes.data() + i, sizeof value);
      if constexpr (std::is_integral_v<T>) a.data.push_back(static_cast<float>(value));
      else a.data.push_back(to_float(value));
    }
  };
  switch (t.data_type()) {
    case onnx::TensorProto::FLOAT:
      read(0.0f);
      break;
    case onnx::TensorProto::FLOAT16:
      read(float16{});
      break;
    case onnx::TensorProto::BFLOAT16:
      read(bfloat16{});
      break;
    case onnx::TensorProto::INT64:
      read(std::int64_t{});
      break;
    default:
      BOOST_FAIL("an initializer '" << t.name() << "' of another type");
  }
  return a;
}

onnx::AttributeProto const* found(onnx::NodeProto const& node, std::string const& name) {
  for (auto const& a : node.attribute())
    if (a.name() == name) return &a;
  return nullptr;
}
std::int64_t whole(onnx::NodeProto const& node, std::string const& name, std::int64_t otherwise) {
  auto const* a = found(node, name);
  return a ? a->i() : otherwise;
}
std::size_t axis(onnx::NodeProto const& node) {
  return static_cast<std::size_t>(whole(node, "axis", -1));
}

array each(array a, float (*function)(float)) {
  for (float& x : a.data) x = function(x);
  return a;
}

/// NumPy's rules: the last axes meet, and an extent of 1 is repeated.
array broadcast(array const& a, array const& b, std::function<float(float, float)> const& f) {
  array out;
  std::size_t const rank = std::max(a.shape.size(), b.shape.size());
  auto const extent = [&](array const& of, std::size_t i) {
    return i + of.shape.size() < rank ? 1 : of.shape[i + of.shape.size() - rank];
  };
  for (std::size_t i = 0; i < rank; ++i) {
    BOOST_TEST_REQUIRE((extent(a, i) == extent(b, i) || extent(a, i) == 1 || extent(b, i) == 1));
    out.shape.push_back(std::max(extent(a, i), extent(b, i)));
  }
  out.data.resize(product(out.shape));
  for (std::size_t at = 0; at < out.data.size(); ++at) {
    std::size_t rest = at, of_a = 0, of_b = 0, step_a = 1, step_b = 1;
    for (std::size_t i = rank; i-- > 0;) {
      std::size_t const k = rest % out.shape[i];
      rest /= out.shape[i];
      if (extent(a, i) > 1) of_a += k * step_a;
      if (extent(b, i) > 1) of_b += k * step_b;
      step_a *= extent(a, i), step_b *= extent(b, i);
    }
    out.data[at] = f(a.data[of_a], b.data[of_b]);
  }
  return out;
}

array reshaped(array a, array const& to) {
  extents shape;
  std::size_t open = to.data.size(), known = 1;
  for (std::size_t i = 0; i < to.data.size(); ++i) {
    shape.push_back(to.data[i] == 0 ? a.shape[i] : static_cast<std::size_t>(to.data[i]));
    if (to.data[i] < 0) open = i;
    else known *= shape[i];
  }
  if (open < shape.size()) shape[open] = a.data.size() / known;
  BOOST_TEST_REQUIRE(product(shape) == a.data.size());
  a.shape = shape;
  return a;
}

array instance_norm(onnx::NodeProto const& node, array a, array const& scale, array const& bias) {
  std::size_t const channels = a.shape[1], count = product(a.shape, 2);
  for (std::size_t row = 0; row < a.shape[0] * channels; ++row) {
    float* const x = a.data.data() + row * count;
    double const mean = std::accumulate(x, x + count, 0.0) / static_cast<double>(count);
    double squares = 0;
    for (std::size_t i = 0; i < count; ++i) squares += (x[i] - mean) * (x[i] - mean);
    double const factor = 1 / std::sqrt(squares / static_cast<double>(count) +
                                        static_cast<double>(found(node, "epsilon")->f()));
    for (std::size_t i = 0; i < count; ++i)
      x[i] = static_cast<float>((x[i] - mean) * factor) * scale.data[row % channels] +
             bias.data[row % channels];
  }
  return a;
}

array conv(onnx::NodeProto const& node, array const& x, array const& w, array const& bias) {
  auto const stride = found(node, "strides")->ints(0), pad = found(node, "pads")->ints(0);
  auto const height = static_cast<std::int64_t>(x.shape[2]),
             width = static_cast<std::int64_t>(x.shape[3]);
  std::size_t const in = x.shape[1], out = w.shape[0], side = w.shape[2];
  auto const over = [&](std::int64_t n) {
    return static_cast<std::size_t>((n + 2 * pad - static_cast<std::int64_t>(side)) / stride + 1);
  };
  array y{{x.shape[0], out, over(height), over(width)}, {}};
  for (std::size_t n = 0; n < x.shape[0]; ++n)
    for (std::size_t o = 0; o < out; ++o)
      for (std::size_t i = 0; i < y.shape[2]; ++i)
        for (std::size_t j = 0; j < y.shape[3]; ++j) {
          double sum = bias.data[o];
          for (std::size_t c = 0; c < in; ++c)
            for (std::size_t p = 0; p < side; ++p)
              for (std::size_t q = 0; q < side; ++q) {
                auto const v = static_cast<std::int64_t>(i) * stride +
                               static_cast<std::int64_t>(p) - pad,
                           h = static_cast<std::int64_t>(j) * stride +
                               static_cast<std::int64_t>(q) - pad;
                if (v < 0 || v >= height || h < 0 || h >= width) continue;
                sum += double{x.data[((n * in + c) * x.shape[2] + static_cast<std::size_t>(v)) *
                                         x.shape[3] +
                                     static_cast<std::size_t>(h)]} *
                       double{w.data[((o * in + c) * side + p) * side + q]};
              }
          y.data.push_back(static_cast<float>(sum));
        }
  return y;
}

/// {batch, rows, n} times {batch or none, n, columns}.
array matmul(array const& a, array const& b) {
  std::size_t const rows = a.shape[a.shape.size() - 2], n = a.shape.back(),
                    columns = b.shape.back();
  BOOST_TEST_REQUIRE(b.shape[b.shape.size() - 2] == n);
  array out{a.shape, {}};
  out.shape.back() = columns;
  for (std::size_t m = 0; m < product(a.shape) / (rows * n); ++m) {
    float const* const other = b.data.data() + (b.shape.size() == 2 ? 0 : m * n * columns);
    for (std::size_t i = 0; i < rows; ++i)
      for (std::size_t j = 0; j < columns; ++j) {
        double sum = 0;
        for (std::size_t k = 0; k < n; ++k)
          sum += double{a.data[(m * rows + i) * n + k]} * double{other[k * columns + j]};
        out.data.push_back(static_cast<float>(sum));
      }
  }
  return out;
}

array transposed(array const& a, std::vector<std::size_t> const& order) {
  array out;
  for (auto i : order) out.shape.push_back(a.shape[i]);
  for (std::size_t at = 0; at < a.data.size(); ++at) {
    std::size_t rest = at, from = 0;
    for (std::size_t i = order.size(); i-- > 0;) {
      from += rest % out.shape[i] * product(a.shape, order[i] + 1);
      rest /= out.shape[i];
    }
    out.data.push_back(a.data[from]);
  }
  return out;
}

/// Begins at `begin` of an axis.
array cut(array const& a, std::size_t along, std::size_t begin, std::size_t count) {
  array out{a.shape, {}};
  out.shape[along] = count;
  std::size_t const inner = product(a.shape, along + 1), row = a.shape[along] * inner;
  for (std::size_t outer = 0; outer < a.data.size() / row; ++outer) {
    auto const from = a.data.begin() + static_cast<std::ptrdiff_t>(outer * row + begin * inner);
    out.data.insert(out.data.end(), from, from + static_cast<std::ptrdiff_t>(count * inner));
  }
  return out;
}

array joined(array const& a, array const& b, std::size_t along) {
  array out{a.shape, {}};
  out.shape[along] += b.shape[along];
  std::size_t const of_a = product(a.shape, along), of_b = product(b.shape, along);
  for (std::size_t i = 0; i < a.data.size() / of_a; ++i)
    for (auto const& [from, count] : {std::pair{&a, of_a}, std::pair{&b, of_b}}) {
      auto const begin = from->data.begin() + static_cast<std::ptrdiff_t>(i * count);
      out.data.insert(out.data.end(), begin, begin + static_cast<std::ptrdiff_t>(count));
    }
  return out;
}

array softmax(array a) {
  std::size_t const n = a.shape.back();
  for (std::size_t row = 0; row < a.data.size() / n; ++row) {
    float* const x = a.data.data() + row * n;
    double const most = *std::max_element(x, x + n);
    double sum = 0;
    for (std::size_t i = 0; i < n; ++i) sum += std::exp(x[i] - most);
    for (std::size_t i = 0; i < n; ++i) x[i] = static_cast<float>(std::exp(x[i] - most) / sum);
  }
  return a;
}

array twice(array const& a) {
  array out{{a.shape[0], a.shape[1], 2 * a.shape[2], 2 * a.shape[3]}, {}};
  for (std::size_t plane = 0; plane < a.shape[0] * a.shape[1]; ++plane)
    for (std::size_t i = 0; i < out.shape[2]; ++i)
      for (std::size_t j = 0; j < out.shape[3]; ++j)
        out.data.push_back(a.data[(plane * a.shape[2] + i / 2) * a.shape[3] + j / 2]);
  return out;
}

/// What a file computes, one operator after the other. Fails on one that it does not know.
array evaluate(onnx::GraphProto const& graph, std::map<std::string, array> values) {
  for (auto const& t : graph.initializer()) values[t.name()] = array_of(t);
  for (auto const& node : graph.node()) {
    auto const& op = node.op_type();
    auto const in = [&](int i) -> array const& { return values.at(node.input(i)); };
    auto const ints = [&](char const* name) {
      std::vector<std::size_t> result;
      for (auto n : found(node, name)->ints()) result.push_back(static_cast<std::size_t>(n));
      return result;
    };
    array out;
    if (op == "Identity" || op == "Cast") out = in(0);
    else if (op == "Add") out = broadcast(in(0), in(1), std::plus<float>{});
    else if (op == "Mul") out = broadcast(in(0), in(1), std::multiplies<float>{});
    else if (op == "Sin") out = each(in(0), [](float a) { return std::sin(a); });
    else if (op == "Cos") out = each(in(0), [](float a) { return std::cos(a); });
    else if (op == "Sigmoid") out = each(in(0), [](float a) { return 1 / (1 + std::exp(-a)); });
    else if (op == "Reshape") out = reshaped(in(0), in(1));
    else if (op == "InstanceNormalization") out = instance_norm(node, in(0), in(1), in(2));
    else if (op == "Conv") out = conv(node, in(0), in(1), in(2));
    else if (op == "MatMul") out = matmul(in(0), in(1));
    else if (op == "Transpose") out = transposed(in(0), ints("perm"));
    else if (op == "Concat") out = joined(in(0), in(1), axis(node));
    else if (op == "Softmax" && axis(node) == in(0).shape.size() - 1) out = softmax(in(0));
    else if (op == "Gemm" && whole(node, "transB", 0) == 1)
      out = broadcast(matmul(in(0), transposed(in(1), {1, 0})), in(2), std::plus<float>{});
    else if (op == "Resize" && in(2).data == std::vector{1.0f, 1.0f, 2.0f, 2.0f} &&
             found(node, "mode")->s() == "nearest" && found(node, "nearest_mode")->s() == "floor" &&
             found(node, "coordinate_transformation_mode")->s() == "asymmetric")
      out = twice(in(0));
    else if (op == "Unsqueeze") {
      out = in(0);
      for (float a : in(1).data) out.shape.insert(out.shape.begin() + static_cast<int>(a), 1);
    } else if (op == "Gather" && axis(node) == 0) {
      out.shape = {in(1).shape[0], in(0).shape[1]};
      for (float row : in(1).data) {
        BOOST_TEST_REQUIRE((row >= 0 && static_cast<std::size_t>(row) < in(0).shape[0]));
        auto const one = cut(in(0), 0, static_cast<std::size_t>(row), 1).data;
        out.data.insert(out.data.end(), one.begin(), one.end());
      }
    } else if (op == "Split") {
      std::size_t begin = 0;
      for (int i = 0; i < node.output_size(); ++i) {
        auto const count = static_cast<std::size_t>(in(1).data[static_cast<std::size_t>(i)]);
        values[node.output(i)] = cut(in(0), axis(node), begin, count);
        begin += count;
      }
      continue;
    } else BOOST_FAIL("the operator " << op << " of '" << node.name() << "' is not known");
    values[node.output(0)] = std::move(out);
  }
  return values.at(graph.output(0).name());
}

onnx::ModelProto file_of(std::string const& bytes) {
  onnx::ModelProto file;
  BOOST_TEST_REQUIRE(file.ParseFromString(bytes));
  return file;
}

/// The file as a network of a pipeline, which reads no more of it than an engine does.
auto network_of(onnx::ModelProto const& file, int null) {
  return [&file, null](batch const& b) {
    std::size_t const rows = b.rows();
    array x{{rows, b.shape[0], b.shape[1], b.shape[2]}, {}}, t{{rows}, {}}, y{{rows}, {}};
    for (std::size_t row = 0; row < rows; ++row) {
      x.data.insert(x.data.end(), b.x_of(row).begin(), b.x_of(row).end());
      t.data.push_back(static_cast<float>(b.level_of(row).t));
      y.data.push_back(static_cast<float>(b.label_of(row) < 0 ? null : b.label_of(row)));
    }
    std::map<std::string, array> inputs{{"x", x}, {"t", t}};
    if (null > 0) inputs["y"] = y;
    auto const out = evaluate(file.graph(), inputs);
    BOOST_TEST_REQUIRE(equal_bits(out.shape, x.shape));
    for (std::size_t row = 0; row < rows; ++row)
      std::copy_n(out.data.begin() + static_cast<std::ptrdiff_t>(row * b.elements), b.elements,
                  b.out_of(row).begin());
  };
}

/// One whose answers are of order 1: as it is made, a network answers 0.
model make_model(unet_config const& config) {
  model m;
  m.network = std::make_shared<unet>(config, 7);
  std::mt19937_64 random(11);
  for (auto const& t : m.network->tensors()) {
    double const width =
        t.shape.size() > 1
            ? std::sqrt(static_cast<double>(t.shape[0]) / static_cast<double>(t.count))
            : 0.3;
    for (std::size_t i = 0; i < t.count; ++i)
      m.network->parameters()[t.offset + i] +=
          static_cast<float>(width * (2 * static_cast<double>(random() >> 11) * 0x1p-53 - 1));
  }
  m.predicts = "v";
  m.schedule = {"cosine", {{"s", 0.008}, {"beta_cap", 0.999}, {"steps", 1000}}};
  for (int i = 0; i < config.classes; ++i) m.labels.push_back("class " + std::to_string(i));
  return m;
}

template <class Change> unet_config tiny(Change change) {
  auto config = unet_config::tiny();
  config.classes = 3;
  change(config);
  return config;
}

std::map<std::string, unet_config> configurations() {
  auto const resolutions = [](unet_config& c) {
    c.multipliers = {1, 2, 3};
    c.blocks = {1, 2, 1};
  };
  return {
      {"tiny", tiny([](auto&) {})},
      {"embedding is added", tiny([](auto& c) { c.scale_shift = false; })},
      {"unconditional", tiny([](auto& c) { c.classes = 0; })},
      {"attention in the middle", tiny([](auto& c) { c.attention = {8}; })},
      {"attention at every size", tiny([&](auto& c) {
         resolutions(c);
         c.attention = {8, 4, 2};
       })},
      {"attention on the way up", tiny([&](auto& c) {
         resolutions(c);
         c.attention = {4};
         c.scale_shift = false;
       })},
      {"one pixel at the end", tiny([](auto& c) {
         c.size = 4;
         c.multipliers = {1, 1, 2};
         c.blocks = {1, 1, 1};
         c.attention = {1};
       })},
      {"RGB, a wide base", tiny([](auto& c) {
         c.channels = 3;
         c.base = 24;
         c.groups = 6;
       })},
      {"a narrow base, a channel a group", tiny([](auto& c) {
         c.base = 2;
         c.groups = 2;
         c.blocks = {2};
       })},
      {"time from 0 to 1", tiny([](auto& c) { c.time_scale = 1000; })},
  };
}

double largest_difference(model const& m, std::string const& bytes) {
  double const end = m.network->config().time_scale == 1 ? 1000 : 1;
  auto const file = file_of(bytes);
  return networks::largest_difference(m, {end / 1000, end * 0.317, end},
                                      network_of(file, m.network->config().classes));
}

std::string sentence(std::function<void()> const& call) {
  try {
    call();
  } catch (error const& e) {
    return e.what();
  }
  return "nothing was refused";
}

bool has(std::string const& text, std::string const& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_file_answers_as_its_network) {
  for (auto const& [name, config] : configurations()) BOOST_TEST_CONTEXT(name) {
      auto const m = make_model(config);
      BOOST_TEST(largest_difference(m, to_onnx(m)) < 1e-5);
      // Not since both say nothing, or the same whatever they are asked.
      auto const silent = [](batch const& b) { std::fill_n(b.out, b.rows() * b.pitch, 0.0f); };
      BOOST_TEST(networks::largest_difference(m, {1}, silent) > 0.3);
      auto const earlier = [&](batch const& b) {
        std::vector<level> moved(b.levels, b.levels + b.samples);
        for (auto& l : moved) l.t *= 0.7;
        auto asked = b;
        asked.levels = moved.data();
        networks::unet_network{m.network}(asked);
      };
      double const end = config.time_scale == 1 ? 1000 : 1;
      BOOST_TEST(networks::largest_difference(m, {end}, earlier) > 1e-3);
    }
}

BOOST_AUTO_TEST_CASE(onnx_itself_takes_the_file) {
  for (auto const& [name, config] : configurations())
    for (auto type : {onnx_weights::f32, onnx_weights::f16, onnx_weights::bf16})
      BOOST_TEST_CONTEXT(name) {
        auto file = file_of(to_onnx(make_model(config), type));
        BOOST_CHECK_NO_THROW(onnx::checker::check_model(file));
        // Shapes follow from those of the inputs, for any N, to the one that is declared.
        file.mutable_graph()
            ->mutable_output(0)
            ->mutable_type()
            ->mutable_tensor_type()
            ->clear_shape();
        onnx::ShapeInferenceOptions strict{true, 1, true};
        BOOST_CHECK_NO_THROW(
            onnx::shape_inference::InferShapes(file, onnx::OpSchemaRegistry::Instance(), strict));
        auto const& shape = file.graph().output(0).type().tensor_type().shape();
        BOOST_TEST_REQUIRE(shape.dim_size() == 4);
        BOOST_TEST(shape.dim(1).dim_value() == config.channels);
        BOOST_TEST(shape.dim(2).dim_value() == config.size);
        BOOST_TEST(shape.dim(3).dim_value() == config.size);
      }
}

BOOST_AUTO_TEST_CASE(inputs_and_outputs_are_those_of_the_card) {
  auto const told = [](onnx::ValueInfoProto const& value) {
    std::string text = value.name() + fmt::format(" {}", value.type().tensor_type().elem_type());
    for (auto const& d : value.type().tensor_type().shape().dim())
      text += d.has_dim_param() ? " " + d.dim_param() : fmt::format(" {}", d.dim_value());
    return text;
  };
  auto const all = [&](auto const& values) {
    std::string text;
    for (auto const& value : values) text += told(value) + "; ";
    return text;
  };
  auto const file = file_of(to_onnx(make_model(tiny([](auto& c) { c.channels = 3; }))));
  BOOST_TEST(all(file.graph().input()) == "x 1 N 3 8 8; t 1 N; y 7 N; ");
  BOOST_TEST(all(file.graph().output()) == "out 1 N 3 8 8; ");
  BOOST_TEST(file.opset_import(0).version() == networks::onnx_opset);
  BOOST_TEST(file.producer_name() == "tweedie");

  auto const unlabelled = file_of(to_onnx(make_model(tiny([](auto& c) { c.classes = 0; }))));
  BOOST_TEST(all(unlabelled.graph().input()) == "x 1 N 1 8 8; t 1 N; ");
}

BOOST_AUTO_TEST_CASE(the_card_says_what_the_numbers_mean) {
  auto const in_file = [](model const& m) {
    auto const file = file_of(to_onnx(m));
    BOOST_TEST_REQUIRE(file.metadata_props_size() == 1);
    BOOST_TEST(file.metadata_props(0).key() == "tweedie");
    return networks::parse_card(file.metadata_props(0).value(), "card");
  };
  auto m = make_model(tiny([](auto&) {}));
  m.labels = {"a", "b \"c\" \\ \n", "d\xc3\xa9"};
  auto const card = in_file(m);
  BOOST_TEST(card.predicts == "v");
  BOOST_TEST(card.schedule.name == m.schedule.name);
  using numbers = std::map<std::string, double>;
  auto const &read = card.schedule.parameters, &made = m.schedule.parameters;
  BOOST_TEST((numbers(read.begin(), read.end()) == numbers(made.begin(), made.end())));
  BOOST_TEST((card.time == networks::time_unit::t));
  BOOST_TEST_REQUIRE(card.range.has_value());
  BOOST_TEST((card.range->lo == -1 && card.range->hi == 1));
  BOOST_TEST((!card.channels_last && !card.learns_variance));
  BOOST_TEST((card.ports.x == "x" && card.ports.time == "t" && card.ports.labels == "y" &&
              card.ports.prediction == "out"));
  BOOST_TEST_REQUIRE(card.labels.has_value());
  BOOST_TEST(card.labels->names == m.labels);
  BOOST_TEST((card.labels->null == 3.0 && card.labels->first == 0 && card.labels->step == 1));

  auto unnamed = m;
  unnamed.labels = {};
  BOOST_TEST(in_file(unnamed).labels->count == 3U);
  BOOST_TEST((in_file(unnamed).labels->null == 3.0));
  unnamed.labels = {"a", "b"};
  auto const said = sentence([&] { to_onnx(unnamed); });
  BOOST_TEST(has(said, "2 names for 3 classes"));

  auto without = make_model(tiny([](auto& c) { c.classes = 0; }));
  without.predicts = "epsilon";
  without.schedule = {"rectified_flow", {}};
  auto const unlabelled = in_file(without);
  BOOST_TEST(unlabelled.predicts == "epsilon");
  BOOST_TEST(unlabelled.schedule.name == "rectified_flow");
  BOOST_TEST((!unlabelled.labels.has_value() && unlabelled.ports.labels.empty()));
}

BOOST_AUTO_TEST_CASE(weights_of_16_bits_are_the_network_rounded) {
  for (auto const& [name, config] : configurations()) BOOST_TEST_CONTEXT(name) {
      auto const m = make_model(config);
      auto const rounded = [&]<class T>(onnx_weights type, T, int data_type) {
        auto const bytes = to_onnx(m, type);
        auto n = m;
        n.network = std::make_shared<unet>(m.network->config(), 7);
        std::ranges::copy(std::as_const(*m.network).parameters(), n.network->parameters().begin());
        std::size_t stored = 0;
        for (auto const& t : n.network->tensors()) {
          if (t.shape.size() == 1) continue;
          ++stored;
          for (std::size_t i = t.offset; i < t.offset + t.count; ++i)
            n.network->parameters()[i] = to_float(from_float<T>(n.network->parameters()[i]));
        }
        BOOST_TEST(largest_difference(n, bytes) < 1e-5);
        BOOST_TEST(largest_difference(m, bytes) > 1e-4);
        auto const file = file_of(bytes);
        BOOST_TEST(static_cast<std::size_t>(std::ranges::count(
                       file.graph().initializer(), data_type, &onnx::TensorProto::data_type)) ==
                   stored);
      };
      rounded(onnx_weights::f16, float16{}, onnx::TensorProto::FLOAT16);
      rounded(onnx_weights::bf16, bfloat16{}, onnx::TensorProto::BFLOAT16);
    }
}

BOOST_AUTO_TEST_CASE(a_weight_that_16_bits_cannot_hold_is_refused) {
  auto const m = make_model(tiny([](auto&) {}));
  auto const& t =
      *std::ranges::find(m.network->tensors(), "first.weight", &networks::unet_tensor::name);
  m.network->parameters()[t.offset + 1] = 1e5f;
  auto const said = sentence([&] { to_onnx(m, onnx_weights::f16); });
  BOOST_TEST((has(said, "'first.weight'") && has(said, "100000") && has(said, "f32")));
  BOOST_TEST(largest_difference(m, to_onnx(m, onnx_weights::bf16)) <
             std::numeric_limits<double>::infinity());
}

BOOST_AUTO_TEST_CASE(a_file_is_written_whole_or_not) {
  io_test::folder const place;
  auto const m = make_model(tiny([](auto&) {}));
  save_onnx(place / "a.onnx", m);
  auto const written = io::read_file(place / "a.onnx");
  auto const bytes = to_onnx(m);
  BOOST_TEST(equal_bits(std::string(reinterpret_cast<char const*>(written.data()), written.size()),
                        bytes));
  BOOST_TEST(to_onnx(m) == bytes);

  auto const& t = m.network->tensors().front();
  m.network->parameters()[t.offset] = 1e5f;
  BOOST_CHECK_THROW(save_onnx(place / "a.onnx", m, onnx_weights::f16), error);
  BOOST_TEST(equal_bits(io::read_file(place / "a.onnx"), written));
  BOOST_TEST(has(sentence([&] { save_onnx(place / "none" / "a.onnx", m); }), "cannot write"));
}

BOOST_AUTO_TEST_CASE(the_largest_difference_sees_every_row) {
  auto const m = make_model(tiny([](auto&) {}));
  networks::unet_network const same{m.network};
  std::vector<double> const times{1, 500, 1000};
  BOOST_TEST(networks::largest_difference(m, times, same) == 0);
  for (std::size_t row = 0; row < 6; ++row) {
    auto const moved = [&](float by) {
      return [&same, row, by](batch const& b) {
        same(b);
        b.out_of(row)[b.elements - 1] += by;
      };
    };
    BOOST_TEST(std::abs(networks::largest_difference(m, times, moved(0.25f)) - 0.25) < 1e-5);
    float const nan = std::numeric_limits<float>::quiet_NaN();
    BOOST_TEST(std::isinf(networks::largest_difference(m, times, moved(nan))));
  }
}
