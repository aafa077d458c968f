// Continuous batching: whoever else is there, whenever it joined, a sample has the bits that it has
// alone.
#include <boost/test/unit_test.hpp>
#include <cstring>
#include <limits>
#include <map>
#include <memory>
#include <string>

#include <tweedie/pipelines/continuous_batch.hpp>
#include <tweedie/tweedie.hpp>

#include "common.hpp"

using common::equal_bits, common::sentence;
using namespace tweedie;

namespace {

struct scrambled {
  using kind = kinds::network;
  void operator()(batch const& b) const {
    for (std::size_t row = 0; row < b.rows(); ++row) {
      auto const x = b.x_of(row);
      auto const to = b.out_of(row);
      auto const shift = static_cast<float>(0.01 * b.level_of(row).sigma + 0.01 * b.label_of(row));
      for (std::size_t i = 0; i < x.size(); ++i)
        to[i] = 0.7f * x[i] - 0.2f * x[(i + 1) % x.size()] + shift;
    }
  }
};

std::vector<std::size_t> const shape{1, 7, 21};

template <class Plan> std::shared_ptr<any_plan const> shared(Plan plan) {
  return std::make_shared<Plan>(std::move(plan));
}

struct wanted {
  std::shared_ptr<any_plan const> plan;
  joining how;
  int when;  ///< before the advance of that number
};

std::vector<float> alone(wanted const& w) {
  std::vector<std::size_t> one{1};
  one.insert(one.end(), shape.begin(), shape.end());
  return w.plan
      ->sample({.shape = one,
                .seed = w.how.seed,
                .first_id = w.how.id,
                .known = w.how.known,
                .mask = w.how.mask},
               w.how.given)
      .data;
}

/// Runs all to their ends, each joining at its time, and compares.
void check(std::vector<wanted> const& all) {
  continuous_batch batch(all[0].plan, shape);
  std::map<std::uint64_t, std::vector<float>> done;
  for (int now = 0; done.size() < all.size(); ++now) {
    for (wanted const& w : all)
      if (w.when == now) batch.join(w.plan, w.how);
    for (finished_sample const& f : batch.advance()) done[f.id] = f.sample.data;
    BOOST_REQUIRE(now < 1000);
  }
  BOOST_TEST(batch.empty());
  for (wanted const& w : all) {
    auto const expected = alone(w);
    auto const& got = done.at(w.how.id);
    BOOST_TEST(got.size() == expected.size());
    BOOST_TEST(std::memcmp(got.data(), expected.data(), got.size() * sizeof(float)) == 0,
               "sample " << w.how.id << " has other bits than alone");
  }
}

// The same by a caller who brings the network's output.
void check_driven(std::vector<wanted> const& all) {
  continuous_batch batch(all[0].plan, shape);
  std::map<std::uint64_t, std::vector<float>> done;
  for (int now = 0; done.size() < all.size(); ++now) {
    for (wanted const& w : all)
      if (w.when == now) batch.join(w.plan, w.how);
    auto const* ask = batch.next();
    BOOST_REQUIRE(ask);
    scrambled{}(*ask);
    for (finished_sample const& f : batch.answer()) done[f.id] = f.sample.data;
  }
  BOOST_TEST(!batch.next());
  for (wanted const& w : all) BOOST_TEST(equal_bits(done.at(w.how.id), alone(w)));
}

auto const vp = schedules::cosine{};

auto guided(auto sampler, double w) {
  return vp | predicts::v{} | guidance::classifier_free{w} | thresholds::clip{} | sampler |
         scrambled{};
}

}  // namespace

BOOST_AUTO_TEST_CASE(steps_seeds_weights_and_labels_of_each_its_own) {
  std::vector<wanted> all;
  for (int i = 0; i < 9; ++i) {
    auto const n = static_cast<unsigned>(i);
    all.push_back({shared(guided(samplers::ancestral{}, 0.5 * i).plan(3 + 2 * i)),
                   {.id = 10 + n, .seed = 100 + 7 * n, .given = labels{i % 4}},
                   i % 3});
  }
  check(all);
  check_driven(all);
}

BOOST_AUTO_TEST_CASE(histories_that_begin_at_different_times) {
  std::vector<wanted> all;
  for (int i = 0; i < 6; ++i)
    all.push_back({shared(guided(samplers::dpmpp_3m{}, 1).plan(4 + i)),
                   {.id = static_cast<unsigned>(i)},
                   2 * i});
  check(all);
  check_driven(all);
}

BOOST_AUTO_TEST_CASE(a_guidance_that_asks_another_network) {
  std::vector<wanted> all;
  for (int i = 0; i < 4; ++i)
    all.push_back({shared((vp | predicts::v{} | guidance::classifier{0.5 + i, scrambled{}} |
                           samplers::heun{} | scrambled{})
                              .plan(2 + i)),
                   {.id = static_cast<unsigned>(i), .given = labels{i}},
                   i});
  check(all);
  check_driven(all);
}

BOOST_AUTO_TEST_CASE(mistakes_of_a_caller_who_drives_are_sentences) {
  auto const plan = shared(guided(samplers::ddim{}, 1).plan(4));
  continuous_batch batch(plan, shape);
  batch.join(plan, {.id = 7});
  batch.join(plan, {.id = 9});
  common::says(sentence([&] { batch.answer(); }), {"a batch that has asked nothing"});
  auto const* ask = batch.next();
  char const* const expected = "between a question and its answer; expected answer() first";
  common::says(sentence([&] { batch.next(); }), {"the next question was asked for", expected});
  common::says(sentence([&] { batch.advance(); }), {"an evaluation was asked for", expected});
  common::says(sentence([&] { batch.join(plan, {.id = 8}); }), {"a sample was given", expected});
  common::says(sentence([&] { batch.cancel(7); }), {"a sample was cancelled", expected});
  scrambled{}(*ask);
  ask->out_of(3)[5] = std::numeric_limits<float>::quiet_NaN();
  common::says(sentence([&] { batch.answer(); }),
               {"is nan for sample 9 of branch 1 at t = 1000, in element 5"});
  scrambled{}(*ask);
  batch.answer();
  while (!batch.empty())
    for (finished_sample const& f : batch.advance())
      BOOST_TEST(equal_bits(f.sample.data, alone({plan, {.id = f.id}, 0})));
}

BOOST_AUTO_TEST_CASE(several_evaluations_and_guidance_within) {
  std::vector<wanted> all;
  for (int i = 0; i < 5; ++i)
    all.push_back({shared((vp | predicts::v{} |
                           guidance::within{guidance::classifier_free{2}, 200, 400 + 100. * i} |
                           samplers::heun{} | scrambled{})
                              .plan(3 + i)),
                   {.id = static_cast<unsigned>(i), .given = labels{i}},
                   i});
  check(all);
}

BOOST_AUTO_TEST_CASE(reductions_memories_and_what_the_network_sees) {
  std::vector<wanted> all;
  for (int i = 0; i < 4; ++i)
    all.push_back({shared((schedules::edm{} | predicts::edm{} | guidance::apg{} |
                           thresholds::dynamic{0.9} | samplers::ddim{} | scrambled{})
                              .plan(grids::karras{}, 3 + i)),
                   {.id = static_cast<unsigned>(i), .seed = 4},
                   i});
  check(all);
}

BOOST_AUTO_TEST_CASE(masks_of_each_its_own) {
  std::vector<wanted> all;
  for (unsigned i = 0; i < 3; ++i) {
    images known{{1, 1, 7, 21}, std::vector<float>(147, 0.1f * static_cast<float>(i))};
    images mask{{7, 21}, std::vector<float>(147)};
    for (std::size_t j = i; j < 147; j += 3) mask.data[j] = 1;
    all.push_back(
        {shared(
             (vp | predicts::v{} | samplers::repaint{samplers::ddim{}, 2} | scrambled{}).plan(3)),
         {.id = i, .known = known, .mask = mask},
         static_cast<int>(i)});
  }
  check(all);
}

BOOST_AUTO_TEST_CASE(one_launch_for_each_structure_that_is_present) {
  auto const pipeline = guided(samplers::dpmpp_2m{}, 1);
  continuous_batch batch(shared(pipeline.plan(4)), shape);
  for (unsigned i = 0; i < 20; ++i) batch.join(shared(pipeline.plan(4 + i % 5)), {.id = i});
  batch.advance();
  BOOST_TEST(batch.launches() == 1u);  // all make their first step
  for (unsigned i = 20; i < 30; ++i) batch.join(shared(pipeline.plan(6)), {.id = i});
  batch.advance();
  BOOST_TEST(batch.launches() == 2u);  // first steps and second ones
  batch.advance();
  BOOST_TEST(batch.launches() == 1u);
  batch.advance();
  BOOST_TEST(batch.launches() == 2u);  // four samples make their last
  BOOST_TEST(batch.size() == 26u);
}

BOOST_AUTO_TEST_CASE(refusals_leave_the_batch_as_it_was) {
  auto const plan = shared(guided(samplers::ddim{}, 1).plan(3));
  continuous_batch batch(plan, shape);
  batch.join(plan, {.id = 4, .seed = 1});
  BOOST_TEST(sentence([&] { batch.join(plan, {.id = 4, .seed = 2}); }) ==
             "a sample with the id 4 was given to a batch that has one; expected another id");
  auto const other = shared((vp | predicts::v{} | samplers::ddim{} | scrambled{}).plan(3));
  BOOST_TEST(sentence([&] {
               batch.join(other, {.id = 5});
             }).starts_with("a plan of another kind was given"));
  BOOST_TEST(sentence([&] {
               batch.join(plan, {.id = std::uint64_t{1} << 50});
             }).find("expected an id below 2^48") != std::string::npos);
  BOOST_TEST(sentence([&] { batch.cancel(9); }) ==
             "sample 9 was cancelled, the batch has no such id");
  BOOST_TEST(batch.size() == 1u);
  std::vector<finished_sample> done;
  while (!batch.empty()) done = batch.advance();
  BOOST_TEST(equal_bits(done[0].sample.data, alone({plan, {.id = 4, .seed = 1}, 0})));
}

BOOST_AUTO_TEST_CASE(a_cancelled_sample_leaves_the_others_alone) {
  auto const plan = shared(guided(samplers::ancestral{}, 1).plan(5));
  continuous_batch batch(plan, shape);
  for (unsigned i = 0; i < 4; ++i) batch.join(plan, {.id = i, .seed = 3});
  batch.advance();
  batch.cancel(1);
  std::map<std::uint64_t, std::vector<float>> done;
  while (!batch.empty())
    for (auto const& f : batch.advance()) done[f.id] = f.sample.data;
  BOOST_TEST(done.size() == 3u);
  for (auto const& [id, data] : done)
    BOOST_TEST(equal_bits(data, alone({plan, {.id = id, .seed = 3}, 0})));
}
