// Plans and states: what is refused and in which words, progress, sharing, stopping and going on,
// explain().
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <limits>
#include <stdexcept>
#include <thread>
#include <tweedie/pipelines/explain.hpp>
#include <tweedie/pipelines/noising.hpp>
#include <tweedie/samplers/ancestral.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/samplers/dpmpp_2m.hpp>
#include <tweedie/samplers/euler.hpp>
#include <tweedie/samplers/heun.hpp>

#include "laws_common.hpp"

using namespace laws;

namespace {

double const nan_value = std::numeric_limits<double>::quiet_NaN();

template <class Sampler> auto pipeline_of(Sampler sampler, any_schedule schedule) {
  return schedule | predicts::v{} | guidance::classifier_free{.w = 1} | thresholds::clip{1} |
         sampler | network_function(two_classes(3).predicting<predicts::v>());
}

template <class F> void for_each_sampler(F f) {
  f("ddim", samplers::ddim{});
  f("ddim_eta", samplers::ddim_eta{});
  f("ancestral", samplers::ancestral{});
  f("euler", samplers::euler{});
  f("heun", samplers::heun{});
  f("dpmpp_2m", samplers::dpmpp_2m{});
}

}  // namespace

BOOST_AUTO_TEST_CASE(predictions_that_end_at_alpha_0) {
  auto const told = [](auto predicts, any_schedule schedule) {
    return sentence([&] { (schedule | predicts | samplers::ddim{} | silent).plan(10); });
  };
  for (any_schedule const& s :
       {any_schedule(schedules::continuous::cosine{}), any_schedule(schedules::rectified_flow{})}) {
    says(told(predicts::epsilon{}, s), {"predicts::epsilon", "step 1 of 10", "alpha = 0", "x0"});
    says(told(predicts::score{}, s), {"predicts::score", "step 1 of 10", "alpha = 0"});
    says(told(predicts::v{}, s), {"nothing was thrown"});
    says(told(predicts::x0{}, s), {"nothing was thrown"});
    says(told(predicts::velocity{}, s), {"nothing was thrown"});
  }
  // Nearly 0 is as bad: the cosine table's alpha is 0.00005 there.
  says(told(predicts::epsilon{}, schedules::cosine{}), {"predicts::epsilon", "t = 1000", "x0"});
  says(told(predicts::epsilon{}, schedules::linear{}), {"nothing was thrown"});
}

BOOST_AUTO_TEST_CASE(counts_of_steps) {
  auto const p = pipeline_of(samplers::ddim{}, schedules::linear{});
  says(sentence([&] { p.plan(0); }), {"0 steps", "one or more"});
  says(sentence([&] { p.plan(-3); }), {"-3 steps", "one or more"});
  says(sentence([&] { p.plan(1001); }), {"1001 steps", "1000"});
  says(sentence([&] { p.sample({.shape = {1, 3}, .steps = 0}); }), {"0 steps"});
  BOOST_TEST(p.plan(1000).steps() == 1000u);
  BOOST_TEST(p.plan(1).steps() == 1u);
}

BOOST_AUTO_TEST_CASE(grids_of_ones_own) {
  auto const p = pipeline_of(samplers::ddim{}, schedules::linear{});
  says(sentence([&] {
         p.plan(grids::custom{{900, 300, 400, 0}}, 3);
       }),
       {"time 2 is 400 after 300", "decreasing"});
  says(sentence([&] { p.plan(grids::custom{{900, 900, 0}}, 2); }), {"900 after 900"});
  says(sentence([&] { p.plan(grids::custom{{1200, 0}}, 1); }), {"1200", "1000"});
  says(sentence([&] { p.plan(grids::custom{{nan_value, 0}}, 1); }), {"nan"});
  says(sentence([&] { p.plan(grids::custom{{500}}, 0); }), {"1 times", "two or more"});
}

struct scaled_ddim {
  double by;
  auto step(level, level s) const {
    using namespace symbols;
    return tweedie::step(x = by * s.alpha * x0 + s.sigma * eps);
  }
};

BOOST_AUTO_TEST_CASE(numbers_that_are_none) {
  auto const told = [](auto guide, auto sampler) {
    return sentence(
        [&] { (schedules::linear{} | predicts::v{} | guide | sampler | silent).plan(5); });
  };
  says(told(guidance::classifier_free{.w = nan_value}, samplers::ddim{}),
       {"guidance::classifier_free", "weight w = nan", "finite"});
  says(told(guidance::classifier_free_scale{.s = std::numeric_limits<double>::infinity()},
            samplers::ddim{}),
       {"guidance", "weight"});
  says(told(guidance::none{}, scaled_ddim{nan_value}), {"sampler", "coefficient nan"});
  says(told(guidance::none{}, scaled_ddim{1e300}), {"sampler", "coefficient", "step 1 of 5"});
  for (double eta : {nan_value, 5.0, -0.1})
    says(told(guidance::none{}, samplers::ddim_eta{eta}), {"ddim_eta: eta = ", "0 to 1"});
  for (double limit : {nan_value, 0.0, -1.0})
    says(sentence([limit] {
           (schedules::linear{} | predicts::v{} | thresholds::clip{limit} | samplers::ddim{} |
            silent)
               .plan(5);
         }),
         {"thresholds: a limit of", "above 0"});
  says(told(guidance::within{guidance::classifier_free{}, 5.0, 2.0}, samplers::ddim{}),
       {"guidance::within", "lo <= hi"});
}

BOOST_AUTO_TEST_CASE(a_state_of_another_plan_is_refused) {
  auto const of = [](auto sampler) {
    return (schedules::linear{} | predicts::v{} | sampler | silent).plan(5);
  };
  auto const one_branch = of(samplers::ddim{});
  state s = one_branch.start({.shape = {2, 3}});
  says(sentence([&] { of(samplers::heun{}).advance(s); }), {"0 kept buffers", "2 kept buffers"});
  says(sentence([&] { of(samplers::dpmpp_2m{}).advance(s); }),
       {"histories of 0", "histories of 1"});
  says(sentence([&] { pipeline_of(samplers::ddim{}, schedules::linear{}).plan(5).advance(s); }),
       {"room for 2 branches"});
  one_branch.advance(s);  // and it is as good as it was
}

BOOST_AUTO_TEST_CASE(noise_is_added_to_samples_of_the_same_shape_by_a_stream_of_its_own) {
  images const zeros{{2, 3}, std::vector<float>(6)};
  auto const plan = (schedules::linear{} | predicts::v{} | samplers::ddim{} | silent).plan(5);
  level const t = schedules::linear{}.at(500);
  images const noisy = noised(zeros, t, {.seed = 3});
  state const start = plan.start({.shape = {2, 3}, .seed = 3});
  BOOST_TEST(noisy.data[0] != static_cast<float>(t.sigma) * start.x.data()[0]);
  state s = plan.start({.shape = {3, 2}});
  says(sentence([&] { add_noise(s, zeros, t); }), {"{2, 3} with 6 values", "{3, 2}"});
  says(sentence([&] {
         plan.start({.shape = {1, std::size_t{1} << 32, std::size_t{1} << 32}});
       }),
       {"fewer than 2^40 values"});
}

BOOST_AUTO_TEST_CASE(shapes_labels_and_ids) {
  auto const plan = pipeline_of(samplers::ddim{}, schedules::linear{}).plan(2);
  says(sentence([&] { plan.sample({.shape = {}}); }), {"shape = {}", "number of samples"});
  says(sentence([&] { plan.sample({.shape = {4}}); }), {"shape = {4}"});
  says(sentence([&] { plan.sample({.shape = {4, 0}}); }), {"{4, 0}", "1 or more"});
  says(sentence([&] { plan.sample({.shape = {0, 3}}); }), {"{0, 3}", "1 or more"});
  says(sentence([&] {
         plan.sample({.shape = {4, 3}}, labels{0, 1, 0});
       }),
       {"3 labels", "4 samples"});
  says(sentence([&] { plan.sample({.shape = {4, 3}}, labels{}); }), {"0 labels", "4 samples"});
  std::uint64_t const ids = std::uint64_t{1} << 48;
  says(sentence([&] {
         plan.sample({.shape = {4, 3}, .first_id = ids - 3});
       }),
       {"first_id", "4 samples", "2^48"});
  says(sentence([&] {
         plan.sample({.shape = {4, 3}, .first_id = ids - 4}, label{0});
       }),
       {"nothing was thrown"});
  says(sentence([&] { plan.from(2); }), {"step 2", "0 to 1"});
  images const clean{{2, 3}, std::vector<float>(6)};
  says(sentence([&] { plan.start_from(clean, {}, labels{0, 1, 1}); }), {"3 labels", "2 samples"});
}

BOOST_AUTO_TEST_CASE(one_step_and_all_steps) {
  for_each_sampler([](char const* name, auto sampler) {
    for (auto const& schedule : all_schedules()) {
      auto const pipeline = pipeline_of(sampler, schedule);
      for (int n : {1, 2, schedule.table_steps() ? schedule.table_steps() : 60}) {
        auto const plan = pipeline.plan(n);
        BOOST_TEST(plan.steps() == static_cast<std::size_t>(n));
        BOOST_TEST(plan.levels().back().sigma == 0);
        auto const samples = plan.sample({.shape = {1, 3}, .seed = 3}, label{1});
        for (float x : samples.data)
          BOOST_TEST((std::isfinite(x) && std::abs(x) <= 1),
                     name << ", " << schedule.called << ", " << n << " steps: " << x);
      }
    }
  });
}

BOOST_AUTO_TEST_CASE(one_call_of_the_network_per_evaluation) {
  std::size_t calls = 0;
  network_function const counting = [&](batch const& b) {
    ++calls;
    BOOST_TEST(b.samples == 4u);
    BOOST_TEST(b.rows() == 4 * b.branches);
  };
  auto const count = [&](auto sampler) {
    calls = 0;
    auto const plan = (schedules::linear{} | predicts::v{} | sampler | counting).plan(10);
    plan.sample({.shape = {4, 3}});
    BOOST_TEST(plan.rows().size() == calls, "one row, hence one kernel, per evaluation");
    return calls;
  };
  BOOST_TEST(count(samplers::ddim{}) == 10u);
  BOOST_TEST(count(samplers::dpmpp_2m{}) == 10u);
  BOOST_TEST(count(samplers::heun{}) == 19u, "two a step, the last step has no second slope");
}

BOOST_AUTO_TEST_CASE(progress) {
  auto const pipeline = pipeline_of(samplers::heun{}, schedules::linear{});
  std::vector<std::size_t> done;
  request r{.shape = {2, 3}, .steps = 6};
  r.progress = [&](std::size_t k, std::size_t n) {
    BOOST_TEST(n == 6u);
    done.push_back(k);
  };
  pipeline.sample(r, label{0});
  BOOST_TEST(equal_bits(done, std::vector<std::size_t>{1, 2, 3, 4, 5, 6}));
  r.progress = [&](std::size_t k, std::size_t) {
    if (k == 3) throw std::runtime_error("enough");
    done.push_back(k);
  };
  done.clear();
  BOOST_CHECK_EXCEPTION(
      pipeline.sample(r, label{0}), std::runtime_error,
      [](std::runtime_error const& e) { return e.what() == std::string("enough"); });
  BOOST_TEST(equal_bits(done, std::vector<std::size_t>{1, 2}), "nothing ran after it");
}

BOOST_AUTO_TEST_CASE(a_plan_is_shared_by_threads) {
  auto const plan = pipeline_of(samplers::dpmpp_2m{}, schedules::cosine{}).plan(20);
  auto const run = [&](std::uint64_t seed) {
    return plan.sample({.shape = {20, 3}, .seed = seed}, label{1}).data;
  };
  auto const a = run(1), b = run(2);
  for (int repeat = 0; repeat < 5; ++repeat) {
    std::vector<float> x, y;
    std::thread first([&] { x = run(1); }), second([&] { y = run(2); });
    first.join();
    second.join();
    BOOST_TEST(equal_bits(x, a));
    BOOST_TEST(equal_bits(y, b));
  }
}

BOOST_AUTO_TEST_CASE(a_state_is_a_value) {
  for_each_sampler([](char const* name, auto sampler) {
    auto const plan = pipeline_of(sampler, schedules::linear{}).plan(8);
    state s = plan.start({.shape = {3, 3}, .seed = 4}, {1});
    for (int k = 0; k < 4; ++k) plan.advance(s);
    state const kept = s;
    auto const straight = plan.run(std::move(s));
    BOOST_TEST(equal_bits(plan.run(kept).data, straight.data), name);
    BOOST_TEST(equal_bits(plan.run(kept).data, straight.data), name << ", and once more");
    BOOST_TEST(equal_bits(plan.sample({.shape = {3, 3}, .seed = 4}, label{1}).data, straight.data),
               name);
  });
}

BOOST_AUTO_TEST_CASE(a_finished_state_is_finished) {
  auto const plan = pipeline_of(samplers::ddim{}, schedules::linear{}).plan(2);
  state s = plan.start({.shape = {1, 3}}, {0});
  plan.advance(s);
  BOOST_TEST(!plan.finished(s));
  plan.advance(s);
  BOOST_TEST(plan.finished(s));
  says(sentence([&] { plan.advance(s); }), {"2 evaluations", "2 steps"});
}

BOOST_AUTO_TEST_CASE(explained) {
  auto const text = explain(pipeline_of(samplers::dpmpp_2m{}, schedules::linear{}).plan(12));
  says(text,
       {"12 steps, 12 evaluations of the network, 12 kernels", "3 structures", "10 of 12: 1 kernel",
        "1 of 12: 1 kernel", "last step, sigma = 0", "2 branches", "x0 = clamp(", "past_x0<0> = x0",
        " past_x0<1>",
        "reads x out<0> out<1> past_x0<1>, writes x past_x0<0>, no noise, 24 bytes per element",
        "x = x0\n"});
  auto const noisy =
      explain((schedules::linear{} | predicts::epsilon{} | samplers::ancestral{} | silent)
                  .plan(grids::custom{{500, 250, 0}}, 2));
  says(noisy, {"2 structures", "reads x out<0>, writes x, draws noise, 12 bytes per element",
               "from t = 500 to t = 250"});
  // The numbers are the plan's: a x + b out<0> + c noise, by the posterior's formula.
  level const t = schedules::linear{}.at(500), s = schedules::linear{}.at(250);
  double const ts = t.alpha / s.alpha, beta = t.sigma * t.sigma - ts * ts * s.sigma * s.sigma;
  double const on_x0 = s.alpha * beta / (t.sigma * t.sigma);
  says(noisy, {fmt::format("x = {:.6g} x - {:.6g} out<0> + {:.6g} noise",
                           on_x0 / t.alpha + ts * s.sigma * s.sigma / (t.sigma * t.sigma),
                           on_x0 * t.sigma / t.alpha, s.sigma / t.sigma * std::sqrt(beta))
                   .c_str()});
}
