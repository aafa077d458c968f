// x0 at a step of a loop that its caller drives: of an exact network the closed form; through
// guidance and threshold what the sampler sees, bit by bit; and the samples stay what they are.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>

#include <cmath>
#include <string>
#include <tweedie/guidances/apg.hpp>
#include <tweedie/guidances/cfg_plus_plus.hpp>
#include <tweedie/guidances/classifier.hpp>
#include <tweedie/pipelines/driven_loop.hpp>
#include <tweedie/pipelines/explain.hpp>
#include <tweedie/pipelines/ready/recipe.hpp>
#include <tweedie/predicts/consistency.hpp>
#include <tweedie/predicts/edm.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/samplers/dpmpp_2m.hpp>
#include <tweedie/schedules/edm.hpp>

#include "laws_common.hpp"

using namespace laws;

namespace {

request const r{.shape = {4, 11}, .seed = 5};

/// E[x0 | x] of data N(m, v) in each coordinate, of x = a x0 + s eps.
constexpr double mean = 0.3, variance = 0.25;
double exact_x0(double x, level const& t) {
  double const a = t.alpha, s = t.sigma;
  return mean + a * variance * (x - a * mean) / (a * a * variance + s * s);
}
gaussian_mixture const one{{{.mean = std::vector<double>(11, mean), .variance = variance}}};

template <class Schedule, class Predicts>
void is_exact(Schedule schedule, Predicts predicts, network_function const& network) {
  auto const plan = (schedule | predicts | samplers::ddim{} | network).plan(6);
  auto loop = plan.steps(plan.start(r));
  while (auto const* ask = loop.next()) {
    network(*ask);
    images const x0 = loop.x0();
    BOOST_TEST((x0.shape == r.shape));
    double worst = 0;
    for (std::size_t i = 0; i < 4; ++i)
      for (std::size_t j = 0; j < 11; ++j) {
        // What the sampler holds, which is not what a scaled network sees.
        double const x = loop.x()[i * loop.now().pitch + j];
        worst = std::max(worst, std::abs(x0[i][j] - exact_x0(x, ask->levels[0])));
      }
    // eps is rounded to float32, and x0 = (x - sigma eps) / alpha
    BOOST_TEST(worst < 1e-6 * (1 + ask->levels[0].rho()),
               fmt::format("{} at t = {}: {} off", Predicts::name, ask->time, worst));
    loop.answer();
  }
  BOOST_TEST(equal_bits(loop.samples().data, plan.sample(r).data));
}

template <class Schedule, class Predicts> void is_exact(Schedule schedule, Predicts predicts) {
  is_exact(schedule, predicts, one.predicting(predicts));
}

/// What a consistency model would answer that gave E[x0 | x] (Song et al. 2023, eq. 5): at the end
/// of the path, where it gives x whatever it answers, 0.
void consistent(batch const& b) {
  double const end = 0.002, deviation = 0.5, s = b.levels[0].sigma, left = s - end;
  double const skip = deviation * deviation / (left * left + deviation * deviation);
  double const out = deviation * left / std::sqrt(s * s + deviation * deviation);
  for (std::size_t i = 0; i < b.samples; ++i)
    for (std::size_t j = 0; j < b.elements; ++j) {
      double const x = b.x_of(i)[j] * std::sqrt(s * s + deviation * deviation);
      b.out_of(i)[j] = left <= 0 ? 0 : float((exact_x0(x, b.levels[0]) - skip * x) / out);
    }
}

}  // namespace

BOOST_AUTO_TEST_CASE(of_a_gaussian_it_is_the_closed_form) {
  is_exact(schedules::linear{}, predicts::epsilon{});
  is_exact(schedules::cosine{}, predicts::x0{});
  is_exact(schedules::linear{}, predicts::score{});
  is_exact(schedules::cosine{}, predicts::v{});
  is_exact(schedules::rectified_flow{}, predicts::velocity{});
  is_exact(schedules::edm{}, predicts::edm{});
  is_exact(schedules::edm{.sigma_min = 0.01}, predicts::consistency{}, consistent);
}

namespace {

gaussian_mixture const mixture = two_classes(11);
network_function const network = mixture.predicting<predicts::v>();

/// Where the last step is x = x0, the preview before it is the sample.
void ends_there(std::string const& name, any_plan const& plan, images const& expected) {
  auto loop = plan.steps(plan.start(r, label{1}));
  images x0;
  while (auto const* ask = loop.next()) {
    network(*ask);
    x0 = loop.x0();
    BOOST_TEST(equal_bits(loop.x0().data, x0.data), name);  // asking changes nothing
    loop.answer();
  }
  BOOST_TEST(equal_bits(loop.samples().data, expected.data), name);
  BOOST_TEST(equal_bits(x0.data, expected.data), name);
}
template <class... Stages> void last_is_the_sample(std::string const& name, Stages const&... s) {
  auto const base = schedules::cosine{} | predicts::v{};
  auto const plan = ((base | ... | s) | samplers::ddim{} | network).plan(5);
  ends_there(name, plan, plan.sample(r, label{1}));
}

}  // namespace

BOOST_AUTO_TEST_CASE(it_is_what_the_sampler_sees) {
  last_is_the_sample("plain");
  last_is_the_sample("classifier_free", guidance::classifier_free{.w = 2});
  last_is_the_sample("off at the end", guidance::within{guidance::classifier_free{2}, 500, 1000});
  last_is_the_sample("apg, which remembers", guidance::apg{});
  last_is_the_sample("cfg_plus_plus", guidance::cfg_plus_plus{});
  last_is_the_sample("a classifier",
                     guidance::classifier{1.0, network_function(mixture.classifier_gradient())});
  last_is_the_sample("clip", guidance::classifier_free{.w = 2}, thresholds::clip{.limit = 0.4});
  last_is_the_sample("dynamic", guidance::classifier_free{.w = 2}, thresholds::dynamic{.p = 0.7});
}

// dpmpp_2m stores x0 for later: the preview is that, at each step but the last.
BOOST_AUTO_TEST_CASE(it_is_what_a_multistep_method_keeps) {
  ready::recipe recipe = ready::parse_recipe_beside(
      "sampler = 'dpmpp_2m'\nsteps = 6\nthreshold = { name = 'clip', limit = 0.4 }\n"
      "guidance = { name = 'classifier_free', w = 2.0 }",
      "cosine", "v");
  any_plan const plan =
      ready::make_plan(recipe, *recipe.schedule, *recipe.predicts, ready::network_of_caller());
  auto loop = plan.steps(plan.start(r, label{1}));
  for (std::size_t k = 0; k + 1 < plan.steps(); ++k) {
    network(*loop.next());
    images const x0 = loop.x0();
    loop.answer();
    state const& s = loop.now();
    auto const& kept = s.past_x0[(s.evaluated - 1) % s.past_x0.size()];
    for (std::size_t i = 0; i < 4; ++i)
      BOOST_TEST(equal_bits(x0[i], std::span(kept.data() + i * s.pitch, s.elements)));
  }
}

BOOST_AUTO_TEST_CASE(a_classifier_is_asked_once) {
  int asked = 0;
  network_function const gradient = [&](batch const& b) {
    ++asked;
    mixture.classifier_gradient()(b);
  };
  auto const plan = (schedules::cosine{} | predicts::v{} | guidance::classifier{1.0, gradient} |
                     samplers::ddim{} | network)
                        .plan(3);
  auto loop = plan.steps(plan.start(r, label{1}));
  while (auto const* ask = loop.next()) {
    network(*ask);
    loop.x0();
    loop.answer();
  }
  BOOST_TEST(asked == 3);
}

BOOST_AUTO_TEST_CASE(it_is_refused_by_a_sentence) {
  auto const plan = (schedules::cosine{} | predicts::v{} | samplers::ddim{} | network).plan(2);
  auto loop = plan.steps(plan.start(r));
  says(sentence([&] { loop.x0(); }), {"x0 was asked for before the network was", "next()"});
  network(*loop.next());
  loop.answer();
  says(sentence([&] { loop.x0(); }), {"x0 was asked for before the network was"});
}

BOOST_AUTO_TEST_CASE(explain_says_what_it_costs) {
  auto const of = [](auto const& threshold) {
    return explain(
        (schedules::cosine{} | predicts::v{} | threshold | samplers::ddim{} | network).plan(3));
  };
  says(of(thresholds::clip{}), {" A preview of x0 is 1 kernel more.\n"});
  says(of(thresholds::dynamic{}), {" A preview of x0 is 2 kernels more.\n"});
}
