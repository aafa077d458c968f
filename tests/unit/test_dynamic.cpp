// Dynamic thresholding against Imagen's definition (Saharia et al. 2022, section 2.3), bit by bit:
// s is the p-quantile of |x0| over the sample, linear between two ranks, or 1 where that is less;
// x0 is clipped to [-s, s] and divided by s.
#define BOOST_TEST_DYN_LINK
#include <algorithm>
#include <bit>
#include <boost/test/unit_test.hpp>

#include "guidance_common.hpp"
#include "numbers.hpp"

using namespace laws;

namespace {

using row = std::vector<float>;

constexpr std::size_t sizes[] = {1, 3, 784, 196608};
constexpr double quantiles[] = {1e-3, 0.5, 0.75, 0.9, 0.995, 1};

row normals(std::size_t n, std::uint64_t id, float scale) {
  row r;
  for (std::uint32_t group = 0; r.size() < n; ++group)
    for (float a : normals4(group, {.seed = 23, .id = id, .step = 0}, 0).v) r.push_back(scale * a);
  r.resize(n);
  return r;
}

row thresholded(row x0, double p) {
  row sorted = x0;
  for (float& a : sorted) a = std::fabs(a);
  std::ranges::sort(sorted);
  double const position = p * static_cast<double>(sorted.size() - 1);
  auto const below = static_cast<std::size_t>(position);
  float const low = sorted[below], high = sorted[std::min(below + 1, sorted.size() - 1)];
  float const quantile =
      low == high ? low
                  : std::fma(static_cast<float>(position - std::floor(position)), high - low, low);
  float const s = std::max(quantile, 1.0f);
  for (float& a : x0) a = std::clamp(a, -s, s) / s;
  return x0;
}

bool same_bits(std::span<float const> a, std::span<float const> b) {
  return std::ranges::equal(a, b, [](float p, float q) {
    return std::bit_cast<std::uint32_t>(p) == std::bit_cast<std::uint32_t>(q);
  });
}

struct answer_of_threshold {
  std::vector<row> x, x0, eps;
  level t;
};

/// What the sampler gets of these x0, one sample each.
answer_of_threshold through(std::vector<row> const& x0s, double p) {
  network_function const network = [&](batch const& b) {
    std::fill_n(b.out, b.rows() * b.pitch, 1e9f);  // the padding is not of the sample
    for (std::size_t i = 0; i < b.rows(); ++i) std::ranges::copy(x0s[i], b.out_of(i).begin());
  };
  auto const plan = (any_schedule(schedules::linear{}) | predicts::x0{} | thresholds::dynamic{p} |
                     probe{} | network)
                        .plan(grids::custom{{600, 300}}, 1);
  state s = plan.start({.shape = {x0s.size(), x0s[0].size()}, .seed = 3});
  plan.advance(s);
  answer_of_threshold r;
  r.t = plan.levels()[0];
  for (std::size_t i = 0; i < x0s.size(); ++i) {
    auto const copy = [&](buffer const& b) {
      auto const of = row_of(s, b, i);
      return row(of.begin(), of.end());
    };
    r.x.push_back(copy(s.x));
    r.x0.push_back(copy(s.keep[0]));
    r.eps.push_back(copy(s.keep[1]));
  }
  return r;
}

}  // namespace

BOOST_AUTO_TEST_CASE(is_the_definition) {
  int wrong = 0;
  for (std::size_t n : sizes) {
    std::vector<row> x0s{normals(n, 0, 2), normals(n, 1, 0.3f), normals(n, 2, 1)};
    auto const with = [&](std::uint64_t id, auto f) {
      x0s.push_back(normals(n, id, 2));
      for (float& a : x0s.back()) a = f(a);
    };
    with(3, [](float a) { return std::round(2 * a) / 2; });    // ties
    with(4, [](float a) { return std::copysign(1.75f, a); });  // nothing but a tie
    with(5, [](float a) { return std::clamp(a, -1.0f, 1.0f); });
    with(6, [](float a) { return 0 * a; });
    for (double p : quantiles) {
      auto const got = through(x0s, p);
      for (std::size_t i = 0; i < x0s.size(); ++i) {
        bool const same = same_bits(got.x0[i], thresholded(x0s[i], p));
        BOOST_TEST(same, "sample " << i << " of " << n << ", p = " << p);
        wrong += !same;
      }
    }
  }
  record("dynamic", "samples with other bits than the definition's", wrong);
}

// Samples that need no limit pass as they are.
BOOST_AUTO_TEST_CASE(below_1_nothing_happens) {
  std::vector<row> const x0s{normals(784, 1, 0.3f)};
  auto const largest = std::ranges::max(x0s[0], {}, [](float a) { return std::fabs(a); });
  BOOST_TEST_REQUIRE(std::fabs(largest) > 0.8f);
  BOOST_TEST(same_bits(through(x0s, 0.5).x0[0], x0s[0]));
}

// x = alpha x0 + sigma eps with the x0 that was clipped.
BOOST_AUTO_TEST_CASE(eps_is_derived_again) {
  auto const got = through({normals(784, 7, 2), normals(784, 8, 2)}, 0.9);
  for (std::size_t i = 0; i < 2; ++i)
    for (std::size_t j = 0; j < 784; ++j) {
      double const x = static_cast<double>(got.x[i][j]), x0 = static_cast<double>(got.x0[i][j]);
      BOOST_TEST(std::abs((x - got.t.alpha * x0) / got.t.sigma -
                          static_cast<double>(got.eps[i][j])) < 1e-6);
    }
}

BOOST_AUTO_TEST_CASE(a_nan_stays_in_its_sample) {
  float const nan = std::numeric_limits<float>::quiet_NaN();
  for (std::size_t n : sizes) {
    std::vector<row> const clean{normals(n, 0, 2), normals(n, 1, 2), normals(n, 2, 2)};
    std::vector<row> x0s = clean;
    x0s[1][n / 2] = nan;
    auto const got = through(x0s, 0.9);
    BOOST_TEST(same_bits(got.x0[0], thresholded(clean[0], 0.9)));
    BOOST_TEST(same_bits(got.x0[2], thresholded(clean[2], 0.9)));
    BOOST_TEST(std::ranges::all_of(got.x0[1], [](float a) { return std::isnan(a); }),
               "its own sample has no quantile");
  }
}

// An infinity is a value like any other: clipped where the quantile is below it.
BOOST_AUTO_TEST_CASE(an_infinity_is_clipped) {
  std::vector<row> x0s{normals(784, 0, 2)};
  x0s[0][5] = -std::numeric_limits<float>::infinity();
  auto const got = through(x0s, 0.9);
  BOOST_TEST(got.x0[0][5] == -1.0f);
  BOOST_TEST(same_bits(got.x0[0], thresholded(x0s[0], 0.9)));
}

BOOST_AUTO_TEST_CASE(quantiles_that_are_none) {
  for (double p : {0.0, -0.1, 1.0001, infinity, not_a_number})
    BOOST_TEST(
        contains(sentence([&] { through({normals(3, 0, 1)}, p); }), "expected one in (0, 1]"),
        "p = " << p);
}
