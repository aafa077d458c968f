// The level that a step goes to: every network is told it, and one that answers with the average
// velocity between two times (MeanFlow, Geng et al. 2025, eq. 3) takes any step exactly.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>
#include <vector>

#include <tweedie/pipelines/continuous_batch.hpp>
#include <tweedie/pipelines/driven_loop.hpp>
#include <tweedie/tweedie.hpp>

#include "common.hpp"

using namespace tweedie;
using common::equal_bits;

namespace {

/// The flow of data N(0, 0.25) on rectified_flow: x_r = x_t sd(r) / sd(t).
struct mean_flow {
  using kind = kinds::network;
  static double sd(double t) { return std::sqrt(0.25 * (1 - t) * (1 - t) + t * t); }
  void operator()(batch const& b) const {
    for (std::size_t row = 0; row < b.rows(); ++row) {
      double const t = b.level_of(row).t, r = b.target_of(row).t;
      for (std::size_t i = 0; i < b.elements; ++i)
        b.out_of(row)[i] =
            static_cast<float>(double{b.x_of(row)[i]} * (sd(r) / sd(t) - 1) / (r - t));
    }
  }
  bool operator==(mean_flow const&) const = default;
};

auto const flow =
    schedules::rectified_flow{} | predicts::velocity{} | samplers::euler{} | mean_flow{};

void expect_near(std::span<float const> a, std::span<float const> b) {
  BOOST_TEST_REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i)
    BOOST_TEST(std::abs(double{a[i]} - double{b[i]}) < 1e-5);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(two_times)

BOOST_AUTO_TEST_CASE(one_step_is_as_good_as_ten) {
  request const r{.shape = {5, 3}, .steps = 1, .seed = 4};
  auto const plan = flow.plan(1);
  state const s = plan.start(r);
  images half{{5, 3}, {}};
  for (std::size_t i = 0; i < 5; ++i)
    for (std::size_t k = 0; k < 3; ++k) half.data.push_back(0.5f * s.x.data()[i * s.pitch + k]);
  for (int steps : {1, 3, 10}) expect_near(flow.plan(steps).sample(r).data, half.data);
}

BOOST_AUTO_TEST_CASE(every_evaluation_is_told_the_end_of_its_step) {
  std::vector<std::pair<double, double>> asked;
  auto const told = [&](batch const& b) {
    for (std::size_t row = 0; row < b.rows(); ++row)
      asked.emplace_back(b.level_of(row).t, b.target_of(row).t);
    std::fill_n(b.out, b.rows() * b.pitch, 0.0f);
  };
  auto const heun =
      schedules::rectified_flow{} | predicts::velocity{} | samplers::heun{} | std::cref(told);
  heun.plan(2).sample({.shape = {1, 2}});
  std::vector<std::pair<double, double>> const expected{{1, 0.5}, {0.5, 0.5}, {0.5, 0}};
  BOOST_TEST((asked == expected));
  // Both branches of a guidance, and the way back.
  asked.clear();
  auto const guided = schedules::rectified_flow{} | predicts::velocity{} |
                      guidance::classifier_free{.w = 1} | samplers::euler{} | std::cref(told);
  guided.plan(1).sample({.shape = {1, 2}}, label{0});
  BOOST_TEST((asked == std::vector<std::pair<double, double>>{{1, 0}, {1, 0}}));
}

BOOST_AUTO_TEST_CASE(samples_of_a_continuous_batch_have_their_own) {
  std::vector<std::size_t> const shape{3};
  auto const of = [&](int steps) { return std::make_shared<any_plan const>(flow.plan(steps)); };
  auto const one = of(1), four = of(4);
  continuous_batch batch(four, shape);
  batch.join(four, {.id = 1, .seed = 8});
  batch.join(one, {.id = 2, .seed = 8});
  std::vector<finished_sample> done;
  while (batch.size() > 0)
    for (auto& f : batch.advance()) done.push_back(std::move(f));
  BOOST_TEST_REQUIRE(done.size() == 2u);
  BOOST_TEST(equal_bits(done[0].sample.data,
                        one->sample({.shape = {1, 3}, .seed = 8, .first_id = 2}).data));
  BOOST_TEST(equal_bits(done[1].sample.data,
                        four->sample({.shape = {1, 3}, .seed = 8, .first_id = 1}).data));
}

BOOST_AUTO_TEST_CASE(a_driven_loop_says_it) {
  auto const plan = flow.plan(3);
  request const r{.shape = {2, 3}, .seed = 4};
  driven_loop loop(plan, plan.start(r));
  while (batch const* ask = loop.next()) {
    mean_flow{}(*ask);
    loop.answer();
  }
  BOOST_TEST(equal_bits(loop.samples().data, plan.sample(r).data));
}

BOOST_AUTO_TEST_SUITE_END()
