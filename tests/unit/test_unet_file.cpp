// Model files: what is written comes back, and what does not fit is refused by one sentence.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cstring>
#include <limits>

#include <tweedie/dsl/base/half.hpp>
#include <tweedie/networks/unet_file.hpp>
#include <tweedie/networks/unet_network.hpp>

#include "common.hpp"
#include "test_io_common.hpp"

using common::equal_bits;
using namespace tweedie;
using networks::model;
using networks::unet;
using networks::unet_config;

namespace {

model make_model() {
  auto config = unet_config::tiny();
  config.dropout = 0.15f;
  config.time_scale = 1.0 / 3;
  model m;
  m.network = std::make_shared<unet>(config, 7);
  auto weights = m.network->parameters();
  for (std::size_t i = 0; i < weights.size(); ++i)
    weights[i] += 0.01f * static_cast<float>(i % 17) - 0.08f;
  m.predicts = "v";
  m.schedule = {"cosine", {{"s", 0.008}, {"beta_cap", 0.999}, {"steps", 1000}}};
  m.labels = {"a", "b \"c\""};
  m.notes = {{"command", "tweedie train --predicts v"}};
  return m;
}

/// The sentence of a file that was changed after it was written.
template <class Change> std::string refusal(Change change) {
  io_test::folder const place;
  auto const path = place / "m.safetensors";
  save_model(path, make_model());
  auto file = io::read_safetensors(path);
  change(file);
  auto bytes = io::to_safetensors(file);
  io::write_file(path, bytes);
  try {
    networks::load_model(path);
  } catch (error const& sentence) {
    BOOST_TEST(std::string(sentence.what()).find("m.safetensors") != std::string::npos);
    return sentence.what();
  }
  return "nothing was refused";
}

bool has(std::string const& text, std::string const& part) {
  return text.find(part) != std::string::npos;
}

io::tensor& named(io::tensor_file& file, std::string const& name) {
  return *std::ranges::find(file.tensors, name, &io::tensor::name);
}

}  // namespace

BOOST_AUTO_TEST_CASE(what_is_saved_comes_back) {
  io_test::folder const place;
  auto const m = make_model();
  save_model(place / "m.safetensors", m);
  auto const n = networks::load_model(place / "m.safetensors");
  BOOST_TEST(n.predicts == m.predicts);
  BOOST_TEST(equal_bits(n.schedule, m.schedule));
  BOOST_TEST(n.labels == m.labels);
  BOOST_TEST(equal_bits(n.notes, m.notes));
  BOOST_TEST(networks::to_json(n.network->config()) == networks::to_json(m.network->config()));
  BOOST_TEST(n.network->config().dropout == 0.15f);
  BOOST_TEST(n.network->config().time_scale == 1.0 / 3);
  auto const a = m.network->parameters(), b = n.network->parameters();
  BOOST_TEST_REQUIRE(a.size() == b.size());
  BOOST_TEST(std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);

  // And again: the same bytes.
  save_model(place / "n.safetensors", n);
  BOOST_TEST(
      equal_bits(io::read_file(place / "m.safetensors"), io::read_file(place / "n.safetensors")));
}

BOOST_AUTO_TEST_CASE(weights_of_16_bits_are_widened) {
  io_test::folder const place;
  auto const m = make_model();
  save_model(place / "m.safetensors", m);
  auto const narrowed = [&]<class T>(io::tensor_dtype dtype, T) {
    auto file = io::read_safetensors(place / "m.safetensors");
    for (auto& t : file.tensors) {
      io::buffer bytes(t.bytes.size() / 2);
      for (std::size_t i = 0; i < bytes.size() / 2; ++i) {
        float value;
        std::memcpy(&value, t.bytes.data() + 4 * i, 4);
        T const half = from_float<T>(value);
        std::memcpy(bytes.data() + 2 * i, &half, 2);
      }
      t.dtype = dtype;
      t.bytes = std::move(bytes);
    }
    io::write_safetensors(place / "half.safetensors", file);
    auto const loaded = networks::load_model(place / "half.safetensors");
    auto const weights = m.network->parameters(), widened = loaded.network->parameters();
    BOOST_TEST(std::ranges::equal(
        weights, widened, [](float a, float b) { return to_float(from_float<T>(a)) == b; }));
  };
  narrowed(io::tensor_dtype::f16, float16{});
  narrowed(io::tensor_dtype::bf16, bfloat16{});
}

BOOST_AUTO_TEST_CASE(tensors_that_do_not_fit) {
  BOOST_TEST(has(refusal([](auto& f) { f.tensors.pop_back(); }), "has no tensor"));
  auto const extra = refusal([](auto& f) {
    f.tensors.push_back(io::make_tensor("more", {1}, std::span<float const>(std::vector{1.0f})));
  });
  BOOST_TEST(has(extra, "more"));
  auto const shape = refusal([](auto& f) {
    std::swap(named(f, "first.weight").shape[0], named(f, "first.weight").shape[2]);
  });
  BOOST_TEST((has(shape, "first.weight") && has(shape, "shape")));
  auto const dtype = refusal([](auto& f) { named(f, "first.bias").dtype = io::tensor_dtype::i32; });
  BOOST_TEST((has(dtype, "first.bias") && has(dtype, "F32")));
  auto const infinite = refusal([](auto& f) {
    float const nan = std::numeric_limits<float>::quiet_NaN();
    std::memcpy(named(f, "first.bias").bytes.data(), &nan, sizeof nan);
  });
  BOOST_TEST(has(infinite, "first.bias"));
}

BOOST_AUTO_TEST_CASE(metadata_that_does_not_fit) {
  auto const with = [](std::string const& key, std::string const& value) {
    return refusal([&](auto& f) { f.metadata[key] = value; });
  };
  for (auto key : {"format", "network", "predicts", "schedule", "time", "labels", "pixels"})
    BOOST_TEST(has(refusal([&](auto& f) { f.metadata.erase(key); }), key));
  BOOST_TEST(has(with("format", "another"), "tweedie unet 1"));
  BOOST_TEST(has(with("pixels", "[0, 1]"), "[-1, 1]"));
  BOOST_TEST(has(with("time", "from 0"), "from 0"));
  BOOST_TEST(has(with("labels", "{}"), "labels"));
  BOOST_TEST(has(with("labels", "[1]"), "labels"));
  BOOST_TEST(has(with("schedule", "cosine"), "schedule"));
  BOOST_TEST(has(with("schedule", "{\"s\":1}"), "name"));
  BOOST_TEST(has(with("network", "{}"), "channels"));

  auto const config = [&](auto change) {
    auto c = make_model().network->config();
    change(c);
    return with("network", networks::to_json(c));
  };
  BOOST_TEST(has(config([](auto& c) { c.base = 100'000; }), "more weights"));
  BOOST_TEST(has(config([](auto& c) { c.classes = 1'000'000; }), "more weights"));
  BOOST_TEST(has(config([](auto& c) {
                   c.multipliers = {1, 1'000'000}, c.blocks = {1, 1};
                 }),
                 "more weights"));
  BOOST_TEST(has(config([](auto& c) { c.groups = 3; }), "groups"));
  BOOST_TEST(has(config([](auto& c) { c.base = 4; }), "shape"));
  BOOST_TEST(has(config([](auto& c) { c.classes = -2; }), "classes"));
}

BOOST_AUTO_TEST_CASE(branches_are_one_batch) {
  auto const m = make_model();
  networks::unet_network const net{m.network};
  static_assert(is_kind<networks::unet_network, kinds::network>);
  BOOST_TEST(net.conditional());
  std::size_t const samples = 3, pitch = 68, elements = 64;
  std::vector<std::size_t> const shape{1, 8, 8};
  std::vector<float> x(samples * pitch), out(2 * samples * pitch, -1.0f);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 29) / 14 - 1;
  std::vector<level> levels(samples);
  for (std::size_t i = 0; i < samples; ++i) levels[i].t = 100.0 * static_cast<double>(i + 1);
  std::vector<int> const labels{4, 0, 9};
  net(batch{samples, 2, shape, elements, pitch, x.data(), out.data(), levels.data(),
            labels.data()});

  // Row by row, and the second branch without its label.
  for (std::size_t row = 0; row < 2 * samples; ++row) {
    std::vector<float> alone(elements);
    int const label = row < samples ? labels[row] : no_label;
    double const time = levels[row % samples].t;
    m.network->forward(x.data() + row % samples * pitch, elements, &time, &label, 1, alone.data(),
                       elements);
    for (std::size_t i = 0; i < elements; ++i)
      BOOST_TEST(std::abs(out[row * pitch + i] - alone[i]) < 1e-4f);
  }
  BOOST_TEST(std::abs(out[0] - out[samples * pitch]) > 1e-6f);

  BOOST_CHECK_THROW(
      net(batch{samples, 1, shape, 63, pitch, x.data(), out.data(), levels.data(), labels.data()}),
      error);
}

BOOST_AUTO_TEST_CASE(a_guidance_needs_a_label) {
  networks::unet_network const net{make_model().network};
  std::vector<std::size_t> const shape{2, 1, 8, 8};
  auto const told = [&](std::vector<int> const& labels, int branches) {
    try {
      net.check(shape, labels, branches);
    } catch (error const& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  BOOST_TEST(told({no_label, no_label}, 1).empty());
  BOOST_TEST(told({no_label, 3}, 2).empty());
  BOOST_TEST(has(told({no_label, no_label}, 2), "2 branches was given and no label"));
}
