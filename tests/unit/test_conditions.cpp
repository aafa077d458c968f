// Conditions that are no labels: a named array a sample, which reaches the network with its sample
// wherever that goes.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>

#include <tweedie/networks/gaussian_mixture.hpp>
#include <tweedie/pipelines/adaptive.hpp>
#include <tweedie/pipelines/continuous_batch.hpp>
#include <tweedie/pipelines/driven_loop.hpp>
#include <tweedie/pipelines/state_file.hpp>
#include <tweedie/tweedie.hpp>

#include "common.hpp"

using namespace tweedie;
using common::contains, common::equal_bits, common::sentence;

namespace {

/// v of data N(m, 0.25), where m is the condition "mean", an array of two numbers, or 0 without.
struct asked_for_a_mean {
  using kind = kinds::network;
  void operator()(batch const& b) const {
    for (std::size_t row = 0; row < b.rows(); ++row) {
      auto const m = b.array_of(row, "mean");
      level const& t = b.level_of(row);
      double const variance = t.alpha * t.alpha * 0.25 + t.sigma * t.sigma;
      for (std::size_t i = 0; i < b.elements; ++i) {
        double const mean = m.empty() ? 0 : double{m[i]}, x = double{b.x_of(row)[i]};
        double const x0 = mean + t.alpha * 0.25 / variance * (x - t.alpha * mean);
        b.out_of(row)[i] = static_cast<float>((t.alpha * x - x0) / t.sigma);
      }
    }
  }
  void check_arrays(std::span<named_array const> arrays) const {
    for (named_array const& a : arrays)
      if (a.name != "mean" || a.shape != std::vector<std::size_t>{2})
        throw error("asked_for_a_mean: the condition '" + a.name + "' was given, expected mean");
  }
  bool operator==(asked_for_a_mean const&) const = default;
};

auto over_cosine() {
  return schedules::cosine{} | predicts::v{} | samplers::ddim{} | asked_for_a_mean{};
}
images const means{{3, 2}, {1, -1, 5, 5, -3, 0.5f}};
request const three{.shape = {3, 2}, .steps = 20, .seed = 9};
auto shared(auto plan) { return std::make_shared<decltype(plan) const>(std::move(plan)); }
conditions given() { return conditions{}.with("mean", means); }

/// Sample i as it comes alone.
images alone(std::size_t i) {
  images const one{{1, 2}, {means[i][0], means[i][1]}};
  return over_cosine().sample({.shape = {1, 2}, .steps = 20, .seed = 9, .first_id = i},
                              conditions{}.with("mean", one));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(conditions_of_a_sample)

BOOST_AUTO_TEST_CASE(each_sample_has_its_own) {
  images const drawn = over_cosine().sample(three, given());
  for (std::size_t i = 0; i < 3; ++i) BOOST_TEST(equal_bits(drawn[i], alone(i)[0]));
  // They are near what was asked: within four of the data's deviations.
  for (std::size_t i = 0; i < 3; ++i)
    for (std::size_t k = 0; k < 2; ++k) BOOST_TEST(std::abs(drawn[i][k] - means[i][k]) < 2);
}

BOOST_AUTO_TEST_CASE(one_row_is_for_all) {
  images const one{{1, 2}, {5, 5}};
  images const thrice{{3, 2}, {5, 5, 5, 5, 5, 5}};
  BOOST_TEST(equal_bits(over_cosine().sample(three, conditions{}.with("mean", one)).data,
                        over_cosine().sample(three, conditions{}.with("mean", thrice)).data));
}

BOOST_AUTO_TEST_CASE(a_guidance_asks_with_and_without) {
  auto const guided = schedules::cosine{} | predicts::v{} | guidance::classifier_free{.w = 0} |
                      samplers::ddim{} | asked_for_a_mean{};
  // w = 0 is the conditioned branch alone.
  BOOST_TEST(
      equal_bits(guided.sample(three, given()).data, over_cosine().sample(three, given()).data));
  auto const against = schedules::cosine{} | predicts::v{} | guidance::classifier_free{.w = -1} |
                       samplers::ddim{} | asked_for_a_mean{};
  BOOST_TEST(equal_bits(against.sample(three, given()).data, over_cosine().sample(three).data));
}

BOOST_AUTO_TEST_CASE(they_come_and_go_with_their_samples) {
  auto const plan = shared(over_cosine().plan(20));
  continuous_batch batch(plan, {2});
  auto const join = [&](std::size_t i) {
    batch.join(plan, {.id = i,
                      .seed = 9,
                      .given = conditions{}.with("mean", {{1, 2}, {means[i][0], means[i][1]}})});
  };
  join(0);
  batch.advance();
  join(1);
  join(2);
  std::vector<finished_sample> done;
  while (!batch.empty())
    for (auto& one : batch.advance()) done.push_back(std::move(one));
  BOOST_TEST_REQUIRE(done.size() == 3u);
  for (auto const& one : done) BOOST_TEST(equal_bits(one.sample.data, alone(one.id).data));
}

BOOST_AUTO_TEST_CASE(a_batch_takes_the_same_names_and_shapes) {
  auto const plan = shared(over_cosine().plan(20));
  continuous_batch batch(plan, {2});
  batch.join(plan, {.id = 0, .given = conditions{}.with("mean", {{1, 2}, {1, 2}})});
  BOOST_TEST(
      sentence([&] { batch.join(plan, {.id = 1}); }) ==
      "a sample with the conditions none was given to a batch whose samples have 'mean' {2}; "
      "expected the same names and shapes, in that order");
  BOOST_TEST(batch.size() == 1u);
}

BOOST_AUTO_TEST_CASE(a_saved_state_has_them) {
  auto const file = std::filesystem::temp_directory_path() /
                    ("tweedie_conditions_" + std::to_string(::getpid()) + ".safetensors");
  auto const plan = over_cosine().plan(20);
  state s = plan.start(three, given());
  plan.advance(s);
  save_state(file, plan, s);
  state const loaded = load_state(file, plan);
  std::filesystem::remove(file);
  BOOST_TEST(equal_bits(plan.run(loaded).data, over_cosine().sample(three, given()).data));
}

BOOST_AUTO_TEST_CASE(a_loaded_state_is_what_the_network_takes) {
  // A plan of the same levels and numbers over a network that takes other arrays.
  struct other {
    using kind = kinds::network;
    void operator()(batch const& b) const { std::fill_n(b.out, b.rows() * b.pitch, 0.0f); }
    void check_arrays(std::span<named_array const> arrays) const {
      if (!arrays.empty()) throw error("other: a condition '" + arrays[0].name + "' was given");
    }
  };
  auto const file = std::filesystem::temp_directory_path() /
                    ("tweedie_other_conditions_" + std::to_string(::getpid()) + ".safetensors");
  auto const plan = over_cosine().plan(20);
  save_state(file, plan, plan.start(three, given()));
  auto const of_other = (schedules::cosine{} | predicts::v{} | samplers::ddim{} | other{}).plan(20);
  auto const said = sentence([&] { load_state(file, of_other); });
  std::filesystem::remove(file);
  BOOST_TEST(contains(said, file.string()));
  BOOST_TEST(contains(said, "other: a condition 'mean' was given"));
}

BOOST_AUTO_TEST_CASE(a_network_is_told_how_many_branches_have_none) {
  struct asking {
    using kind = kinds::network;
    std::vector<int>* without;
    void operator()(batch const& b) const { std::fill_n(b.out, b.rows() * b.pitch, 0.0f); }
    void check_arrays(std::span<named_array const>, int n) const { without->push_back(n); }
  };
  std::vector<int> without;
  auto const begin = schedules::rectified_flow{} | predicts::v{};
  (begin | samplers::ddim{} | asking{.without = &without}).plan(4).start(three, given());
  (begin | guidance::classifier_free{.w = 1} | samplers::ddim{} | asking{.without = &without})
      .plan(4)
      .start(three, given());
  (begin | guidance::classifier_free{.w = 1} |
   samplers::adaptive<tableaux::bogacki_shampine>{.tolerance = 0.1} | asking{.without = &without})
      .sample({.shape = {3, 2}}, given());
  BOOST_TEST((without == std::vector<int>{0, 1, 1}));
}

BOOST_AUTO_TEST_CASE(a_driven_loop_hands_them_on) {
  auto const plan = over_cosine().plan(20);
  driven_loop loop(plan, plan.start(three, given()));
  while (batch const* ask = loop.next()) {
    asked_for_a_mean{}(*ask);
    loop.answer();
  }
  BOOST_TEST(equal_bits(loop.samples().data, over_cosine().sample(three, given()).data));
}

BOOST_AUTO_TEST_CASE(adaptive_steps_keep_them_with_their_samples) {
  auto const adaptive = schedules::rectified_flow{} | predicts::v{} |
                        samplers::adaptive<tableaux::bogacki_shampine>{.tolerance = 1e-4} |
                        asked_for_a_mean{};
  // The samples end after different numbers of steps, and the others close up.
  images const drawn = adaptive.sample({.shape = {3, 2}, .seed = 9}, given());
  for (std::size_t i = 0; i < 3; ++i) {
    images const one{{1, 2}, {means[i][0], means[i][1]}};
    BOOST_TEST(equal_bits(drawn[i], adaptive.sample({.shape = {1, 2}, .seed = 9, .first_id = i},
                                                    conditions{}.with("mean", one))[0]));
  }
}

BOOST_AUTO_TEST_CASE(what_does_not_fit_is_a_sentence) {
  auto const said = [](conditions const& c) {
    return sentence([&] { over_cosine().sample(three, c); });
  };
  BOOST_TEST(said(conditions{}.with("", means)) ==
             "a condition without a name was given, expected the name that the network knows");
  BOOST_TEST(said(given().with("mean", means)) ==
             "the condition 'mean' was given twice, expected it once");
  BOOST_TEST(
      said(conditions{}.with("mean", {{2, 2}, {1, 2, 3, 4}})) ==
      "the condition 'mean' of shape {2, 2} with 4 values was given for 3 samples, expected a "
      "shape that begins with 1 or 3, and as many values");
  BOOST_TEST(
      said(conditions{}.with("mean", {{3, 2}, {1, 2, 3}})).starts_with("the condition 'mean'"));
  BOOST_TEST(said(conditions{}.with("mean", {{}, {}})).starts_with("the condition 'mean'"));
  BOOST_TEST(said(conditions{}.with("mean", {{1, 2}, {1, NAN}})) ==
             "the condition 'mean': value 1 is nan, expected finite ones");
  BOOST_TEST(said(conditions{}.with("men", means)) ==
             "asked_for_a_mean: the condition 'men' was given, expected mean");
}

BOOST_AUTO_TEST_CASE(a_network_that_reads_none_refuses_them) {
  networks::gaussian_mixture const mixture{{{.mean = {0.8, 0.8}, .variance = 0.01}}};
  auto const of_it =
      schedules::cosine{} | predicts::v{} | samplers::ddim{} | mixture.predicting<predicts::v>();
  BOOST_TEST(contains(sentence([&] { of_it.sample(three, given()); }),
                      "a condition 'mean' was given, but the network takes labels alone"));
}

BOOST_AUTO_TEST_SUITE_END()
