// Colorization: an orthogonal matrix makes the gray of a pixel one channel, which inpainting keeps.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <tweedie/networks/in_basis.hpp>
#include <tweedie/samplers/ancestral.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/samplers/repaint.hpp>

#include "inpainting_common.hpp"
#include "laws_common.hpp"
#include "numbers.hpp"

using namespace inpainting;
using laws::contains;
using laws::largest_difference;
using laws::record;
using laws::sentence;
using networks::channel_basis;

namespace {

// Colours: red cloth, blue sky, brown wood, each with a gray of its own.
mixture const colours{
    {{0.5, -0.2, -0.3}, 0.16, 1}, {{-0.2, 0.1, 0.5}, 0.2, 1}, {{-0.3, -0.4, -0.5}, 0.18, 0.8}};

/// M x in double, written out.
three turned(channel_basis const& basis, three const& x) {
  three y{};
  for (std::size_t i = 0; i < 3; ++i)
    for (std::size_t j = 0; j < 3; ++j) y[i] += basis.rows[i][j] * x[j];
  return y;
}
three turned_back(channel_basis const& basis, three const& y) {
  three x{};
  for (std::size_t i = 0; i < 3; ++i)
    for (std::size_t j = 0; j < 3; ++j) x[i] += basis.rows[j][i] * y[j];
  return x;
}

networks::gaussian_mixture library_mixture(bool in_the_basis) {
  networks::gaussian_mixture m;
  int label = 0;
  for (auto const& c : colours) {
    three const mean = in_the_basis ? turned(channel_basis::gray(), c.mean) : c.mean;
    m.components.push_back({.mean = {mean.begin(), mean.end()},
                            .variance = c.variance,
                            .weight = c.weight,
                            .label = label++ % 2});
  }
  return m;
}

images pictures(std::vector<std::size_t> shape) {
  images r{shape, {}};
  std::size_t n = 1;
  for (std::size_t extent : shape) n *= extent;
  for (std::size_t i = 0; i < n; ++i)
    r.data.push_back(static_cast<float>(std::cos(1.3 * static_cast<double>(i))));
  return r;
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_first_coordinate_is_the_gray) {
  auto const basis = channel_basis::gray();
  basis.check();
  auto const rgb = pictures({2, 3, 4, 5});
  auto const y = networks::rotate_channels(rgb, basis);
  for (std::size_t n = 0; n < 2; ++n)
    for (std::size_t p = 0; p < 20; ++p) {
      three const x{double{rgb[n][p]}, double{rgb[n][20 + p]}, double{rgb[n][40 + p]}};
      BOOST_TEST(std::abs(double{y[n][p]} - std::sqrt(3.0) * (x[0] + x[1] + x[2]) / 3) < 1e-6);
      three const expected = turned(basis, x);
      for (std::size_t c = 0; c < 3; ++c)
        BOOST_TEST(std::abs(double{y[n][20 * c + p]} - expected[c]) < 1e-6);
    }
  auto const back = networks::rotate_channels_back(y, basis);
  BOOST_TEST(largest_difference(back.data, rgb.data) < 1e-6);
  BOOST_TEST(largest_difference(y.data, rgb.data) > 0.1);
}

// Whatever the network predicts: turned, it is the exact network of the turned mixture.
BOOST_AUTO_TEST_CASE(every_prediction_turns_as_x_does) {
  auto const m = library_mixture(false), in_basis = library_mixture(true);
  std::vector<level> const levels(4, schedules::rectified_flow{}.at(0.4));
  std::vector<std::size_t> const shape{3};
  auto const x = pictures({4, 3});
  std::vector<float> padded(4 * 4), out(2 * 4 * 4), expected(2 * 4 * 4);
  for (std::size_t i = 0; i < 4; ++i) std::ranges::copy(x[i], padded.data() + 4 * i);
  std::vector<int> const of{0, 1, 0, 1};
  batch b{.samples = 4,
          .branches = 2,
          .shape = shape,
          .elements = 3,
          .pitch = 4,
          .x = padded.data(),
          .out = out.data(),
          .levels = levels.data(),
          .labels = of.data()};
  auto const compare = [&](auto network, auto exact, char const* name) {
    b.out = out.data();
    networks::in_basis{network, channel_basis::gray()}(b);
    b.out = expected.data();
    exact(b);
    BOOST_TEST(largest_difference(out, expected) < 2e-6, name);
    b.out = out.data();
    network(b);
    BOOST_TEST(largest_difference(out, expected) > 0.05, name);
  };
  compare(m.predicting<predicts::epsilon>(), in_basis.predicting<predicts::epsilon>(), "epsilon");
  compare(m.predicting<predicts::x0>(), in_basis.predicting<predicts::x0>(), "x0");
  compare(m.predicting<predicts::score>(), in_basis.predicting<predicts::score>(), "score");
  compare(m.predicting<predicts::v>(), in_basis.predicting<predicts::v>(), "v");
  compare(m.predicting<predicts::velocity>(), in_basis.predicting<predicts::velocity>(),
          "velocity");
}

BOOST_AUTO_TEST_CASE(the_identity_changes_no_bit) {
  auto const run = [&](auto network) {
    return (schedules::cosine{} | predicts::x0{} | samplers::ddim{} | network)
        .sample({.shape = {2, 3, 5}, .steps = 6, .seed = 8});
  };
  channel_basis const identity{{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
  BOOST_TEST(largest_difference(run(networks::in_basis{pixel_network{colours}, identity}).data,
                                run(pixel_network{colours}).data) == 0);
}

// With 10,000 pixels the mean of a colour is known to 0.005.
BOOST_AUTO_TEST_CASE(colours_follow_the_gray) {
  auto const basis = channel_basis::gray();
  mixture in_basis = colours;
  for (auto& c : in_basis) c.mean = turned(basis, c.mean);
  std::size_t const pixels = 10000;
  std::vector<double> const grays{-0.5, 0.0, 0.25};
  images gray{{3, 3, pixels}, {}};
  for (double g : grays) gray.data.insert(gray.data.end(), 3 * pixels, static_cast<float>(g));
  images const first{{3, 1}, {1, 0, 0}};
  images mask{{3, pixels}, std::vector<float>(3 * pixels)};
  for (std::size_t i = 0; i < 3 * pixels; ++i) mask.data[i] = first.data[i / pixels];

  auto const plan = (schedules::cosine{} | predicts::x0{} |
                     samplers::repaint{samplers::ancestral{samplers::variance::beta}, 20} |
                     networks::in_basis{pixel_network{colours}, basis})
                        .plan(50);
  auto const coloured =
      networks::rotate_channels_back(plan.sample({.shape = {3, 3, pixels},
                                                  .seed = 5,
                                                  .known = networks::rotate_channels(gray, basis),
                                                  .mask = mask}),
                                     basis);
  double of_gray = 0, of_mean = 0;
  for (std::size_t i = 0; i < 3; ++i) {
    three mean{};
    for (std::size_t p = 0; p < pixels; ++p) {
      double sum = 0;
      for (std::size_t c = 0; c < 3; ++c) {
        double const value{coloured[i][c * pixels + p]};
        sum += value;
        mean[c] += value / static_cast<double>(pixels);
      }
      of_gray = std::max(of_gray, std::abs(sum / 3 - grays[i]));
    }
    auto const given = exact_given(in_basis, std::sqrt(3.0) * grays[i]);
    three const exact =
        turned_back(basis, {std::sqrt(3.0) * grays[i], given.mean[0], given.mean[1]});
    for (std::size_t c = 0; c < 3; ++c) of_mean = std::max(of_mean, std::abs(mean[c] - exact[c]));
    // The gray tells something: the colours given it are not those of all pixels.
    BOOST_TEST(std::hypot(exact[0] - grays[i], exact[1] - grays[i], exact[2] - grays[i]) > 0.1);
  }
  BOOST_TEST_MESSAGE("gray off by " << of_gray << ", mean colour by " << of_mean);
  record("colorization", "error of the mean colour given the gray", of_mean);
  BOOST_TEST(of_gray < 5e-7);
  BOOST_TEST(of_mean < 0.03);
}

BOOST_AUTO_TEST_CASE(what_is_refused) {
  auto const expect = [](std::string const& given, std::string const& part) {
    BOOST_TEST(contains(given, part), given);
  };
  auto const basis_of = [](std::vector<std::vector<double>> rows) {
    return sentence([&] { networks::in_basis{pixel_network{colours}, channel_basis{rows}}; });
  };
  expect(basis_of({}), "channel_basis: no row was given, expected one for each channel");
  expect(basis_of({{1, 0, 0}, {0, 1}, {0, 0, 1}}),
         "channel_basis: a row of 2 numbers was given, expected 3");
  expect(basis_of({{1, 0}, {0, 2}}),
         "channel_basis: rows 1 and 1 have the product 4, an orthogonal matrix has 1");
  expect(basis_of({{1, 0}, {1, 0}}),
         "channel_basis: rows 1 and 0 have the product 1, an orthogonal matrix has 0");
  expect(basis_of({{NAN, 0}, {0, 1}}), "have the product nan");

  auto const basis = channel_basis::gray();
  expect(sentence([&] {
           networks::rotate_channels(pictures({2, 4, 5}), basis);
         }),
         "rotate_channels: pictures of 4 channels were given, the basis has 3");
  expect(sentence([&] { networks::rotate_channels_back(pictures({6}), basis); }),
         "pictures of 0 channels were given");
  auto short_one = pictures({2, 3, 5});
  short_one.data.pop_back();
  expect(sentence([&] { networks::rotate_channels(short_one, basis); }),
         "rotate_channels: 29 values were given, expected 30");
  expect(sentence([&] {
           networks::rotate_channels(pictures({2, 2}), {{{1, 0}, {0, 2}}});
         }),
         "an orthogonal matrix has 1");

  struct checked : pixel_network {
    void check(std::span<std::size_t const>, std::span<int const>, int) const {
      throw error("the network was asked");
    }
  };
  auto const plan_of = [&](auto network) {
    return (schedules::cosine{} | predicts::x0{} | samplers::ddim{} |
            networks::in_basis{network, basis})
        .plan(3);
  };
  expect(sentence([&] {
           plan_of(pixel_network{colours}).sample({.shape = {2, 1, 5}});
         }),
         "in_basis: samples of 1 channels were given, the basis has 3");
  expect(sentence([&] {
           plan_of(checked{{colours}}).sample({.shape = {2, 3, 5}});
         }),
         "the network was asked");
}
