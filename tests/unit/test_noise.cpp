// Noise: the cipher's published answers, the same bits from every build, and normals that look
// normal.
#define BOOST_TEST_DYN_LINK
#include <tweedie/dsl/kernel/noise.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdint>
#include <set>
#include <vector>

using namespace tweedie;
using detail::one_lane;

namespace {

sample_key const some_key{.seed = 0x0123456789abcdef, .id = 0x0000beef'12345678, .step = 17};

std::vector<float> normals(std::size_t groups, sample_key const& key, std::uint32_t stream = 0,
                           std::uint32_t first_group = 0) {
  std::vector<float> out(4 * groups);
  fill_normals(out.data(), first_group, groups, key, stream);
  return out;
}

/// FNV-1a over the words.
std::uint64_t hash_of(std::vector<float> const& values) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (float const v : values) hash = (hash ^ std::bit_cast<std::uint32_t>(v)) * 0x100000001b3u;
  return hash;
}

bool same_bits(float a, float b) {
  return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b);
}

/// The sum of a[i] b[i + lag] in units of its standard deviation, for independent standard a and b.
double correlation(std::vector<float> const& a, std::vector<float> const& b, std::size_t lag = 0) {
  double sum = 0;
  for (std::size_t i = 0; i + lag < a.size(); ++i) sum += double{a[i]} * double{b[i + lag]};
  return sum / std::sqrt(static_cast<double>(a.size() - lag));
}

/// Every fourth element from `first`, as it is or as (v^2 - 1) / sqrt(2), which is standard too.
std::vector<float> member(std::vector<float> const& all, std::size_t first, bool squared = false) {
  std::vector<float> out;
  for (std::size_t i = first; i < all.size(); i += 4)
    out.push_back(squared ? (all[i] * all[i] - 1) * 0.70710678f : all[i]);
  return out;
}

}  // namespace

BOOST_AUTO_TEST_CASE(philox_gives_the_answers_published_with_random123) {
  struct {
    philox_counter counter;
    philox_key key;
    std::array<std::uint32_t, 4> answer;
  } const known[] = {
      {{{0, 0, 0, 0}}, {{0, 0}}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {{{~0u, ~0u, ~0u, ~0u}}, {{~0u, ~0u}}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {{{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}},
       {{0xa4093822, 0x299f31d0}},
       {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}};
  for (auto const& [counter, key, answer] : known) {
    auto const words = philox4x32_10(counter, key);
    BOOST_TEST(std::equal(answer.begin(), answer.end(), words.word));
  }
}

BOOST_AUTO_TEST_CASE(a_group_is_the_documented_counter_through_box_muller) {
  auto const w =
      philox4x32_10({{5, 17, 0x12345678, 3u << 16 | 0xbeef}}, {{0x89abcdef, 0x01234567}});
  auto const a = detail::box_muller<one_lane>(w.word[0], w.word[1]),
             b = detail::box_muller<one_lane>(w.word[2], w.word[3]);
  quad const q = normals4(5, some_key, 3);
  BOOST_TEST((q.v[0] == a.first && q.v[1] == a.second && q.v[2] == b.first && q.v[3] == b.second));
}

BOOST_AUTO_TEST_CASE(every_build_writes_the_bits_of_normals4_for_every_count_and_nothing_more) {
  for (auto const& build : detail::normals_builds()) {
    if (!build.available) continue;
    BOOST_TEST_CONTEXT(build.name)
    for (std::uint32_t const first : {0u, 1u, 7u, 31u, 0xffffffe0u, 0xffffffffu})
      for (std::size_t groups = 0; groups <= 70; ++groups) {
        float const guard = 1234;
        std::vector<float> out(4 * groups + 2, guard);
        build.fill(out.data() + 1, groups, detail::counter_of(first, some_key, 3),
                   detail::key_of(some_key));  // + 1: no alignment is asked for
        std::size_t wrong = !same_bits(out.front(), guard) + !same_bits(out.back(), guard);
        for (std::size_t g = 0; g < groups; ++g) {
          quad const q = normals4(first + static_cast<std::uint32_t>(g), some_key, 3);
          for (std::size_t j = 0; j < 4; ++j) wrong += !same_bits(out[1 + 4 * g + j], q.v[j]);
        }
        BOOST_REQUIRE_EQUAL(wrong, 0u);
      }
  }
}

BOOST_AUTO_TEST_CASE(every_build_writes_the_bits_of_normals4_for_groups_of_many_samples) {
  constexpr std::size_t room = detail::scattered_groups::room;
  auto const key_of = [](std::size_t i) {
    return sample_key{some_key.seed + i * 0x1'0000'0001, (i * 0x1234'5678'9abc) % (1ull << 48),
                      static_cast<std::uint32_t>(7 * i)};
  };
  detail::scattered_groups at;
  for (std::size_t i = 0; i < room; ++i) {
    auto const c = detail::counter_of(static_cast<std::uint32_t>(3 * i), key_of(i), 5);
    for (int k = 0; k < 4; ++k) at.counter[k][i] = c.word[k];
    for (int k = 0; k < 2; ++k) at.key[k][i] = detail::key_of(key_of(i)).word[k];
  }
  for (auto const& build : detail::normals_builds()) {
    if (!build.available) continue;
    BOOST_TEST_CONTEXT(build.name)
    for (std::size_t groups = 0; groups <= room; ++groups) {
      float const guard = 1234;
      std::vector<float> out(4 * groups + 2, guard);
      build.fill_scattered(out.data() + 1, groups, at);
      std::size_t wrong = !same_bits(out.front(), guard) + !same_bits(out.back(), guard);
      for (std::size_t g = 0; g < groups; ++g) {
        quad const q = normals4(static_cast<std::uint32_t>(3 * g), key_of(g), 5);
        for (std::size_t j = 0; j < 4; ++j) wrong += !same_bits(out[1 + 4 * g + j], q.v[j]);
      }
      BOOST_REQUIRE_EQUAL(wrong, 0u);
    }
  }
}

BOOST_AUTO_TEST_CASE(short_rows_together_have_the_normals_that_each_has_alone) {
  for (std::size_t const groups : {1u, 2u, 3u, 16u, 33u})
    for (std::size_t const rows : {0u, 1u, 2u, 15u, 16u, 17u, 40u}) {
      std::vector<sample_key> keys;
      for (std::size_t i = 0; i < rows; ++i)
        keys.push_back({some_key.seed + i % 3, 100 - i, static_cast<std::uint32_t>(i % 5)});
      float const guard = 1234;
      std::vector<float> out(4 * groups * rows + 1, guard);
      fill_normals_of_rows(out.data(), rows, groups, keys.data(), 2);
      std::size_t wrong = !same_bits(out.back(), guard);
      for (std::size_t i = 0; i < rows; ++i) {
        auto const alone = normals(groups, keys[i], 2);
        for (std::size_t j = 0; j < alone.size(); ++j)
          wrong += !same_bits(out[4 * groups * i + j], alone[j]);
      }
      BOOST_TEST(wrong == 0u, groups << " groups, " << rows << " rows");
    }
}

// One number for every compiler, flag and instruction set.
BOOST_AUTO_TEST_CASE(the_bits_are_pinned) {
  std::uint64_t const pinned = 11690867351632294803u;
  std::size_t const groups = 1 << 20;
  BOOST_TEST(hash_of(normals(groups, some_key, 3)) == pinned);
  for (auto const& build : detail::normals_builds()) {
    if (!build.available) continue;
    std::vector<float> out(4 * groups);
    build.fill(out.data(), groups, detail::counter_of(0, some_key, 3), detail::key_of(some_key));
    BOOST_TEST(hash_of(out) == pinned, build.name);
  }
}

BOOST_AUTO_TEST_CASE(seed_id_step_stream_and_group_each_choose_other_normals) {
  std::vector<sample_key> keys(6, some_key);
  keys[1].seed ^= 1;
  keys[2].seed ^= std::uint64_t{1} << 63;
  keys[3].id ^= 1;
  keys[4].id ^= std::uint64_t{1} << 47;
  keys[5].step ^= 1u << 31;
  std::set<std::uint32_t> seen;
  for (auto const& key : keys)
    for (std::uint32_t const stream :
         {0u, 1u, training_noise_stream, training_time_stream, start_stream})
      for (std::uint32_t const group : {0u, 1u, ~0u})
        seen.insert(std::bit_cast<std::uint32_t>(normals4(group, key, stream).v[0]));
  BOOST_TEST(seen.size() == keys.size() * 5 * 3);
}

// Each statistic within four of its standard deviations, on a fixed seed.
BOOST_AUTO_TEST_CASE(moments_and_tails_are_normal) {
  std::size_t const rounds = 1600, groups = 1 << 14;
  double const n = static_cast<double>(4 * rounds * groups);
  double s1 = 0, s2 = 0, s3 = 0, s4 = 0;
  std::array<double, 6> beyond{};
  float largest = 0;
  for (std::uint32_t round = 0; round < rounds; ++round) {
    float r1 = 0;
    double r2 = 0, r3 = 0, r4 = 0;
    std::array<std::uint32_t, 6> count{};
    for (float const v : normals(groups, {.seed = 1, .id = round, .step = 0})) {
      double const v2 = double{v} * double{v};
      r1 += v;
      r2 += v2;
      r3 += v2 * double{v};
      r4 += v2 * v2;
      float const a = std::abs(v);
      for (std::size_t k = 1; k < 6; ++k) count[k] += a > static_cast<float>(k);
      largest = a > largest ? a : largest;
    }
    s1 += double{r1};
    s2 += r2;
    s3 += r3;
    s4 += r4;
    for (std::size_t k = 1; k < 6; ++k) beyond[k] += count[k];
  }
  // E v^2k = (2k - 1)!!: 1, 3, 15, 105
  double const mean = s1 / std::sqrt(n), variance = (s2 - n) / std::sqrt(2 * n);
  double const skewness = s3 / std::sqrt(15 * n), kurtosis = (s4 - 3 * n) / std::sqrt(96 * n);
  BOOST_TEST_MESSAGE("n " << n << ", in standard deviations: mean " << mean << ", variance "
                          << variance << ", third moment " << skewness << ", fourth " << kurtosis);
  BOOST_TEST(std::abs(mean) < 4);
  BOOST_TEST(std::abs(variance) < 4);
  BOOST_TEST(std::abs(skewness) < 4);
  BOOST_TEST(std::abs(kurtosis) < 4);
  for (std::size_t k = 1; k < 6; ++k) {
    double const p = std::erfc(static_cast<double>(k) / std::sqrt(2.0));
    double const off = (beyond[k] - n * p) / std::sqrt(n * p * (1 - p));
    BOOST_TEST_MESSAGE("beyond " << k << " sigma: " << beyond[k] << ", off by " << off);
    BOOST_TEST(std::abs(off) < 4);
  }
  BOOST_TEST(largest > 5.2f);
  BOOST_TEST(largest < 6.661f);
}

BOOST_AUTO_TEST_CASE(neighbours_are_uncorrelated_and_so_are_their_squares) {
  std::size_t const groups = 1 << 19;
  auto const all = normals(groups, some_key);
  for (bool const squared : {false, true})
    for (std::size_t i = 0; i < 4; ++i)
      for (std::size_t j = 0; j < 4; ++j) {
        auto const a = member(all, i, squared), b = member(all, j, squared);
        if (i < j) BOOST_TEST(std::abs(correlation(a, b)) < 4);
        for (std::size_t lag = 1; lag <= 2; ++lag) BOOST_TEST(std::abs(correlation(a, b, lag)) < 4);
      }
  auto other = some_key;
  other.step += 1;
  BOOST_TEST(std::abs(correlation(all, normals(groups, other))) < 4);
  other = some_key;
  other.id += 1;
  BOOST_TEST(std::abs(correlation(all, normals(groups, other))) < 4);
  other = some_key;
  other.seed += 1;
  BOOST_TEST(std::abs(correlation(all, normals(groups, other))) < 4);
  BOOST_TEST(std::abs(correlation(all, normals(groups, some_key, 1))) < 4);
  BOOST_TEST(std::abs(correlation(all, normals(groups, some_key, start_stream))) < 4);
}

BOOST_AUTO_TEST_CASE(the_transform_is_as_exact_as_it_says) {
  double worst_log = 0, worst_sin = 0, worst_cos = 0;
  for (int i = 1; i <= 2'000'000; ++i) {
    float const u = i <= 1'000'000 ? static_cast<float>(i) * 1e-6f
                                   : std::exp(static_cast<float>(i - 2'000'000) * 2.2e-5f);
    double const log_u = std::log(double{u});
    worst_log = std::max(
        worst_log, std::abs(double{detail::minus_two_log<one_lane>(u)} + 2 * log_u) / (1 - log_u));
    float const y = static_cast<float>(i - 1'000'000) * 0.5e-6f;
    double const angle = 3.14159265358979323846 * double{y};
    worst_sin =
        std::max(worst_sin, std::abs(double{detail::sin_pi<one_lane>(y)} - std::sin(angle)));
    worst_cos =
        std::max(worst_cos, std::abs(double{detail::cos_pi<one_lane>(y)} - std::cos(angle)));
  }
  BOOST_TEST_MESSAGE("log " << worst_log << ", sin " << worst_sin << ", cos " << worst_cos);
  BOOST_TEST(worst_log < 2.2e-7);
  BOOST_TEST(worst_sin < 2e-7);
  BOOST_TEST(worst_cos < 2e-7);
}

BOOST_AUTO_TEST_CASE(the_ends_of_the_radius_and_the_sign_of_the_cosine) {
  auto const far = detail::box_muller<one_lane>(0, 0);
  BOOST_TEST(far.first > 6.66f);
  BOOST_TEST(far.first < 6.661f);
  BOOST_TEST(far.second == 0.0f);
  BOOST_TEST(detail::box_muller<one_lane>(1, 0).first == -far.first);
  BOOST_TEST(detail::box_muller<one_lane>(0, 0x80000000u).second ==
             -detail::box_muller<one_lane>(0, 0x7fffffffu).second);
  auto const near = detail::box_muller<one_lane>(~0u, 0x12345678);
  BOOST_TEST(near.first == 0.0f);
  BOOST_TEST(near.second == 0.0f);
}

// The radicands -2 ln u are a zero, or lie from 2^-23 (the u below 1) to 44.4. All floats of
// [2^-24, 64): the root is the nearest float if the radicand lies between the squares of its two
// midpoints, which a double holds exactly.
BOOST_AUTO_TEST_CASE(sqrt_exact_is_the_ieee_root_of_all_radicands) {
  BOOST_TEST(detail::minus_two_log<one_lane>(std::nextafter(1.0f, 0.0f)) == 0x1p-23f);
  BOOST_TEST(detail::minus_two_log<one_lane>(0x1p-32f) < 44.4f);
  auto const from = std::bit_cast<std::uint32_t>(0x1p-24f),
             to = std::bit_cast<std::uint32_t>(64.0f);
  std::uint32_t wrong = 0;
  for (std::uint32_t w = from; w < to; ++w) {
    double const a = std::bit_cast<float>(w);
    auto const root = std::bit_cast<std::uint32_t>(sqrt_exact(std::bit_cast<float>(w)));
    double const middle = std::bit_cast<float>(root);
    double const low = 0.5 * (double{std::bit_cast<float>(root - 1)} + middle);
    double const high = 0.5 * (middle + double{std::bit_cast<float>(root + 1)});
    wrong += !((low * low < a) & (a < high * high));
  }
  BOOST_TEST(wrong == 0u);
  for (float const a : {0.0f, -0.0f}) BOOST_TEST(same_bits(sqrt_exact(a), a));
  for (float a = 1; a < 4; a += 1e-5f) BOOST_REQUIRE(same_bits(sqrt_exact(a), std::sqrt(a)));
}

BOOST_AUTO_TEST_CASE(uniform_is_uniform_on_the_open_interval) {
  int const n = 1'000'000;
  double sum = 0, squares = 0, least = 1, most = 0;
  for (int i = 0; i < n; ++i) {
    double const u =
        uniform({.seed = 3, .id = static_cast<std::uint64_t>(i), .step = 0}, training_time_stream);
    sum += u - 0.5;
    squares += (u - 0.5) * (u - 0.5) - 1.0 / 12;
    least = std::min(least, u);
    most = std::max(most, u);
  }
  BOOST_TEST(std::abs(sum) < 4 * std::sqrt(n / 12.0));
  BOOST_TEST(std::abs(squares) < 4 * std::sqrt(n / 180.0));
  BOOST_TEST(least > 0);
  BOOST_TEST(least < 1e-5);
  BOOST_TEST(most < 1);
  BOOST_TEST(most > 1 - 1e-5);
  BOOST_TEST(uniform(some_key, 0) != uniform(some_key, 0, 1));
  BOOST_TEST(uniform(some_key, 0) != uniform(some_key, 1));
}
