// The exact network in a step's kernel has the bits of the one that is called.
#include <boost/test/unit_test.hpp>
#include <tweedie/networks/small_mixture.hpp>
#include <tweedie/networks/unconditional.hpp>
#include <tweedie/samplers/ancestral.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/samplers/heun.hpp>
#include <tweedie/schedules/rectified_flow.hpp>

#include "laws_common.hpp"

using namespace laws;

namespace {

networks::gaussian_mixture const three{
    {{.mean = {-1, 0.5, 2}, .variance = 0.05, .weight = 0.4, .label = 0},
     {.mean = {0.8, -0.6, 0}, .variance = 0.1, .weight = 1.2, .label = 1},
     {.mean = {0.3, 0.2, -1}, .variance = 0.3, .label = 1}}};

template <class Predicts> auto inlined() {
  return networks::inlined{networks::small_mixture<Predicts, 3, 3>{three}};
}

template <class Predicts, class Base> void same_bits(char const* name, Base const& base) {
  request const r{.shape = {5, 3}, .seed = 4};
  auto const whole = (base | inlined<Predicts>()).plan(7);
  auto const apart = (base | three.predicting<Predicts>()).plan(7);
  for (labels const& given : {labels{no_label}, labels{0, 1, no_label, 1, 0}})
    BOOST_TEST(equal_bits(whole.sample(r, given).data, apart.sample(r, given).data), name);
  BOOST_TEST((whole.structures()[0].inlined != nullptr));
}

}  // namespace

BOOST_AUTO_TEST_CASE(the_same_bits_for_each_prediction) {
  schedules::cosine const cosine;
  samplers::ancestral const ancestral;
  same_bits<predicts::epsilon>("epsilon", schedules::linear{} | predicts::epsilon{} | ancestral);
  same_bits<predicts::x0>("x0", cosine | predicts::x0{} | ancestral);
  same_bits<predicts::score>("score", schedules::linear{} | predicts::score{} | ancestral);
  same_bits<predicts::v>("v", cosine | predicts::v{} | samplers::heun{});
  same_bits<predicts::velocity>(
      "velocity", schedules::rectified_flow{} | predicts::velocity{} | samplers::ddim{});
}

BOOST_AUTO_TEST_CASE(with_guidance) {
  same_bits<predicts::v>("guided", schedules::cosine{} | predicts::v{} |
                                       guidance::classifier_free{.w = 1.5} | samplers::heun{});
}

// At the clean level, where an encoding begins, x0 is x / alpha.
BOOST_AUTO_TEST_CASE(at_the_clean_level) {
  auto const base = schedules::cosine{} | predicts::x0{} | samplers::ddim{};
  images const clean{{2, 3}, {0.1f, -0.2f, 0.3f, 1, 0.5f, -1}};
  auto const encoded = [&](auto const& network) {
    auto const encoder = (base | network).encoder(6);
    return encoder.run(encoder.start_at(clean, {})).data;
  };
  BOOST_TEST(encoded(inlined<predicts::x0>()) == encoded(three.predicting<predicts::x0>()));
}

BOOST_AUTO_TEST_CASE(what_it_refuses) {
  BOOST_TEST(sentence([] { networks::small_mixture<predicts::v, 2, 3>{three}; }) ==
             "small_mixture: a mixture of 3 components of 3 numbers was given, expected 2 of 3");
  networks::gaussian_mixture const point{{{.mean = {1}, .variance = 0}}};
  BOOST_TEST(sentence([&] { networks::small_mixture<predicts::v, 1, 1>{point}; }) ==
             "small_mixture: a component of variance 0 was given, expected a larger one");
  auto const p = schedules::cosine{} | predicts::v{} | samplers::ddim{} | inlined<predicts::v>();
  BOOST_TEST(sentence([&] {
               p.sample({.shape = {2, 4}});
             }) == "small_mixture: samples of 4 numbers were given, expected 3");
  BOOST_TEST(sentence([&] {
               p.sample({.shape = {2, 3}}, label{2});
             }) == "small_mixture: label 2 was asked for, no component has it");
}
