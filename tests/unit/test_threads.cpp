// What threads may share: a plan, what is made once for all of them, and nothing else.
#include <boost/test/unit_test.hpp>
#include <cstring>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include <tweedie/pipelines/continuous_batch.hpp>
#include <tweedie/pipelines/ready/recipe.hpp>
#include <tweedie/tweedie.hpp>

#include "common.hpp"

using common::equal_bits;
using namespace tweedie;

namespace {

struct halved {
  using kind = kinds::network;
  void operator()(batch const& b) const {
    for (std::size_t row = 0; row < b.rows(); ++row)
      for (std::size_t i = 0; i < b.elements; ++i) b.out_of(row)[i] = 0.5f * b.x_of(row)[i];
  }
};

constexpr std::size_t count = 8;

/// f(0) .. f(7), each in a thread of its own.
void in_threads(std::function<void(std::size_t)> const& f) {
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < count; ++i) threads.emplace_back(f, i);
  for (std::thread& t : threads) t.join();
}

}  // namespace

// The states are small and large: serial loops and those that the backend spreads over its threads.
BOOST_AUTO_TEST_CASE(eight_threads_share_a_plan) {
  auto const plan = (schedules::cosine{} | predicts::v{} | guidance::classifier_free{2} |
                     thresholds::dynamic{} | samplers::ancestral{} | halved{})
                        .plan(6);
  for (std::size_t samples : {std::size_t{2}, std::size_t{40}}) {
    auto const request_of = [&](std::size_t i) {
      return request{.shape = {samples, 1, 32, 32}, .seed = i, .first_id = 100 * i};
    };
    std::vector<images> results(count);
    in_threads([&](std::size_t i) { results[i] = plan.sample(request_of(i), label{3}); });
    for (std::size_t i = 0; i < count; ++i)
      BOOST_TEST(equal_bits(results[i].data, plan.sample(request_of(i), label{3}).data));
  }
}

// Tables of schedules, compiled programs and lists of terms are made when first asked for.
BOOST_AUTO_TEST_CASE(eight_threads_make_plans_at_once) {
  std::vector<images> results(count);
  in_threads([&](std::size_t i) {
    auto const recipe = ready::parse_recipe(
        "sampler = \"heun\"\nsteps = 4\nthreshold = \"clip\"\n"
        "guidance = { name = \"apg\", s = 2.0 }\nschedule = { name = \"linear\", steps = 321 }",
        ready::recipe_format::toml, "here");
    results[i] =
        ready::make_plan(recipe, schedules::cosine{}, predicts::v{}, forget_network(halved{}))
            .sample({.shape = {2, 9}, .seed = 5});
  });
  for (std::size_t i = 1; i < count; ++i) BOOST_TEST(equal_bits(results[i].data, results[0].data));
}

BOOST_AUTO_TEST_CASE(each_thread_has_a_batch_of_its_own_over_shared_plans) {
  auto const plan = std::make_shared<
      decltype((schedules::cosine{} | predicts::v{} | samplers::dpmpp_2m{} | halved{}).plan(5))>(
      (schedules::cosine{} | predicts::v{} | samplers::dpmpp_2m{} | halved{}).plan(5));
  std::vector<std::vector<float>> results(count);
  in_threads([&](std::size_t i) {
    continuous_batch batch(plan, {3, 4});
    batch.join(plan, {.id = 7, .seed = 1});
    batch.advance();
    batch.join(plan, {.id = 100 + i, .seed = i});
    while (!batch.empty())
      for (auto const& f : batch.advance())
        if (f.id == 7) results[i] = f.sample.data;
  });
  auto const alone = plan->sample({.shape = {1, 3, 4}, .seed = 1, .first_id = 7}).data;
  for (auto const& r : results) BOOST_TEST(equal_bits(r, alone));
}
