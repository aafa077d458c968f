// ONNX files for tests, written field by field: what an exporter would have to be there for.
#pragma once

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tweedie/io/file.hpp>

namespace onnx_file {

/// Protocol buffers: a number, and bytes that may be a message.
inline std::string varint(std::uint64_t v) {
  std::string r;
  for (; v >= 0x80; v >>= 7) r += static_cast<char>(v | 0x80);
  return r + static_cast<char>(v);
}
inline std::string number(int field, std::int64_t v) {
  return varint(static_cast<std::uint64_t>(field) << 3) + varint(static_cast<std::uint64_t>(v));
}
inline std::string bytes(int field, std::string const& v) {
  return varint(static_cast<std::uint64_t>(field) << 3 | 2) + varint(v.size()) + v;
}

enum type { f32 = 1, i32 = 6, i64 = 7, f16 = 10 };

/// A shape's entry: a number, or -1 for any.
inline std::string value(std::string const& name, type t, std::vector<int> const& shape) {
  std::string dims;
  for (int n : shape) dims += bytes(1, n < 0 ? bytes(2, "N") : number(1, n));
  return bytes(1, name) + bytes(2, bytes(1, number(1, t) + bytes(2, dims)));
}

struct builder {
  std::string nodes, constants, inputs, outputs, metadata;

  builder& input(std::string const& name, type t, std::vector<int> const& shape) {
    inputs += bytes(11, value(name, t, shape));
    return *this;
  }
  builder& output(std::string const& name, std::vector<int> const& shape) {
    outputs += bytes(12, value(name, f32, shape));
    return *this;
  }
  builder& constant(std::string const& name, float v) {
    std::string raw(sizeof v, '\0');
    std::memcpy(raw.data(), &v, sizeof v);
    constants += bytes(5, number(2, f32) + bytes(8, name) + bytes(9, raw));
    return *this;
  }
  builder& integers(std::string const& name, std::vector<std::int64_t> const& v) {
    std::string raw(v.size() * sizeof v[0], '\0');
    std::memcpy(raw.data(), v.data(), raw.size());
    constants += bytes(5, number(1, static_cast<std::int64_t>(v.size())) + number(2, i64) +
                              bytes(8, name) + bytes(9, raw));
    return *this;
  }
  builder& node(std::string const& op, std::vector<std::string> const& from, std::string const& to,
                std::string const& attribute = {}, std::int64_t of = 0) {
    std::string n;
    for (auto const& one : from) n += bytes(1, one);
    n += bytes(2, to) + bytes(3, to) + bytes(4, op);
    if (!attribute.empty()) n += bytes(5, bytes(1, attribute) + number(3, of) + number(20, 2));
    nodes += bytes(1, n);
    return *this;
  }
  builder& note(std::string const& key, std::string const& text) {
    metadata += bytes(14, bytes(1, key) + bytes(2, text));
    return *this;
  }
  void write(std::filesystem::path const& path) const {
    std::string const graph = nodes + bytes(2, "test") + constants + inputs + outputs;
    tweedie::io::write_file(path, std::string_view(number(1, 8) + bytes(7, graph) +
                                                   bytes(8, number(2, 13)) + metadata));
  }
};

/// x0 of data N(m, 0.25), where m is the label's number, at the level rho; x and rho and the label
/// are named so. The samples are of two numbers.
inline builder gaussian(type of_label = f32, int rows = -1) {
  builder b;
  b.input("x", f32, {rows, 2}).input("rho", f32, {rows, 1}).input("m", of_label, {rows, 1});
  b.constant("v", 0.25f);
  b.node("Cast", {"m"}, "mean", "to", f32);
  b.node("Mul", {"rho", "rho"}, "rho2").node("Add", {"rho2", "v"}, "sum");
  b.node("Div", {"v", "sum"}, "k").node("Sub", {"x", "mean"}, "d").node("Mul", {"d", "k"}, "kd");
  b.node("Add", {"mean", "kd"}, "x0").output("x0", {rows, 2});
  return b;
}

inline char const* const gaussian_card = R"(predicts = "x0"
schedule = "edm"
time = "rho"

[inputs]
x = "x"
time = "rho"
labels = "m"

[labels]
count = 3
first = -0.5
step = 0.5
null = 0.25
)";

}  // namespace onnx_file
