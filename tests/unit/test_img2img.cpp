// img2img (Meng et al. 2022, SDEdit): what a picture keeps that is noised to a level and drawn
// again from there. Exact for one Gaussian N(m, v).
//
// A clean x* becomes x_t = alpha x* + sigma noise. A stochastic sampler then draws from
// p(x0 | x_t), whose mean is m + g (x_t - alpha m), g = alpha v / s, s = alpha^2 v + sigma^2, and
// whose variance is v sigma^2 / s. The flow takes x_t to m + sqrt(v / s) (x_t - alpha m).
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <tweedie/samplers/ancestral.hpp>
#include <tweedie/samplers/heun.hpp>

#include "laws_common.hpp"
#include "numbers.hpp"

using namespace laws;

namespace {

double const m = 0.3, v = 0.16;
std::size_t const count = 3000, elements = 8;
/// Two clean values, in the even and in the odd elements.
double const clean_values[] = {1.1, -0.4};

struct kept {
  double mean[2] = {}, variance[2] = {};
};

template <class Sampler> kept from_level(Sampler sampler, int steps, std::size_t k, level* t) {
  gaussian_mixture const mixture{{{.mean = std::vector<double>(elements, m), .variance = v}}};
  network_function const network = mixture.predicting<predicts::v>();
  auto const plan =
      (any_schedule{schedules::linear{}} | predicts::v{} | sampler | network).plan(steps).from(k);
  *t = plan.levels()[0];
  images clean{{count, elements}, {}};
  for (std::size_t i = 0; i < count * elements; ++i)
    clean.data.push_back(static_cast<float>(clean_values[i % 2]));
  auto const samples = plan.run(plan.start_from(clean, {.seed = 31}));
  kept r;
  double const n = static_cast<double>(count * elements / 2);
  for (std::size_t i = 0; i < samples.data.size(); ++i)
    r.mean[i % 2] += double{samples.data[i]} / n;
  for (std::size_t i = 0; i < samples.data.size(); ++i)
    r.variance[i % 2] += std::pow(double{samples.data[i]} - r.mean[i % 2], 2) / n;
  return r;
}

void compare(kept const& seen, double gain, double variance, level const& t, double discretization,
             char const* name) {
  double const n = static_cast<double>(count * elements / 2);
  for (int i = 0; i < 2; ++i) {
    double const mean = m + gain * t.alpha * (clean_values[i] - m);
    BOOST_TEST_MESSAGE(name << " from t = " << t.t << ": mean " << seen.mean[i] << " for " << mean
                            << ", variance " << seen.variance[i] << " for " << variance);
    record_largest("img2img", "error of the posterior mean, at most",
                   std::abs(seen.mean[i] - mean));
    BOOST_TEST(std::abs(seen.mean[i] - mean) < 3.5 * std::sqrt(variance / n) + discretization,
               name << " from t = " << t.t << ": mean " << seen.mean[i] << " for " << mean);
    BOOST_TEST(
        std::abs(seen.variance[i] / variance - 1) < 3.5 * std::sqrt(2 / n) + discretization,
        name << " from t = " << t.t << ": variance " << seen.variance[i] << " for " << variance);
  }
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_stochastic_sampler_draws_from_the_posterior) {
  double last_gain = 1;
  for (std::size_t k : {480u, 400u, 300u}) {  // of 500 steps: t = 40, 200, 400
    level t;
    auto const seen = from_level(samplers::ancestral{samplers::variance::beta}, 500, k, &t);
    BOOST_TEST(t.t == 1000 - 2 * static_cast<double>(k));
    double const s = t.alpha * t.alpha * v + t.sigma * t.sigma, gain = t.alpha * v / s;
    double const variance = gain * gain * t.sigma * t.sigma + v * t.sigma * t.sigma / s;
    compare(seen, gain, variance, t, 0.02, "ancestral");
    // The higher the level, the less is kept of the picture: nothing at its top, all at its bottom.
    BOOST_TEST(gain * t.alpha < last_gain);
    last_gain = gain * t.alpha;
  }
  BOOST_TEST(last_gain < 0.1);
}

BOOST_AUTO_TEST_CASE(the_flow_keeps_more_and_varies_less) {
  for (std::size_t k : {80u, 60u}) {  // of 100 steps: t = 200, 400
    level t;
    auto const seen = from_level(samplers::heun{}, 100, k, &t);
    double const s = t.alpha * t.alpha * v + t.sigma * t.sigma, gain = std::sqrt(v / s);
    compare(seen, gain, gain * gain * t.sigma * t.sigma, t, 0.005, "heun");
  }
}
