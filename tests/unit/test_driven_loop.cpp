// The loop that its caller drives has the bits of the plan's own.
#define BOOST_TEST_DYN_LINK
#include <unistd.h>
#include <boost/test/unit_test.hpp>

#include <filesystem>
#include <string>
#include <tweedie/guidances/classifier.hpp>
#include <tweedie/pipelines/driven_loop.hpp>
#include <tweedie/pipelines/state_file.hpp>
#include <tweedie/samplers/ancestral.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/samplers/heun.hpp>
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

template <class Base, class... Rest>
void same_as_run(char const* name, Base const& base, Rest const&... rest) {
  auto const with = [&](auto const& net) { return (base | ... | rest) | net; };
  auto const expected = with(network).plan(7).sample(r, label{1});
  auto const plan = with(silent{}).plan(7);
  driven_loop loop(plan, plan.start(r, label{1}));
  std::size_t asked = 0;
  float const* out = nullptr;
  while (batch const* ask = loop.next()) {
    BOOST_TEST(loop.next() == ask);
    BOOST_TEST((!out || out == ask->out), "the buffers lie still");
    out = ask->out;
    network(*ask);
    loop.answer();
    ++asked;
  }
  BOOST_TEST(asked == plan.network_evaluations(), name);
  BOOST_TEST(loop.step() == plan.steps());
  BOOST_TEST(equal_bits(loop.samples().data, expected.data), name);
}

auto const base = schedules::cosine{} | predicts::v{};

}  // namespace

BOOST_AUTO_TEST_CASE(the_bits_of_run) {
  same_as_run("ddim", base, samplers::ddim{});
  same_as_run("ancestral", base, samplers::ancestral{});
  same_as_run("heun", base, samplers::heun{});
  same_as_run("unipc_2", base, samplers::unipc_2{});
  same_as_run("guided", base, guidance::classifier_free{.w = 2}, thresholds::clip{},
              samplers::ddim{});
  same_as_run("a guidance that asks a classifier", base,
              guidance::classifier{1.0, network_function(mixture.classifier_gradient())},
              samplers::ddim{});
}

BOOST_AUTO_TEST_CASE(it_stops_and_goes_on) {
  auto const plan = (base | samplers::heun{} | network).plan(4);
  auto const path = std::filesystem::temp_directory_path() /
                    ("tweedie_driven_loop_" + std::to_string(::getpid()) + ".safetensors");
  driven_loop first(plan, plan.start(r));
  network(*first.next());
  first.answer();
  BOOST_TEST(!first.is_between_steps());
  network(*first.next());
  BOOST_TEST(!first.is_between_steps());
  first.answer();
  BOOST_TEST(first.is_between_steps());
  BOOST_TEST(first.step() == 1u);
  save_state(path, plan, first.now());
  driven_loop then(plan, load_state(path, plan));
  std::filesystem::remove(path);
  while (batch const* ask = then.next()) {
    network(*ask);
    then.answer();
  }
  BOOST_TEST(equal_bits(then.samples().data, plan.sample(r).data));
}

BOOST_AUTO_TEST_CASE(mistakes_are_sentences) {
  auto const plan = (base | samplers::ddim{} | network).plan(2);
  auto const other = (base | samplers::ddim{} | network).plan(3);
  driven_loop loop(plan, plan.start(r));
  says(sentence([&] { loop.answer(); }), {"has asked nothing", "after each next()"});
  loop.next();
  loop.answer();
  says(sentence([&] { loop.answer(); }), {"has asked nothing"});
  loop.next();
  driven_loop moved(std::move(loop));
  says(sentence([&] { loop.answer(); }), {"has asked nothing"});
  moved.answer();
  says(sentence([&] { driven_loop(other, plan.start(r)); }), {"a state of another plan"});
  says(sentence([&] { driven_loop(plan, state{}); }), {"no plan has started"});
}
