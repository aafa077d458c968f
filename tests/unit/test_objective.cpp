// Training examples: the levels drawn, what is written for the network, and weights that mean the
// same loss whatever the network predicts.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <limits>
#include <numeric>
#include <tweedie/pipelines/objective.hpp>
#include <tweedie/predicts/edm.hpp>
#include <tweedie/schedules/cosine.hpp>
#include <tweedie/schedules/edm.hpp>
#include <tweedie/schedules/linear.hpp>
#include <tweedie/schedules/rectified_flow.hpp>
#include <tweedie/schedules/scaled_linear.hpp>
#include <tweedie/schedules/sub_variance_preserving.hpp>
#include <tweedie/schedules/variance_exploding.hpp>

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
  auto const f = lift(predicts.target(t));
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
        else expected = t.steps * (t.dalpha * x0 + t.dsigma * z);
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

// 2-D data are rows of two floats: the same bits as in rows of whole groups of four.
BOOST_AUTO_TEST_CASE(rows_of_any_pitch) {
  std::size_t const n = 37, padded = 8;
  auto const keys = keys_of(n, 5, 2);
  objective const o{schedules::cosine{}, predicts::v{}};
  std::vector<float> clean(n * padded), noisy(n * padded), target(n * padded);
  for (std::size_t i = 0; i < clean.size(); ++i) clean[i] = 0.1f * static_cast<float>(i % 23) - 1;
  o(keys, clean.data(), noisy.data(), target.data(), padded);
  for (std::size_t pitch : {1u, 2u, 3u, 4u, 5u, 6u, 7u}) {
    std::vector<float> rows(n * pitch), seen(n * pitch + 1, 77.0f), wanted(n * pitch + 1, 77.0f);
    for (std::size_t i = 0; i < n; ++i)
      std::copy_n(clean.data() + i * padded, pitch, rows.data() + i * pitch);
    o(keys, rows.data(), seen.data(), wanted.data(), pitch);
    bool all = true;
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j < pitch; ++j)
        all = all && seen[i * pitch + j] == noisy[i * padded + j] &&
              wanted[i * pitch + j] == target[i * padded + j];
    BOOST_TEST(all, "pitch " << pitch);
    BOOST_TEST((seen.back() == 77.0f && wanted.back() == 77.0f));
  }
}

BOOST_AUTO_TEST_CASE(no_examples_at_all) {
  for (std::size_t pitch : {2u, 4u}) {
    objective const o{schedules::cosine{}, predicts::v{}, weights::plain{}, times::stratified{}};
    auto const e = o({}, nullptr, nullptr, nullptr, pitch);
    BOOST_TEST((e.levels.empty() && e.weights.empty() && e.shares.empty()));
  }
}

// What a network sees in training is what it sees in sampling: c_in x for predicts::edm.
BOOST_AUTO_TEST_CASE(edm_is_given_its_own_input) {
  std::size_t const n = 50, pitch = 4;
  std::vector<float> clean(n * pitch, 0.3f), noisy(n * pitch), target(n * pitch);
  predicts::edm const f;
  auto const check = [&](auto const& schedule) {
    objective const o{schedule, f, weights::edm{}, times::log_normal{}};
    auto const keys = keys_of(n, 8);
    auto const e = o(keys, clean.data(), noisy.data(), target.data(), pitch);
    for (std::size_t i = 0; i < n; ++i) {
      level const t = e.levels[i];
      double const in = coefficient<sym::x>(lift(f.input_of(t)));
      close(e.weights[i], 1, 1e-12);  // the paper's weight makes the loss of F plain
      float eps[4];
      fill_normals(eps, 0, 1, keys[i], training_noise_stream);
      for (std::size_t j = 0; j < pitch; ++j) {
        double const z = static_cast<double>(eps[j]), x0 = static_cast<double>(clean[0]);
        close(static_cast<double>(noisy[i * pitch + j]), in * (t.alpha * x0 + t.sigma * z), 1e-6);
        close(static_cast<double>(target[i * pitch + j]), target_of(f, t, x0, z), 1e-6);
      }
    }
  };
  check(schedules::edm{});
  check(schedules::cosine{});
}

// The derivative per step of a table is T times smaller: targets of 1.6e-3.
BOOST_AUTO_TEST_CASE(velocity_on_a_table_is_that_of_continuous_time) {
  predicts::velocity const u;
  for (int k : {50, 300, 500, 800, 950}) {
    level const table = schedules::cosine{}.at(k),
                continuous = schedules::continuous::cosine{}.at(k / 1000.0);
    double const ratio = target_of(u, table, 0.4, -1.1) / target_of(u, continuous, 0.4, -1.1);
    BOOST_TEST(std::abs(ratio - 1) < 0.01, "t = " << k << ": " << ratio);
    // and says the same x0 and eps
    double const x = table.alpha * 0.4 - table.sigma * 1.1, raw = target_of(u, table, 0.4, -1.1);
    auto const x0 = lift(u.x0_of(table));
    auto const eps = lift(u.eps_of(table));
    close(coefficient<sym::x>(x0) * x + coefficient<sym::raw>(x0) * raw, 0.4, 1e-12);
    close(coefficient<sym::x>(eps) * x + coefficient<sym::raw>(eps) * raw, -1.1, 1e-12);
  }
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
  check(weights::snr_plus_1{});
  check(weights::truncated_snr{});
  check(weights::edm{});
  check(weights::flow_matching{});
  check(weights::sigmoid{});
}

BOOST_AUTO_TEST_CASE(the_plain_loss_has_no_weight) {
  level const ends[] = {{.t = 1, .alpha = 0, .sigma = 1, .dalpha = -1, .dsigma = 1},
                        {.t = 1, .alpha = 1, .sigma = 80, .dalpha = 0, .dsigma = 1}};
  for_each_parameterization([&](auto predicts) {
    objective const o{schedules::cosine{}, predicts};  // by default
    for (int t : {1, 2, 500, 999, 1000}) BOOST_TEST(o.weight_of(o.schedule.at(t)) == 1);
    for (level const& t : ends) BOOST_TEST(o.weight_of(t) == 1);
  });
  // A tenth of the table has a tenth of the loss; the same loss of eps gives v next to nothing
  // there.
  auto const above_900 = [](auto weight) {
    objective const o{schedules::cosine{}, predicts::v{}, weight};
    double late = 0, all = 0;
    for (int t = 1; t <= 1000; ++t) {
      double const w = o.weight_of(o.schedule.at(t));
      all += w;
      if (t > 900) late += w;
    }
    return late / all;
  };
  close(above_900(weights::plain{}), 0.1, 1e-12);
  close(above_900(weights::snr_plus_1{}), 0.1, 1e-9);
  BOOST_TEST(std::abs(above_900(weights::uniform{}) - 0.0016) < 0.0001);
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
  // Salimans & Ho 2022, section 4: snr + 1 and max(snr, 1) for the error of x0.
  close(weights::snr_plus_1{}(noisy), (snr + 1) / snr, 1e-12);
  close(weights::truncated_snr{}(noisy), 1 / snr, 1e-12);
  close(weights::truncated_snr{}(clear), 1, 1e-15);
  // Karras et al. 2022, table 1: (sigma^2 + sd^2) / (sigma sd)^2 for the error of x0, alpha = 1.
  level const loud{.t = 3, .alpha = 1, .sigma = 3, .dalpha = 0, .dsigma = 1};
  close(weights::edm{}(loud), (9 + 0.25) / (9 * 0.25) * 9, 1e-12);
  // Lipman et al. 2022, eq. 9: |network - (eps - x0)|^2 on the straight path.
  close(weights::flow_matching{}(schedules::rectified_flow{}.at(0.75)), 16, 1e-12);
  for (auto const& schedule : all_schedules())
    for (double share : {0.02, 0.3, 0.71, 0.95}) {
      double const time = share * schedule.end();
      objective const o{schedule, predicts::velocity{}, weights::flow_matching{}};
      close(o.weight_of(schedule.at(schedule.table_steps() ? std::floor(time) : time)), 1, 1e-9);
    }
  // Kingma & Gao 2023: w(l) = sigmoid(2 - l) over l = ln snr, per t by -dl/dt.
  schedules::continuous::cosine const cosine;
  for (double t : {0.1, 0.4, 0.9}) {
    double const l = 2 * cosine.at(t).lambda(), h = 1e-5;
    double const slope = -(cosine.at(t + h).lambda() - cosine.at(t - h).lambda()) / h;
    close(weights::sigmoid{}(cosine.at(t)), slope / (1 + std::exp(l - 2)), 1e-6);
  }
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

BOOST_AUTO_TEST_CASE(quantiles_of_the_normal_distribution) {
  BOOST_TEST(tweedie::detail::normal_quantile(0.5) == 0);
  for (double z : {-8.1, -6.0, -3.0, -1.0, -1e-3, 0.3, 1.96, 5.0}) {
    double const u = std::erfc(-z / std::sqrt(2.0)) / 2;
    close(tweedie::detail::normal_quantile(u), z, 1e-9);
  }
  for (double u : {0x1p-53, 1 - 0x1p-53})
    BOOST_TEST(std::abs(std::abs(tweedie::detail::normal_quantile(u)) - 8.2) < 0.1);
}

BOOST_AUTO_TEST_CASE(stratified_times_cover_every_batch) {
  std::size_t const rows = 50;
  auto const check = [&](auto const& o, auto part_of) {
    for (std::uint32_t step = 0; step < 20; ++step) {
      auto const keys = keys_of(rows, 4, step);
      for (std::size_t i = 0; i < rows; ++i) BOOST_REQUIRE(part_of(o.draw(keys[i], i, rows)) == i);
    }
  };
  auto const by_time = [](double end) {
    return
        [end](level t) { return static_cast<std::size_t>(std::ceil(t.t / end * 50 - 1e-9)) - 1; };
  };
  check(objective{schedules::cosine{}, predicts::v{}, weights::plain{}, times::stratified{}},
        by_time(1000));
  check(objective{schedules::rectified_flow{}, predicts::velocity{}, weights::plain{},
                  times::stratified{}},
        by_time(1));
  check(objective{schedules::edm{}, predicts::edm{}, weights::edm{},
                  times::stratified{times::log_normal{}}},
        [](level t) {
          double const z = (std::log(t.rho()) + 1.2) / 1.2;
          return static_cast<std::size_t>(std::erfc(-z / std::sqrt(2.0)) / 2 * 50);
        });
  // Every row is drawn within its part, and the last one keeps to the schedule.
  double const last = times::stratified<>::spread(1 - 0x1p-53, 9, 10);
  BOOST_TEST((last < 1 && last > 0.99));
}

// ln sigma ~ N(-1.2, 1.2^2), and ln(t / (1 - t)) ~ N(0, 1): mean and variance.
BOOST_AUTO_TEST_CASE(times_by_their_papers) {
  int const n = 40000;
  auto const check = [&](auto const& o, auto normal_of, double mean, double sd) {
    double sum = 0, squares = 0;
    for (auto const& key : keys_of(n, 21)) {
      double const z = normal_of(o.draw(key));
      sum += z;
      squares += (z - mean) * (z - mean);
    }
    BOOST_TEST(std::abs(sum / n - mean) < 3 * sd / std::sqrt(n));
    BOOST_TEST(std::abs(squares / n / (sd * sd) - 1) < 3 * std::sqrt(2.0 / n));
  };
  auto const log_rho = [](level t) { return std::log(t.rho()); };
  auto const logit = [](level t) { return std::log(t.t / (1 - t.t)); };
  using times::log_normal, times::logit_normal;
  check(objective{schedules::edm{}, predicts::edm{}, weights::edm{}, log_normal{}}, log_rho, -1.2,
        1.2);
  check(objective{schedules::continuous::cosine{}, predicts::v{}, weights::plain{}, log_normal{}},
        log_rho, -1.2, 1.2);
  check(objective{schedules::rectified_flow{}, predicts::velocity{}, weights::plain{},
                  logit_normal{}},
        logit, 0, 1);
  check(objective{schedules::rectified_flow{}, predicts::velocity{}, weights::plain{},
                  logit_normal{.mean = 0.5, .sd = 0.6}},
        logit, 0.5, 0.6);
  // A table has its steps, and where a schedule ends sooner its end is drawn.
  objective const table{schedules::linear{}, predicts::v{}, weights::plain{},
                        log_normal{.mean = 4, .sd = 3}};
  objective const near{schedules::edm{.sigma_max = 1}, predicts::edm{}, weights::edm{},
                       log_normal{}};
  bool end_was_drawn = false;
  for (auto const& key : keys_of(2000, 22)) {
    double const t = table.draw(key).t;
    BOOST_REQUIRE((t == std::floor(t) && t >= 1 && t <= 1000));
    double const sigma = near.draw(key).sigma;
    BOOST_REQUIRE((sigma > 0 && sigma <= 1));
    end_was_drawn = end_was_drawn || sigma == 1;
  }
  BOOST_TEST(end_was_drawn);
}

// Parts whose losses are larger are drawn more often and weigh less: the loss remains what it is.
BOOST_AUTO_TEST_CASE(times_by_their_loss) {
  std::size_t const parts = 8, n = 40000, pitch = 4;
  auto const loss_at = [&](double share) {
    return 1 + std::floor(share * static_cast<double>(parts));
  };
  objective o{schedules::linear{}, predicts::epsilon{}, weights::plain{},
              times::by_loss{.parts = parts, .kept = 3}};
  std::vector<float> clean(n * pitch), noisy(n * pitch), target(n * pitch);
  std::uint32_t step = 0;
  auto const batch = [&](std::size_t rows) {
    auto const e = o(keys_of(rows, 6, step++), clean.data(), noisy.data(), target.data(), pitch);
    return e;
  };
  std::vector<double> errors;
  auto const told = [&](examples const& e) {
    errors.clear();
    for (double share : e.shares) errors.push_back(loss_at(share));
    o.observe(e, errors);
  };
  auto const first = batch(20);
  told(first);
  for (double w : first.weights) BOOST_TEST(w == 1);  // until every part was seen
  told(batch(500));

  auto const e = batch(n);
  std::vector<double> drawn(parts);
  double loss = 0, weight = 0;
  for (std::size_t i = 0; i < n; ++i) {
    ++drawn[static_cast<std::size_t>(e.shares[i] * static_cast<double>(parts))];
    loss += e.weights[i] * loss_at(e.shares[i]) / static_cast<double>(n);
    weight += e.weights[i] / static_cast<double>(n);
  }
  for (std::size_t k = 0; k < parts; ++k) {
    double const expected = 0.999 * static_cast<double>(k + 1) / 36 + 0.001 / 8;
    BOOST_TEST(std::abs(drawn[k] / static_cast<double>(n) - expected) <
               4 * std::sqrt(expected / static_cast<double>(n)));
  }
  close(loss, 4.5, 0.002);  // of uniform times, and with hardly any variance
  close(weight, 1, 0.02);

  // What it knows is plain numbers: another that is given them draws the same.
  auto again = o;
  again.times = times::by_loss{.parts = parts, .kept = 3, .memory = o.times.memory};
  BOOST_TEST(again.times.is_sound());
  for (auto const& key : keys_of(50, 7)) BOOST_TEST(again.draw(key).t == o.draw(key).t);
  again.times.memory.pop_back();
  BOOST_TEST(!again.times.is_sound());

  errors.pop_back();
  BOOST_TEST(
      contains(sentence([&] { o.observe(first, {}); }), "0 errors were given for 20 examples"));
  errors.assign(20, std::numeric_limits<double>::quiet_NaN());
  BOOST_TEST(contains(sentence([&] { o.observe(first, errors); }), "a loss of nan was given"));

  for (auto const& none : {times::by_loss{.parts = 0}, times::by_loss{.kept = 0}}) {
    o.times = none;
    BOOST_TEST(contains(sentence([&] { o.draw({}); }), "expected one or more of each"));
    BOOST_TEST(contains(sentence([&] { o.observe(first, std::vector<double>(20, 1)); }),
                        "expected one or more of each"));
  }
  o.times = again.times = {.parts = parts, .kept = 3};

  // A loss of 0 everywhere is no reason to divide by it.
  errors.assign(20, 0);
  for (int i = 0; i < 100; ++i) o.observe(batch(20), errors);
  for (double w : batch(100).weights) BOOST_TEST(std::isfinite(w));
  // Within strata too.
  objective const both{schedules::linear{}, predicts::epsilon{}, weights::plain{},
                       times::stratified{o.times}};
  BOOST_TEST(both.draw(keys_of(1)[0], 0, 2).t <= 500);
}

/// v, trained on what its x0_of and eps_of do not take.
struct mistaken_target : predicts::v {
  static constexpr char const* name = "mistaken_target";
  auto target(level t) const { return t.alpha * symbols::eps + t.sigma * symbols::x0; }
};
/// v, whose target is told by the symbol for it.
struct told_by_v : predicts::v {
  static constexpr char const* name = "told_by_v";
  auto target(level) const { return +symbols::v; }
};

BOOST_AUTO_TEST_CASE(a_target_is_what_x0_and_eps_are_derived_from) {
  std::vector<float> a(8), b(8), c(8);
  auto const keys = keys_of(4);
  auto const told = [&](auto schedule, auto predicts) {
    objective const o{schedule, predicts};
    return sentence([&] { o(keys, a.data(), b.data(), c.data(), 2); });
  };
  BOOST_TEST(contains(told(schedules::cosine{}, mistaken_target{}),
                      "learned the target of predicts::mistaken_target"));
  BOOST_TEST(contains(told(schedules::cosine{}, mistaken_target{}),
                      "target(level) is what x0_of and eps_of take"));
  auto const all_right = [&](auto schedule) {
    auto const right = [&](auto predicts) {
      BOOST_TEST(told(schedule, predicts) == "nothing was thrown");
    };
    right(predicts::v{});
    right(told_by_v{});
    right(predicts::epsilon{});
    right(predicts::x0{});
    right(predicts::score{});
    right(predicts::velocity{});
    right(predicts::edm{});
  };
  all_right(schedules::cosine{});
  all_right(schedules::linear{});
  all_right(schedules::scaled_linear{});
  all_right(schedules::continuous::cosine{});
  all_right(schedules::continuous::linear{});
  all_right(schedules::continuous::scaled_linear{});
  all_right(schedules::sub_variance_preserving{});
  all_right(schedules::variance_exploding{});
  all_right(schedules::edm{});
  all_right(schedules::rectified_flow{});
}

BOOST_AUTO_TEST_CASE(buffers_and_pitches_that_are_none) {
  objective const o{schedules::cosine{}, predicts::v{}};
  std::vector<float> x(8), y(8), z(8);
  auto const keys = keys_of(2);
  auto const told = [&](float const* clean, float* noisy, float* target, std::size_t pitch) {
    return sentence([&] { o(keys, clean, noisy, target, pitch); });
  };
  BOOST_TEST(contains(told(x.data(), y.data(), z.data(), 0), "a pitch of 0 was given"));
  BOOST_TEST(contains(told(nullptr, y.data(), z.data(), 4), "clean is null"));
  BOOST_TEST(contains(told(x.data(), nullptr, z.data(), 4), "noisy is null"));
  BOOST_TEST(contains(told(x.data(), y.data(), nullptr, 4), "target is null"));
  BOOST_TEST(contains(sentence([&] { average_weights(x.data(), x.data(), 8, -0.1); }),
                      "average_weights: decay = -0.1 was given, expected 0 to 1"));
  BOOST_TEST(contains(sentence([&] { average_weights(x.data(), x.data(), 8, 1.5); }), "0 to 1"));
  BOOST_TEST(contains(sentence([&] { average_weights(nullptr, x.data(), 8, 0.5); }),
                      "average_weights: average is null, expected 8 floats"));
  BOOST_TEST(contains(told(x.data(), y.data(), y.data(), 4), "the same memory as target"));
  BOOST_TEST(contains(told(x.data(), x.data(), y.data(), 4), "the same memory as clean"));
  BOOST_TEST(contains(told(x.data(), y.data(), z.data(), std::size_t(-1)), "expected at most"));
}

BOOST_AUTO_TEST_CASE(parameters_of_weights_and_times_that_are_none) {
  std::vector<float> a(8), b(8), c(8);
  auto const keys = keys_of(2);
  auto const told = [&](auto weight, auto times) {
    objective const o{schedules::cosine{}, predicts::v{}, weight, times};
    return sentence([&] { o(keys, a.data(), b.data(), c.data(), 4); });
  };
  auto const of_weight = [&](auto weight) { return told(weight, times::uniform{}); };
  auto const of_times = [&](auto times) { return told(weights::plain{}, times); };
  double const none = std::numeric_limits<double>::quiet_NaN();
  for (double bad : {-1.0, 0.0, none}) {
    BOOST_TEST(contains(of_weight(weights::min_snr{bad}), "weights::min_snr: gamma = "));
    BOOST_TEST(contains(of_weight(weights::edm{bad}), "weights::edm: sigma_data = "));
    BOOST_TEST(contains(of_times(times::log_normal{0, bad}), "times::log_normal: sd = "));
    BOOST_TEST(contains(of_times(times::logit_normal{0, bad}), "times::logit_normal: sd = "));
    BOOST_TEST(contains(of_times(times::stratified{times::logit_normal{0, bad}}),
                        "times::logit_normal: sd = "));
  }
  BOOST_TEST(contains(of_weight(weights::p2{-1, 1}), "weights::p2: k = -1"));
  BOOST_TEST(contains(of_weight(weights::p2{1, -1}), "weights::p2: gamma = -1"));
  BOOST_TEST(of_weight(weights::p2{0, 0}) == "nothing was thrown");
  BOOST_TEST(contains(of_weight(weights::sigmoid{none}), "weights::sigmoid: bias = nan"));
  BOOST_TEST(contains(of_times(times::log_normal{none, 1}), "times::log_normal: mean = nan"));
  BOOST_TEST(contains(of_times(times::by_loss{.least = -1}), "times::by_loss: least = -1"));
}

/// Times of a density and of shares that are none, and a weight below 0.
struct odd_times {
  static constexpr char const* name = "odd_times";
  double of_density = 1, of_share = 0.5;
  template <class Schedule> double share(Schedule const&, double) const { return of_share; }
  double density(double) const { return of_density; }
};
struct odd_weight {
  double value = -1;
  double operator()(level) const { return value; }
};
/// An x0 network whose divisor is kept from 0, which some levels see.
struct guarded_epsilon : predicts::epsilon {
  static constexpr char const* name = "guarded_epsilon";
  auto x0_of(level t) const {
    return (symbols::x - t.sigma * symbols::raw) / std::max(t.alpha, 1e-3);
  }
};

BOOST_AUTO_TEST_CASE(numbers_that_are_drawn_are_looked_at) {
  std::vector<float> a(8), b(8), c(8);
  auto const keys = keys_of(2);
  auto const told = [&](auto weight, auto times) {
    objective const o{schedules::cosine{}, predicts::v{}, weight, times};
    return sentence([&] { o(keys, a.data(), b.data(), c.data(), 4); });
  };
  BOOST_TEST(told(odd_weight{1}, odd_times{}) == "nothing was thrown");
  BOOST_TEST(contains(told(odd_weight{}, odd_times{}), "expected a finite one, 0 or more"));
  for (double density : {0.0, -1.0})
    BOOST_TEST(contains(told(weights::plain{}, odd_times{density}), "training: times of density"));
  for (double share : {-0.001, 1.5})
    BOOST_TEST(contains(told(weights::plain{}, odd_times{1, share}), "training: a share of"));
  objective const guarded{schedules::cosine{}, guarded_epsilon{}, weights::plain{},
                          odd_times{1, 1}};
  BOOST_TEST(sentence([&] { guarded(keys, a.data(), b.data(), c.data(), 4); }) ==
             "nothing was thrown");
}

BOOST_AUTO_TEST_CASE(a_memory_that_is_anothers) {
  times::by_loss of{.parts = 2, .kept = 5};
  of.memory = std::vector<double>(12, 1.0);
  of.memory[0] = -3;
  BOOST_TEST(contains(sentence([&] { of.observe(0.1, 1); }), "a loss or a count that is none"));
  of.memory.assign(50, 3);
  BOOST_TEST(contains(sentence([&] { of.observe(0.1, 1); }), "a memory of 50 numbers was given"));
  times::by_loss huge{.parts = std::size_t{1} << 62, .kept = 3};
  BOOST_TEST(contains(sentence([&] { huge.observe(0.1, 1); }), "at most 1000000 of each"));
}
