#include <tweedie/dsl/language/level.hpp>

#include <boost/test/unit_test.hpp>
#include <cmath>

using tweedie::level;

BOOST_AUTO_TEST_CASE(ratios_of_signal_and_noise_agree) {
  level const t{.alpha = 0.6, .sigma = 0.8};
  BOOST_TEST(t.rho() == 0.8 / 0.6, boost::test_tools::tolerance(1e-15));
  BOOST_TEST(t.snr() == 0.36 / 0.64, boost::test_tools::tolerance(1e-15));
  BOOST_TEST(t.lambda() == std::log(t.snr()) / 2, boost::test_tools::tolerance(1e-15));
}

// Variance preserving, constant beta: alpha = exp(-beta t / 2), so f = -beta / 2 and g^2 = beta at
// every t (Song et al. 2021, eq. 11).
BOOST_AUTO_TEST_CASE(drift_and_diffusion_of_a_constant_beta) {
  double const beta = 0.7;
  for (double time : {0.1, 1.0, 5.0}) {
    double const alpha = std::exp(-beta * time / 2), sigma = std::sqrt(1 - alpha * alpha);
    level const t{time, alpha, sigma, -beta / 2 * alpha, beta / 2 * alpha * alpha / sigma};
    BOOST_TEST(t.f() == -beta / 2, boost::test_tools::tolerance(1e-14));
    BOOST_TEST(t.g2() == beta, boost::test_tools::tolerance(1e-14));
  }
}

// Variance exploding, alpha = 1, sigma = t: no drift, g^2 = 2 t (Karras et al. 2022, eq. 1).
BOOST_AUTO_TEST_CASE(an_exploding_variance_has_no_drift) {
  level const t{.t = 3, .alpha = 1, .sigma = 3, .dalpha = 0, .dsigma = 1};
  BOOST_TEST(t.f() == 0);
  BOOST_TEST(t.g2() == 6);
}
