// The loop that its caller drives has the bits of the plan's own.
#define BOOST_TEST_DYN_LINK
#include <unistd.h>
#include <boost/test/unit_test.hpp>

#include <filesystem>
#include <limits>
#include <string>
#include <tweedie/guidances/classifier.hpp>
#include <tweedie/pipelines/driven_loop.hpp>
#include <tweedie/pipelines/ready/recipe.hpp>
#include <tweedie/pipelines/state_file.hpp>
#include <tweedie/samplers/ancestral.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/samplers/heun.hpp>
#include <tweedie/samplers/sde_dpmpp_2m.hpp>
#include <tweedie/samplers/unipc_2.hpp>

#include "laws_common.hpp"

using namespace laws;

namespace {

auto const mixture = two_classes(3);
network_function const network = mixture.predicting<predicts::v>();
request const r{.shape = {3, 3}, .seed = 5};

/// A network that no plan may call.
struct silent {
  void operator()(batch const&) const { BOOST_ERROR("the plan's network was called"); }
};

/// Runs a loop to its end by a network; how often that was asked.
std::size_t run(driven_loop& loop, network_function const& by = network) {
  std::size_t asked = 0;
  while (auto const* ask = loop.next()) {
    by(*ask);
    loop.answer();
    ++asked;
  }
  return asked;
}

void has_bits(std::string const& name, any_plan const& plan, images const& expected) {
  auto loop = plan.steps(plan.start(r, label{1}));
  std::size_t asked = 0;
  float const *x = nullptr, *out = nullptr;
  while (auto const* ask = loop.next()) {
    BOOST_TEST(loop.asked() == ask);
    BOOST_TEST(ask->time == ask->levels[0].t);
    BOOST_TEST((!out || (out == ask->out && x == ask->x)), "the buffers lie still");
    out = ask->out;
    x = ask->x;
    network(*ask);
    loop.answer();
    ++asked;
  }
  BOOST_TEST(asked == plan.network_evaluations(), name);
  BOOST_TEST(loop.step() == plan.steps());
  BOOST_TEST(equal_bits(loop.samples().data, expected.data), name);
}

template <class Base, class... Rest>
void same_as_run(std::string const& name, Base const& base, Rest const&... rest) {
  auto const with = [&](auto const& net) { return (base | ... | rest) | net; };
  auto const called = with(network);
  auto const driven = with(silent{});
  for (int steps : {1, 2, 3, 7})
    has_bits(fmt::format("{}, {} steps", name, steps), driven.plan(steps),
             called.plan(steps).sample(r, label{1}));
}

auto const base = schedules::cosine{} | predicts::v{};

std::filesystem::path temporary() {
  return std::filesystem::temp_directory_path() /
         ("tweedie_driven_loop_" + std::to_string(::getpid()) + ".safetensors");
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_bits_of_run) {
  same_as_run("ddim", base, samplers::ddim{});
  same_as_run("ancestral", base, samplers::ancestral{});
  same_as_run("heun", base, samplers::heun{});
  same_as_run("unipc_2", base, samplers::unipc_2{});
  same_as_run("guided, stochastic", base, guidance::classifier_free{.w = 2}, thresholds::clip{},
              samplers::sde_dpmpp_2m{});
  same_as_run("a guidance that asks a classifier", base,
              guidance::classifier{1.0, network_function(mixture.classifier_gradient())},
              samplers::ddim{});
}

// A recipe's plan is driven as a typed one is.
BOOST_AUTO_TEST_CASE(the_bits_of_a_recipe) {
  for (char const* text :
       {"sampler = 'ddim'", "sampler = 'ancestral'", "sampler = 'heun'", "sampler = 'sde_dpmpp_2m'",
        "sampler = 'dpmpp_2m'\nthreshold = 'dynamic'\nguidance = { name = 'apg', s = 3.0 }"})
    for (int steps : {1, 3, 8}) {
      ready::recipe recipe = ready::parse_recipe_beside(text, "cosine", "v");
      recipe.steps = steps;
      auto const plan = [&](any_network const& net) {
        return ready::make_plan(recipe, *recipe.schedule, *recipe.predicts, net);
      };
      has_bits(text, plan(ready::network_of_caller()),
               plan(forget_network(network)).sample(r, label{1}));
    }
}

BOOST_AUTO_TEST_CASE(it_stops_and_goes_on) {
  auto const plan = (base | samplers::heun{} | network).plan(4);
  auto const expected = plan.sample(r).data;
  driven_loop first(plan, plan.start(r));
  network(*first.next());
  first.answer();
  BOOST_TEST(!first.is_between_steps());
  network(*first.next());
  BOOST_TEST(!first.is_between_steps());
  first.answer();
  BOOST_TEST(first.is_between_steps());
  BOOST_TEST(first.step() == 1u);
  save_state(temporary(), plan, first.now());
  auto loaded = plan.steps(load_state(temporary(), plan));
  std::filesystem::remove(temporary());
  run(loaded);
  BOOST_TEST(equal_bits(loaded.samples().data, expected));

  // What was asked and is not answered is asked again.
  first.next();
  auto left = plan.steps(first.leave());
  BOOST_TEST(run(left) == plan.network_evaluations() - 2);
  BOOST_TEST(equal_bits(left.samples().data, expected));

  state half = plan.start(r);
  plan.advance(half);
  auto rest = plan.steps(std::move(half));
  BOOST_TEST(rest.step() == 1u);
  run(rest);
  BOOST_TEST(equal_bits(rest.samples().data, expected));
}

BOOST_AUTO_TEST_CASE(nothing_is_copied) {
  auto const plan = (base | samplers::ddim{} | network).plan(4);
  state s = plan.start(r);
  float const *const x = s.x.data(), *const out = s.out.data();
  auto loop = plan.steps(std::move(s));
  auto const* ask = loop.next();
  BOOST_TEST((ask->x == x && ask->out == out && loop.x() == x));
  s = loop.leave();
  BOOST_TEST((s.x.data() == x && s.out.data() == out));
}

BOOST_AUTO_TEST_CASE(times_of_the_callers_own) {
  auto const plan = (base | samplers::ddim{} | network).plan(3);
  std::vector<double> const times{999, 666, 333};
  driven_loop loop(plan, plan.start(r), times);
  for (double t : times) {
    auto const* ask = loop.next();
    BOOST_TEST(ask->time == t);
    network(*ask);
    loop.answer();
  }
  BOOST_TEST(!loop.next());
  says(sentence([&] { driven_loop(plan, plan.start(r), std::span(times).first(2)); }),
       {"2 times were given to a loop, expected 3, one for each evaluation"});
}

BOOST_AUTO_TEST_CASE(mistakes_are_sentences) {
  auto const plan = (base | samplers::ddim{} | network).plan(2);
  auto const other = (base | samplers::ddim{} | network).plan(3);
  driven_loop loop(plan, plan.start(r));
  says(sentence([&] { loop.answer(); }), {"has asked nothing", "after each next()"});
  network(*loop.next());
  says(sentence([&] { loop.next(); }),
       {"the next question was asked for before the one of step 0 of 2 (t = 1000) was answered",
        "expected answer()"});
  loop.answer();
  says(sentence([&] { loop.answer(); }), {"has asked nothing"});
  network(*loop.next());
  driven_loop moved(std::move(loop));
  says(sentence([&] { loop.answer(); }), {"has asked nothing"});
  says(sentence([&] { loop.next(); }), {"a loop without a state was asked on"});
  moved.answer();
  moved.leave();
  says(sentence([&] { moved.next(); }), {"a loop without a state", "leave() took it"});
  says(sentence([&] { moved.leave(); }), {"a loop without a state"});
  says(sentence([&] { other.steps(plan.start(r)); }), {"a state of another plan"});
  says(sentence([&] { plan.steps(state{}); }), {"no plan has started"});
}

BOOST_AUTO_TEST_CASE(an_output_that_is_not_finite_is_named) {
  auto const plan = (base | guidance::classifier_free{.w = 1} | samplers::ddim{} | network).plan(2);
  driven_loop loop(plan, plan.start(r, label{1}));
  auto const* ask = loop.next();
  says(sentence([&] { loop.answer(); }), {"at step 0 of 2", "sample 0 of branch 0, element 0"});
  network(*ask);
  ask->out_of(4)[2] = std::numeric_limits<float>::infinity();
  says(sentence([&] { loop.answer(); }),
       {"the network's output is inf at step 0 of 2 (t = 1000), in sample 1 of branch 1, element 2",
        "expected finite numbers"});
  network(*ask);
  loop.answer();
  run(loop);
  BOOST_TEST(equal_bits(loop.samples().data, plan.sample(r, label{1}).data));
}

namespace {

template <class T> struct of_16_bits {
  using kind = kinds::network;
  using output = T;
  void operator()(batch const&) const {}
};
template <class T> void names_nan_of_16_bits() {
  auto const plan = (base | samplers::ddim{} | of_16_bits<T>{}).plan(2);
  driven_loop loop(plan, plan.start(r));
  auto const* ask = loop.next();
  for (std::size_t i = 0; i < 3; ++i)
    for (T& a : ask->template output_of<T>(i)) a = from_float<T>(-1.5f);
  ask->template output_of<T>(1)[2] = from_float<T>(std::numeric_limits<float>::quiet_NaN());
  says(sentence([&] { loop.answer(); }), {"output is nan", "in sample 1, element 2"});
  ask->template output_of<T>(1)[2] = from_float<T>(0.5f);
  loop.answer();
}

}  // namespace

BOOST_AUTO_TEST_CASE(an_output_of_16_bits_is_named_too) {
  names_nan_of_16_bits<bfloat16>();
  names_nan_of_16_bits<float16>();
}
