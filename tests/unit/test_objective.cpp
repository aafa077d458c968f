// Training examples: the levels drawn, what is written for the network, and weights that mean the
// same loss whatever the network predicts.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <limits>
#include <tweedie/pipelines/objective.hpp>

#include "laws_common.hpp"
#include "numbers.hpp"

using namespace laws;

namespace {

std::vector<sample_key> keys_of(std::size_t n, std::uint64_t seed = 1, std::uint32_t step = 0) {
  std::vector<sample_key> r;
  for (std::size_t i = 0; i < n; ++i) r.push_back({.seed = seed, .id = i, .step = step});
  return r;
}

template <class P> double target_of(P predicts, level t, double x0, double eps) {
  auto const f = collapse(lift(predicts.target(t)));
  return coefficient<sym::x0>(f) * x0 + coefficient<sym::eps>(f) * eps;
}

template <class F> void for_each_parameterization(F f) {
  f(predicts::epsilon{});
  f(predicts::x0{});
  f(predicts::score{});
  f(predicts::v{});
  f(predicts::velocity{});
}

void close(double value, double expected, double tolerance) {
  BOOST_TEST(std::abs(value - expected) <= tolerance * (1 + std::abs(expected)),
             value << " is not " << expected);
}

struct infinite_weight {
  double operator()(level) const { return std::numeric_limits<double>::infinity(); }
};
struct nan_weight {
  double operator()(level) const { return std::numeric_limits<double>::quiet_NaN(); }
};

}  // namespace

BOOST_AUTO_TEST_CASE(levels_are_uniform) {
  int const bins = 25, n = 50000;
  for (auto const& schedule : all_schedules()) {
    objective const o{schedule, predicts::v{}, weights::uniform{}};
    std::vector<int> count(bins);
    for (auto const& key : keys_of(n)) {
      double const t = o.draw(key).t;
      if (schedule.table_steps()) {
        BOOST_REQUIRE(t == std::floor(t));
        BOOST_REQUIRE((t >= 1 && t <= schedule.table_steps()));
        ++count[static_cast<std::size_t>((t - 1) * bins / schedule.table_steps())];
      } else {
        BOOST_REQUIRE((t > 0 && t <= schedule.end()));
        ++count[static_cast<std::size_t>(std::min(t / schedule.end() * bins, bins - 1.0))];
      }
    }
    double chi2 = 0, mean = static_cast<double>(n) / bins;
    for (int c : count) chi2 += (c - mean) * (c - mean) / mean;
    BOOST_TEST(chi2 < 51.2, schedule.called << ": chi^2 of 24 degrees is " << chi2);  // p = 0.001
  }
}

BOOST_AUTO_TEST_CASE(both_ends_of_a_table_are_drawn) {
  objective const o{schedules::linear{.steps = 10}, predicts::v{}, weights::uniform{}};
  std::vector<int> count(11);
  for (auto const& key : keys_of(1000)) ++count[static_cast<std::size_t>(o.draw(key).t)];
  BOOST_TEST(count[0] == 0);
  for (std::size_t k = 1; k <= 10; ++k) BOOST_TEST(count[k] > 60);
}

// x_t = alpha x0 + sigma eps with the sample's own eps, and the target by its definition.
BOOST_AUTO_TEST_CASE(examples_by_their_formulas) {
  std::size_t const n = 300, elements = 7, pitch = 8;
  std::vector<float> clean(n * pitch), noisy(n * pitch), target(n * pitch);
  for (std::size_t i = 0; i < clean.size(); ++i)
    clean[i] = static_cast<float>(std::sin(0.1 * static_cast<double>(i)));
  auto const keys = keys_of(n, 77, 5);
  for_each_parameterization([&]<class P>(P predicts) {
    objective const o{any_schedule(schedules::linear{}), predicts, weights::uniform{}};
    auto const e = o(keys, clean.data(), noisy.data(), target.data(), pitch);
    double sum = 0, squares = 0;
    for (std::size_t i = 0; i < n; ++i) {
      level const t = e.levels[i];
      BOOST_TEST(t.t == o.draw(keys[i]).t);
      close(e.weights[i], o.weight_of(t), 0);
      float eps[8];
      fill_normals(eps, 0, 2, keys[i], training_noise_stream);
      for (std::size_t j = 0; j < elements; ++j) {
        double const x0 = static_cast<double>(clean[i * pitch + j]);
        double const z = static_cast<double>(eps[j]);
        close(static_cast<double>(noisy[i * pitch + j]), t.alpha * x0 + t.sigma * z, 1e-6);
        double expected = 0;
        if constexpr (std::is_same_v<P, predicts::epsilon>) expected = z;
        else if constexpr (std::is_same_v<P, predicts::x0>) expected = x0;
        else if constexpr (std::is_same_v<P, predicts::score>) expected = -z / t.sigma;
        else if constexpr (std::is_same_v<P, predicts::v>) expected = t.alpha * z - t.sigma * x0;
        else expected = t.dalpha * x0 + t.dsigma * z;
        close(static_cast<double>(target[i * pitch + j]), expected, 1e-6);
        double const back = (static_cast<double>(noisy[i * pitch + j]) - t.alpha * x0) / t.sigma;
        sum += back;
        squares += back * back;
      }
    }
    double const count = static_cast<double>(n * elements);
    BOOST_TEST(std::abs(sum / count) < 3 / std::sqrt(count));
    BOOST_TEST(std::abs(squares / count - 1) < 3 * std::sqrt(2 / count));
    record("training", "variance of the noise in x_t", squares / count);
  });
}

BOOST_AUTO_TEST_CASE(examples_do_not_depend_on_their_batch) {
  std::size_t const n = 9, pitch = 4;
  std::vector<float> clean(n * pitch, 0.5f), noisy(clean), target(clean), one(pitch), own(pitch);
  objective const o{schedules::cosine{}, predicts::v{}, weights::uniform{}};
  auto const keys = keys_of(n, 3);
  o(keys, clean.data(), noisy.data(), target.data(), pitch);
  for (std::size_t i = 0; i < n; ++i) {
    o({&keys[i], 1}, clean.data(), one.data(), own.data(), pitch);
    for (std::size_t j = 0; j < pitch; ++j) {
      BOOST_TEST(one[j] == noisy[i * pitch + j]);
      BOOST_TEST(own[j] == target[i * pitch + j]);
    }
  }
}

// A guess whose eps is off by delta: its x0 is off by -sigma delta / alpha at the same x, its raw
// by what the target makes of both. The loss is weight delta^2 for every prediction.
BOOST_AUTO_TEST_CASE(a_weight_is_the_same_loss_whatever_is_predicted) {
  auto const check = [](auto weight) {
    for (auto const& schedule : all_schedules())
      for (double share : {0.02, 0.3, 0.71, 0.95}) {
        double const time = share * schedule.end();
        level const t = schedule.at(schedule.table_steps() ? std::floor(time) : time);
        double const x0 = 0.37, eps = -1.2, delta = 0.01;
        for_each_parameterization([&]<class P>(P predicts) {
          objective const o{schedule, predicts, weight};
          double const off = target_of(predicts, t, x0 - t.sigma * delta / t.alpha, eps + delta) -
                             target_of(predicts, t, x0, eps);
          double const loss = o.weight_of(t) * off * off, expected = weight(t) * delta * delta;
          BOOST_TEST(std::abs(loss / expected - 1) < 1e-8,
                     schedule.called << ", t = " << t.t << ", predicts::" << P::name << ": " << loss
                                     << " is not " << expected);
        });
      }
  };
  check(weights::uniform{});
  check(weights::min_snr{5});
  check(weights::p2{});
}

BOOST_AUTO_TEST_CASE(weights_by_their_papers) {
  level const noisy{.t = 1, .alpha = 0.6, .sigma = 0.8},
      clear{.t = 0.1, .alpha = 0.96, .sigma = 0.28};
  double const snr = 0.36 / 0.64, high = 0.9216 / 0.0784;
  BOOST_TEST(weights::uniform{}(noisy) == 1);
  // Hang et al. 2023: min(snr, gamma) for the error of x0, which is snr^-1 times that of eps.
  close(weights::min_snr{5}(noisy), 1, 1e-15);
  close(weights::min_snr{5}(clear), 5 / high, 1e-12);
  close(weights::min_snr{0.5}(noisy), 0.5 / snr, 1e-12);
  // Choi et al. 2022, eq. 8: lambda_t / (k + snr)^gamma.
  close(weights::p2{}(noisy), 1 / (1 + snr), 1e-12);
  close(weights::p2{.k = 2, .gamma = 0.5}(clear), 1 / std::sqrt(2 + high), 1e-12);
}

BOOST_AUTO_TEST_CASE(weights_that_are_not_finite_are_refused) {
  auto const refused = [](auto weight) {
    objective const o{schedules::linear{}, predicts::v{}, weight};
    return sentence([&] { o.weight_of(schedules::linear{}.at(500)); });
  };
  BOOST_TEST(contains(refused(infinite_weight{}), "the weight of predicts::v is inf at t = 500"));
  BOOST_TEST(contains(refused(nan_weight{}), "nan at t = 500"));
  objective const o{schedules::linear{}, predicts::x0{}, weights::uniform{}};
  BOOST_TEST(o.weight_of(level{}) == 0);  // at the clean end there is no noise to be wrong about
  // The batch is refused as a whole, before anything is written.
  objective const bad{schedules::linear{}, predicts::v{}, infinite_weight{}};
  std::vector<float> clean(8, 1.0f), noisy(8, 42.0f), target(8, 42.0f);
  auto const keys = keys_of(2);
  sentence([&] { bad(keys, clean.data(), noisy.data(), target.data(), 4); });
  for (float x : noisy) BOOST_TEST(x == 42.0f);
}

BOOST_AUTO_TEST_CASE(averages_of_any_count) {
  for (std::size_t n : {0u, 1u, 2u, 3u, 4u, 5u, 7u, 128u, 131u, 40003u}) {
    std::vector<float> average(n + 1), weights(n + 1);
    for (std::size_t i = 0; i <= n; ++i) {
      average[i] = static_cast<float>(i % 17) - 3;
      weights[i] = 1 / (1 + static_cast<float>(i % 5));
    }
    auto const before = average;
    average_weights(average.data(), weights.data(), n, 0.9);
    bool all = true;
    for (std::size_t i = 0; i < n; ++i)
      all = all && std::abs(average[i] - (0.9f * before[i] + 0.1f * weights[i])) < 2e-6f;
    BOOST_TEST(all, n);
    BOOST_TEST(average[n] == before[n], "nothing past the end is written, " << n);
    // An element's average does not depend on where in the row it lies.
    if (n > 4) {
      float alone = before[n - 1], weight = weights[n - 1];
      average_weights(&alone, &weight, 1, 0.9);
      BOOST_TEST(alone == average[n - 1]);
    }
  }
}
