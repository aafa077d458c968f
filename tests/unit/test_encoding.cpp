// Encoding and decoding along the flow, and interpolation between what was encoded.
//
// Exact mixtures; the plans' own programs and numbers run in double, so that rounding does not hide
// an order.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <tweedie/pipelines/slerp.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/samplers/heun.hpp>

#include "numbers.hpp"
#include "orders_common.hpp"

using namespace laws;

namespace {

/// Points where the data are.
std::vector<double> data() {
  std::vector<double> r;
  for (double z : {-1.3, -1.0, -0.7, -0.5, -0.2, 0.1, 0.4, 0.6, 0.9, 1.2}) r.push_back(z);
  return r;
}

double rmse(std::vector<double> const& a, std::vector<double> const& b) {
  double r = 0;
  for (std::size_t i = 0; i < a.size(); ++i) r += (a[i] - b[i]) * (a[i] - b[i]);
  return std::sqrt(r / static_cast<double>(a.size()));
}

/// Orders in the steps, by least squares.
struct orders {
  double round_trip = 0;  ///< of what encoding and decoding leave
  double code = 0;        ///< of the code alone, against one of four times the most steps
};

/// Encoding and decoding of `data()` between the times `from` and `to`.
template <class Sampler>
orders orders_of(Sampler sampler, any_schedule const& schedule, double from, double to,
                 std::vector<int> const& steps) {
  auto const pipeline =
      schedule | predicts::v{} | sampler | network_function(two.predicting<predicts::v>());
  auto const network = network_in_double(two);
  auto const code = [&](int n) {
    return run_in_double(pipeline.encoder(evenly(from, to, n), n), data(), network);
  };
  auto const reference = code(4 * steps.back());
  std::vector<double> of_trip, of_code;
  for (int n : steps) {
    auto const plan = pipeline.plan(evenly(from, to, n), n);
    auto const there = code(n), back = run_in_double(plan, there, network);
    of_code.push_back(rmse(there, reference));
    of_trip.push_back(rmse(back, data()));

    // The same in float, by states.
    if (n > 200) continue;
    images clean{{data().size(), 1}, {}};
    for (double x : data()) clean.data.push_back(static_cast<float>(x));
    auto const encoder = pipeline.encoder(evenly(from, to, n), n);
    auto const decoded = plan.run(plan.start_at(encoder.run(encoder.start_at(clean, {})), {}));
    for (std::size_t i = 0; i < back.size(); ++i)
      BOOST_TEST(std::abs(static_cast<double>(decoded.data[i]) - back[i]) < 1e-5);
  }
  orders const r{fitted_order(steps, of_trip), fitted_order(steps, of_code)};
  BOOST_TEST_MESSAGE(schedule.called << " from " << from << " to " << to << ": order "
                                     << r.round_trip << ", of the code alone " << r.code
                                     << ", error " << of_trip.back() << " at " << steps.back());
  return r;
}

bool near(double a, double b) { return std::abs(a - b) < 0.2; }

}  // namespace

// A step there and back along the flow leaves C h^(p+1) + C (-h)^(p+1) of a method of order p: with
// heun, p = 2, the leading terms cancel and the order is 3, also where alpha is 0 at the noisy end:
// the angle is as regular there as elsewhere.
BOOST_AUTO_TEST_CASE(order_between_a_twentieth_and_the_noisy_end) {
  std::vector<int> const steps{100, 200, 400, 800, 1600};
  auto all = continuous_ones();
  all.emplace_back(schedules::linear{});
  for (any_schedule const& s : all) {
    double const end = s.end();
    auto const first = orders_of(samplers::ddim{}, s, end, 0.05 * end, steps);
    auto const second = orders_of(samplers::heun{}, s, end, 0.05 * end, steps);
    BOOST_TEST(near(first.round_trip, 1), s.called << " " << first.round_trip);
    BOOST_TEST(near(first.code, 1), s.called << " " << first.code);
    BOOST_TEST(near(second.round_trip, 3), s.called << " " << second.round_trip);
    BOOST_TEST(near(second.code, 2), s.called << " " << second.code);
  }
}

// The step to the clean end is x = alpha x0, whatever the sampler.
BOOST_AUTO_TEST_CASE(order_to_the_clean_end) {
  std::vector<int> const steps{400, 800, 1600, 3200};
  any_schedule const s = schedules::continuous::linear{};
  BOOST_TEST(near(orders_of(samplers::ddim{}, s, 1, 0, steps).round_trip, 1));
  BOOST_TEST(near(orders_of(samplers::heun{}, s, 1, 0, steps).round_trip, 1));
}

// One Gaussian: each step multiplies x by a number, so that x = 1 goes to F and the mean squared
// error of x in [-1, 1] is v (F - 1)^2, of pictures in [0, 1] a quarter of it. Encoding begins at
// level 0, where eps is 0.
BOOST_AUTO_TEST_CASE(error_of_ddim_on_one_gaussian) {
  auto const data = centred(0.25);
  auto const pipeline = schedules::linear{} | predicts::epsilon{} | samplers::ddim{} |
                        network_function(data.predicting<predicts::epsilon>());
  auto const network = [&](std::vector<double> const& x, level const& t, bool) {
    return answer<predicts::epsilon>(data, x, t);
  };
  struct line {
    int steps;
    double error, digit;  // of the third place
  };
  for (auto const& [steps, error, digit] : {line{10, 0.01280, 1e-5},
                                            {20, 0.00409, 1e-5},
                                            {50, 7.72e-4, 1e-6},
                                            {100, 2.06e-4, 1e-6},
                                            {1000, 2.28e-6, 1e-8}}) {
    auto const encoder = pipeline.encoder(steps);
    BOOST_TEST(encoder.levels().front().sigma == 0);
    BOOST_TEST(encoder.rows().size() == static_cast<std::size_t>(steps));
    auto const code = run_in_double(encoder, {1.0}, network);
    double const factor = run_in_double(pipeline.plan(steps), code, network)[0];
    double const found = 0.25 * (factor - 1) * (factor - 1) / 4;
    BOOST_TEST_MESSAGE(steps << " steps: " << found);
    if (steps == 50) record("encoding", "mean squared error at 50 steps", found);
    BOOST_TEST(std::abs(found - error) <= digit / 2, steps << " steps: " << found);
  }
}

// At sigma = 0 the eps of a network that predicts x0 is 0, not 0 / 0.
BOOST_AUTO_TEST_CASE(encoding_begins_at_the_clean_end_with_any_prediction) {
  auto const data = two_classes(3);
  images const clean{{2, 3}, {0.3f, -0.5f, 0.2f, -0.4f, 0.1f, 0.6f}};
  auto const code = [&](auto predicts) {
    auto const pipeline = schedules::linear{} | predicts | samplers::ddim{} |
                          network_function(data.predicting<decltype(predicts)>());
    auto const encoder = pipeline.encoder(50);
    return encoder.run(encoder.start_at(clean, {}));
  };
  auto const v = code(predicts::v{});
  BOOST_TEST(largest_difference(code(predicts::x0{}).data, v.data) < 1e-4);
  BOOST_TEST(largest_difference(code(predicts::epsilon{}).data, v.data) < 1e-4);
  BOOST_TEST(largest_difference(code(predicts::score{}).data, v.data) < 1e-4);
}

BOOST_AUTO_TEST_CASE(slerp_turns_by_the_angle) {
  // (2, 0) to (0, 3): a quarter turn.
  images const a{{1, 2}, {2, 0}}, b{{1, 2}, {0, 3}};
  for (double w : {0.0, 0.25, 0.5, 1.0}) {
    auto const r = slerp(a, b, w);
    BOOST_TEST(std::abs(r.data[0] - 2 * std::cos(w * std::acos(0.0))) < 1e-6);
    BOOST_TEST(std::abs(r.data[1] - 3 * std::sin(w * std::acos(0.0))) < 1e-6);
  }
  // Each sample has its own angle: 60 degrees, and none.
  float const c = 0.5f, s = std::sqrt(0.75f);
  images const p{{2, 2}, {1, 0, 1, 2}}, q{{2, 2}, {c, s, 2, 4}};
  auto const middle = slerp(p, q, 0.5);
  BOOST_TEST(std::abs(middle.data[0] - s) < 1e-6);  // 30 degrees
  BOOST_TEST(std::abs(middle.data[1] - c) < 1e-6);
  BOOST_TEST(middle.data[2] == 1.5f);
  BOOST_TEST(middle.data[3] == 3.0f);
}

BOOST_AUTO_TEST_CASE(slerp_keeps_the_norm_of_noise) {
  auto const pipeline = schedules::linear{} | predicts::v{} | samplers::ddim{} |
                        network_function(two_classes(3).predicting<predicts::v>());
  auto const plan = pipeline.plan(5);
  state const a = plan.start({.shape = {4, 4096}, .seed = 1});
  state const b = plan.start({.shape = {4, 4096}, .seed = 2});
  state const m = slerp(a, b, 0.5);
  for (std::size_t i = 0; i < 4; ++i) {
    double n = 0;
    for (std::size_t j = 0; j < 4096; ++j) {
      double const x = m.x.data()[i * m.pitch + j];
      n += x * x / 4096;
    }
    record_largest("slerp", "squared norm's distance from 1, at most", std::abs(n - 1));
    BOOST_TEST(std::abs(n - 1) < 0.1);  // the straight line's is 1/2
  }
  BOOST_TEST(m.keys[3].seed == 1u);
}

BOOST_AUTO_TEST_CASE(slerp_where_there_is_no_circle) {
  images const a{{3, 2}, {1, 0, 0, 0, 1, 1}}, b{{3, 2}, {-1, 0, 4, 0, 1.00001f, 1}};
  auto const r = slerp(a, b, 0.25);
  std::vector<float> const line{0.5f, 0, 1, 0};
  for (std::size_t i = 0; i < line.size(); ++i) BOOST_TEST(std::abs(r.data[i] - line[i]) < 1e-7f);
  BOOST_TEST(std::abs(r.data[4] - 1.0000025f) < 1e-6f);
}

BOOST_AUTO_TEST_CASE(sentences) {
  images const a{{1, 2}, {1, 0}}, b{{1, 3}, {1, 0, 0}}, broken{{1, 2}, {1}};
  BOOST_TEST(contains(sentence([&] { (void)slerp(a, b, 0.5); }), "expected two of one shape"));
  BOOST_TEST(contains(sentence([&] { (void)slerp(a, broken, 0.5); }), "expected two of one shape"));
  BOOST_TEST(contains(sentence([&] { (void)slerp(images{}, images{}, 0.5); }), "one shape"));
  BOOST_TEST(contains(sentence([&] { (void)slerp(a, a, NAN); }), "expected a finite one"));
  auto const make = [](std::size_t n) {
    return state_layout{.branches = 0}.make({.shape = {1, n}}, label{});
  };
  BOOST_TEST(contains(sentence([&] { (void)slerp(make(2), make(3), 0.5); }), "one shape"));
}
