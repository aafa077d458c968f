// Equalities between samplers, parameterizations, guidances and thresholds.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <tweedie/samplers/ancestral.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/samplers/dpmpp_2m.hpp>
#include <tweedie/samplers/euler.hpp>
#include <tweedie/samplers/heun.hpp>

#include "laws_common.hpp"
#include "numbers.hpp"

using namespace laws;

namespace {

/// A grid of n steps that keeps off alpha = 0 and what is near, where epsilon and score say nothing
/// of x0.
grids::custom off_the_end(any_schedule const& s, int n) {
  grids::custom g;
  double const high = s.at(s.end()).alpha < 1e-3 ? s.t_of_rho(80) : s.end();
  for (int k = n; k >= 0; --k) {
    double const t = high * k / n;
    g.times.push_back(s.table_steps() ? std::floor(t + 0.5) : t);
  }
  return g;
}

template <class F> void for_each_parameterization(F f) {
  f(predicts::epsilon{});
  f(predicts::x0{});
  f(predicts::score{});
  f(predicts::v{});
  f(predicts::velocity{});
}

/// Counts the rows that a network is asked for.
struct counting {
  using kind = kinds::network;
  network_function network;
  std::size_t* calls;
  std::size_t* rows;
  void operator()(batch const& b) const {
    ++*calls;
    *rows += b.rows();
    network(b);
  }
};

}  // namespace

BOOST_AUTO_TEST_CASE(ddim_with_eta_1_is_ancestral_formula_for_formula) {
  for (auto const& schedule : all_schedules())
    for_each_parameterization([&]<class P>(P predicts) {
      for (int n : {3, 10, 50}) {
        auto const grid = off_the_end(schedule, n);
        auto const a = (schedule | predicts | samplers::ancestral{} | silent).plan(grid, n);
        auto const b = (schedule | predicts | samplers::ddim_eta{1} | silent).plan(grid, n);
        static_assert(same_programs<decltype(a), decltype(b)>);
        double const d = numbers_differ(a, b, relative_difference);
        BOOST_TEST(d < 1e-10, schedule.called << ", predicts::" << P::name << ", " << n
                                              << " steps: numbers differ by " << d);
      }
    });
}

BOOST_AUTO_TEST_CASE(ddim_with_eta_1_is_ancestral_sample_for_sample) {
  auto const m = two_classes(3);
  network_function const network = m.predicting<predicts::v>();
  for (auto const& schedule : all_schedules()) {
    request const r{.shape = {20, 3}, .steps = 30, .seed = 5};
    auto const a = (schedule | predicts::v{} | samplers::ancestral{} | network).sample(r);
    auto const b = (schedule | predicts::v{} | samplers::ddim_eta{1} | network).sample(r);
    double const d = largest_difference(a.data, b.data);
    BOOST_TEST_MESSAGE(schedule.called << ": samples differ by " << d);
    BOOST_TEST(d < 1e-5, schedule.called << " " << d);
    record_largest("ddim_eta", "samples from ancestral's at eta = 1, at most", d);
  }
}

BOOST_AUTO_TEST_CASE(euler_is_ddim) {
  auto const m = two_classes(3);
  network_function const network = m.predicting<predicts::v>();
  for (auto const& schedule : all_schedules()) {
    request const r{.shape = {20, 3}, .steps = 50, .seed = 6};
    auto const a = schedule | predicts::v{} | samplers::euler{} | network;
    auto const b = schedule | predicts::v{} | samplers::ddim{} | network;
    auto const grid = off_the_end(schedule, 50);
    double const worst = numbers_differ(a.plan(grid, 50), b.plan(grid, 50), mixed_difference);
    BOOST_TEST(worst < 1e-12, schedule.called << " " << worst);
    BOOST_TEST(largest_difference(a.sample(r).data, b.sample(r).data) < 1e-5);
  }
}

BOOST_AUTO_TEST_CASE(ddim_with_eta_0_is_ddim) {
  auto const m = two_classes(3);
  network_function const network = m.predicting<predicts::v>();
  for (auto const& schedule : all_schedules()) {
    request const r{.shape = {20, 3}, .steps = 50, .seed = 7};
    auto const a = (schedule | predicts::v{} | samplers::ddim_eta{0} | network).sample(r);
    auto const b = (schedule | predicts::v{} | samplers::ddim{} | network).sample(r);
    BOOST_TEST(largest_difference(a.data, b.data) == 0, schedule.called);
  }
}

// To 1e-5, but for epsilon and score where the table ends: the factor of raw in x0 is sigma /
// alpha, and a float's rounding of raw and of that factor comes back times alpha_s / alpha_t of the
// first step.
BOOST_AUTO_TEST_CASE(every_parameterization_gives_the_same_samples) {
  auto const m = two_classes(3);
  auto const run = [&]<class P>(P predicts, any_schedule const& schedule, int steps, auto sampler) {
    auto const plan = (schedule | predicts | sampler | network_function(m.predicting<P>()))
                          .plan(off_the_end(schedule, steps), steps);
    return plan.sample({.shape = {20, 3}, .seed = 8});
  };
  auto const compare = [&](any_schedule const& schedule, int steps, auto sampler) {
    auto const reference = run(predicts::v{}, schedule, steps, sampler);
    for_each_parameterization([&]<class P>(P predicts) {
      double const d =
          largest_difference(run(predicts, schedule, steps, sampler).data, reference.data);
      BOOST_TEST_MESSAGE(schedule.called << ", " << steps << " steps, predicts::" << P::name << ": "
                                         << d);
      auto const levels = off_the_end(schedule, steps).levels(schedule, steps);
      bool const divides =
          std::is_same_v<P, predicts::epsilon> || std::is_same_v<P, predicts::score>;
      double const allowed =
          divides ? std::max(1e-5, 0x1p-23 * levels[1].alpha / levels[0].alpha) : 1e-5;
      BOOST_TEST(d < allowed, schedule.called << ", " << steps << " steps, predicts::" << P::name
                                              << " differs by " << d);
    });
  };
  for (auto const& schedule : all_schedules()) {
    compare(schedule, 50, samplers::ddim{});
    compare(schedule, 10, samplers::ddim{});
  }
}

BOOST_AUTO_TEST_CASE(both_conventions_of_guidance) {
  auto const m = two_classes(4);
  network_function const network = m.predicting<predicts::v>();
  request const r{.shape = {12, 4}, .steps = 20, .seed = 9};
  auto const with = [&](auto guide) {
    return (schedules::cosine{} | predicts::v{} | guide | samplers::ddim{} | network)
        .sample(r, label{1});
  };
  for (double w : {-0.5, 0.0, 1.0, 2.5})
    BOOST_TEST(largest_difference(with(guidance::classifier_free{.w = w}).data,
                                  with(guidance::classifier_free_scale{.s = 1 + w}).data) < 1e-6);
  BOOST_TEST(largest_difference(with(guidance::classifier_free{.w = 0}).data,
                                with(guidance::none{}).data) == 0,
             "w = 0 is the conditional network");
  auto const unconditional =
      (schedules::cosine{} | predicts::v{} | samplers::ddim{} | network).sample(r);
  BOOST_TEST(largest_difference(with(guidance::classifier_free_scale{.s = 0}).data,
                                unconditional.data) == 0,
             "s = 0 is the unconditional network");
  BOOST_TEST(largest_difference(with(guidance::classifier_free{.w = 2.5}).data,
                                unconditional.data) > 0.01);
}

// Guided eps of two exact branches: what the sampler gets, by Ho & Salimans, eq. 6, at one step.
BOOST_AUTO_TEST_CASE(a_guided_step_by_its_formula) {
  auto const m = two_classes(4);
  network_function const network = m.predicting<predicts::v>();
  double const w = 1.75;
  auto const plan = (schedules::linear{} | predicts::v{} | guidance::classifier_free{.w = w} |
                     samplers::ddim{} | network)
                        .plan(grids::custom{{600, 350}}, 1);
  state const s = plan.start({.shape = {9, 4}, .seed = 1}, {0});
  auto const samples = plan.run(s);
  level const t = plan.levels()[0], to = plan.levels()[1];
  for (std::size_t i = 0; i < 9; ++i) {
    std::vector<double> const x(s.x.data() + s.pitch * i, s.x.data() + s.pitch * i + 4);
    auto const c = m.eps(x, t, 0), u = m.eps(x, t);
    for (std::size_t j = 0; j < 4; ++j) {
      double const e = (1 + w) * c[j] - w * u[j];
      double const expected = to.alpha * (x[j] - t.sigma * e) / t.alpha + to.sigma * e;
      BOOST_TEST(std::abs(static_cast<double>(samples[i][j]) - expected) < 1e-5);
    }
  }
}

BOOST_AUTO_TEST_CASE(guidance_within_an_interval) {
  auto const m = two_classes(4);
  request const r{.shape = {7, 4}, .steps = 20, .seed = 10};
  auto const run = [&](auto guide, std::size_t from = 0) {
    std::size_t calls = 0, rows = 0;
    counting const network{m.predicting<predicts::v>(), &calls, &rows};
    auto const result = (schedules::linear{} | predicts::v{} | guide | samplers::ddim{} | network)
                            .plan(20)
                            .from(from)
                            .sample(r, label{1});
    BOOST_TEST(calls == 20u - from);
    return std::pair{result, rows};
  };
  guidance::classifier_free const inner{.w = 2};
  auto const [none, rows_of_none] = run(guidance::none{});
  auto const [always, rows_of_always] = run(inner);
  // Entered after its interval; one that meets no level of the whole plan is refused.
  auto const [off, rows_of_off] = run(guidance::within{inner, 1000.0, 1000.0}, 1);
  auto const [late, rows_of_late] = run(guidance::none{}, 1);
  auto const [all, rows_of_all] = run(guidance::within{inner, 0.0, 1000.0});
  auto const [some, rows_of_some] = run(guidance::within{inner, 300.0, 700.0});
  BOOST_TEST(rows_of_none == 20u * 7);
  BOOST_TEST(rows_of_always == 2 * 20u * 7);
  BOOST_TEST(rows_of_off == rows_of_late, "one branch is evaluated outside");
  BOOST_TEST(rows_of_all == rows_of_always);
  BOOST_TEST(rows_of_some == (20u + 9) * 7, "300, 350, ..., 700: both ends are in");
  record("within", "branches evaluated of 40",
         static_cast<double>(rows_of_some) / static_cast<double>(r.shape[0]));
  BOOST_TEST(largest_difference(off.data, late.data) == 0);
  BOOST_TEST(largest_difference(all.data, always.data) == 0);
  BOOST_TEST(largest_difference(some.data, none.data) > 1e-3);
  BOOST_TEST(largest_difference(some.data, always.data) > 1e-3);
}

BOOST_AUTO_TEST_CASE(clipping_with_and_without_eps_derived_again) {
  auto const m = two_classes(4);
  network_function const network = m.predicting<predicts::velocity>();
  double const limit = 0.05;
  auto const check = [&](auto threshold, bool again) {
    auto const plan =
        (schedules::linear{} | predicts::velocity{} | threshold | samplers::ddim{} | network)
            .plan(grids::custom{{700, 250}}, 1);
    state const s = plan.start({.shape = {9, 4}, .seed = 2});
    auto const samples = plan.run(s);
    level const t = plan.levels()[0], to = plan.levels()[1];
    int clipped = 0;
    for (std::size_t i = 0; i < 9; ++i) {
      std::vector<double> const x(s.x.data() + s.pitch * i, s.x.data() + s.pitch * i + 4);
      auto const p = m.given(x, t);
      for (std::size_t j = 0; j < 4; ++j) {
        double const x0 = std::min(std::max(p.x0[j], -limit), limit);
        clipped += x0 != p.x0[j];
        double const e = again ? (x[j] - t.alpha * x0) / t.sigma : p.eps[j];
        double const expected = to.alpha * x0 + to.sigma * e;
        double const off = std::abs(static_cast<double>(samples[i][j]) - expected);
        record_largest("clip", "from the formula in double, at most", off);
        BOOST_TEST(off < 1e-5);
      }
    }
    BOOST_TEST(clipped > 0);
    BOOST_TEST(clipped < 36);
  };
  check(thresholds::clip{limit}, true);
  check(thresholds::clip_x0_only{limit}, false);
}

BOOST_AUTO_TEST_CASE(clipping_keeps_the_last_step_inside) {
  auto const m = two_classes(4);
  network_function const network = m.predicting<predicts::v>();
  auto const samples =
      (schedules::cosine{} | predicts::v{} | thresholds::clip{0.3} | samplers::heun{} | network)
          .sample({.shape = {20, 4}, .steps = 10, .seed = 4});
  for (float x : samples.data) BOOST_TEST(std::abs(x) <= 0.3f);
}

// q(x_t | x0) = N(alpha x0, sigma^2 I).
BOOST_AUTO_TEST_CASE(noise_added_at_a_level) {
  network_function const network = centred(1, 64).predicting<predicts::v>();
  std::size_t const n = 400, elements = 64;
  images clean{{n, elements}, std::vector<float>(n * elements, 0.7f)};
  for (auto const& schedule : all_schedules()) {
    auto const plan = (schedule | predicts::v{} | samplers::ddim{} | network).plan(10).from(6);
    level const t = plan.levels()[0];
    auto const start = plan.start_from(clean, {.seed = 12});
    double sum = 0, squares = 0, count = static_cast<double>(n * elements);
    for (std::size_t i = 0; i < n * elements; ++i) {
      double const d = static_cast<double>(start.x.data()[i]) - t.alpha * double{0.7f};
      sum += d;
      squares += d * d;
    }
    BOOST_TEST(std::abs(sum / count) < 3 * t.sigma / std::sqrt(count), schedule.called);
    BOOST_TEST(std::abs(std::sqrt(squares / count) / t.sigma - 1) < 3 / std::sqrt(2 * count),
               schedule.called);
  }
}

// Data N(0.3, 0.25) noised midway and taken back by enough ancestral steps is N(0.3, 0.25) again.
BOOST_AUTO_TEST_CASE(entering_midway_keeps_the_distribution) {
  std::size_t const n = 3000, elements = 4;
  gaussian_mixture const m{{{.mean = std::vector<double>(elements, 0.3), .variance = 0.25}}};
  network_function const network = m.predicting<predicts::v>();
  images clean{{n, elements}, std::vector<float>(n * elements)};
  for (std::size_t i = 0; i < n; ++i)
    fill_normals(clean.data.data() + i * elements, 0, 1, {.seed = 99, .id = i}, 3);
  for (float& x : clean.data) x = 0.3f + 0.5f * x;
  auto const plan =
      (schedules::linear{} | predicts::v{} | samplers::ancestral{} | network).plan(200).from(100);
  BOOST_TEST(plan.steps() == 100u);
  BOOST_TEST(plan.levels()[0].t == 500);
  auto const samples = plan.run(plan.start_from(clean, {.seed = 13}));
  double sum = 0, squares = 0, count = static_cast<double>(n * elements);
  for (float x : samples.data) sum += static_cast<double>(x) / count;
  for (float x : samples.data) squares += std::pow(static_cast<double>(x) - sum, 2) / count;
  // A hundred steps cost some of the variance; how much follows from Ho et al., eqs. 6 and 7, and
  // E[x0|x] = m + alpha v / (alpha^2 v + sigma^2) (x - alpha m).
  double variance =
      std::pow(plan.levels()[0].alpha, 2) * 0.25 + std::pow(plan.levels()[0].sigma, 2);
  for (std::size_t k = 0; k < plan.steps(); ++k) {
    level const t = plan.levels()[k], to = plan.levels()[k + 1];
    double const st = t.sigma * t.sigma, ss = to.sigma * to.sigma;
    double const ts = t.alpha / to.alpha, beta = st - ts * ts * ss;
    double const tweedie = t.alpha * 0.25 / (t.alpha * t.alpha * 0.25 + st);
    variance =
        std::pow(to.alpha * beta / st * tweedie + ts * ss / st, 2) * variance + ss * beta / st;
  }
  double const std = std::sqrt(variance);
  BOOST_TEST(std > 0.48);
  BOOST_TEST(std::abs(sum - 0.3) < 3 * std / std::sqrt(count));
  BOOST_TEST(std::abs(std::sqrt(squares) - std) < 3 * std / std::sqrt(2 * count));
  BOOST_TEST(largest_difference(samples.data, clean.data) > 0.1);
}

// Histories are empty at the entry: the first step there is of the lowest order again.
BOOST_AUTO_TEST_CASE(entering_midway_warms_up) {
  auto const whole = (schedules::cosine{} | predicts::v{} | samplers::dpmpp_2m{} | silent).plan(10);
  auto const part = whole.from(4);
  BOOST_TEST(part.rows().size() == 6u);
  BOOST_TEST(part.rows()[0].structure == whole.rows()[0].structure);
  BOOST_TEST(part.rows()[1].structure == whole.rows()[5].structure);
  BOOST_TEST(part.rows()[0].structure != part.rows()[1].structure);
  BOOST_TEST(part.rows()[0].where.t == whole.rows()[4].where.t);
}
