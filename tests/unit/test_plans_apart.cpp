// What belongs to another plan, or to none, is refused: states, networks in a continuous batch, an
// interval that meets no level, a guidance that its sampler would not see, nothing to call.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <cstring>
#include <filesystem>
#include <limits>
#include <memory>
#include <thread>
#include <tweedie/guidances/autoguidance.hpp>
#include <tweedie/guidances/cfg_plus_plus.hpp>
#include <tweedie/guidances/classifier.hpp>
#include <tweedie/networks/unconditional.hpp>
#include <tweedie/pipelines/continuous_batch.hpp>
#include <tweedie/pipelines/noise_from.hpp>
#include <tweedie/pipelines/slerp.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/samplers/euler_maruyama.hpp>

#include "laws_common.hpp"

using namespace laws;

namespace {

template <class Plan> std::shared_ptr<any_plan const> shared(Plan plan) {
  return std::make_shared<Plan>(std::move(plan));
}

/// A network that is known by what it points at.
struct counter {
  int* calls;
  void operator()(batch const&) const { ++*calls; }
};

auto const network = two_classes(3).predicting<predicts::v>();
auto const pipeline_ = schedules::linear{} | predicts::v{} | samplers::ddim{} | network;

}  // namespace

BOOST_AUTO_TEST_CASE(a_state_goes_on_under_its_own_plan_alone) {
  auto const plan = pipeline_.plan(20), other = pipeline_.plan(10);
  request const r{.shape = {2, 3}, .seed = 4};
  state s = plan.start(r);
  for (int k = 0; k < 3; ++k) plan.advance(s);
  std::initializer_list<char const*> const expected{
      "a state of another plan", "after 3 evaluations", "10 steps from t = 1000 to t = 0"};
  says(sentence([&] { other.advance(s); }), expected);
  says(sentence([&] { other.advance(s, network); }), expected);
  says(sentence([&] { other.run(s); }), expected);
  says(sentence([&] { (void)other.finished(s); }), expected);
  says(sentence([&] { (void)other.step_of(s); }), expected);
  says(sentence([&] { other.apply(other.rows()[0], s); }), expected);
  // The same steps, another number in them.
  auto const eta = [](double value) {
    return (schedules::linear{} | predicts::v{} | samplers::ddim_eta{value} | network).plan(5);
  };
  says(sentence([&] { eta(0.5).run(eta(0.25).start(r)); }), {"a state of another plan"});
  // One that is finished there.
  state done = plan.start(r);
  while (!plan.finished(done)) plan.advance(done);
  says(sentence([&] { other.run(done); }), {"a state of another plan", "after 20 evaluations"});
  // A part of a plan is a plan.
  says(sentence([&] { plan.from(3).advance(s); }), {"a state of another plan"});

  images const whole = plan.sample(r);
  auto const copy = plan;
  BOOST_TEST(equal_bits(copy.run(s).data, whole.data));
  BOOST_TEST(equal_bits(pipeline_.plan(20).run(s).data, whole.data), "a plan that is made again");
  state moved_on = s;
  std::thread([&] { plan.advance(moved_on); }).join();
  BOOST_TEST(equal_bits(plan.run(moved_on).data, whole.data));
  auto const part = plan.from(2);
  BOOST_TEST(equal_bits(plan.from(2).run(part.start(r)).data, part.sample(r).data));
}

BOOST_AUTO_TEST_CASE(a_state_that_no_plan_has_started) {
  auto const plan = pipeline_.plan(5);
  state none;
  says(sentence([&] { plan.advance(none); }), {"no plan has started", "start()"});
  says(sentence([&] { plan.run({}); }), {"no plan has started"});
  says(sentence([&] { plan.apply(plan.rows()[0], none); }), {"no plan has started"});
}

BOOST_AUTO_TEST_CASE(between_two_states_there_is_one_of_their_plan) {
  auto const plan = pipeline_.plan(5), other = pipeline_.plan(6);
  request const r{.shape = {2, 3}, .seed = 4}, q{.shape = {2, 3}, .seed = 5};
  state const between = slerp(plan.start(r), plan.start(q), 0.5);
  BOOST_TEST(plan.run(between).data.size() == 6u);
  says(sentence([&] { slerp(plan.start(r), other.start(q), 0.5); }), {"states of two plans"});
  state later = plan.start(q);
  plan.advance(later);
  says(sentence([&] { slerp(plan.start(r), later, 0.5); }),
       {"after 0 and after 1 evaluations", "at one level"});
}

BOOST_AUTO_TEST_CASE(a_batch_asks_one_network) {
  auto const of = [](auto net, int steps) {
    return shared((schedules::linear{} | predicts::v{} | samplers::ddim{} | net).plan(steps));
  };
  auto const told = [](std::shared_ptr<any_plan const> like, std::shared_ptr<any_plan const> plan) {
    return sentence([&] {
      continuous_batch batch(like, {3});
      batch.join(like, {.id = 1});
      batch.join(plan, {.id = 2});
    });
  };
  auto const other = centred(0.25, 3).predicting<predicts::v>();
  says(told(of(network, 5), of(network, 9)), {"nothing was thrown"});
  says(told(of(network, 5), of(other, 5)), {"a plan of another network"});
  says(told(of(network, 5), of(silent, 5)), {"a plan of another network"});
  auto const without = [](auto net) { return networks::unconditional{net}; };
  says(told(of(without(network), 5), of(without(network), 9)), {"nothing was thrown"});
  says(told(of(without(network), 5), of(without(other), 9)), {"a plan of another network"});

  // A type that cannot be compared: the plan itself is the same, another may be.
  network_function const one = network, two = other;
  auto const plan = of(one, 5);
  says(told(plan, plan), {"nothing was thrown"});
  says(told(plan, of(two, 5)), {"cannot be compared", "operator=="});
  says(told(of(std::cref(one), 5), of(std::cref(one), 9)), {"nothing was thrown"});
  says(told(of(std::cref(one), 5), of(std::cref(two), 5)), {"a plan of another network"});
  int calls = 0, more = 0;
  auto const counting = [](int& to) { return counter{&to}; };
  says(told(of(counting(calls), 5), of(counting(calls), 9)), {"nothing was thrown"});
  says(told(of(counting(calls), 5), of(counting(more), 9)), {"a plan of another network"});
  // Without types.
  any_network const forgotten = forget_network(network_function(network));
  auto const run_time = [](any_network const& net, int steps) {
    auto const p = schedules::linear{} | predicts::v{} | samplers::ddim{} | silent;
    auto const typed = p.plan(steps);
    return shared(
        build_plan(forget_stages(p.stage_set()), net, typed.levels(), {}, compiled_programs()));
  };
  says(told(run_time(forgotten, 5), run_time(forgotten, 9)), {"nothing was thrown"});
  says(told(run_time(forgotten, 5), run_time(forget_network(network_function(other)), 9)),
       {"cannot be compared"});
}

BOOST_AUTO_TEST_CASE(a_batch_asks_one_network_for_its_guidance) {
  auto const of = [](auto guide, int steps) {
    return shared(
        (schedules::linear{} | predicts::v{} | guide | samplers::ddim{} | network).plan(steps));
  };
  auto const told = [](std::shared_ptr<any_plan const> like, std::shared_ptr<any_plan const> plan) {
    return sentence([&] {
      continuous_batch batch(like, {3});
      batch.join(plan, {.id = 2});
    });
  };
  auto const weak = [](double s, auto net) {
    return guidance::autoguidance{s, net, predicts::v{}};
  };
  auto const other = centred(0.25, 3).predicting<predicts::v>();
  says(told(of(weak(2, network), 5), of(weak(3, network), 9)), {"nothing was thrown"});
  says(told(of(weak(2, network), 5), of(weak(2, other), 5)), {"a plan of another network"});
  auto const by = [](double s, gaussian_mixture const& m) {
    return guidance::within{guidance::classifier{s, m.classifier_gradient()}, 0., 1000.};
  };
  says(told(of(by(2, two_classes(3)), 5), of(by(1, two_classes(3)), 5)), {"nothing was thrown"});
  says(told(of(by(2, two_classes(3)), 5), of(by(2, centred(0.25, 3)), 5)),
       {"a plan of another network"});
}

BOOST_AUTO_TEST_CASE(the_ends_of_a_batch) {
  auto const plan = shared(pipeline_.plan(3));
  says(sentence([&] { continuous_batch(nullptr, {3}); }), {"no plan", "continuous batch"});
  says(sentence([&] { continuous_batch(plan, {}); }), {"shape {}", "one extent or more"});
  says(sentence([&] { continuous_batch(plan, {3, 0}); }), {"{1, 3, 0}", "1 or more"});
  std::size_t const much = std::size_t{1} << 32;
  says(sentence([&] { continuous_batch(plan, {much, much}); }), {"fewer than 2^40"});
  continuous_batch batch(plan, {3});
  BOOST_TEST(batch.advance().empty());
  says(sentence([&] { batch.join(nullptr, {}); }), {"no plan"});
  says(sentence([&] { batch.join(plan, {.id = std::uint64_t{1} << 48}); }),
       {"the id 281474976710656", "below 2^48"});
  says(sentence([&] { batch.join(plan, {.id = 1, .given = labels{0, 1}}); }), {"2 labels"});
  says(sentence([&] {
         batch.join(plan, {.id = 1, .known = {{1, 3}, {0, 0, 0}}});
       }),
       {"known samples were given"});
  says(sentence([&] { batch.cancel(1); }), {"no such id"});
  BOOST_TEST(batch.empty());
  batch.join(plan, {.id = 1});
  says(sentence([&] { batch.join(plan, {.id = 1}); }), {"has one"});
  BOOST_TEST(batch.size() == 1u);
}

BOOST_AUTO_TEST_CASE(nothing_to_call) {
  network_function const none;
  auto const told = [](auto stages) {
    return sentence([&] { (stages | samplers::ddim{}).plan(3); });
  };
  auto const base = schedules::linear{} | predicts::v{};
  says(told(base | none), {"an empty network", "can be called"});
  says(told(base | networks::unconditional{none}), {"an empty network"});
  void (*const null)(batch const&) = nullptr;
  says(told(base | null), {"an empty network"});
  says(told(base | network | guidance::autoguidance{2.0, none, predicts::v{}}),
       {"a guidance with an empty network"});
  says(told(base | network | guidance::classifier{2.0, none}),
       {"a guidance with an empty network"});
  says(told(base | network | noise_from{std::function<void(noise_request const&)>()}),
       {"an empty source of noise"});
  auto const plan = pipeline_.plan(3);
  state s = plan.start({.shape = {1, 3}});
  says(sentence([&] { plan.advance(s, none); }), {"an empty network"});
  says(sentence([&] { build_plan({}, {}, plan.levels(), {}, compiled_programs()); }),
       {"an empty network"});
  says(sentence([&] {
         build_plan({}, forget_network(network), plan.levels(), {}, compiled_programs());
       }),
       {"a prediction without"});
}

BOOST_AUTO_TEST_CASE(an_interval_that_meets_no_level) {
  auto const told = [](auto schedule, auto guide, int steps = 20) {
    return sentence(
        [&] { (schedule | predicts::v{} | guide | samplers::ddim{} | network).plan(steps); });
  };
  guidance::classifier_free const free{.w = 2};
  schedules::linear const table;
  says(told(table, guidance::within{free, 0.2, 0.8}),
       {"from t = 0.2 to t = 0.8", "from t = 50 to t = 1000", "times of the schedule, 0 to 1000",
        "within_share"});
  says(told(table, guidance::within{free, 5000., 6000.}), {"from t = 5000 to t = 6000"});
  says(told(table, guidance::within{free, 990., 995.}), {"from t = 990 to t = 995"});
  says(told(schedules::rectified_flow{}, guidance::within{free, 200., 800.}),
       {"from t = 200 to t = 800", "0 to 1 here"});
  says(told(table, guidance::within{free, 0., 1000.}), {"nothing was thrown"});
  says(told(table, guidance::within{free, 40., 60.}), {"nothing was thrown"});
  says(told(table, guidance::within_share{free, 0.991, 0.994}), {"from t = 991 to t = 994"});
  for (auto [lo, hi] : {std::pair{0.8, 0.2}, {-0.1, 0.5}, {0.5, 1.5}, {200., 800.}})
    says(told(table, guidance::within_share{free, lo, hi}), {"within_share", "0 <= lo <= hi <= 1"});
  double const nan_value = std::numeric_limits<double>::quiet_NaN();
  says(told(table, guidance::within_share{free, nan_value, 1.}), {"within_share"});
  // What is entered after the interval is a part of a plan that met it.
  auto const plan =
      (table | predicts::v{} | guidance::within{free, 800., 1000.} | samplers::ddim{} | network)
          .plan(10);
  BOOST_TEST(plan.from(8).steps() == 2u);
}

BOOST_AUTO_TEST_CASE(shares_of_the_time_are_times) {
  auto const sampled = [](auto schedule, auto guide) {
    return (schedule | predicts::v{} | guide | samplers::ddim{} | network)
        .sample({.shape = {2, 3}, .steps = 10}, labels{0, 1})
        .data;
  };
  guidance::classifier_free const free{.w = 2};
  schedules::linear const table;
  auto const inside = sampled(table, guidance::within_share{free, 0.25, 0.75});
  BOOST_TEST(equal_bits(inside, sampled(table, guidance::within{free, 250., 750.})));
  BOOST_TEST((inside != sampled(table, free)));
  BOOST_TEST(
      equal_bits(sampled(table, guidance::within_share{free, 0., 1.}), sampled(table, free)));
  schedules::variance_exploding const ve;
  BOOST_TEST(equal_bits(sampled(ve, guidance::within_share{free, 0.25, 0.75}),
                        sampled(ve, guidance::within{free, 0.25, 0.75})));
}

BOOST_AUTO_TEST_CASE(a_guidance_of_x0_and_eps_apart_needs_steps_in_both) {
  auto const told = [](auto sampler) {
    auto const of = schedules::linear{} | predicts::v{} | samplers::ddim{} | network;
    any_stages stages = forget_stages(of.stage_set());
    stages.guidance = forget_guidance(guidance::cfg_plus_plus{0.6});
    stages.sampler = forget_sampler(sampler);
    return sentence([&] {
      build_plan(stages, forget_network(network), of.plan(5).levels(), {}, compiled_programs());
    });
  };
  says(told(samplers::ddim{}), {"nothing was thrown"});
  says(told(samplers::ddim_eta{0.5}), {"nothing was thrown"});
  says(told(samplers::euler_maruyama{}), {"x0 and eps apart", "ddim"});
}
