// The library's own transcendental functions against long double ones, and where the answer is no
// ordinary number.
#define BOOST_TEST_DYN_LINK
#include <tweedie/dsl/base/math.hpp>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

namespace math = tweedie::math;

namespace {

template <class Real> constexpr Real infinity = std::numeric_limits<Real>::infinity();
template <class Real> constexpr Real not_a_number = std::numeric_limits<Real>::quiet_NaN();

/// The distance from the exact value in units of the last place of its rounding; subnormals have
/// one unit.
template <class Real> double ulps(Real value, long double exact) {
  using limits = std::numeric_limits<Real>;
  int const exponent = std::max(std::ilogb(exact), limits::min_exponent - 1);
  long double const unit = std::ldexp(1.0L, exponent - limits::digits + 1);
  return static_cast<double>(std::abs(static_cast<long double>(value) - exact) / unit);
}

/// The largest error over `count` arguments spread evenly over [low, high].
template <class Real, class F, class G> double worst(Real low, Real high, int count, F f, G exact) {
  double most = 0;
  for (int i = 0; i <= count; ++i) {
    auto const x =
        static_cast<Real>(low + (high - low) * (static_cast<Real>(i) / static_cast<Real>(count)));
    most = std::max(most, ulps(f(x), exact(static_cast<long double>(x))));
  }
  return most;
}

/// The largest error over positive arguments of [low, high], spread evenly over their bit patterns.
template <class Real, class F, class G>
double worst_of_bits(Real low, Real high, int count, F f, G exact) {
  auto const from = math::detail::bits(low), to = math::detail::bits(high);
  auto const stride = (to - from) / static_cast<decltype(from)>(count) + 1;
  double most = 0;
  for (auto w = from; w < to; w += stride)
    for (Real const x : {math::detail::from_bits(w), -math::detail::from_bits(w)})
      if (auto const y = exact(static_cast<long double>(x)); std::isfinite(y))
        most = std::max(most, ulps(f(x), y));
  return most;
}

template <class Real> bool same_bits(Real a, Real b) {
  return std::memcmp(&a, &b, sizeof(Real)) == 0;
}

auto const exact_exp = [](long double x) { return std::exp(x); };
auto const exact_log = [](long double x) { return std::log(x); };
auto const exact_sin = [](long double x) { return std::sin(x); };
auto const exact_cos = [](long double x) { return std::cos(x); };
auto const exact_tanh = [](long double x) { return std::tanh(x); };

constexpr int many = 1'000'000;

}  // namespace

BOOST_AUTO_TEST_CASE(exp_is_within_two_units_of_a_float_and_one_and_a_half_of_a_double) {
  auto const f = [](auto x) { return math::exp(x); };
  double const narrow = worst(-103.0f, 88.7f, many, f, exact_exp);
  double const wide = worst(-745.0, 709.7, many, f, exact_exp);
  double const near_zero = worst(-0.4, 0.4, many, f, exact_exp);
  BOOST_TEST_MESSAGE("exp: float " << narrow << ", double " << std::max(wide, near_zero));
  BOOST_TEST(narrow < 1.1);
  BOOST_TEST(wide < 1.0);
  BOOST_TEST(near_zero < 1.0);
}

BOOST_AUTO_TEST_CASE(log_is_within_one_unit) {
  auto const f = [](auto x) { return math::log(x); };
  auto const positive = [](long double x) {
    return x > 0 ? std::log(x) : not_a_number<long double>;
  };
  double const narrow = std::max(worst_of_bits(1e-45f, 3e38f, many, f, positive),
                                 worst(0.5f, 2.0f, many, f, exact_log));
  double const wide = std::max(worst_of_bits(5e-324, 1.7e308, many, f, positive),
                               worst(0.5, 2.0, many, f, exact_log));
  BOOST_TEST_MESSAGE("log: float " << narrow << ", double " << wide);
  BOOST_TEST(narrow < 1.0);
  BOOST_TEST(wide < 1.0);
}

BOOST_AUTO_TEST_CASE(sin_and_cos_are_within_one_unit) {
  auto const s = [](auto x) { return math::sin(x); };
  auto const c = [](auto x) { return math::cos(x); };
  double const narrow_sin = worst_of_bits(1e-30f, 0x1p40f, many, s, exact_sin);
  double const narrow_cos = worst_of_bits(1e-30f, 0x1p40f, many, c, exact_cos);
  double const wide_sin = std::max(worst_of_bits(1e-30, 0x1p40, many, s, exact_sin),
                                   worst(-7.0, 7.0, many, s, exact_sin));
  double const wide_cos = std::max(worst_of_bits(1e-30, 0x1p40, many, c, exact_cos),
                                   worst(-7.0, 7.0, many, c, exact_cos));
  double beside_zeros = 0;  // where all but the last digits of a large argument cancel
  for (int i = 1; i <= 100'000; ++i) {
    double const x = (0x1p39 - i) * 0x1.921fb54442d18p+0;
    beside_zeros = std::max({beside_zeros, ulps(s(x), exact_sin(static_cast<long double>(x))),
                             ulps(c(x), exact_cos(static_cast<long double>(x)))});
  }
  BOOST_TEST(beside_zeros < 1.0);
  BOOST_TEST_MESSAGE("sin: float " << narrow_sin << ", double " << wide_sin);
  BOOST_TEST_MESSAGE("cos: float " << narrow_cos << ", double " << wide_cos);
  BOOST_TEST(narrow_sin < 0.52);
  BOOST_TEST(narrow_cos < 0.52);
  BOOST_TEST(wide_sin < 1.0);
  BOOST_TEST(wide_cos < 1.0);
}

BOOST_AUTO_TEST_CASE(tanh_is_within_two_units) {
  auto const f = [](auto x) { return math::tanh(x); };
  double const most = std::max(worst_of_bits(1e-45f, 100.0f, many, f, exact_tanh),
                               worst(-10.0f, 10.0f, many, f, exact_tanh));
  BOOST_TEST_MESSAGE("tanh: float " << most);
  BOOST_TEST(most < 2.0);
}

BOOST_AUTO_TEST_CASE(arguments_without_an_ordinary_answer) {
  auto const check = []<class Real>(Real) {
    BOOST_TEST(same_bits(math::exp(infinity<Real>), infinity<Real>));
    BOOST_TEST(same_bits(math::exp(-infinity<Real>), Real(0)));
    BOOST_TEST(same_bits(math::exp(Real(0)), Real(1)));
    BOOST_TEST(same_bits(math::exp(-Real(0)), Real(1)));
    BOOST_TEST(same_bits(math::exp(Real(1000)), infinity<Real>));
    BOOST_TEST(same_bits(math::exp(Real(-1000)), Real(0)));
    BOOST_TEST(std::isnan(math::exp(not_a_number<Real>)));
    BOOST_TEST(same_bits(math::log(Real(0)), -infinity<Real>));
    BOOST_TEST(same_bits(math::log(-Real(0)), -infinity<Real>));
    BOOST_TEST(same_bits(math::log(Real(1)), Real(0)));
    BOOST_TEST(same_bits(math::log(infinity<Real>), infinity<Real>));
    BOOST_TEST(std::isnan(math::log(Real(-1))));
    BOOST_TEST(std::isnan(math::log(-infinity<Real>)));
    BOOST_TEST(std::isnan(math::log(not_a_number<Real>)));
    BOOST_TEST(same_bits(math::sin(Real(0)), Real(0)));
    BOOST_TEST(same_bits(math::sin(-Real(0)), -Real(0)));
    BOOST_TEST(same_bits(math::cos(-Real(0)), Real(1)));
    for (Real const x : {infinity<Real>, -infinity<Real>, not_a_number<Real>, Real(1e13)}) {
      BOOST_TEST(std::isnan(math::sin(x)));
      BOOST_TEST(std::isnan(math::cos(x)));
    }
  };
  check(0.0f);
  check(0.0);
  BOOST_TEST(same_bits(math::tanh(infinity<float>), 1.0f));
  BOOST_TEST(same_bits(math::tanh(-infinity<float>), -1.0f));
  BOOST_TEST(same_bits(math::tanh(-0.0f), -0.0f));
  BOOST_TEST(std::isnan(math::tanh(not_a_number<float>)));
  BOOST_TEST(math::exp(88.72283f) <
             infinity<float>);  // the last float below overflow, and the first above
  BOOST_TEST(math::exp(88.72284f) == infinity<float>);
  BOOST_TEST(math::exp(709.782712893384) < infinity<double>);
  BOOST_TEST(math::exp(709.782712893385) == infinity<double>);
  BOOST_TEST(math::exp(-103.97f) == std::numeric_limits<float>::denorm_min());
  BOOST_TEST(math::exp(-745.13) == std::numeric_limits<double>::denorm_min());
}

// One number for every compiler and flag: a build that contracts a product and a sum, or calls a
// library, shows here.
BOOST_AUTO_TEST_CASE(the_bits_are_pinned) {
  std::uint64_t hash = 0xcbf29ce484222325u;  // FNV-1a, over words
  auto const add = [&](auto y) { hash = (hash ^ math::detail::bits(y)) * 0x100000001b3u; };
  for (int i = -50'000; i <= 50'000; ++i) {
    double const x = i * 0x1.0624dp-10;
    float const y = static_cast<float>(x);
    add(math::exp(x)), add(math::exp(y)), add(math::log(std::abs(x))), add(math::log(std::abs(y)));
    add(math::sin(x)), add(math::sin(y)), add(math::cos(x)), add(math::cos(y)), add(math::tanh(y));
  }
  BOOST_TEST(hash == 2940047370028879198u);
}
