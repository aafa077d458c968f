// Adaptive steps by embedded pairs: the error against the exact flow, each sample's own bits, and
// what cannot be reached.
//
// The references know nothing of the language: for one Gaussian the flow is closed form, for a
// mixture it is Runge-Kutta's fourth order on dx/dt = alpha' x0 + sigma' eps in double.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <numeric>
#include <tweedie/samplers/adaptive.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/schedules/edm.hpp>
#include <tweedie/schedules/grids/karras.hpp>
#include <tweedie/schedules/sub_variance_preserving.hpp>

#include "laws_common.hpp"
#include "numbers.hpp"

using namespace laws;
using samplers::adaptive;

namespace {

constexpr std::size_t dimension = 3, count = 24;

gaussian_mixture const one{{{.mean = {0.4, -0.2, 0.1}, .variance = 0.25}}};
gaussian_mixture const two = two_classes(dimension);
gaussian_mixture const wide{{{.mean = {3, -2, 1}, .variance = 4}}};
gaussian_mixture const narrow{{{.mean = {0.3, -0.5, 0.1}, .variance = 0.01}}};
gaussian_mixture const apart{{{.mean = {0.7, 0.3, -0.2}, .variance = 0.04, .weight = 1},
                              {.mean = {-0.6, 0.1, 0.2}, .variance = 0.0225, .weight = 2}}};

struct named {
  char const* name;
  gaussian_mixture const* mixture;
};
gaussian_mixture const sharp{{{.mean = {0.7, 0.3, -0.2}, .variance = 0.01, .weight = 1},
                              {.mean = {-0.6, 0.1, 0.2}, .variance = 0.0025, .weight = 2}}};
named const all_data[]{{"one", &one}, {"wide", &wide},   {"narrow", &narrow},
                       {"two", &two}, {"apart", &apart}, {"sharp", &sharp}};

/// Where the steps end: what the library takes where nothing is said.
double last_rho(any_schedule const& s) {
  if (s.table_steps()) return s.at(1).rho();
  return s.at(0).sigma > 0 ? s.at(0).rho() : s.at(s.end() / 1000).rho();
}

/// Where they begin: grids in rho likewise.
level first_level(any_schedule const& s) {
  return s.at(s.t_of_rho(std::min(s.at(s.end()).rho(), 80.0)));
}

// sigma_min is given, for a schedule whose type is forgotten has none.
template <class Tableau>
auto pipeline_of(any_schedule const& s, gaussian_mixture const& m, double tolerance) {
  return s | predicts::v{} | adaptive<Tableau>{.tolerance = tolerance, .sigma_min = last_rho(s)} |
         network_function(m.predicting<predicts::v>());
}

/// The exact flow from the start, and then E[x0 | x].
std::vector<double> exact_end(any_schedule const& s, gaussian_mixture const& m,
                              std::vector<double> x) {
  level const end = first_level(s);
  level const last = s.at(s.t_of_rho(last_rho(s)));
  if (m.components.size() == 1) {
    auto const deviation = [&](level const& t) {
      return std::hypot(t.alpha * std::sqrt(m.components[0].variance), t.sigma);
    };
    for (std::size_t i = 0; i < x.size(); ++i) {
      double const mean = m.components[0].mean[i];
      x[i] = last.alpha * mean + deviation(last) / deviation(end) * (x[i] - end.alpha * mean);
    }
  } else {  // in t, even steps in the angle
    constexpr int steps = 3000;
    auto const theta = [](level const& t) { return std::atan2(t.sigma, t.alpha); };
    auto const at = [&](double angle) {
      return angle >= theta(end) ? end : s.at(s.t_of_rho(std::tan(angle)));
    };
    auto const slope = [&](std::vector<double> const& y, level const& t) {
      // y = x / n; dy/dtheta from du/drho = eps: cos(theta) eps - sin(theta) x0
      std::vector<double> of_x;
      double const n = std::hypot(t.alpha, t.sigma);
      for (double a : y) of_x.push_back(n * a);
      auto const p = m.given(of_x, t);
      std::vector<double> r;
      for (std::size_t i = 0; i < y.size(); ++i)
        r.push_back((t.alpha * p.eps[i] - t.sigma * p.x0[i]) / n);
      return r;
    };
    auto const moved = [](std::vector<double> y, std::vector<double> const& k, double h) {
      for (std::size_t i = 0; i < y.size(); ++i) y[i] += h * k[i];
      return y;
    };
    double const n = std::hypot(end.alpha, end.sigma), h = (theta(last) - theta(end)) / steps;
    for (double& a : x) a /= n;
    for (int k = 0; k < steps; ++k) {
      double const t = theta(end) + h * k;
      level const l0 = at(t), l1 = at(t + h / 2), l2 = k + 1 == steps ? last : at(t + h);
      auto const a = slope(x, l0), b = slope(moved(x, a, h / 2), l1),
                 c = slope(moved(x, b, h / 2), l1), d = slope(moved(x, c, h), l2);
      for (std::size_t i = 0; i < x.size(); ++i)
        x[i] += h / 6 * (a[i] + 2 * b[i] + 2 * c[i] + d[i]);
    }
    for (double& a : x) a *= std::hypot(last.alpha, last.sigma);
  }
  return m.x0(x, last);
}

/// The start that the library draws.
images starts(any_schedule const& s) {
  auto const pipeline =
      s | predicts::v{} | samplers::ddim{} | network_function([](batch const&) {});
  images r = take(pipeline.plan(2).start({.shape = {count, dimension}, .seed = 11}));
  double const scale = first_level(s).prior_deviation() / s.at(s.end()).prior_deviation();
  for (float& a : r.data) a = static_cast<float>(scale * static_cast<double>(a));
  return r;
}

}  // namespace

// The tolerance is for the root mean square over a sample's elements. Modes far apart and narrow
// would be no test of the steps: between them the flow itself spreads errors.
BOOST_AUTO_TEST_CASE(error_is_within_three_times_the_tolerance) {
  std::vector<any_schedule> all;
  all.emplace_back(schedules::continuous::linear{});
  all.emplace_back(schedules::continuous::cosine{});
  all.emplace_back(schedules::variance_exploding{});
  all.emplace_back(schedules::rectified_flow{});
  all.emplace_back(schedules::linear{});
  auto const check = [&]<class Tableau>(Tableau, char const* name) {
    for (any_schedule const& s : all)
      for (auto const& [data, m] : all_data) {
        if (m->components.size() > 1 && s.table_steps()) continue;  // its angle is not smooth
        images const start = starts(s);
        std::vector<std::vector<double>> truth;
        for (std::size_t i = 0; i < count; ++i)
          truth.push_back(exact_end(s, *m, {start[i].begin(), start[i].end()}));
        double coarsest = 0, finest = 0;
        for (double tolerance : {1e-2, 1e-3, 1e-4, 1e-5}) {
          auto const r = integrate(pipeline_of<Tableau>(s, *m, tolerance),
                                   {.shape = {count, dimension}, .seed = 11});
          double largest = 0;
          for (std::size_t i = 0; i < count; ++i) {
            double squares = 0;
            for (std::size_t j = 0; j < dimension; ++j)
              squares += std::pow(r.samples[i][j] - truth[i][j], 2) / dimension;
            largest = std::sqrt(squares) <= largest ? largest : std::sqrt(squares);
          }
          double const evaluations =
              std::accumulate(r.evaluations.begin(), r.evaluations.end(), 0.0) / count;
          BOOST_TEST_MESSAGE(s.called << ", " << data << ", " << name << ", " << tolerance << ": "
                                      << largest / tolerance << " of it, evaluations "
                                      << evaluations);
          record_largest(
              std::is_same_v<Tableau, tableaux::dormand_prince> ? "adaptive_54" : "adaptive_23",
              "error over tolerance, at most", largest / tolerance);
          BOOST_TEST(largest < 3 * tolerance,
                     s.called << " " << data << " " << name << " " << tolerance << ": " << largest);
          (tolerance == 1e-2 ? coarsest : finest) = evaluations;
        }
        BOOST_TEST(finest > coarsest);  // the tolerance is heard
      }
  };
  check(tableaux::bogacki_shampine{}, "2(3)");
  check(tableaux::dormand_prince{}, "5(4)");
}

namespace {

/// Mean and standard deviation of the first element.
std::pair<double, double> moments(images const& x) {
  double sum = 0, squares = 0;
  auto const n = static_cast<double>(x.count());
  for (std::size_t i = 0; i < x.count(); ++i) {
    double const a = x[i][0];
    sum += a;
    squares += a * a;
  }
  return {sum / n, std::sqrt(squares / n - sum / n * (sum / n))};
}

/// A schedule with the smallest rho that its own type has.
struct with_low {
  any_schedule schedule;
  double low;
  template <class S>
  explicit with_low(S const& s)
      : schedule(s),
        low(grids::range_of_rho("here", s, {}, std::min(s.at(s.end()).rho(), 1e9)).low) {}
};

}  // namespace

// N(0, I) is left as it is by every flow, wherever it begins: at sigma_max = 10 of a flow too,
// where alpha^2 + sigma^2 is 0.83.
BOOST_AUTO_TEST_CASE(begins_with_the_deviation_of_its_level) {
  any_schedule const s = schedules::rectified_flow{};
  for (double sigma_max : {3.0, 10.0, 80.0}) {
    auto const x = (s | predicts::v{} | adaptive<tableaux::dormand_prince>{.sigma_max = sigma_max} |
                    network_function(centred(1).predicting<predicts::v>()))
                       .sample({.shape = {5000, 1}, .seed = 2});
    auto const [mean, deviation] = moments(x);
    BOOST_TEST_MESSAGE("from " << sigma_max << ": " << mean << ", " << deviation);
    BOOST_TEST(std::abs(deviation - 1) < 0.04, "from " << sigma_max << ": " << deviation);
    BOOST_TEST(std::abs(mean) < 0.06);
  }
}

// By their defaults, in one and two dimensions: mean and standard deviation of 1000 samples within
// the tolerance and four standard errors. Two modes about 0, one Gaussian 0.3 off: what a start
// without the data's mean leaves of it is alpha_T / sqrt(alpha_T^2 v + sigma_T^2) of its deviation.
BOOST_AUTO_TEST_CASE(mean_and_deviation_by_default) {
  constexpr std::size_t many = 1000;
  std::vector<with_low> all;
  auto const add = [&](auto... s) { (all.emplace_back(s), ...); };
  add(schedules::linear{}, schedules::scaled_linear{}, schedules::cosine{},
      schedules::continuous::linear{}, schedules::continuous::scaled_linear{},
      schedules::continuous::cosine{}, schedules::rectified_flow{}, schedules::variance_exploding{},
      schedules::edm{}, schedules::sub_variance_preserving{});
  auto const check = [&]<class Tableau>(Tableau, char const* name) {
    for (with_low const& of : all)
      for (std::size_t d : {1u, 2u}) {
        gaussian_mixture const single{{{.mean = std::vector<double>(d, 0.3), .variance = 0.25}}};
        gaussian_mixture const modes{{{.mean = std::vector<double>(d, 0.6), .variance = 0.04},
                                      {.mean = std::vector<double>(d, -0.6), .variance = 0.04}}};
        for (auto const* data : {&single, &modes}) {
          adaptive<Tableau> const steps{.sigma_min = of.low};
          auto const x = (of.schedule | predicts::v{} | steps |
                          network_function(data->template predicting<predicts::v>()))
                             .sample({.shape = {many, d}, .seed = 3});
          double const truth = data == &single ? 0.3 : 0;
          double const spread = std::sqrt(data->covariance()[0]);
          auto const [mean, deviation] = moments(x);
          level const end = first_level(of.schedule);
          double const missed = end.alpha / std::hypot(end.alpha * spread, end.sigma);
          double const slack = steps.tolerance + 4 * spread / std::sqrt(double{many});
          BOOST_TEST(std::abs(mean - truth) < slack + missed * truth * spread,
                     of.schedule.called << " " << name << ": mean " << mean);
          BOOST_TEST(std::abs(deviation - spread) < slack + missed * missed * spread,
                     of.schedule.called << " " << name << ": deviation " << deviation);
        }
      }
  };
  check(tableaux::bogacki_shampine{}, "3(2)");
  check(tableaux::dormand_prince{}, "5(4)");
}

// A tolerance beyond the data's size leaves the shortest way there is: eighths of the whole.
BOOST_AUTO_TEST_CASE(tolerance_that_is_huge) {
  for (any_schedule const& s :
       {any_schedule(schedules::continuous::linear{}), any_schedule(schedules::cosine{}),
        any_schedule(schedules::rectified_flow{})}) {
    images const start = starts(s);
    auto const r = integrate(pipeline_of<tableaux::dormand_prince>(s, one, 10),
                             {.shape = {count, dimension}, .seed = 11});
    for (std::size_t i = 0; i < count; ++i) {
      auto const truth = exact_end(s, one, {start[i].begin(), start[i].end()});
      for (std::size_t j = 0; j < dimension; ++j)
        BOOST_TEST(std::abs(static_cast<double>(r.samples[i][j]) - truth[j]) < 0.05);
      BOOST_TEST(r.rejected[i] == 0);
    }
  }
}

// Where alpha is 5e-5, as where the cosine table ends, whatever is predicted.
BOOST_AUTO_TEST_CASE(nearly_singular_end_by_every_prediction) {
  any_schedule const s = schedules::cosine{};
  images const start = starts(s);
  auto const check = [&]<class P>(P, char const* name) {
    auto const r =
        integrate(s | P{} | adaptive<tableaux::dormand_prince>{.sigma_min = last_rho(s)} |
                      network_function(one.predicting<P>()),
                  {.shape = {count, dimension}, .seed = 11});
    double largest = 0;
    for (std::size_t i = 0; i < count; ++i) {
      auto const truth = exact_end(s, one, {start[i].begin(), start[i].end()});
      for (std::size_t j = 0; j < dimension; ++j)
        largest = std::max(largest, std::abs(static_cast<double>(r.samples[i][j]) - truth[j]));
    }
    BOOST_TEST_MESSAGE(name << ": " << largest);
    BOOST_TEST(largest < 3e-3, name << ": " << largest);
  };
  check(predicts::v{}, "v");
  check(predicts::x0{}, "x0");
  check(predicts::epsilon{}, "epsilon");
  check(predicts::score{}, "score");
}

BOOST_AUTO_TEST_CASE(a_sample_has_the_bits_it_has_alone) {
  any_schedule const s = schedules::continuous::linear{};
  auto const pipeline = pipeline_of<tableaux::bogacki_shampine>(s, apart, 1e-3);
  auto const all = integrate(pipeline, {.shape = {count, dimension}, .seed = 11, .first_id = 100});
  bool differ = false;
  for (std::size_t i = 0; i < count; ++i) {
    auto const alone =
        integrate(pipeline, {.shape = {1, dimension}, .seed = 11, .first_id = 100 + i});
    for (std::size_t j = 0; j < dimension; ++j)
      BOOST_TEST(alone.samples.data[j] == all.samples[i][j]);
    BOOST_TEST(alone.evaluations[0] == all.evaluations[i]);
    differ = differ || all.evaluations[i] != all.evaluations[0];
  }
  BOOST_TEST(differ);  // each has its own steps, and they end one after the other
  // Other neighbours, another place.
  auto const some = integrate(pipeline, {.shape = {7, dimension}, .seed = 11, .first_id = 109});
  for (std::size_t i = 0; i < 7; ++i)
    for (std::size_t j = 0; j < dimension; ++j)
      BOOST_TEST(some.samples[i][j] == all.samples[i + 9][j]);
}

// Labels leave with their samples.
BOOST_AUTO_TEST_CASE(guidance_and_labels) {
  any_schedule const s = schedules::rectified_flow{};
  auto const make = [&](auto sampler) {
    return s | predicts::v{} | guidance::classifier_free{.w = 0.5} | thresholds::clip{3} | sampler |
           network_function(two.predicting<predicts::v>());
  };
  auto const pipeline = make(adaptive<tableaux::bogacki_shampine>{.tolerance = 1e-4});
  static_assert(!decltype(pipeline)::is_capturable);
  static_assert(decltype(make(samplers::ddim{}))::is_capturable);
  static_assert(decltype(make(samplers::ddim{}).plan(3))::is_capturable);
  labels classes;
  for (std::size_t i = 0; i < count; ++i) classes.push_back(i % 3 == 0 ? 1 : 0);
  auto const run = integrate(pipeline, {.shape = {count, dimension}, .seed = 4}, classes);
  auto const [fewest, most] = std::ranges::minmax(run.evaluations);
  BOOST_TEST(fewest < most);  // they leave one after the other
  images const& all = run.samples;
  for (std::size_t i = 0; i < count; ++i) {
    auto const alone =
        pipeline.sample({.shape = {1, dimension}, .seed = 4, .first_id = i}, label{classes[i]});
    for (std::size_t j = 0; j < dimension; ++j) BOOST_TEST(alone.data[j] == all[i][j]);
  }
  // The same flow by many steps of ddim.
  auto const fine = make(samplers::ddim{})
                        .plan(grids::karras{}, 1000)
                        .sample({.shape = {count, dimension}, .seed = 4}, classes);
  BOOST_TEST(largest_difference(fine.data, all.data) < 5e-3);
}

BOOST_AUTO_TEST_CASE(sentences) {
  any_schedule const s = schedules::continuous::linear{};
  request const r{.shape = {2, dimension}, .seed = 1};
  for (double tolerance : {0.0, -1e-3, double{NAN}, double{INFINITY}})
    BOOST_TEST(contains(
        sentence([&] { (void)pipeline_of<tableaux::dormand_prince>(s, two, tolerance).sample(r); }),
        "expected a finite one above 0"));
  auto const with = [&](auto sampler, network_function network) {
    return sentence([&] { (void)(s | predicts::v{} | sampler | network).sample(r); });
  };
  network_function const exact = two.predicting<predicts::v>();
  BOOST_TEST(contains(
      with(adaptive<tableaux::bogacki_shampine>{.tolerance = 1e-5, .most_evaluations = 50}, exact),
      "at most 50 were allowed for the tolerance 1e-05"));
  BOOST_TEST(contains(with(adaptive<tableaux::bogacki_shampine>{.tolerance = 1e-12}, exact),
                      "the tolerance is below float32's rounding"));
  BOOST_TEST(contains(with(adaptive<tableaux::dormand_prince>{.tolerance = 1e-12}, exact),
                      "the tolerance is below float32's rounding"));
  BOOST_TEST(contains(with(adaptive<tableaux::bogacki_shampine>{.most_evaluations = 0}, exact),
                      "at most 0 evaluations were allowed"));
  network_function const broken = [](batch const& b) {
    for (std::size_t i = 0; i < b.rows() * b.pitch; ++i) b.out[i] = NAN;
  };
  BOOST_TEST(contains(with(adaptive<tableaux::dormand_prince>{}, broken), "or not finite"));
  BOOST_TEST(
      contains(with(adaptive<tableaux::dormand_prince>{.sigma_min = 5, .sigma_max = 1}, exact),
               "expected 0 < sigma_min < sigma_max"));
  // By default they begin where epsilon has an x0. An error of the network is not one of the steps.
  auto const epsilon = [&](std::optional<double> sigma_max) {
    return sentence([&] {
      (void)(schedules::rectified_flow{} | predicts::epsilon{} |
             adaptive<tableaux::dormand_prince>{.sigma_max = sigma_max} |
             network_function(two.predicting<predicts::epsilon>()))
          .sample(r);
    });
  };
  BOOST_TEST(epsilon({}) == "nothing was thrown");
  BOOST_TEST(epsilon(100) == "nothing was thrown");
  BOOST_TEST(contains(epsilon(2000), "would enter x with the factor 2000"));
  // Where data are still seen nothing starts from noise.
  BOOST_TEST(contains(with(adaptive<tableaux::dormand_prince>{.sigma_max = 1}, exact),
                      "where data are still seen"));
  BOOST_TEST(contains(sentence([&] {
                        (void)(schedules::linear{.steps = 100} | predicts::v{} |
                               adaptive<tableaux::dormand_prince>{} | exact)
                            .sample(r);
                      }),
                      "where data are still seen"));
}
