// Inpainting: one step by its formula, what the mask's values and shapes mean, and what is refused.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <tweedie/samplers/ancestral.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/samplers/repaint.hpp>

#include "inpainting_common.hpp"
#include "laws_common.hpp"

using namespace laws;
using inpainting::asked;
using inpainting::filled;
using inpainting::some_known;

namespace {

std::size_t const elements = 12;
network_function const network = two_classes(elements).predicting<predicts::v>();

template <class Sampler> auto pipeline_of(Sampler sampler) {
  return schedules::cosine{} | predicts::v{} | sampler | network;
}

double sum_of(std::span<float const> a) {
  double r = 0;
  for (float one : a) r += double{one};
  return r;
}

}  // namespace

// Lugmayr et al. 2022, Algorithm 1 with U = 2 and eq. 1, in double, around a step of ddim.
BOOST_AUTO_TEST_CASE(a_step_by_its_formula) {
  auto const mixture = two_classes(elements);
  images const mask{{3, 2, 2}, {1, 0, 0.25f, 1, 0, 0, 1, 1, 0.5f, 0, 0, 1}};
  auto r = asked(mask);
  for (int resamplings : {1, 2, 3}) {
    auto const plan = pipeline_of(samplers::repaint{samplers::ddim{}, resamplings})
                          .plan(grids::custom{{900, 350}}, 1);
    state const start = plan.start(r);
    auto const samples = plan.run(start);
    level const t = plan.levels()[0], s = plan.levels()[1];
    double const ratio = t.alpha / s.alpha,
                 beta = t.sigma * t.sigma - ratio * ratio * s.sigma * s.sigma;
    for (std::size_t i = 0; i < 5; ++i) {
      std::vector<double> now(start.x.data() + i * start.pitch,
                              start.x.data() + i * start.pitch + elements);
      for (int u = 0; u < resamplings; ++u) {
        sample_key key = start.keys[i];
        key.step += static_cast<std::uint32_t>(u);
        std::vector<float> of_known(elements), of_back(elements);
        fill_normals(of_known.data(), 0, elements / 4, key, 18);
        fill_normals(of_back.data(), 0, elements / 4, key, 19);
        auto const p = mixture.given(now, t);
        for (std::size_t j = 0; j < elements; ++j) {
          double const m = double{mask.data[j]};
          double const noised = s.alpha * double{r.known[i][j]} + s.sigma * double{of_known[j]};
          now[j] = m * noised + (1 - m) * (s.alpha * p.x0[j] + s.sigma * p.eps[j]);
          if (u + 1 < resamplings) now[j] = ratio * now[j] + std::sqrt(beta) * double{of_back[j]};
        }
      }
      for (std::size_t j = 0; j < elements; ++j)
        BOOST_TEST(std::abs(double{samples[i][j]} - now[j]) < 1e-5,
                   resamplings << " resamplings, sample " << i << ", element " << j);
    }
  }
}

BOOST_AUTO_TEST_CASE(shapes_of_a_mask) {
  // In each picture of 3 channels, 2 x 2 pixels: what the mask says of a channel, row and column.
  auto const result = [&](images mask) {
    return pipeline_of(samplers::replacement{samplers::ancestral{}}).sample(asked(std::move(mask)));
  };
  std::vector<float> const pixels{1, 0, 0.5f, 1};
  std::vector<float> channels, samples, everything;
  for (std::size_t i = 0; i < elements; ++i) channels.push_back(i % 5 == 0 ? 1.f : 0.f);
  for (std::size_t i = 0; i < 5 * 4; ++i) samples.push_back(i % 3 == 0 ? 1.f : 0.f);
  for (std::size_t i = 0; i < 5 * elements; ++i) everything.push_back(i % 7 == 0 ? 1.f : 0.f);
  auto const whole = [&](auto value) {
    images m{{5, 3, 2, 2}, {}};
    for (std::size_t n = 0; n < 5; ++n)
      for (std::size_t c = 0; c < 3; ++c)
        for (std::size_t p = 0; p < 4; ++p) m.data.push_back(value(n, c, p));
    return result(m).data;
  };
  auto const per_pixel = whole([&](auto, auto, auto p) { return pixels[p]; });
  BOOST_TEST(largest_difference(result({{2, 2}, pixels}).data, per_pixel) == 0, "{H, W}");
  BOOST_TEST(largest_difference(result({{1, 2, 2}, pixels}).data, per_pixel) == 0, "{1, H, W}");
  auto const per_channel = whole([&](auto, auto c, auto p) { return channels[c * 4 + p]; });
  BOOST_TEST(largest_difference(result({{3, 2, 2}, channels}).data, per_channel) == 0, "{C, H, W}");
  auto const per_sample = whole([&](auto n, auto, auto p) { return samples[n * 4 + p]; });
  BOOST_TEST(largest_difference(result({{5, 1, 2, 2}, samples}).data, per_sample) == 0,
             "{N, 1, H, W}");
  auto const each = whole([&](auto n, auto c, auto p) { return everything[(n * 3 + c) * 4 + p]; });
  BOOST_TEST(largest_difference(result({{5, 3, 2, 2}, everything}).data, each) == 0,
             "{N, C, H, W}");
  // They are not all the same, and where the mask is 1 the known sample is exactly there.
  BOOST_TEST(largest_difference(per_pixel, per_channel) > 0.1);
  BOOST_TEST(largest_difference(per_sample, each) > 0.1);
  auto const known = some_known({5, 3, 2, 2});
  for (std::size_t n = 0; n < 5; ++n)
    for (std::size_t i = 0; i < elements; ++i) {
      if (channels[i] == 1) BOOST_TEST(per_channel[n * elements + i] == known[n][i]);
      if (samples[n * 4 + i % 4] == 1) BOOST_TEST(per_sample[n * elements + i] == known[n][i]);
    }
  // A sample alone has the bits that it has among others.
  auto one = asked({{2, 2}, pixels});
  one.shape[0] = one.known.shape[0] = 1;
  one.known.data.resize(elements);
  auto const first = pipeline_of(samplers::replacement{samplers::ancestral{}}).sample(one);
  BOOST_TEST(largest_difference(first.data, std::span{per_pixel}.first(elements)) == 0);
}

// As many samples as channels: a mask for three samples means what it means for two.
BOOST_AUTO_TEST_CASE(a_mask_means_the_same_for_every_number_of_samples) {
  images mask{{3, 2, 2}, std::vector<float>(12)};
  std::fill_n(mask.data.begin(), 4, 1.f);  // the first channel is known
  for (std::size_t count : {2u, 3u, 4u}) {
    request r = asked(mask);
    r.shape[0] = count;
    r.known = some_known(r.shape);
    auto const samples = pipeline_of(samplers::replacement{samplers::ancestral{}}).sample(r);
    for (std::size_t n = 0; n < count; ++n)
      for (std::size_t i = 0; i < elements; ++i)
        BOOST_TEST((samples[n][i] == r.known[n][i]) == (i < 4),
                   count << " samples: " << n << ", " << i);
  }
  request r = asked({{2, 2, 2}, std::vector<float>(8)});
  r.shape[0] = 2;
  r.known = some_known(r.shape);
  auto const pipeline = pipeline_of(samplers::replacement{samplers::ancestral{}});
  BOOST_TEST(contains(sentence([&] { pipeline.sample(r); }), "for each sample, {2, 1, 2, 2}"));
}

BOOST_AUTO_TEST_CASE(flat_samples_have_flat_masks) {
  images const mask{{elements}, {1, 0, 0, 0, 0.5f, 0, 0, 0, 0, 0, 0, 1}};
  request r{.shape = {2, elements}, .steps = 4, .known = some_known({2, elements}), .mask = mask};
  auto const samples = pipeline_of(samplers::replacement{samplers::ddim{}}).sample(r);
  for (std::size_t i : {0u, 1u})
    for (std::size_t j : {0u, 11u}) BOOST_TEST(samples[i][j] == r.known[i][j]);
  BOOST_TEST(std::abs(sum_of(samples[0]) - sum_of(r.known[0])) > 0.01);
}

BOOST_AUTO_TEST_CASE(what_is_refused) {
  auto const plan = pipeline_of(samplers::repaint{samplers::ddim{}, 2}).plan(4);
  auto const said = [&](auto change) {
    request r = asked(filled({2, 2}, 1));
    change(r);
    return sentence([&] { plan.sample(r); });
  };
  auto const expect = [](std::string const& given, std::string const& part) {
    BOOST_TEST(contains(given, part), given);
  };
  expect(said([](request& r) { r.known = {}; }),
         "known samples of shape {} with 0 values were given, expected shape {5, 3, 2, 2}");
  expect(
      said([](request& r) {
        r.known = some_known({5, 1, 2, 2});
      }),
      "known samples of shape {5, 1, 2, 2} with 20 values were given, expected shape {5, 3, 2, 2}");
  expect(said([](request& r) { r.known.data.pop_back(); }), "with 59 values were given");
  expect(said([](request& r) { r.known.data[7] = NAN; }),
         "known samples: value 7 is nan, expected finite ones");
  expect(said([](request& r) { r.known.data[3] = INFINITY; }), "value 3 is inf");
  expect(said([](request& r) { r.mask = {}; }), "a mask of shape {} with 0 values was given");
  for (auto const& shape : std::vector<std::vector<std::size_t>>{{4},
                                                                 {3, 2},
                                                                 {2, 2, 2},
                                                                 {3, 4},
                                                                 {4, 2, 2},
                                                                 {4, 3, 2, 2},
                                                                 {5, 2, 2},
                                                                 {5, 2, 2, 2},
                                                                 {5, 5, 3, 2, 2}})
    expect(said([&](request& r) { r.mask = filled(shape, 1); }),
           "values was given for 5 samples of shape {3, 2, 2}, expected that shape or one channel, "
           "{1, 2, 2}, or such a one for each sample, {5, 1, 2, 2}");
  expect(said([](request& r) { r.mask.data.push_back(1); }),
         "a mask of shape {2, 2} with 5 values was given");
  expect(said([](request& r) { r.mask.data[1] = 1.5f; }),
         "mask: a value of 1.5 was given, expected 0 to 1");
  expect(said([](request& r) { r.mask.data[1] = -0.25f; }), "mask: a value of -0.25 was given");
  expect(said([](request& r) { r.mask.data[1] = NAN; }), "mask: a value of nan was given");
  // The other starts say the same.
  auto bad = asked({});
  expect(sentence([&] { plan.start_from(bad.known, bad); }), "a mask of shape {} with 0 values");
  expect(sentence([&] { plan.start_at(bad.known, bad); }), "a mask of shape {} with 0 values");

  for (int n : {0, -3})
    expect(
        sentence([&] {
          pipeline_of(samplers::repaint{samplers::ddim{}, n}).plan(4);
        }),
        "samplers::repaint: " + std::to_string(n) + " resamplings were given, expected 1 or more");
  struct never : samplers::ddim {
    void check() const { throw error("the inner sampler was asked"); }
  };
  expect(sentence([&] { pipeline_of(samplers::replacement<never>{}).plan(4); }), "was asked");
  expect(sentence([&] { pipeline_of(samplers::repaint<never>{}).plan(4); }), "was asked");

  auto const plain = pipeline_of(samplers::ddim{}).plan(4);
  auto r = asked({});
  expect(sentence([&] { plain.sample(r); }),
         "known samples were given, the sampler does not keep what is known");
  r.known = {};
  r.mask = filled({2, 2}, 1);
  expect(sentence([&] { plain.sample(r); }), "a mask was given, the sampler does not use one");
}
