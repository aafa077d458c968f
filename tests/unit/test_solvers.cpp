// The deterministic solvers beyond the first ones: Runge-Kutta methods as tableaux and UniPC.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <tweedie/samplers/euler.hpp>
#include <tweedie/samplers/heun.hpp>
#include <tweedie/samplers/heun_in_rho.hpp>
#include <tweedie/samplers/runge_kutta.hpp>
#include <tweedie/samplers/unipc_2.hpp>
#include <tweedie/schedules/edm.hpp>

#include "numbers.hpp"
#include "orders_common.hpp"

using namespace laws;

namespace {

// A rooted tree as its subtrees. Butcher 1964: a method has order p exactly where the weight of
// each tree of up to p nodes is 1 / density.
struct tree {
  std::vector<tree> children;

  int nodes() const {
    int n = 1;
    for (auto const& c : children) n += c.nodes();
    return n;
  }
  double density() const {
    double d = nodes();
    for (auto const& c : children) d *= c.density();
    return d;
  }
};

/// All of n nodes, some more than once.
std::vector<tree> trees(int n) {
  if (n == 1) return {{}};
  std::vector<tree> r;
  for (int grafted = 1; grafted < n; ++grafted)
    for (auto const& trunk : trees(n - grafted))
      for (auto const& branch : trees(grafted)) {
        tree t = trunk;
        t.children.push_back(branch);
        r.push_back(t);
      }
  return r;
}

template <class T> double weight_at(tree const& t, int stage) {
  double r = 1;
  for (auto const& c : t.children) {
    double sum = 0;
    for (int j = 0; j < T::stages; ++j) sum += T::a[stage][j] * weight_at<T>(c, j);
    r *= sum;
  }
  return r;
}

/// The largest violation of the conditions for trees of n nodes.
template <class T> double violation(double const (&b)[T::stages], int n) {
  double r = 0;
  for (auto const& t : trees(n)) {
    double sum = -1 / t.density();
    for (int i = 0; i < T::stages; ++i) sum += b[i] * weight_at<T>(t, i);
    r = std::max(r, std::abs(sum));
  }
  return r;
}

template <class T> void has_order(char const* name, double const (&b)[T::stages], int order) {
  for (int n = 1; n <= order; ++n)
    BOOST_TEST(violation<T>(b, n) < 1e-14, name << ", trees of " << n << " nodes");
  BOOST_TEST(violation<T>(b, order + 1) > 1e-5, name << " has order " << order + 1 << " too");
}

template <class F> void for_each_tableau(F f) {
  f("euler", tableaux::euler{});
  f("midpoint", tableaux::midpoint{});
  f("heun", tableaux::heun{});
  f("ralston", tableaux::ralston{});
  f("kutta_3", tableaux::kutta_3{});
  f("rk4", tableaux::rk4{});
  f("bogacki_shampine", tableaux::bogacki_shampine{});
  f("dormand_prince", tableaux::dormand_prince{});
}

/// UniPC-2 on one sample of one number as the paper's Algorithms 1 and 2 say, with the integrals of
/// the exponential by Simpson's rule: m(x, level) is the network, levels are inside.
template <class M>
double unipc_reference(std::vector<level> const& levels, double x, samplers::b_of_h b, M m) {
  auto const moment = [](double h, int k) {  // integral of e^(l - h) (l / h)^k
    auto const f = [&](double l) { return std::exp(l - h) * std::pow(l / h, k); };
    int const n = 2000;
    double sum = f(0) + f(h);
    for (int i = 1; i < n; ++i) sum += (i % 2 ? 4 : 2) * f(h * i / n);
    return sum * h / n / 3;
  };
  auto const big_b = [&](double h) { return b == samplers::b_of_h::h ? h : 1 - std::exp(-h); };
  std::vector<double> outputs;
  double corrected = x, predicted = x;
  for (std::size_t i = 0; i + 1 < levels.size(); ++i) {
    auto const lambda = [&](std::size_t k) { return std::log(levels[k].alpha / levels[k].sigma); };
    outputs.push_back(m(predicted, levels[i]));
    if (i > 0) {
      double const h = lambda(i) - lambda(i - 1), m_0 = outputs[i - 1], d_1 = outputs[i] - m_0;
      double sum = big_b(h) / 2 * d_1;
      if (i > 1) {  // Cramer's rule on the conditions of order 1 and 2
        double const r = (lambda(i - 2) - lambda(i - 1)) / h, d_r = outputs[i - 2] - m_0;
        double const g_1 = moment(h, 1), g_2 = moment(h, 2), determinant = 1 - r;
        sum = (g_1 - g_2) / determinant * d_r / r + (g_2 - r * g_1) / determinant * d_1;
      }
      corrected = levels[i].sigma / levels[i - 1].sigma * corrected +
                  levels[i].alpha * (moment(h, 0) * m_0 + sum);
    } else corrected = predicted;
    double const h = lambda(i + 1) - lambda(i);
    double sum = 0;
    if (i > 0) {
      double const r = (lambda(i - 1) - lambda(i)) / h;
      sum = big_b(h) / 2 * (outputs[i - 1] - outputs[i]) / r;
    }
    predicted = levels[i + 1].sigma / levels[i].sigma * corrected +
                levels[i + 1].alpha * (moment(h, 0) * outputs[i] + sum);
  }
  return predicted;
}

}  // namespace

BOOST_AUTO_TEST_CASE(tableaux_satisfy_butchers_conditions) {
  for_each_tableau([]<class T>(char const* name, T) {
    has_order<T>(name, T::b, T::order);
    for (int i = 0; i < T::stages; ++i) {
      double sum = 0;
      for (int j = 0; j < T::stages; ++j) sum += T::a[i][j];
      BOOST_TEST(std::abs(sum - T::c[i]) < 1e-14, name << ", row " << i);
      for (int j = i; j < T::stages; ++j) BOOST_TEST(T::a[i][j] == 0, name << " is not explicit");
    }
    if constexpr (requires { T::b_low; }) {
      has_order<T>(name, T::b_low, T::low_order);
      double sum = 0;
      for (int i = 0; i < T::stages; ++i) sum += tableaux::error_weight<T>(i);
      BOOST_TEST(std::abs(sum) < 1e-14);
    }
  });
}

BOOST_AUTO_TEST_CASE(euler_and_heun_are_runge_kutta_with_their_tableaux) {
  for (auto const& schedule : all_schedules()) {
    auto const compare = [&](auto sampler, auto runge_kutta) {
      auto const grid = grids::karras{};
      auto const a = (schedule | predicts::v{} | sampler | silent).plan(grid, 20);
      auto const b = (schedule | predicts::v{} | runge_kutta | silent).plan(grid, 20);
      static_assert(same_programs<decltype(a), decltype(b)>);
      double const d = numbers_differ(a, b, mixed_difference);
      BOOST_TEST(d < 1e-14, schedule.called << " " << d);
      return d;
    };
    using samplers::runge_kutta;
    compare(samplers::heun{}, runge_kutta<tableaux::heun>{});
    compare(samplers::euler{}, runge_kutta<tableaux::euler, samplers::in_rho>{});
    record_largest(
        "heun_in_rho", "largest difference from its tableau in rho",
        compare(samplers::heun_in_rho{}, runge_kutta<tableaux::heun, samplers::in_rho>{}));
  }
}

// The network eps = u makes it du/drho = u, whose solution is exponential.
BOOST_AUTO_TEST_CASE(runge_kutta_methods_have_their_orders_on_the_exponential) {
  for_each_tableau([]<class T>(char const* name, T) {
    std::vector<int> const steps{8, 16, 32, 64};
    std::vector<double> errors;
    for (int n : steps) {
      auto const plan = (any_schedule(schedules::edm{}) | predicts::v{} |
                         samplers::runge_kutta<T, samplers::in_rho>{} | silent)
                            .plan(evenly(2, 0.5, n), n);
      BOOST_TEST(plan.network_evaluations() ==
                 static_cast<std::size_t>(n * samplers::runge_kutta<T>::stages));
      // v = alpha eps - sigma x0, with eps = u = x and x0 = x - sigma eps.
      auto const network = [](std::vector<double> const& x, level const& t, bool) {
        return std::vector{x[0] - t.sigma * (x[0] - t.sigma * x[0])};
      };
      errors.push_back(std::abs(run_in_double(plan, {1.0}, network)[0] - std::exp(-1.5)));
    }
    double const order = fitted_order(steps, errors);
    BOOST_TEST_MESSAGE("exponential, " << name << ": order " << order);
    BOOST_TEST(std::abs(order - T::order) < 0.2, name << " has order " << order);
  });
}

// t from 0.95 T to 0.05 T. The error of dormand_prince is of the sixth order until doubles round
// it, so small is the constant of the fifth.
BOOST_AUTO_TEST_CASE(runge_kutta_methods_have_their_orders_on_the_mixture) {
  for (auto const& schedule : continuous_ones()) {
    auto const start = starts(two, schedule.at(0.95));
    auto const truth = ends(schedule, two, start, 0.95, 0.05);
    for_each_tableau([&]<class T>(char const* name, T) {
      if constexpr (T::order > 1 && !std::is_same_v<T, tableaux::heun>) {
        bool const high = T::order > 4;
        auto const r =
            order_of(samplers::runge_kutta<T>{}, schedule, two, 0.95, 0.05,
                     high ? std::vector{10, 20, 40} : std::vector{40, 80, 160, 320}, start, truth);
        BOOST_TEST_MESSAGE(schedule.called << ", two Gaussians, " << name << ": order " << r.order
                                           << ", last halving " << r.last_halving << ", error "
                                           << r.error << ", float within " << r.of_float);
        if (schedule.called == schedules::continuous::linear::name) record(name, "order", r.order);
        if (high) BOOST_TEST(r.order > T::order - 0.2);
        else
          BOOST_TEST(std::abs(r.order - T::order) < 0.25,
                     schedule.called << " " << name << " has order " << r.order);
        BOOST_TEST(r.of_float < 1e-5);
      }
    });
  }
}

// For one Gaussian du/drho = rho u / (v + rho^2), and the term of order h^3 in a step's error of
// the midpoint rule is u (a'' / 24 + a a' / 4 + a^3 / 6) with a = rho / (v + rho^2), which is 0:
// its order is 3 there.
BOOST_AUTO_TEST_CASE(the_midpoint_rule_has_order_3_for_one_gaussian) {
  for (auto const& schedule : continuous_ones()) {
    auto const start = starts(one, schedule.at(0.95));
    auto const truth = ends(schedule, one, start, 0.95, 0.05);
    auto const r = order_of(samplers::runge_kutta<tableaux::midpoint, samplers::in_rho>{}, schedule,
                            one, 0.95, 0.05, {40, 80, 160, 320}, start, truth);
    BOOST_TEST(std::abs(r.order - 3) < 0.2, schedule.called << " has order " << r.order);
  }
}

// The corrector makes UniPC of order p = 2 one order more accurate: 3, for both B(h).
BOOST_AUTO_TEST_CASE(unipc_has_its_order) {
  for (auto const& schedule : continuous_ones())
    for (auto const* m : {&one, &two}) {
      auto const start = starts(*m, schedule.at(0.95));
      auto const truth = ends(schedule, *m, start, 0.95, 0.05);
      for (auto b : {samplers::b_of_h::expm1, samplers::b_of_h::h}) {
        auto const r = order_of(samplers::unipc_2{b}, schedule, *m, 0.95, 0.05, {80, 160, 320, 640},
                                start, truth);
        BOOST_TEST_MESSAGE(schedule.called << (m == &one ? ", one Gaussian" : ", two Gaussians")
                                           << ", unipc_2: order " << r.order << ", last halving "
                                           << r.last_halving << ", error " << r.error
                                           << ", float within " << r.of_float);
        if (schedule.called == schedules::continuous::linear::name)
          record("unipc_2", "order", r.order);
        BOOST_TEST(std::abs(r.order - 3) < 0.2, schedule.called << " has order " << r.order);
        BOOST_TEST(r.of_float < 1e-5);
        BOOST_TEST(r.of_640 < 640 * 0x1p-25);
      }
    }
}

BOOST_AUTO_TEST_CASE(unipc_is_its_papers_formula) {
  for (auto const& schedule : continuous_ones())
    for (auto b : {samplers::b_of_h::expm1, samplers::b_of_h::h})
      for (int n : {1, 2, 3, 4, 9, 20}) {
        if (b == samplers::b_of_h::h && n > 1 && n < 20) continue;  // steps above 1: 1 - e^-h
        auto const plan =
            (schedule | predicts::v{} | samplers::unipc_2{b} | silent).plan(evenly(0.9, 0.1, n), n);
        auto const network = [&](std::vector<double> const& x, level const& t, bool) {
          return answer<predicts::v>(two, x, t);
        };
        for (double x : starts(two, schedule.at(0.9))) {
          double const expected = unipc_reference(
              plan.levels(), x, b,
              [](double at, level const& t) { return two.x0(std::vector{at}, t)[0]; });
          double const d = std::abs(run_in_double(plan, {x}, network)[0] - expected);
          BOOST_TEST(d < 1e-9, schedule.called << ", " << n << " steps: " << d);
        }
      }
}

// From alpha = 0, where the schedule has it, to sigma = 0, on the uniform grid. The last step is
// the first order's, see test_orders.cpp.
BOOST_AUTO_TEST_CASE(whole_range) {
  for (auto const& schedule : continuous_ones()) {
    double const from = schedule.end();
    level const first = schedule.at(from);
    auto const start = starts(one, first);
    auto const truth = exact_flow(start, first, schedule.clean());
    auto const check = [&](char const* name, auto sampler) {
      auto const r = order_of(sampler, schedule, one, from, 0, {20, 40, 80}, start, truth);
      BOOST_TEST_MESSAGE(schedule.called << ", whole range, " << name << ": order " << r.order
                                         << ", error " << r.error << ", float within "
                                         << r.of_float);
      BOOST_TEST(r.error < 0.01);
      BOOST_TEST(r.of_float < 1e-5);
    };
    check("rk4", samplers::runge_kutta<tableaux::rk4>{});
    check("unipc_2", samplers::unipc_2{});
  }
}
