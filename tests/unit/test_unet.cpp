// The U-Net: what it refuses, that its rows do not mix, and that a resumed training has the same
// bits.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include <tweedie/networks/unet.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "common.hpp"

using common::equal_bits;

using tweedie::networks::unet;
using tweedie::networks::unet_config;

namespace {

struct one_thread {
  one_thread() { unet::set_threads(1); }
};
BOOST_TEST_GLOBAL_FIXTURE(one_thread);

// Pictures whose class shows: a smooth wave, its phase set by the label, seen at some noise level.
struct toy {
  std::size_t rows, elements;
  std::vector<float> x, target, weights;
  std::vector<double> times;
  std::vector<int> labels;

  toy(unet const& net, std::size_t rows_) : rows(rows_), elements(net.elements()) {
    for (std::size_t i = 0; i < rows; ++i) {
      labels.push_back(static_cast<int>(i % 11) - 1);
      times.push_back(1 + 37.0 * static_cast<double>(i));
      weights.push_back(0.5f + static_cast<float>(i % 3));
      for (std::size_t k = 0; k < elements; ++k) {
        double a = 0.1 * static_cast<double>(k) + labels.back();
        target.push_back(static_cast<float>(std::sin(a)));
        x.push_back(
            static_cast<float>(std::sin(a) + std::sin(12.9898 * static_cast<double>(k + 7 * i))));
      }
    }
  }

  double train(unet& net, std::uint64_t seed, tweedie::networks::adam const& settings = {}) const {
    return net.train_step(x.data(), target.data(), times.data(), labels.data(), weights.data(),
                          rows, seed, settings);
  }

  std::vector<float> evaluate(unet const& net, std::vector<int> const& with) const {
    std::vector<float> out(rows * elements);
    net.forward(x.data(), elements, times.data(), with.data(), rows, out.data(), elements);
    return out;
  }
  std::vector<float> evaluate(unet const& net) const { return evaluate(net, labels); }
};

double largest_difference(std::vector<float> const& a, std::vector<float> const& b) {
  double most = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    most = std::max(most, std::abs(double{a[i]} - double{b[i]}));
  return most;
}

// Two resolutions and attention at both, so that every kind of layer is in it.
unet_config small() {
  unet_config c = unet_config::tiny();
  c.multipliers = {1, 2};
  c.blocks = {1, 2};
  c.attention = {8, 4};
  return c;
}

auto says(std::string const& part) {
  return [part](tweedie::error const& e) {
    BOOST_TEST_INFO(e.what());
    return std::string(e.what()).find(part) != std::string::npos;
  };
}

void refuses(unet_config const& c, std::string const& part) {
  BOOST_CHECK_EXCEPTION(unet{c}, tweedie::error, says(part));
}

unet trained(unet_config const& c) {
  unet net(c, 1);
  toy data(net, 12);
  for (std::uint64_t i = 0; i < 5; ++i) data.train(net, i, {1e-2});
  return net;
}

}  // namespace

// Each sample's error is that of its picture, whatever its weight.
BOOST_AUTO_TEST_CASE(errors_of_a_training_step) {
  unet net(small(), 3);  // tiny(): no dropout
  toy const data(net, 5);
  auto const out = data.evaluate(net);
  std::vector<double> errors(5);
  double const loss =
      net.train_step(data.x.data(), data.target.data(), data.times.data(), data.labels.data(),
                     data.weights.data(), 5, 0, {}, errors.data());
  double mean = 0;
  for (std::size_t i = 0; i < 5; ++i) {
    double expected = 0;
    for (std::size_t k = i * net.elements(); k < (i + 1) * net.elements(); ++k)
      expected += std::pow(double{out[k]} - double{data.target[k]}, 2) /
                  static_cast<double>(net.elements());
    BOOST_TEST(std::abs(errors[i] / expected - 1) < 1e-4);
    mean += double{data.weights[i]} * errors[i] / 5;
  }
  BOOST_TEST(std::abs(loss / mean - 1) < 1e-5);
}

BOOST_AUTO_TEST_CASE(a_configuration_that_does_not_fit_is_refused) {
  auto c = unet_config::tiny();
  c.groups = 3;
  refuses(c, "groups is 3, which does not divide the 8 channels");
  c = small();
  c.size = 7;
  refuses(c, "size is 7, which cannot be halved 1 times");
  c = small();
  c.blocks = {1};
  refuses(c, "blocks has 1 entries and multipliers has 2");
  c = small();
  c.attention = {5};
  refuses(c, "attention was asked at size 5");
  c = small();
  c.dropout = 1;
  refuses(c, "it must be at least 0 and below 1");
  c = small();
  c.multipliers = {};
  refuses(c, "no multiplier");
  c = small();
  c.classes = -2;
  refuses(c, "classes is -2");
}

BOOST_AUTO_TEST_CASE(a_bad_call_is_refused_and_writes_nothing) {
  unet net(unet_config::tiny());
  toy data(net, 3);
  std::vector<float> out(3 * data.elements, 5.0f);
  auto forward = [&](std::vector<int> const& labels, std::size_t pitch) {
    net.forward(data.x.data(), pitch, data.times.data(), labels.data(), 3, out.data(),
                data.elements);
  };
  std::string const sentence = "label 12 was given, the network has classes 0 to 9";
  BOOST_CHECK_EXCEPTION(forward({0, -1, 12}, data.elements), tweedie::error, says(sentence));
  BOOST_CHECK_THROW(forward({0, -2, 1}, data.elements), tweedie::error);
  BOOST_CHECK_EXCEPTION(forward({0, 1, 2}, 63), tweedie::error,
                        says("a pitch of 63 floats was given"));
  data.times[1] = std::numeric_limits<double>::infinity();
  BOOST_CHECK_EXCEPTION(forward({0, 1, 2}, data.elements), tweedie::error, says("time of row 1"));
  BOOST_TEST(std::all_of(out.begin(), out.end(), [](float v) { return v == 5; }));

  data.times[1] = 1;
  data.labels[1] = 12;
  BOOST_CHECK_EXCEPTION(data.train(net, 0), tweedie::error, says(sentence));
  data.labels[1] = 1;
  data.target[0] = std::numeric_limits<float>::quiet_NaN();
  std::vector<float> before(net.parameters().begin(), net.parameters().end());
  BOOST_CHECK_EXCEPTION(data.train(net, 0), tweedie::error, says("must be finite"));
  BOOST_TEST(std::equal(before.begin(), before.end(), net.parameters().begin()));
  BOOST_TEST(net.steps() == 0);
}

BOOST_AUTO_TEST_CASE(an_unconditional_network_has_no_labels) {
  auto c = unet_config::tiny();
  c.classes = 0;
  unet net(c);
  toy data(net, 2);
  data.labels = {-1, 0};
  BOOST_CHECK_EXCEPTION(data.evaluate(net), tweedie::error,
                        says("label 0 was given, the network has no classes"));
  data.labels = {-1, -1};
  BOOST_CHECK_NO_THROW(data.train(net, 1));
}

BOOST_AUTO_TEST_CASE(the_seed_decides_the_weights_and_the_first_output_is_zero) {
  unet a(small(), 3), b(small(), 3), c(small(), 4);
  BOOST_TEST(std::equal(a.parameters().begin(), a.parameters().end(), b.parameters().begin()));
  BOOST_TEST(!std::equal(a.parameters().begin(), a.parameters().end(), c.parameters().begin()));
  toy data(a, 2);
  for (float v : data.evaluate(a)) BOOST_REQUIRE(v == 0);
}

BOOST_AUTO_TEST_CASE(tensors_tile_the_parameters) {
  unet net(small());
  std::size_t end = 0;
  std::vector<std::string> names;
  for (auto const& t : net.tensors()) {
    BOOST_TEST(t.offset == end);
    end += t.count;
    names.push_back(t.name);
  }
  BOOST_TEST(end == net.parameters().size());
  std::sort(names.begin(), names.end());
  BOOST_TEST(equal_bits(std::adjacent_find(names.begin(), names.end()), names.end()));
}

BOOST_AUTO_TEST_CASE(class_null_class_and_time_change_the_output) {
  for (bool scale_shift : {true, false}) {
    auto c = small();
    c.scale_shift = scale_shift;
    unet net = trained(c);
    toy data(net, 2);
    auto with = data.evaluate(net, {3, 3});
    auto other = data.evaluate(net, {4, 4});
    auto null = data.evaluate(net, {-1, -1});
    BOOST_TEST(largest_difference(with, other) > 1e-4);
    BOOST_TEST(largest_difference(with, null) > 1e-4);
    std::vector<float> implied(null.size());
    net.forward(data.x.data(), data.elements, data.times.data(), nullptr, 2, implied.data(),
                data.elements);
    BOOST_TEST(largest_difference(null, implied) == 0);
    data.times = {900, 900};
    BOOST_TEST(largest_difference(with, data.evaluate(net, {3, 3})) > 1e-4);
  }
}

BOOST_AUTO_TEST_CASE(a_row_does_not_depend_on_the_others_nor_on_the_pitch) {
  unet net = trained(small());
  toy data(net, 130);  // more than one chunk
  auto all = data.evaluate(net);
  for (std::size_t row : {0, 5, 127, 128, 129}) {
    std::vector<float> x(data.elements + 3, 1e9f), out(data.elements + 5, 7.0f);
    std::copy_n(data.x.begin() + static_cast<std::ptrdiff_t>(row * data.elements), data.elements,
                x.begin());
    net.forward(x.data(), x.size(), &data.times[row], &data.labels[row], 1, out.data(), out.size());
    for (std::size_t k = 0; k < data.elements; ++k) {
      BOOST_REQUIRE_SMALL(out[k] - all[row * data.elements + k], 1e-4f);
    }
    BOOST_TEST(out[data.elements] == 7);
  }
}

BOOST_AUTO_TEST_CASE(a_flat_value_is_what_the_next_call_uses) {
  unet net(unet_config::tiny());
  toy data(net, 1);
  auto const& last = net.tensors().back();
  BOOST_TEST(last.name == "last.bias");
  net.parameters()[last.offset] = 0.25f;
  for (float v : data.evaluate(net)) BOOST_REQUIRE(v == 0.25f);
}

// q J p by the transposed Jacobian, and by a difference along p; rows do not mix.
BOOST_AUTO_TEST_CASE(vjp_is_the_transposed_jacobian) {
  unet net(unet_config::tiny(), 3);
  toy data(net, 4);
  for (int i = 0; i < 20; ++i) data.train(net, static_cast<std::uint64_t>(i), {.rate = 5e-3});
  std::size_t const n = data.elements, pitch = n + 3;
  std::vector<float> q(data.rows * pitch), product(data.rows * pitch), p(data.rows * n);
  for (std::size_t r = 0; r < data.rows; ++r)
    for (std::size_t k = 0; k < n; ++k) {
      q[r * pitch + k] =
          r == 2 ? 0.0f : static_cast<float>(std::cos(1.7 * static_cast<double>(k + r)));
      p[r * n + k] = static_cast<float>(std::sin(2.3 * static_cast<double>(k * (r + 1))));
    }
  net.vjp(data.x.data(), n, data.times.data(), data.labels.data(), data.rows, q.data(), pitch,
          product.data(), pitch);
  float const h = 0.02f;
  toy up = data, down = data;
  for (std::size_t i = 0; i < p.size(); ++i) {
    up.x[i] += h * p[i];
    down.x[i] -= h * p[i];
  }
  auto const above = up.evaluate(net), below = down.evaluate(net);
  for (std::size_t r = 0; r < data.rows; ++r) {
    double by_vjp = 0, by_difference = 0, scale = 0;
    for (std::size_t k = 0; k < n; ++k) {
      by_vjp += static_cast<double>(product[r * pitch + k]) * p[r * n + k];
      double const d = (static_cast<double>(above[r * n + k]) - below[r * n + k]) / (2 * h);
      by_difference += d * q[r * pitch + k];
      scale += d * d;
    }
    BOOST_TEST(scale > 1e-4);
    BOOST_TEST(std::abs(by_vjp - by_difference) < 2e-2 * std::sqrt(scale));
    if (r == 2) BOOST_TEST(by_vjp == 0.0);
  }
  BOOST_CHECK_EXCEPTION(net.vjp(data.x.data(), n, data.times.data(), data.labels.data(), 1,
                                q.data(), n - 1, product.data(), n),
                        tweedie::error, says("a pitch of 63 floats was given"));
}

BOOST_AUTO_TEST_CASE(the_loss_is_the_weighted_mean_of_squares) {
  unet net(unet_config::tiny());
  toy data(net, 6);
  double expected = 0;  // the first output is 0
  for (std::size_t i = 0; i < data.target.size(); ++i) {
    expected += data.weights[i / data.elements] * double{data.target[i]} * data.target[i];
  }
  BOOST_TEST(data.train(net, 0) == expected / static_cast<double>(data.target.size()),
             boost::test_tools::tolerance(1e-5));
}

BOOST_AUTO_TEST_CASE(the_loss_goes_down) {
  for (bool scale_shift : {true, false}) {
    auto c = small();
    c.scale_shift = scale_shift;
    unet net(c, 5);
    toy data(net, 16);
    double first = data.train(net, 0, {3e-3}), last = first;
    for (std::uint64_t i = 1; i < 100; ++i) last = data.train(net, i, {3e-3});
    BOOST_TEST(last < 0.3 * first);
  }
}

BOOST_AUTO_TEST_CASE(dropout_comes_from_its_seed_alone) {
  auto after = [](std::uint64_t seed) {
    unet net = trained(small());
    return toy(net, 4).train(net, seed);
  };
  BOOST_TEST(after(1) == after(1));
  BOOST_TEST(after(1) != after(2));
}

BOOST_AUTO_TEST_CASE(a_resumed_training_has_the_same_bits) {
  unet straight(small(), 8);
  toy data(straight, 12);
  for (std::uint64_t i = 0; i < 4; ++i) data.train(straight, i);
  std::vector<float> p(straight.parameters().begin(), straight.parameters().end());
  std::vector<float> m(straight.first_moment().begin(), straight.first_moment().end());
  std::vector<float> v(straight.second_moment().begin(), straight.second_moment().end());
  auto const steps = straight.steps();

  unet resumed(small(), 99);
  std::copy(p.begin(), p.end(), resumed.parameters().begin());
  std::copy(m.begin(), m.end(), resumed.first_moment().begin());
  std::copy(v.begin(), v.end(), resumed.second_moment().begin());
  resumed.set_steps(steps);
  unet moved = std::move(resumed);
  for (std::uint64_t i = 4; i < 8; ++i) BOOST_TEST(data.train(straight, i) == data.train(moved, i));
  BOOST_TEST(std::equal(straight.parameters().begin(), straight.parameters().end(),
                        moved.parameters().begin()));
  BOOST_TEST(moved.steps() == 8);
  BOOST_CHECK_THROW(moved.set_steps(-1), tweedie::error);
}
