// A network that is a part of the step's kernel gives the bits that it gives when it is called.
#include <boost/test/unit_test.hpp>
#include <memory>
#include <tweedie/guidances/classifier.hpp>
#include <tweedie/guidances/two_conditions.hpp>
#include <tweedie/networks/unconditional.hpp>
#include <tweedie/pipelines/continuous_batch.hpp>
#include <tweedie/pipelines/explain.hpp>
#include <tweedie/predicts/edm.hpp>
#include <tweedie/samplers/ancestral.hpp>
#include <tweedie/samplers/ancestral_learned.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/samplers/dpmpp_2m.hpp>
#include <tweedie/samplers/euler.hpp>
#include <tweedie/samplers/heun.hpp>
#include <tweedie/schedules/edm.hpp>

#include "laws_common.hpp"
#include "tiny_mlp.hpp"

using namespace laws;

namespace {

tiny_mlp const mlp;

/// The same function, called by hand.
struct called {
  using kind = kinds::network;
  std::size_t* calls;
  void operator()(batch const& b) const {
    ++*calls;
    float shared[tiny_mlp::hidden];
    for (std::size_t row = 0; row < b.rows(); ++row)
      mlp({.x = b.input_of<float>(row).data(),
           .out = b.out_of(row).data(),
           .elements = b.elements,
           .where = b.level_of(row),
           .label = b.label_of(row),
           .shared = shared,
           .thread = 0,
           .threads = 1});
  }
};

template <class Base> void same_bits(char const* name, Base const& base) {
  std::size_t calls = 0;
  for (std::vector<std::size_t> const& shape :
       {std::vector<std::size_t>{5, 7}, {3, 2, 130}, {1, 1}, {40, 1, 32, 32}}) {
    request const r{.shape = shape, .seed = 4};
    labels given;
    for (std::size_t i = 0; i < shape[0]; ++i) given.push_back(static_cast<int>(i % 4));
    auto const whole = (base | networks::inlined{mlp}).plan(6);
    auto const apart = (base | called{&calls}).plan(6);
    auto const expected = apart.sample(r, given);
    BOOST_TEST(calls > 0u);
    BOOST_TEST(equal_bits(whole.sample(r, given).data, expected.data), name << " of " << shape[0]);
    BOOST_TEST(whole.fingerprint() == apart.fingerprint());
  }
}

auto const guided =
    schedules::cosine{} | predicts::v{} | guidance::classifier_free{.w = 0.5} | thresholds::clip{};

}  // namespace

BOOST_AUTO_TEST_CASE(the_same_bits_as_a_network_that_is_called) {
  same_bits("ddim", guided | samplers::ddim{});
  same_bits("ancestral", guided | samplers::ancestral{});
  same_bits("dpmpp_2m", guided | samplers::dpmpp_2m{});
  same_bits("heun", guided | samplers::heun{});
}
BOOST_AUTO_TEST_CASE(with_reductions) {
  same_bits("dynamic",
            schedules::cosine{} | predicts::v{} | thresholds::dynamic{0.9} | samplers::ancestral{});
}
BOOST_AUTO_TEST_CASE(with_an_input_of_its_own) {
  same_bits("edm", schedules::edm{} | predicts::edm{} | samplers::euler{});
}

BOOST_AUTO_TEST_CASE(a_guidance_that_is_off_asks_one_branch) {
  same_bits("within", schedules::cosine{} | predicts::v{} |
                          guidance::within{guidance::classifier_free{.w = 2}, 300, 800} |
                          samplers::ddim{});
}

// Each has labels of its own.
BOOST_AUTO_TEST_CASE(two_conditions) {
  auto const base = schedules::cosine{} | predicts::v{} |
                    guidance::two_conditions{.s1 = 1.5, .s2 = 0.5} | samplers::ddim{};
  std::size_t calls = 0;
  request const r{.shape = {3, 7}, .steps = 4};
  conditions const given{labels{0, 1, 2}, labels{3, 2, 3}};
  BOOST_TEST((base | networks::inlined{mlp}).sample(r, given).data ==
             (base | called{&calls}).sample(r, given).data);
}

// The gradient of a classifier is called before the kernel in which the network is.
BOOST_AUTO_TEST_CASE(what_a_guidance_asks_elsewhere) {
  auto const gradient = [](batch const& b) {
    for (std::size_t row = 0; row < b.rows(); ++row)
      for (std::size_t i = 0; i < b.elements; ++i)
        b.out_of(row)[i] = 0.1f * b.x_of(row)[i] + static_cast<float>(b.label_of(row));
  };
  same_bits("classifier", schedules::linear{} | predicts::epsilon{} |
                              guidance::classifier{2, gradient} | samplers::ancestral{});
}

// Elsewhere than in a plan's own steps it is called.
BOOST_AUTO_TEST_CASE(as_a_network_among_others) {
  auto const run = [](auto const& network) {
    auto const plan_of = [&](int steps) {
      auto p = (guided | samplers::ancestral{} | network).plan(steps);
      return std::make_shared<decltype(p) const>(std::move(p));
    };
    continuous_batch batch(plan_of(5), {7});
    batch.join(plan_of(5), {.id = 1, .seed = 3, .given = label{2}});
    batch.join(plan_of(3), {.id = 2, .seed = 3, .given = label{1}});
    std::vector<float> all;
    while (!batch.empty())
      for (auto const& done : batch.advance())
        all.insert(all.end(), done.sample.data.begin(), done.sample.data.end());
    auto const unconditional =
        schedules::cosine{} | predicts::v{} | samplers::ddim{} | networks::unconditional{network};
    auto const more = unconditional.sample({.shape = {2, 7}, .steps = 4}, label{3}).data;
    all.insert(all.end(), more.begin(), more.end());
    return all;
  };
  std::size_t calls = 0;
  BOOST_TEST(run(networks::inlined{mlp}) == run(called{&calls}));
}

BOOST_AUTO_TEST_CASE(another_network_for_a_step) {
  std::size_t calls = 0;
  auto const plan = (guided | samplers::ddim{} | networks::inlined{mlp}).plan(3);
  state s = plan.start({.shape = {2, 7}}, label{1}), t = s;
  for (auto const& structure : plan.structures()) BOOST_TEST(structure.inlined != nullptr);
  plan.advance(s);
  plan.advance(t, called{&calls});
  BOOST_TEST(calls == 1u);
  BOOST_TEST(equal_bits(take(s).data, take(t).data));
}

BOOST_AUTO_TEST_CASE(explain_says_so) {
  auto const text = [](auto const& network) {
    return explain((guided | samplers::ddim{} | network).plan(3));
  };
  BOOST_TEST(text(networks::inlined{mlp}).find("the network is inlined") != std::string::npos);
  BOOST_TEST(text(silent).find("inlined") == std::string::npos);
}

struct choosy : tiny_mlp {
  void check(std::span<std::size_t const>, std::span<int const> labels, int) const {
    if (labels[0] > 3) throw error("no such label");
  }
};
BOOST_AUTO_TEST_CASE(a_function_may_refuse_labels) {
  auto const plan = (guided | samplers::ddim{} | networks::inlined{choosy{}}).plan(3);
  BOOST_TEST(plan.sample({.shape = {2, 7}}, label{3}).count() == 2u);
  BOOST_CHECK_THROW(plan.sample({.shape = {2, 7}}, label{4}), error);
}

BOOST_AUTO_TEST_CASE(no_learned_variance) {
  auto const says_so = [](error const& e) {
    return std::string(e.what()).find("learned variance") != std::string::npos;
  };
  auto const base = schedules::linear{} | predicts::epsilon{} | samplers::ancestral_learned{};
  networks::inlined const network{mlp};
  BOOST_CHECK_EXCEPTION((base | network).plan(3), error, says_so);
  auto const plan = (base | networks::unconditional{network}).plan(3);
  BOOST_CHECK_EXCEPTION(plan.sample({.shape = {2, 7}}), error, says_so);
}
