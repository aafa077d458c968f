// What a network, a guidance or a source of noise says of devices: as a constant, or when it is
// asked; and the sentence that refuses one.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include <string>

#include <tweedie/tweedie.hpp>

#include "no_device.hpp"

using namespace tweedie;

namespace {

struct of_hosts {
  using kind = kinds::network;
  void operator()(batch const&) const {}
};
struct enqueuing : of_hosts {
  static constexpr bool enqueues = true;
};
struct waiting : enqueuing {
  static constexpr bool is_capturable = false;
};
/// One that knows only when it is asked, whatever its type says.
struct asked : of_hosts {
  [[maybe_unused]] static constexpr bool enqueues = true;
  device_use use;
  device_use on_devices() const { return use; }
};
asked const can{{}, {.enqueues = true}}, cannot{{}, {.why_not = "it is a Sunday"}};

constexpr char const* for_want_of_a_network =
    "a network for hosts was given to a plan on a device, expected one that enqueues its work on "
    "batch.stream and says so: static constexpr bool enqueues = true";

template <class... Stages> std::string refusal(Stages const&... stages) {
  return refusal_of(
      ((schedules::cosine{} | predicts::v{} | samplers::ddim{}) | ... | stages).plan(4));
}
/// Whether the stages go on a device; what the host's compiler made of the step does not.
template <class... Stages> bool passes(Stages const&... stages) {
  std::string const said = refusal(stages...);
  BOOST_TEST_INFO(said);
  return said.find("for hosts") == std::string::npos;
}

}  // namespace

BOOST_AUTO_TEST_CASE(a_constant_or_a_value) {
  static_assert(!device_use_of(of_hosts{}).enqueues);
  static_assert(device_use_of(enqueuing{}).enqueues && device_use_of(enqueuing{}).is_capturable);
  static_assert(device_use_of(waiting{}).enqueues && !device_use_of(waiting{}).is_capturable);
  BOOST_TEST(device_use_of(can).enqueues);
  BOOST_TEST(!device_use_of(can).is_capturable);
  BOOST_TEST(!device_use_of(cannot).enqueues);
  BOOST_TEST(refusal(of_hosts{}) == for_want_of_a_network);
  BOOST_TEST(refusal(cannot) ==
             "a network for hosts was given to a plan on a device: it is a Sunday");
  BOOST_TEST(passes(enqueuing{}));
  BOOST_TEST(passes(can));
}

BOOST_AUTO_TEST_CASE(what_holds_another_says_what_that_says) {
  using networks::unconditional;
  BOOST_TEST(refusal(unconditional{of_hosts{}}) == for_want_of_a_network);
  BOOST_TEST(refusal(unconditional{cannot}) == refusal(cannot));
  BOOST_TEST(passes(unconditional{can}));
  BOOST_TEST(passes(unconditional{enqueuing{}}));
  static_assert(!device_use_of(unconditional{waiting{}}).is_capturable);

  std::string const of_a_guidance =
      "a guidance that asks a network for hosts was given to a plan on a device";
  for (double lo : {0.0, 500.0}) {
    auto const classified = [&](auto const& gradient) {
      return guidance::within{guidance::classifier{1.0, gradient}, lo, 1000.0};
    };
    BOOST_TEST(refusal(classified(of_hosts{}), can).starts_with(of_a_guidance + ", expected one"));
    BOOST_TEST(refusal(classified(cannot), can) == of_a_guidance + ": it is a Sunday");
    BOOST_TEST(passes(classified(can), can));
    BOOST_TEST(passes(classified(enqueuing{}), can));
  }

  auto const weaker = [](auto const& network) {
    return guidance::autoguidance{2.0, network, predicts::v{}};
  };
  BOOST_TEST(refusal(weaker(cannot), can) == of_a_guidance + ": it is a Sunday");
  BOOST_TEST(passes(weaker(can), can));
  // The host scales its input.
  guidance::autoguidance const scaled{2.0, can, predicts::edm{}};
  BOOST_TEST(refusal(scaled, can).starts_with(of_a_guidance + ": the host scales what"));
}

BOOST_AUTO_TEST_CASE(a_source_of_noise) {
  struct noise {
    device_use use;
    device_use on_devices() const { return use; }
    void operator()(noise_request const&) const {}
  };
  std::string const sentence = "a source of noise for hosts was given to a plan on a device";
  BOOST_TEST(
      refusal(noise_from{[](noise_request const&) {}}, can) ==
      sentence +
          ", expected one that enqueues its work on noise_request.device_stream and says so, "
          "or none: a device draws its own");
  BOOST_TEST(refusal(noise_from{noise{{.why_not = "it is a Sunday"}}}, can) ==
             sentence + ": it is a Sunday");
  BOOST_TEST(passes(noise_from{noise{{.enqueues = true}}}, can));
}
