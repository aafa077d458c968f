// Inpainting against the exact conditional: in each pixel a mixture over three channels, of which
// the first is known.
//
// Samples are held to the mean and covariance of the other two given it. The sampler is ancestral
// with variance beta, whose own error in the covariance at 50 steps is small (beta-tilde loses
// some at each repetition).
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <tweedie/samplers/ancestral.hpp>
#include <tweedie/samplers/repaint.hpp>

#include "inpainting_common.hpp"
#include "laws_common.hpp"
#include "numbers.hpp"

using namespace inpainting;
using laws::record;

namespace {

mixture const data{
    {{0.6, 0.7, 0.2}, 0.16, 1}, {{-0.5, -0.6, 0.4}, 0.25, 1}, {{0.1, 0.1, -0.7}, 0.2, 0.8}};
std::array<double, 3> const knowns{-0.4, 0.2, 0.7};
std::size_t const pixels = 10000;

/// The largest error over the known values of the mean and of the covariance.
struct errors {
  double mean = 0, covariance = 0;
};

template <class Sampler> errors errors_of(Sampler sampler, char const* name) {
  request r{.shape = {3, 3, pixels}, .seed = 4, .known = {}, .mask = {{3, pixels}, {}}};
  r.known.shape = r.shape;
  for (double k : knowns) {
    r.known.data.insert(r.known.data.end(), pixels, static_cast<float>(k));
    r.known.data.insert(r.known.data.end(), 2 * pixels, 9);  // unknown: it must not matter
  }
  r.mask.data.assign(3 * pixels, 0);
  std::fill_n(r.mask.data.begin(), pixels, 1.0f);
  auto const samples =
      (schedules::cosine{} | predicts::x0{} | sampler | pixel_network{data}).plan(50).sample(r);
  errors worst;
  for (std::size_t i = 0; i < 3; ++i) {
    moments const exact = exact_given(data, knowns[i]), seen = moments_of(samples[i]);
    worst.mean = std::max(worst.mean, seen.mean_from(exact));
    worst.covariance = std::max(worst.covariance, seen.covariance_from(exact));
    for (std::size_t p = 0; p < pixels; ++p)
      if (samples[i][p] != r.known[i][p]) BOOST_FAIL("a known value was changed");
  }
  BOOST_TEST_MESSAGE(name << ": mean off by " << worst.mean << ", covariance by "
                          << worst.covariance);
  return worst;
}

}  // namespace

// The network of the test is the library's exact one.
BOOST_AUTO_TEST_CASE(the_network_is_exact) {
  networks::gaussian_mixture m;
  for (auto const& c : data)
    m.components.push_back(
        {.mean = {c.mean.begin(), c.mean.end()}, .variance = c.variance, .weight = c.weight});
  for (double t : {30.0, 400.0, 900.0}) {
    std::vector<level> const levels{schedules::cosine{}.at(t)};
    std::vector<float> const x{0.3f, -0.8f, 1.2f};
    std::vector<float> out(3);
    std::vector<std::size_t> const shape{3, 1};
    pixel_network{data}(batch{.samples = 1,
                              .shape = shape,
                              .elements = 3,
                              .pitch = 3,
                              .x = x.data(),
                              .out = out.data(),
                              .levels = levels.data()});
    auto const exact = m.x0(std::vector<double>(x.begin(), x.end()), levels[0]);
    for (std::size_t i = 0; i < 3; ++i) BOOST_TEST(std::abs(double{out[i]} - exact[i]) < 1e-6);
  }
  // Without anything known the other channels have this covariance; with it another.
  auto const all = m.covariance();
  moments const given = exact_given(data, knowns[0]);
  BOOST_TEST(std::hypot(all[4] - given.covariance[0], all[5] - given.covariance[1],
                        all[8] - given.covariance[2]) > 0.1);
}

// With 10,000 draws the mean is known to 0.009 and the covariance to 0.01.
BOOST_AUTO_TEST_CASE(resampling_takes_the_bias_away) {
  samplers::ancestral const inner{samplers::variance::beta};
  errors const alone = errors_of(samplers::replacement{inner}, "replacement");
  errors const five = errors_of(samplers::repaint{inner, 5}, "5 resamplings");
  errors const twenty = errors_of(samplers::repaint{inner, 20}, "20 resamplings");
  record("replacement", "error of the conditional mean", alone.mean);
  record("repaint", "error of the conditional mean at 20 resamplings", twenty.mean);
  double const mean_bound = 0.05, covariance_bound = 0.05;
  BOOST_TEST(twenty.mean < mean_bound);
  BOOST_TEST(twenty.covariance < covariance_bound);
  BOOST_TEST(five.mean > twenty.mean + 0.02);
  BOOST_TEST(five.covariance > twenty.covariance + 0.01);
  BOOST_TEST(alone.mean > five.mean + 0.05);
  BOOST_TEST(alone.covariance > five.covariance + 0.05);
  // The replacement method's bias.
  BOOST_TEST(alone.mean > 4 * mean_bound);
  BOOST_TEST(alone.covariance > 2 * covariance_bound);
}
