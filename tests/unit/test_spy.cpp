// A loop of n evaluations is n calls of the network, n launches, and one that draws the start: seen
// by the spy that is linked in place of a backend.
#include <boost/test/unit_test.hpp>
#include <string>

#include <tweedie/dsl/device/execute.hpp>
#include <tweedie/dsl/device/spy.hpp>
#include <tweedie/tweedie.hpp>

#include "common.hpp"
#include "tiny_mlp.hpp"

using common::equal_bits;
using namespace tweedie;

namespace {

struct counted {
  using kind = kinds::network;
  std::size_t* calls;
  void operator()(batch const& b) const {
    ++*calls;
    for (std::size_t row = 0; row < b.rows(); ++row)
      for (float& a : b.out_of(row)) a = 0;
  }
};

struct seen {
  std::size_t calls, launches;
  bool operator==(seen const&) const = default;
};

template <class Pipeline> seen seen_of(Pipeline const& pipeline, std::size_t& calls, int steps) {
  auto const plan = pipeline.plan(steps);
  calls = 0;
  spy::forget();
  plan.sample({.shape = {3, 5, 7}});
  return {calls, spy::launches()};
}

}  // namespace

BOOST_AUTO_TEST_CASE(one_launch_for_each_evaluation) {
  BOOST_TEST(std::string(backend()) == "SPY");
  std::size_t calls = 0;
  auto const base =
      schedules::cosine{} | predicts::v{} | guidance::classifier_free{2} | thresholds::clip{};
  counted const network{&calls};
  BOOST_TEST(equal_bits(seen_of(base | samplers::ddim{} | network, calls, 10), seen{10, 11}));
  BOOST_TEST(equal_bits(seen_of(base | samplers::ancestral{} | network, calls, 10), seen{10, 11}));
  BOOST_TEST(equal_bits(seen_of(base | samplers::dpmpp_2m{} | network, calls, 10), seen{10, 11}));
  // Two evaluations a step but for the last.
  BOOST_TEST(equal_bits(seen_of(base | samplers::heun{} | network, calls, 10), seen{19, 20}));
}

BOOST_AUTO_TEST_CASE(a_preview_is_one_launch) {
  auto const plan = (schedules::cosine{} | predicts::v{} | guidance::classifier_free{2} |
                     thresholds::clip{} | samplers::ddim{} | networks::inlined{tiny_mlp{}})
                        .plan(3);
  auto loop = plan.steps(plan.start({.shape = {3, 5, 7}}));
  while (auto const* ask = loop.next()) {
    for (std::size_t row = 0; row < ask->rows(); ++row)
      for (float& a : ask->out_of(row)) a = 0;
    spy::forget();
    loop.x0_rows();
    BOOST_TEST(spy::launches() == 1u);
    loop.answer();
    BOOST_TEST(spy::launches() == 2u);
  }
}

// As a network that is called it would be a launch of its own.
BOOST_AUTO_TEST_CASE(an_inlined_network_adds_no_launch) {
  auto const launches_of = [](auto const& p) {
    auto const plan = p.plan(10);
    spy::forget();
    plan.sample({.shape = {3, 5, 7}});
    return spy::launches();
  };
  auto const base = schedules::cosine{} | predicts::v{} | guidance::classifier_free{2};
  networks::inlined const network{tiny_mlp{}};
  BOOST_TEST(launches_of(base | samplers::ddim{} | network) == 11u);
  BOOST_TEST(launches_of(base | thresholds::dynamic{} | samplers::ancestral{} | network) == 11u);
  auto const called = [&](batch const& b) { network(b); };
  BOOST_TEST(launches_of(base | samplers::ddim{} | called) == 21u);
}

// On a host one task runs all phases of a sample: a reduction adds none.
BOOST_AUTO_TEST_CASE(reductions_add_no_launch_on_a_host) {
  std::size_t calls = 0;
  auto const p = schedules::cosine{} | predicts::v{} | thresholds::dynamic{} | samplers::ddim{} |
                 counted{&calls};
  BOOST_TEST(equal_bits(seen_of(p, calls, 6), seen{6, 7}));
}
