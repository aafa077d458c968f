// Reductions: sums bit by bit against the tree that they promise, and in long double; quantiles
// exactly against a sorted row; and that neither way of selecting, thread nor neighbour changes
// them.
#define BOOST_TEST_DYN_LINK
#include <tweedie/dsl/kernel/noise.hpp>
#include <tweedie/dsl/kernel/reduce.hpp>

#include <algorithm>
#include <bit>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <vector>

using namespace tweedie;
using reductions::detail::magnitude;
using reductions::detail::neighbours;

namespace {

using row = std::vector<float>;

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr std::uint64_t sizes[] = {1, 2, 3, 255, 256, 257, 784, 12288, 196608};

static_assert(std::is_empty_v<reductions::dot> && std::is_empty_v<reductions::quantile_of_abs>);
static_assert(reductions::dot::arguments == 2 && reductions::dot::parameters == 0);
static_assert(reductions::norm::arguments == 1 && reductions::norm::parameters == 0);
static_assert(reductions::mean::arguments == 1 && reductions::mean::parameters == 0);
static_assert(reductions::deviation::arguments == 1 && reductions::deviation::parameters == 0);
static_assert(reductions::quantile_of_abs::arguments == 1);
static_assert(reductions::quantile_of_abs::parameters == 2);
static_assert(std::string_view(reductions::quantile_of_abs::name) == "quantile_of_abs");

std::uint32_t bits(float a) { return std::bit_cast<std::uint32_t>(a); }
float from_bits(std::uint32_t w) { return std::bit_cast<float>(w); }

row normals(std::uint64_t n, std::uint64_t seed) {
  row out;
  for (std::uint32_t group = 0; out.size() < n; ++group)
    for (float const v : normals4(group, {.seed = seed, .id = 0, .step = 0}, 0).v) out.push_back(v);
  out.resize(n);
  return out;
}

template <class Reduction> float value(row const& a, row const& b = {}) {
  float const* const rows[] = {a.data(), b.data()};
  return reductions::of<Reduction>(nullptr, rows, a.size());
}

/// The two floats that carry p.
struct carried {
  float high, rest;
  explicit carried(double p)
      : high(static_cast<float>(p)), rest(static_cast<float>(p - static_cast<double>(high))) {}
};

float quantile(row const& a, double p) {
  carried const c(p);
  float const given[] = {c.high, c.rest};
  float const* const rows[] = {a.data()};
  return reductions::of<reductions::quantile_of_abs>(given, rows, a.size());
}

/// The definition, from the sorted row.
float quantile_of_sorted(row const& sorted, double p) {
  carried const c(p);
  double const position = (static_cast<double>(c.high) + static_cast<double>(c.rest)) *
                          static_cast<double>(sorted.size() - 1);
  auto const lower = static_cast<std::size_t>(std::floor(position));
  auto const upper = static_cast<std::size_t>(std::ceil(position));
  float const a = sorted[lower], b = sorted[upper];
  return a == b ? a : std::fma(static_cast<float>(position - std::floor(position)), b - a, a);
}

row sorted_magnitudes(row a) {
  for (float& v : a) v = std::fabs(v);
  std::sort(a.begin(), a.end());
  return a;
}

struct named_row {
  std::string name;
  row a;
};

/// Rows that are hard for one way of selecting or another.
std::vector<named_row> awkward_rows(std::uint64_t n) {
  row const plain = normals(n, n);
  std::vector<named_row> all{{"normal", plain}};
  auto const add = [&](char const* name, auto f) {
    row a = plain;
    for (std::uint64_t i = 0; i < n; ++i) a[i] = f(plain[i], i);
    all.push_back({name, a});
  };
  add("rounded to halves", [](float v, auto) { return std::round(2 * v) / 2; });
  add("two values", [](float v, auto) { return v > 0 ? 1.0f : -2.0f; });
  add("clipped", [](float v, auto) { return std::clamp(v, -1.0f, 1.0f); });
  add("all equal", [](float v, auto) { return std::copysign(0.75f, v); });
  add("zeros of both signs", [](float v, auto) { return std::copysign(0.0f, v); });
  add("subnormal", [](float v, auto) { return v * 1e-41f; });
  add("rising", [](float, auto i) { return static_cast<float>(i); });
  add("falling", [n](float, auto i) { return static_cast<float>(n - i); });
  add("side by side", [](float, auto i) {
    return from_bits(0x3f800000u + static_cast<std::uint32_t>(i * 2654435761u % 4999));
  });
  add("of all exponents",
      [](float v, auto i) { return std::ldexp(v, static_cast<int>(i * 2654435761u % 250) - 125); });
  add("last of its bin", [](float v, auto) { return from_bits(bits(v) | 0x1fffffu); });
  // 1024 elements at a fixed distance are taken for a sample; here they mislead.
  std::uint64_t const stride = n < 1024 ? 1 : (n / 1024 - 1) | 1;
  add("small where sampled", [=](float v, auto i) { return i % stride ? v : v * 1e-3f; });
  add("large where sampled", [=](float v, auto i) { return i % stride ? v : v * 1e3f; });
  add("apart where sampled", [=](float v, auto i) {
    return i % stride ? v : i / stride % 2 ? v * 1e3f : v * 1e-3f;
  });
  add("equal where sampled", [=](float v, auto i) { return i % stride ? v : 0.5f; });
  add("rising where sampled",
      [=](float, auto i) { return i % stride ? 1e9f : static_cast<float>(i / stride); });
  add("a tenth infinite", [](float v, auto i) { return i % 10 ? v : std::copysign(infinity, v); });
  return all;
}

/// Sum of accumulators first, first + apart, first + 2 apart, ...
float tree(row const& lane, std::size_t first, std::size_t apart) {
  return apart == lane.size() ? lane[first]
                              : tree(lane, first, 2 * apart) + tree(lane, first + apart, 2 * apart);
}

template <class Fold> float promised_sum(std::uint64_t n, Fold fold) {
  row lane(256, 0.0f);
  for (std::uint64_t j = 0; j < 256; ++j)
    for (std::uint64_t i = j; i < n; i += 256) lane[j] = fold(lane[j], i);
  return tree(lane, 0, 1);
}

float promised_dot(row const& a, row const& b) {
  return promised_sum(a.size(), [&](float s, std::uint64_t i) { return std::fma(a[i], b[i], s); });
}
float promised_mean(row const& a) {
  return promised_sum(a.size(), [&](float s, std::uint64_t i) { return s + a[i]; }) /
         static_cast<float>(a.size());
}

/// What n additions over 256 accumulators and their tree may lose, of the sum of magnitudes.
long double loss(std::uint64_t n) { return static_cast<long double>(n / 256 + 9) * 0x1p-24L; }

}  // namespace

BOOST_AUTO_TEST_CASE(a_sum_runs_over_256_strided_accumulators_and_a_tree) {
  for (std::uint64_t const n : sizes) {
    row const a = normals(n, 1), b = normals(n, 2);
    BOOST_TEST(bits(value<reductions::dot>(a, b)) == bits(promised_dot(a, b)));
    BOOST_TEST(bits(value<reductions::norm>(a)) == bits(std::sqrt(promised_dot(a, a))));
    float const mean = promised_mean(a);
    BOOST_TEST(bits(value<reductions::mean>(a)) == bits(mean));
    if (n == 1) continue;
    row centred = a;
    for (float& v : centred) v -= mean;
    float const variance = promised_dot(centred, centred) / static_cast<float>(n - 1);
    BOOST_TEST(bits(value<reductions::deviation>(a)) == bits(std::sqrt(variance)));
  }
}

// n / 256 + 8 roundings on the longest way from a product to the sum, and one to spare.
BOOST_AUTO_TEST_CASE(a_dot_loses_less_than_its_roundings_may) {
  for (std::uint64_t const n : sizes)
    for (std::uint64_t seed = 0; seed < 4; ++seed) {
      row const a = normals(n, 10 + seed), b = normals(n, 20 + seed);
      long double exact = 0, magnitudes = 0;
      for (std::uint64_t i = 0; i < n; ++i) {
        long double const product = static_cast<long double>(a[i]) * static_cast<long double>(b[i]);
        exact += product;
        magnitudes += std::abs(product);
      }
      auto const error = std::abs(static_cast<long double>(value<reductions::dot>(a, b)) - exact);
      BOOST_TEST(error <= loss(n) * magnitudes);
    }
}

BOOST_AUTO_TEST_CASE(a_deviation_survives_a_mean_a_thousand_times_as_large) {
  for (std::uint64_t const n : sizes) {
    if (n == 1) continue;
    row a = normals(n, 3);
    long double sum = 0, squares = 0;
    for (float& v : a) sum += static_cast<long double>(v += 1000);
    long double const mean = sum / static_cast<long double>(n);
    for (float const v : a)
      squares += (static_cast<long double>(v) - mean) * (static_cast<long double>(v) - mean);
    auto const exact = static_cast<double>(std::sqrt(squares / static_cast<long double>(n - 1)));
    BOOST_TEST(std::abs(static_cast<double>(value<reductions::deviation>(a)) - exact) <
               1e-4 * exact);
  }
}

BOOST_AUTO_TEST_CASE(one_element_deviates_by_nothing) {
  BOOST_TEST(bits(value<reductions::deviation>({3.25f})) == bits(0.0f));
  BOOST_TEST(bits(value<reductions::deviation>({-1e30f})) == bits(0.0f));
}

// One number for every compiler, vector width and flag.
BOOST_AUTO_TEST_CASE(the_bits_are_pinned) {
  std::uint64_t hash = 0xcbf29ce484222325u;  // FNV-1a, over words
  auto const add = [&](float v) { hash = (hash ^ bits(v)) * 0x100000001b3u; };
  for (std::uint64_t const n : sizes)
    for (std::uint64_t seed = 0; seed < 8; ++seed) {
      row const a = normals(n, 100 + seed), b = normals(n, 200 + seed);
      add(value<reductions::dot>(a, b)), add(value<reductions::norm>(a));
      add(value<reductions::mean>(a)), add(value<reductions::deviation>(a));
      add(quantile(a, 0.995)), add(quantile(a, 0.5));
    }
  BOOST_TEST(hash == 1355408504904820804u);
}

BOOST_AUTO_TEST_CASE(neither_what_lies_beside_a_row_nor_its_alignment_matters) {
  for (std::uint64_t const n : sizes) {
    row const a = normals(n, 4);
    for (std::uint64_t const offset : {1u, 2u, 3u}) {
      row fenced(n + 8, std::nanf(""));
      std::copy(a.begin(), a.end(), fenced.begin() + static_cast<std::ptrdiff_t>(offset));
      float const given[] = {0.75f, 0.0f};
      float const* const here[] = {a.data(), a.data()};
      float const* const there[] = {fenced.data() + offset, fenced.data() + offset};
      auto const same = [&]<class R>(R) {
        BOOST_TEST(
            bits(reductions::of<R>(given, there, n)) == bits(reductions::of<R>(given, here, n)),
            R::name);
      };
      same(reductions::dot{}), same(reductions::norm{}), same(reductions::mean{});
      same(reductions::deviation{}), same(reductions::quantile_of_abs{});
    }
  }
}

// A machine's own NaN has a sign and a payload that depend on it and on the order of operands.
BOOST_AUTO_TEST_CASE(any_nan_comes_out_as_the_one_quiet_nan) {
  constexpr std::uint32_t quiet = 0x7fc00000u;
  for (std::uint32_t const w : {0x7fc00000u, 0xffc12345u, 0x7f800001u}) {
    row a = normals(300, 5);
    a[290] = from_bits(w);
    BOOST_TEST(bits(value<reductions::dot>(a, normals(300, 6))) == quiet);
    BOOST_TEST(bits(value<reductions::norm>(a)) == quiet);
    BOOST_TEST(bits(value<reductions::mean>(a)) == quiet);
    BOOST_TEST(bits(value<reductions::deviation>(a)) == quiet);
  }
  BOOST_TEST(bits(value<reductions::mean>({infinity, -infinity})) == quiet);
  BOOST_TEST(bits(value<reductions::deviation>({infinity})) == quiet);
}

BOOST_AUTO_TEST_CASE(an_infinite_element_makes_sums_infinite) {
  row a = normals(300, 7);
  a[17] = -infinity;
  BOOST_TEST(value<reductions::norm>(a) == infinity);
  BOOST_TEST(value<reductions::mean>(a) == -infinity);
  BOOST_TEST(value<reductions::norm>({1e19f, 1e19f}) < infinity);
  BOOST_TEST(value<reductions::norm>({2e19f, 0.0f}) == infinity);  // its square is too large
}

BOOST_AUTO_TEST_CASE(a_quantile_is_what_numpy_and_torch_say) {
  row const a{4, -1, 3, -2};  // np.quantile(np.abs(a), p)
  BOOST_TEST(quantile(a, 0) == 1.0f);
  BOOST_TEST(quantile(a, 0.25) == 1.75f);
  BOOST_TEST(quantile(a, 0.4) == 2.2f);
  BOOST_TEST(quantile(a, 0.5) == 2.5f);
  BOOST_TEST(quantile(a, 1) == 4.0f);
  BOOST_TEST(quantile({-7}, 0.3) == 7.0f);
}

BOOST_AUTO_TEST_CASE(a_quantile_is_its_definition_on_a_sorted_row) {
  for (std::uint64_t const n : sizes)
    for (auto const& [name, a] : awkward_rows(n)) {
      row const sorted = sorted_magnitudes(a);
      for (double const p : {0.0, 1e-9, 0.01, 0.1, 0.5, 0.9, 0.95, 0.995, 1 - 1e-9, 1.0})
        BOOST_TEST(bits(quantile(a, p)) == bits(quantile_of_sorted(sorted, p)),
                   name << ", n = " << n << ", p = " << p);
    }
}

BOOST_AUTO_TEST_CASE(all_ways_to_select_agree) {
  std::size_t hits = 0, misses = 0;
  for (std::uint64_t const n : {1024u, 2048u, 2049u, 5000u, 33333u, 196608u})
    for (auto const& [name, a] : awkward_rows(n)) {
      row const sorted = sorted_magnitudes(a);
      for (std::uint64_t const k :
           {std::uint64_t{0}, std::uint64_t{2}, n / 100, n / 2, n - n / 200, n - 1}) {
        neighbours const expected{bits(sorted[k]), bits(sorted[std::min(k + 1, n - 1)])};
        auto const same = [&](neighbours found) {
          return found.lower == expected.lower && found.upper == expected.upper;
        };
        std::vector<std::uint32_t> words;
        for (float const v : a) words.push_back(magnitude(v));
        BOOST_TEST(same(reductions::detail::select_by_radix(a.data(), n, k)), name);
        BOOST_TEST(same(reductions::detail::select_among(words.data(), n, k)), name);
        neighbours bracketed{};
        if (reductions::detail::select_by_bracket(a.data(), n, k, bracketed)) {
          BOOST_TEST(same(bracketed), name);
          ++hits;
        } else {
          ++misses;
        }
      }
    }
  BOOST_TEST(hits > 0u);
  BOOST_TEST(misses > 0u);
}

// A bracket that always missed would leave the result right, by radix select, but late.
BOOST_AUTO_TEST_CASE(a_bracket_holds_on_ordinary_rows_and_says_so_where_it_does_not) {
  std::uint64_t const n = 196608;
  neighbours found{};
  std::size_t missed = 0;
  for (auto const& [name, a] : awkward_rows(n))
    for (double const p : {0.5, 0.995, 1.0}) {
      auto const k = static_cast<std::uint64_t>(p * static_cast<double>(n - 1));
      bool const held = reductions::detail::select_by_bracket(a.data(), n, k, found);
      if (name == "normal" || name == "all equal" || name == "rising" || name == "of all exponents")
        BOOST_TEST(held, name << ", p = " << p);
      if (name.ends_with("where sampled") && p == 0.5) missed += !held;
    }
  BOOST_TEST(missed == 5u);
}

BOOST_AUTO_TEST_CASE(a_nan_anywhere_makes_a_quantile_nan) {
  for (std::uint64_t const n : sizes)
    for (std::uint64_t const at : {std::uint64_t{0}, n / 2, n - 1})
      for (std::uint32_t const w : {0x7fc00000u, 0xff800001u}) {
        row a = normals(n, 8);
        a[at] = from_bits(w);
        for (double const p : {0.0, 0.5, 1.0}) BOOST_TEST(bits(quantile(a, p)) == 0x7fc00000u);
      }
}

BOOST_AUTO_TEST_CASE(an_infinity_is_a_value_like_any_other) {
  row const a{1, -infinity, 2, infinity, 3};
  BOOST_TEST(quantile(a, 0.25) == 2.0f);
  BOOST_TEST(quantile(a, 0.5) == 3.0f);        // where 0 (infinity - 3) would be NaN
  BOOST_TEST(quantile(a, 0.6) == infinity);    // on the way from 3
  BOOST_TEST(quantile(a, 0.875) == infinity);  // where infinity - infinity would be NaN
  BOOST_TEST(quantile(a, 1) == infinity);
}

// Between the last 0 and the first 1 the quantile is the fraction; a p of one float alone would be
// off by 3e-3.
BOOST_AUTO_TEST_CASE(p_is_carried_far_beyond_a_float) {
  std::size_t const n = 196608;
  for (std::size_t zeros = 1777; zeros < n; zeros += 17770) {
    row a(n, 1.0f);
    std::fill_n(a.begin(), zeros, 0.0f);
    double const p = (static_cast<double>(zeros - 1) + 0.25) / static_cast<double>(n - 1);
    BOOST_TEST(std::abs(quantile(a, p) - 0.25f) < 1e-7f);
  }
}

BOOST_AUTO_TEST_CASE(threads_that_select_side_by_side_do_not_meet) {
  std::vector<row> rows;
  for (std::uint64_t i = 0; i < 24; ++i) rows.push_back(normals(i % 3 ? 40000 + 5000 * i : 700, i));
  std::vector<float> alone, together(rows.size());
  for (row const& a : rows) alone.push_back(quantile(a, 0.9));
  std::vector<std::thread> threads;
  for (std::size_t first = 0; first < 4; ++first)
    threads.emplace_back([&, first] {
      for (std::size_t i = first; i < rows.size(); i += 4) together[i] = quantile(rows[i], 0.9);
    });
  for (std::thread& t : threads) t.join();
  BOOST_TEST(alone == together, boost::test_tools::per_element());
}
