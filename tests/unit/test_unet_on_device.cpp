// The U-Net on a device, as far as that shows without one: what it does there, done in the host's
// memory, and what a plan is told where its LibTorch has no device.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include <tweedie/networks/unet_body.hpp>
#include <tweedie/networks/unet_network.hpp>
#include <tweedie/tweedie.hpp>

#include "common.hpp"
#include "no_device.hpp"

using common::equal_bits;
using namespace tweedie;
using networks::unet;
using networks::unet_body;
using networks::unet_config;
using networks::unet_memory;

namespace {

struct one_thread {
  one_thread() { unet::set_threads(1); }
};
BOOST_TEST_GLOBAL_FIXTURE(one_thread);

// Two resolutions and attention at both, so that every kind of layer is in it; its output is not 0.
unet trained(int classes = 10, int channels = 1) {
  unet_config c = unet_config::tiny();
  c.multipliers = {1, 2};
  c.blocks = {1, 1};
  c.attention = {8, 4};
  c.classes = classes;
  c.channels = channels;
  unet net(c, 1);
  std::vector<float> x(4 * net.elements(), 0.5f), target(4 * net.elements(), -0.25f);
  std::vector<double> const times{1, 20, 300, 400};
  for (std::uint64_t i = 0; i < 3; ++i)
    net.train_step(x.data(), target.data(), times.data(), nullptr, nullptr, 4, i, {1e-2});
  return net;
}

/// A call for `samples` samples, rows `apart` floats apart, and both answers to it.
struct call {
  std::size_t elements, samples, branches, apart;
  std::vector<float> x;
  std::vector<double> times;
  std::vector<int> labels;

  call(unet const& net, std::size_t samples_, std::size_t branches_, std::size_t more = 0)
      : elements(net.elements()), samples(samples_), branches(branches_), apart(elements + more) {
    for (std::size_t i = 0; i < samples * apart; ++i)
      x.push_back(i % apart < elements ? static_cast<float>(std::sin(0.7 * static_cast<double>(i)))
                                       : 1e9f);
    for (std::size_t i = 0; i < samples; ++i) times.push_back(3 + 41.0 * static_cast<double>(i));
    for (std::size_t i = 0; i < samples * branches; ++i)
      labels.push_back(i < samples ? static_cast<int>(i % 10) : -1);
  }

  std::vector<float> as_on_a_device(unet const& net, bool labelled = true) const {
    std::vector<float> out(branches * samples * apart, 7.0f);
    unet_body::of(net).forward_in(unet_memory::host, x.data(), apart, times.data(),
                                  labelled ? labels.data() : nullptr, samples, branches, out.data(),
                                  nullptr);
    return out;
  }
  std::vector<float> by_forward(unet const& net, bool labelled = true) const {
    std::vector<float> out(branches * samples * apart, 7.0f), rows;
    std::vector<double> of_rows;
    for (std::size_t b = 0; b < branches; ++b) {
      rows.insert(rows.end(), x.begin(), x.end());
      of_rows.insert(of_rows.end(), times.begin(), times.end());
    }
    net.forward(rows.data(), apart, of_rows.data(), labelled ? labels.data() : nullptr,
                branches * samples, out.data(), apart);
    return out;
  }
};

double largest_difference(std::vector<float> const& a, std::vector<float> const& b) {
  BOOST_TEST_REQUIRE(a.size() == b.size());
  double most = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    most = std::max(most, std::abs(double{a[i]} - double{b[i]}));
  return most;
}

auto says(std::string const& part) {
  return [part](error const& e) {
    BOOST_TEST_INFO(e.what());
    return std::string(e.what()).find(part) != std::string::npos;
  };
}

}  // namespace

// As many rows at once as forward has: the same bits. The gaps between rows are left alone.
BOOST_AUTO_TEST_CASE(the_branches_read_the_same_rows) {
  for (int channels : {1, 3}) {
    unet const net = trained(10, channels);
    for (std::size_t branches : {1, 2, 3})
      for (std::size_t gap : {0, 4}) {
        call const c(net, 5, branches, gap);
        auto const seen = c.as_on_a_device(net);
        BOOST_TEST(equal_bits(seen, c.by_forward(net)));
        BOOST_TEST(largest_difference(seen, std::vector<float>(seen.size())) > 1e-3);
        if (gap > 0) BOOST_TEST(seen[c.elements] == 7);
      }
  }
}

BOOST_AUTO_TEST_CASE(without_labels) {
  unet const net = trained();
  call const c(net, 4, 2);
  BOOST_TEST(equal_bits(c.as_on_a_device(net, false), c.by_forward(net, false)));
  BOOST_TEST((c.as_on_a_device(net, false) != c.by_forward(net)));
  unet const unconditional = trained(0);
  call const d(unconditional, 4, 1);
  BOOST_TEST(
      equal_bits(d.as_on_a_device(unconditional, false), d.by_forward(unconditional, false)));
}

// More than are evaluated at once: a part has its own times and labels, of each branch.
BOOST_AUTO_TEST_CASE(many_rows) {
  unet const net = trained();
  for (std::size_t branches : {1, 2}) {
    call const c(net, 520, branches);
    BOOST_TEST(largest_difference(c.as_on_a_device(net), c.by_forward(net)) < 1e-4);
  }
  call const none(net, 0, 1);
  BOOST_TEST(none.as_on_a_device(net).empty());
}

// The copy on a device follows train_step, and who asks for the weights to write them.
BOOST_AUTO_TEST_CASE(changed_weights_are_seen) {
  unet net = trained();
  call const c(net, 3, 2);
  auto const before = c.as_on_a_device(net);
  auto const weights = net.parameters();
  float& bias = weights[net.tensors().back().offset];
  bias += 0.5f;
  auto const after = c.as_on_a_device(net);
  BOOST_TEST(equal_bits(after, c.by_forward(net)));
  BOOST_TEST(largest_difference(before, after) > 0.4);

  // A value through a run from before the last call: not until the weights are asked for.
  bias += 0.5f;
  BOOST_TEST(equal_bits(c.as_on_a_device(net), after));
  BOOST_TEST((c.by_forward(net) != after));
  net.parameters();
  BOOST_TEST(equal_bits(c.as_on_a_device(net), c.by_forward(net)));

  std::vector<float> const target(3 * net.elements(), 1.0f);
  net.train_step(c.x.data(), target.data(), c.times.data(), nullptr, nullptr, 3, 9, {1e-2});
  BOOST_TEST(equal_bits(c.as_on_a_device(net), c.by_forward(net)));
  BOOST_TEST((c.as_on_a_device(net) != after));

  unet const moved = std::move(net);
  BOOST_TEST(equal_bits(c.as_on_a_device(moved), c.by_forward(moved)));
}

BOOST_AUTO_TEST_CASE(a_bad_call_is_refused) {
  unet const net = trained();
  call c(net, 3, 2);
  c.labels[4] = 12;
  BOOST_CHECK_EXCEPTION(c.as_on_a_device(net), error, says("label 12 was given"));
  c.labels[4] = 1;
  c.apart = c.elements - 1;
  BOOST_CHECK_EXCEPTION(c.as_on_a_device(net), error, says("a pitch of 63 floats was given"));
  c.apart = c.elements;
  c.times[2] = std::numeric_limits<double>::infinity();
  BOOST_CHECK_EXCEPTION(c.as_on_a_device(net), error, says("time of row 2"));
}

// One sentence, before anything is asked of a device, that says what LibTorch lacks; one with a
// device passes, and what the host's compiler made of the step is refused after it.
BOOST_AUTO_TEST_CASE(a_plan_on_a_device_is_told_what_is_missing) {
  auto const net = std::make_shared<unet const>(trained());
  char const* const why_not = net->why_not_on_devices();
  auto const plan = (schedules::cosine{} | predicts::v{} | guidance::classifier_free{1} |
                     samplers::ddim{} | networks::unet_network{net})
                        .plan(3);
  std::string const said = refusal_of(plan);
  BOOST_TEST_MESSAGE(said);
  if (why_not) {
    BOOST_TEST(said ==
               std::string("a network for hosts was given to a plan on a device: ") + why_not);
    std::string const reason = why_not;
    BOOST_TEST(
        (reason.starts_with("the U-Net was built without CUDA, expected a build that found a "
                            "LibTorch with CUDA and the CUDA Toolkit") ||
         reason.starts_with("the U-Net's LibTorch finds no device, expected one")));
    BOOST_TEST(reason.ends_with(", or a call without on(stream)"));
    call const c(*net, 1, 1);
    std::vector<float> out(c.elements, 7.0f);
    BOOST_CHECK_EXCEPTION(net->forward_on_device(c.x.data(), c.elements, c.times.data(), nullptr, 1,
                                                 1, out.data(), nullptr),
                          error,
                          says(std::string("unet: a device's memory was given: ") + why_not));
    BOOST_TEST(out[0] == 7);
  } else BOOST_TEST(said.find("compiled for the host alone") != std::string::npos);

  request const asked{.shape = {2, 1, 8, 8}};
  placement const there{std::make_shared<no_device>()};
  BOOST_CHECK_EXCEPTION(plan.sample(asked, label{3}, there), error, says(said));
  BOOST_CHECK_EXCEPTION(plan.record(asked, label{3}, there), error, says(said));
  BOOST_TEST(plan.sample(asked, label{3}).data.size() == 2u * 64);
}

// Memory that the host shares is the host's too: without a device for LibTorch it runs there.
BOOST_AUTO_TEST_CASE(in_memory_that_the_host_shares) {
  auto const net = std::make_shared<unet const>(trained());
  if (!net->why_not_on_devices()) return;  // it would take the host's memory for a device's
  call const c(*net, 3, 2);
  std::vector<level> levels;
  for (double t : c.times) levels.push_back({.t = t});
  std::vector<float> out(6 * c.elements);
  std::vector<std::size_t> const shape{1, 8, 8};
  batch const b{.samples = 3,
                .branches = 2,
                .shape = shape,
                .elements = c.elements,
                .pitch = c.elements,
                .x = c.x.data(),
                .out = out.data(),
                .levels = levels.data(),
                .labels = c.labels.data(),
                .on_device = true};
  networks::unet_network{net}(b);
  BOOST_TEST(equal_bits(out, c.by_forward(*net)));
}
