// Laws of the guidances with the exact network and the exact classifier; what they do to labels and
// evaluations; the same bits; what they refuse.
#define BOOST_TEST_DYN_LINK
#include <bit>
#include <boost/test/unit_test.hpp>
#include <tweedie/predicts/edm.hpp>
#include <tweedie/samplers/ddim.hpp>

#include "guidance_common.hpp"
#include "numbers.hpp"

using namespace laws;

namespace {

gaussian_mixture const mixture = two_classes(3);
network_function const exact_v = mixture.predicting<predicts::v>();
network_function const exact_epsilon = mixture.predicting<predicts::epsilon>();
network_function const unconditional_v = networks::unconditional{exact_v};
network_function const unconditional_epsilon = networks::unconditional{exact_epsilon};
// One type of classifier, so that what it is part of is compiled once.
network_function const gradient = mixture.classifier_gradient();

/// 64 samples where a noised data point may be.
images noised(level const& t) {
  images r{{64, 3}, {}};
  for (std::uint32_t i = 0; i < 64; ++i) {
    auto const normals = [&](std::uint32_t group) {
      std::vector<double> z;
      for (float a : normals4(group, {.seed = 17, .id = i, .step = 0}, 0).v)
        z.push_back(static_cast<double>(a));
      z.resize(3);
      return z;
    };
    double const uniform = (static_cast<double>(made_up(0, i, 0, 0)) + 1) / 2;
    auto const clean = mixture.draw(uniform, normals(0)), noise = normals(1);
    for (std::size_t j = 0; j < 3; ++j)
      r.data.push_back(static_cast<float>(t.alpha * clean[j] + t.sigma * noise[j]));
  }
  return r;
}

struct worst {
  double eps = 0, size = 0;
};

/// The largest difference between the eps that a sampler sees at four levels and
/// `expected(x, level, label)` in double.
template <class Pipeline, class Expected>
worst of_eps(Pipeline const& pipeline, std::vector<double> const& times, Expected expected) {
  worst r;
  for (double time : times) {
    auto const plan = pipeline.plan(grids::custom{{time, time / 2}}, 1);
    level const t = plan.levels()[0];
    images const start = noised(t);
    labels given;
    for (int i = 0; i < 64; ++i) given.push_back(i % 2);
    state s = plan.start_at(start, {}, given);
    plan.advance(s);
    for (std::size_t i = 0; i < 64; ++i) {
      auto const x = row_of(s, s.x, i);
      auto const e = expected(std::vector<double>(x.begin(), x.end()), t, given[i]);
      for (std::size_t j = 0; j < 3; ++j) {
        double const d = std::abs(static_cast<double>(row_of(s, s.keep[1], i)[j]) - e[j]);
        r.eps = d <= r.eps ? r.eps : d;
        r.size = std::max(r.size, std::abs(e[j]));
      }
    }
  }
  return r;
}

std::vector<double> const table_times{900, 500, 200, 30, 3};
std::vector<double> const flow_times{0.95, 0.5, 0.2, 0.03};

template <class Guidance>
images sampled(Guidance g, network_function const& network, conditions const& given,
               std::size_t samples = 12) {
  return (any_schedule(schedules::cosine{}) | predicts::v{} | g | samplers::ddim{} | network)
      .sample({.shape = {samples, 3}, .steps = 20, .seed = 9}, given);
}

common::assertion_result same_bits(images const& a, images const& b) {
  return equal_bits(a.data, b.data);
}

/// A network that counts its calls.
struct counted {
  network_function network;
  std::shared_ptr<int> calls = std::make_shared<int>(0);
  void operator()(batch const& b) const {
    ++*calls;
    network(b);
  }
};

}  // namespace

// eps(x) - sigma grad log p(y|x) = eps(x|y): Bayes.
BOOST_AUTO_TEST_CASE(exact_classifier_makes_the_conditional_eps) {
  guidance::classifier const guide{1.0, gradient};
  auto const conditional = [](std::vector<double> const& x, level const& t, int label) {
    return mixture.eps(x, t, label);
  };
  auto const check = [&](auto const& pipeline, std::vector<double> const& times) {
    auto const r = of_eps(pipeline, times, conditional);
    BOOST_TEST_MESSAGE("eps of up to " << r.size << " within " << r.eps);
    BOOST_TEST(r.eps < 1e-6);
    record_largest("classifier", "eps from the exact conditional one, at most", r.eps);
  };
  auto const pipeline = [&](any_schedule const& schedule, auto predicts,
                            network_function const& network) {
    return schedule | predicts | guide | probe{} |
           network_function(networks::unconditional{network});
  };
  for (auto const& schedule : tables()) {
    check(pipeline(schedule, predicts::epsilon{}, exact_epsilon), table_times);
    check(pipeline(schedule, predicts::v{}, exact_v), table_times);
  }
  check(pipeline(schedules::rectified_flow{}, predicts::epsilon{}, exact_epsilon), flow_times);
  // With a network that is asked for the class as well it is more than that.
  auto const twice = of_eps(
      any_schedule(schedules::linear{}) | predicts::epsilon{} | guide | probe{} | exact_epsilon,
      table_times, conditional);
  BOOST_TEST(twice.eps > 0.01);
}

// Ho & Salimans 2022, section 3.2: of exact networks, (1 + w) c - w u is u guided by (1 + w) times
// the classifier.
BOOST_AUTO_TEST_CASE(classifier_free_is_classifier_guidance) {
  for (double w : {-0.5, 0.0, 1.0, 3.0}) {
    guidance::classifier const guide{1 + w, gradient};
    auto const expected = [w](std::vector<double> const& x, level const& t, int label) {
      auto e = mixture.eps(x, t);
      auto const c = mixture.eps(x, t, label);
      for (std::size_t i = 0; i < e.size(); ++i) e[i] += (1 + w) * (c[i] - e[i]);
      return e;
    };
    any_schedule const linear = schedules::linear{};
    auto const by_classifier =
        of_eps(linear | predicts::epsilon{} | guide | probe{} | unconditional_epsilon, table_times,
               expected);
    auto const classifier_free = of_eps(
        linear | predicts::epsilon{} | guidance::classifier_free{.w = w} | probe{} | exact_epsilon,
        table_times, expected);
    BOOST_TEST(by_classifier.eps < 1e-6);
    BOOST_TEST(classifier_free.eps < 1e-6);
    record_largest("classifier_free", "eps from classifier guidance (1 + w), at most",
                   classifier_free.eps);
    // The same seed, 20 steps of ddim.
    labels const given{0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1};
    double const apart =
        largest_difference(sampled(guide, unconditional_v, given).data,
                           sampled(guidance::classifier_free{.w = w}, exact_v, given).data);
    BOOST_TEST_MESSAGE("w = " << w << ": eps of up to " << by_classifier.size << " within "
                              << by_classifier.eps << " and " << classifier_free.eps
                              << ", samples within " << apart);
    BOOST_TEST(apart < 2e-5);
  }
}

// D + (s - 1) (D - D) = D, whatever the second network's output is a prediction of.
BOOST_AUTO_TEST_CASE(autoguidance_by_itself_is_none) {
  auto const none = sampled(guidance::none{}, exact_v, label{1});
  auto const by = [&](auto guide) {
    return largest_difference(sampled(guide, exact_v, label{1}).data, none.data);
  };
  BOOST_TEST(by(guidance::autoguidance{3.0, exact_v, predicts::v{}}) < 2e-6);
  BOOST_TEST(by(guidance::autoguidance{3.0, network_function(mixture.predicting<predicts::x0>()),
                                       predicts::x0{}}) < 1e-5);
  // A network that sees c_in x: the exact one takes c_in off again.
  BOOST_TEST(
      by(guidance::autoguidance{3.0, network_function(mixture.predicting(predicts::edm{0.7})),
                                predicts::edm{0.7}}) < 1e-5);
  // The weaker network has the sample's label too, and one that is another changes something.
  BOOST_TEST(by(guidance::autoguidance{3.0, unconditional_v, predicts::v{}}) > 0.01);
}

BOOST_AUTO_TEST_CASE(labels_reach_their_branches) {
  // Says its label.
  network_function const echo = [](batch const& b) {
    for (std::size_t row = 0; row < b.rows(); ++row)
      std::ranges::fill(b.out_of(row), static_cast<float>(b.label_of(row)));
  };
  auto const plan = (any_schedule(schedules::linear{}) | predicts::x0{} |
                     guidance::two_conditions{.s1 = 2, .s2 = 0.5} | probe{} | echo)
                        .plan(grids::custom{{600, 300}}, 1);
  auto const x0s = [&](conditions const& given) {
    state s = plan.start({.shape = {3, 2}}, given);
    plan.advance(s);
    std::vector<float> r;
    for (std::size_t i = 0; i < 3; ++i) r.push_back(row_of(s, s.keep[0], i)[0]);
    return r;
  };
  // -1 + 2 (c1 + 1) + 0.5 (c2 + 1)
  BOOST_TEST(x0s({labels{3}, labels{8}}) == (std::vector{11.5f, 11.5f, 11.5f}));
  BOOST_TEST(x0s({labels{0, 1, 2}, labels{5}}) == (std::vector{4.0f, 6.0f, 8.0f}));
  BOOST_TEST(x0s({labels{3}, labels{no_label, 1, 5}}) == (std::vector{7.0f, 8.0f, 10.0f}));

  // Outside of an interval, the first condition.
  auto const off = (any_schedule(schedules::linear{}) | predicts::x0{} |
                    guidance::within{guidance::two_conditions{}, 0.0, 300.0} | probe{} | echo)
                       .plan(grids::custom{{600, 300, 100}}, 2);
  state s = off.start({.shape = {1, 2}}, {labels{3}, labels{8}});
  off.advance(s);
  BOOST_TEST(s.keep[0].data()[0] == 3.0f);

  // A classifier's gradient has the label, an unconditional network not.
  auto const guided =
      (any_schedule(schedules::linear{}) | predicts::epsilon{} | guidance::classifier{1.0, echo} |
       probe{} | network_function(networks::unconditional{echo}))
          .plan(grids::custom{{600, 300}}, 1);
  state of_classifier = guided.start({.shape = {1, 2}}, label{4});
  guided.advance(of_classifier);
  BOOST_TEST(of_classifier.out.data()[0] == -1.0f);
  BOOST_TEST(of_classifier.pointer(sym::grad{})[0] == 4.0f);
}

BOOST_AUTO_TEST_CASE(within_an_interval) {
  // A plan that is entered after its interval: one that meets no level at all is refused.
  auto const after_first = [](auto guide, network_function const& network) {
    auto const plan =
        (any_schedule(schedules::cosine{}) | predicts::v{} | guide | samplers::ddim{} | network)
            .plan(20)
            .from(1);
    return plan.sample({.shape = {12, 3}, .seed = 9}, label{1});
  };
  auto const none = after_first(guidance::none{}, exact_v);
  auto const check = [&](char const* name, auto guide, auto const& network, auto const& off) {
    BOOST_TEST(same_bits(sampled(guidance::within{guide, 0.0, 1000.0}, network, label{1}),
                         sampled(guide, network, label{1})),
               name << ", always on");
    BOOST_TEST(same_bits(after_first(guidance::within{guide, 1000.0, 1000.0}, network), off),
               name << ", not on again");
  };
  check("rescaled", guidance::rescaled{}, exact_v, none);
  check("apg", guidance::apg{}, exact_v, none);
  check("cfg_zero_star", guidance::cfg_zero_star{}, exact_v, none);
  check("cfg_plus_plus", guidance::cfg_plus_plus{}, exact_v, none);

  counted const weak{exact_v}, classifier{gradient};
  check("autoguidance", guidance::autoguidance{2.0, network_function(weak), predicts::v{}}, exact_v,
        none);
  check("classifier", guidance::classifier{2.0, network_function(classifier)}, unconditional_v,
        after_first(guidance::none{}, unconditional_v));

  // Twice all 20 steps, and none where it was off.
  BOOST_TEST(*weak.calls == 40);
  BOOST_TEST(*classifier.calls == 40);
  // 300, 350, ..., 700.
  sampled(guidance::within{guidance::autoguidance{2.0, network_function(weak), predicts::v{}},
                           300.0, 700.0},
          exact_v, label{1});
  BOOST_TEST(*weak.calls == 40 + 9);
}

// A velocity of 0 leaves x where it is.
BOOST_AUTO_TEST_CASE(zero_init_on_rectified_flow) {
  auto const run = [](double zero_above, double to) {
    auto const plan =
        (any_schedule(schedules::rectified_flow{}) | predicts::velocity{} |
         guidance::cfg_zero_star{.s = 3, .zero_above = zero_above} | samplers::ddim{} |
         network_function(mixture.predicting<predicts::velocity>()))
            .plan(grids::custom{{1, 0.9, 0.8, to}}, 0);
    state const s = plan.start({.shape = {5, 3}, .seed = 3}, label{0});
    return largest_difference(plan.run(s).data, take(s).data);
  };
  BOOST_TEST(run(0.75, 0.7) < 1e-6);
  BOOST_TEST(run(0.8, 0.7) > 0.01, "t = 0.8 is not above 0.8");
  BOOST_TEST(run(infinity, 0.7) > 0.01);
}

// Reductions, and what is remembered, of samples alone and together, on one thread and on two:
// small samples, and such as are spread over the threads.
BOOST_AUTO_TEST_CASE(same_bits_in_every_batch) {
  auto const check = [](char const* name, auto guide, auto threshold, std::size_t elements) {
    // Its outputs are the sample's own.
    network_function const network = [](batch const& b) {
      for (std::size_t row = 0; row < b.rows(); ++row) {
        auto const x = b.x_of(row);
        auto const out = b.out_of(row);
        float const k = b.label_of(row) == no_label ? 0.8f : 0.5f;
        for (std::size_t i = 0; i < x.size(); ++i)
          out[i] = k * x[i] + (i % 3 ? 0.25f : -0.5f) * x[x.size() - 1 - i];
      }
    };
    auto const plan = (any_schedule(schedules::linear{}) | predicts::v{} | guide | threshold |
                       samplers::ddim{} | network)
                          .plan(4);
    auto const run = [&](std::size_t n, std::uint64_t id, int threads) {
      set_threads(threads);
      return plan.sample({.shape = {n, elements}, .seed = 6, .first_id = id}, label{1});
    };
    auto const all = run(7, 0, 1);
    BOOST_TEST(std::ranges::all_of(all.data, [](float a) { return std::isfinite(a); }));
    BOOST_TEST(same_bits(all, run(7, 0, 2)), name << " of " << elements << ": threads");
    for (std::uint64_t id : {0u, 5u})
      for (int threads : {1, 2}) {
        auto const one = run(1, id, threads);
        BOOST_TEST(largest_difference(one.data, all[id]) == 0,
                   name << " of " << elements << ": sample " << id << " alone");
      }
  };
  static_assert(40001 > serial_below);
  for (std::size_t elements : {13u, 40001u}) {
    check("apg and dynamic", guidance::apg{.r = 20}, thresholds::dynamic{0.9}, elements);
    check("rescaled", guidance::rescaled{}, thresholds::clip{3}, elements);
    check("cfg_zero_star", guidance::cfg_zero_star{}, thresholds::clip{3}, elements);
  }
}

BOOST_AUTO_TEST_CASE(values_that_are_none) {
  auto const told = [](auto guide) {
    return sentence([&] {
      (any_schedule(schedules::linear{}) | predicts::v{} | guide | samplers::ddim{} | exact_v)
          .plan(5);
    });
  };
  for (double bad : {not_a_number, infinity, -infinity}) {
    says(told(guidance::classifier_free{bad}), {"guidance::classifier_free", "weight w", "finite"});
    says(told(guidance::classifier_free_scale{bad}),
         {"guidance::classifier_free_scale", "weight s", "finite"});
    says(told(guidance::rescaled{.s = bad}), {"guidance::rescaled", "weight s", "finite"});
    says(told(guidance::apg{.s = bad}), {"guidance::apg", "weight s", "finite"});
    says(told(guidance::apg{.eta = bad}), {"guidance::apg", "eta", "finite"});
    says(told(guidance::apg{.beta = bad}), {"guidance::apg", "beta", "finite"});
    says(told(guidance::cfg_zero_star{.s = bad}), {"guidance::cfg_zero_star", "s", "finite"});
    says(told(guidance::two_conditions{.s1 = bad}), {"guidance::two_conditions", "s1", "finite"});
    says(told(guidance::two_conditions{.s2 = bad}), {"guidance::two_conditions", "s2", "finite"});
    says(told(guidance::autoguidance{bad, exact_v, predicts::v{}}),
         {"guidance::autoguidance", "s", "finite"});
    says(told(guidance::classifier{bad, exact_v}), {"guidance::classifier", "s", "finite"});
  }
  for (double bad : {not_a_number, -0.1, 1.1}) {
    says(told(guidance::rescaled{.phi = bad}), {"guidance::rescaled", "phi", "0 to 1"});
    says(told(guidance::cfg_plus_plus{bad}), {"guidance::cfg_plus_plus", "lambda", "0 to 1"});
  }
  for (double bad : {not_a_number, 0.0, -1.0})
    says(told(guidance::apg{.r = bad}), {"guidance::apg", "norm limit", "above 0"});
  says(told(guidance::cfg_zero_star{.zero_above = not_a_number}), {"zero_above"});
  // Inside of an interval as well; and the interval itself.
  says(told(guidance::within{guidance::rescaled{.phi = 2}, 0.0, 500.0}), {"phi = 2"});
  says(told(guidance::within{guidance::rescaled{}, 500.0, 400.0}),
       {"guidance::within", "500", "400", "lo <= hi"});
}

BOOST_AUTO_TEST_CASE(what_does_not_follow_at_the_ends) {
  guidance::classifier const guide{1.0, gradient};
  auto const told = [&](auto g) {
    return sentence([&] {
      (any_schedule(schedules::continuous::cosine{}) | predicts::v{} | g | samplers::ddim{} |
       exact_v)
          .plan(5);
    });
  };
  says(told(guide), {"step 1 of 5", "alpha = 0", "guidance is in eps", "x0 does not follow",
                     "guidance::within"});
  says(told(guidance::within{guide, 0.0, 0.9}), {"nothing was thrown"});
}

BOOST_AUTO_TEST_CASE(conditions_and_shapes_that_do_not_fit) {
  // Nothing is asked of a network before.
  counted const network{exact_v};
  auto const told = [&](auto guide, std::vector<std::size_t> const& shape,
                        conditions const& given) {
    return sentence([&] {
      (any_schedule(schedules::linear{}) | predicts::v{} | guide | samplers::ddim{} |
       network_function(network))
          .sample({.shape = shape, .steps = 3}, given);
    });
  };
  conditions const two{labels{0}, labels{1}};
  says(told(guidance::two_conditions{}, {4, 3}, label{0}),
       {"1 condition(s) were given", "guidance takes 2"});
  says(told(guidance::rescaled{}, {4, 3}, two), {"2 condition(s) were given", "guidance takes 1"});
  says(told(guidance::none{}, {4, 3}, two), {"2 condition(s) were given", "guidance takes 1"});
  says(told(guidance::two_conditions{}, {4, 3}, {labels{0}, labels{1, 2, 3}}),
       {"3 labels were given for 4 samples"});
  says(told(guidance::within{guidance::two_conditions{}, 0.0, 500.0}, {4, 3}, label{0}),
       {"guidance takes 2"});

  guidance::classifier const guide{1.0, mixture.classifier_gradient()};
  says(told(guide, {4, 2, 2}, label{0}),
       {"guidance::classifier", "3 elements", "shape {2, 2}", "expected 4"});
  says(told(guidance::within{guide, 0.0, 500.0}, {4, 5}, label{0}), {"3 elements", "expected 5"});

  // A weaker network says what it can take, as the main one does.
  struct picky {
    void check(std::span<std::size_t const>, std::span<int const> given, int branches) const {
      throw error(fmt::format("the weak network: {} labels, {} branches", given.size(), branches));
    }
    void operator()(batch const&) const {}
  };
  says(told(guidance::autoguidance{2.0, picky{}, predicts::v{}}, {4, 3}, label{0}),
       {"the weak network: 1 labels, 1 branches"});
  says(told(guidance::classifier{2.0, picky{}}, {4, 3}, label{0}), {"the weak network"});
  BOOST_TEST(*network.calls == 0);
  // The wrapper asks its network without labels.
  struct unlabelled {
    void check(std::span<std::size_t const>, std::span<int const> given, int) const {
      for (int one : given)
        if (one != no_label) throw error("a label was given");
    }
    void operator()(batch const&) const {}
  };
  BOOST_TEST(sentence([&] {
               (any_schedule(schedules::linear{}) | predicts::v{} | samplers::ddim{} |
                networks::unconditional{unlabelled{}})
                   .sample({.shape = {1, 2}, .steps = 2}, label{1});
             }) == "nothing was thrown");
}
