// Same seed, same bits: for every batch size, thread count, system, compiler and order of ids. The
// network is exact, its own bits are those of dsl/base/math.hpp.
#define BOOST_TEST_DYN_LINK
#include <bit>
#include <boost/test/unit_test.hpp>
#include <limits>
#include <tweedie/samplers/ancestral.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/samplers/dpmpp_2m.hpp>
#include <tweedie/samplers/euler.hpp>
#include <tweedie/samplers/heun.hpp>

#include "laws_common.hpp"

using namespace laws;

namespace {

/// FNV-1a, 64 bits, over the bytes of the floats, least significant first.
std::uint64_t hash_of(std::span<float const> data) {
  std::uint64_t h = 14695981039346656037u;
  for (float x : data) {
    auto const bits = std::bit_cast<std::uint32_t>(x);
    for (int shift = 0; shift < 32; shift += 8) h = (h ^ (bits >> shift & 0xff)) * 1099511628211u;
  }
  return h;
}

bool same_bits(std::span<float const> a, std::span<float const> b) {
  return a.size() == b.size() && hash_of(a) == hash_of(b);
}

/// v, classifier-free guidance and clipping: every kind of kernel that the library has.
template <class Sampler> auto pipeline_of(Sampler sampler, std::size_t dimension) {
  return any_schedule(schedules::linear{}) | predicts::v{} | guidance::classifier_free{.w = 1.5} |
         thresholds::clip{1} | sampler |
         network_function(two_classes(dimension).predicting<predicts::v>());
}

/// f(name, sampler, pinned hash of a small run) for each sampler.
template <class F> void for_each_sampler(F f) {
  f("ddim", samplers::ddim{}, 0xe3b738b95db3275bu);
  f("ddim_eta", samplers::ddim_eta{0.5}, 0x24f4ffab28425e93u);
  f("ancestral, beta_tilde", samplers::ancestral{}, 0xf93c42c8cb7b8d53u);
  f("ancestral, beta", samplers::ancestral{samplers::variance::beta}, 0x1f2dae92d033a465u);
  f("euler", samplers::euler{}, 0xe3b738b95db3275bu);
  f("heun", samplers::heun{}, 0x90bb29f0772a53f9u);
  f("dpmpp_2m", samplers::dpmpp_2m{}, 0xb83c36f0f5a77cc7u);
}

labels alternating(std::size_t first, std::size_t n) {
  labels r;
  for (std::size_t i = 0; i < n; ++i) r.push_back(static_cast<int>((first + i) % 2));
  return r;
}

}  // namespace

// The number is the same under g++ and clang++, OMP and CPP, at every optimization.
BOOST_AUTO_TEST_CASE(pinned_hashes) {
  for_each_sampler([](char const* name, auto sampler, std::uint64_t pinned) {
    auto const samples =
        pipeline_of(sampler, 6).sample({.shape = {5, 2, 3}, .steps = 9, .seed = 2024}, label{1});
    std::uint64_t const h = hash_of(samples.data);
    BOOST_TEST(h == pinned, name << ": 0x" << std::hex << h << "u");
  });
}

BOOST_AUTO_TEST_CASE(batches_of_1_7_and_64) {
  for_each_sampler([](char const* name, auto sampler, std::uint64_t) {
    auto const plan = pipeline_of(sampler, 6).plan(9);
    std::size_t const n = 64;
    auto const whole = plan.sample({.shape = {n, 6}, .seed = 5}, alternating(0, n));
    for (std::size_t size : {1u, 7u}) {
      std::vector<float> parts;
      for (std::size_t first = 0; first < n; first += size) {
        std::size_t const count = std::min(size, n - first);
        auto const part = plan.sample({.shape = {count, 6}, .seed = 5, .first_id = first},
                                      alternating(first, count));
        parts.insert(parts.end(), part.data.begin(), part.data.end());
      }
      BOOST_TEST(same_bits(parts, whole.data), name << ", batches of " << size);
    }
  });
}

BOOST_AUTO_TEST_CASE(any_order_of_ids) {
  for_each_sampler([](char const* name, auto sampler, std::uint64_t) {
    auto const plan = pipeline_of(sampler, 6).plan(9);
    std::size_t const n = 10;
    auto const straight = plan.sample({.shape = {n, 6}, .seed = 5}, label{0});
    state s = plan.start({.shape = {n, 6}, .seed = 5}, {0});
    std::size_t const order[n] = {3, 9, 0, 7, 1, 8, 2, 6, 4, 5};
    state shuffled = s;
    for (std::size_t i = 0; i < n; ++i) {
      shuffled.keys[i] = s.keys[order[i]];
      std::copy_n(s.x.data() + order[i] * s.pitch, s.pitch, shuffled.x.data() + i * s.pitch);
    }
    auto const mixed = plan.run(shuffled);
    for (std::size_t i = 0; i < n; ++i)
      BOOST_TEST(same_bits(mixed[i], straight[order[i]]), name << ", place " << i);
  });
}

// 64 x 600 floats are above the number below which a state runs serially; a sample alone is not.
BOOST_AUTO_TEST_CASE(threads_and_the_serial_cut_off) {
  std::size_t const n = 64, elements = 600;
  static_assert(n * elements > serial_below && elements < serial_below);
  for_each_sampler([&](char const* name, auto sampler, std::uint64_t) {
    auto const plan = pipeline_of(sampler, elements).plan(4);
    set_threads(1);
    auto const one = plan.sample({.shape = {n, elements}, .seed = 6}, label{1});
    set_threads(2);
    auto const two = plan.sample({.shape = {n, elements}, .seed = 6}, label{1});
    BOOST_TEST(same_bits(one.data, two.data), name << ", 1 and 2 threads");
    for (std::size_t id : {0u, 31u, 63u}) {
      auto const alone = plan.sample({.shape = {1, elements}, .seed = 6, .first_id = id}, label{1});
      BOOST_TEST(same_bits(alone.data, two[id]), name << ", sample " << id << " alone");
    }
  });
}

// Rows are padded to 32 bytes: what a sample is does not depend on its padding or its neighbours.
BOOST_AUTO_TEST_CASE(lengths_that_are_no_multiple_of_four) {
  for (std::size_t elements : {1u, 2u, 3u, 5u, 127u, 129u}) {
    auto const plan = pipeline_of(samplers::ancestral{}, elements).plan(5);
    auto const batch = plan.sample({.shape = {3, elements}, .seed = 8}, label{0});
    for (std::size_t i = 0; i < 3; ++i)
      BOOST_TEST(same_bits(
          batch[i],
          plan.sample({.shape = {1, elements}, .seed = 8, .first_id = i}, label{0}).data));
  }
}

BOOST_AUTO_TEST_CASE(a_seed_and_an_id_are_their_own) {
  auto const plan = pipeline_of(samplers::ancestral{}, 6).plan(5);
  auto const a = plan.sample({.shape = {2, 6}, .seed = 8}, label{0});
  BOOST_TEST(!same_bits(a[0], a[1]));
  BOOST_TEST(!same_bits(a.data, plan.sample({.shape = {2, 6}, .seed = 9}, label{0}).data));
  std::uint64_t const far = (std::uint64_t{1} << 48) - 2;
  auto const b = plan.sample({.shape = {2, 6}, .seed = 8, .first_id = far}, label{0});
  BOOST_TEST(same_bits(
      b[1], plan.sample({.shape = {1, 6}, .seed = 8, .first_id = far + 1}, label{0}).data));
  BOOST_TEST(!same_bits(a[0], b[0]));
}

BOOST_AUTO_TEST_CASE(a_nan_stays_in_its_sample) {
  for_each_sampler([](char const* name, auto sampler, std::uint64_t) {
    auto const plan = pipeline_of(sampler, 6).plan(6);
    state s = plan.start({.shape = {5, 6}, .seed = 5}, {0});
    auto const sound = plan.run(s);
    s.x.data()[2 * s.pitch + 1] = std::numeric_limits<float>::quiet_NaN();
    auto const touched = plan.run(s);
    for (std::size_t i = 0; i < 5; ++i)
      if (i != 2) BOOST_TEST(same_bits(touched[i], sound[i]), name << ", sample " << i);
    BOOST_TEST(std::isnan(touched[2][1]), name << ": the NaN is not hidden by the clamp");
  });
}
