// EDM preconditioning: the formulas of Karras et al. 2022, table 1, on every schedule, and what the
// network sees.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <tweedie/dsl/language/form.hpp>
#include <tweedie/predicts/edm.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/samplers/heun.hpp>
#include <tweedie/schedules/edm.hpp>
#include <tweedie/schedules/grids/karras.hpp>

#include "laws_common.hpp"
#include "numbers.hpp"

using namespace laws;

namespace {

template <symbol S, class F> double of(F const& form) { return coefficient<S>(lift(form)); }

/// The pipelines' types; the schedule and the network are forgotten.
template <class Predicts, class Sampler>
auto pipeline_of(any_schedule const& schedule, Predicts p, Sampler sampler,
                 network_function network) {
  return schedule | p | sampler | std::move(network);
}

grids::custom off_the_end(any_schedule const& s, int n) {
  grids::custom g;
  for (int k = n; k >= 0; --k) {
    double const t = 0.999 * s.end() * k / n;
    g.times.push_back(s.steps ? std::floor(t + 0.5) : t);
  }
  return g;
}

template <class Predicts, class Sampler>
using code_of = typename decltype(pipeline_of(std::declval<any_schedule>(), Predicts{}, Sampler{},
                                              std::declval<network_function>())
                                      .plan(1))::code;

struct fact {
  std::size_t reads, writes, bytes;
};
template <class Code, std::size_t N> constexpr bool is(fact const (&expected)[N]) {
  if (Code::structures::size != N) return false;
  for (std::size_t i = 0; i < N; ++i) {
    auto const& f = Code::facts[i];
    if (f.kernels != 1 || f.reads != expected[i].reads || f.writes != expected[i].writes ||
        f.bytes_per_element != expected[i].bytes || !f.deterministic())
      return false;
  }
  return true;
}

// What the network sees next is a second output of the same kernel, 4 bytes an element more; the
// last kernel has no next one. x0 beside it.
static_assert(is<code_of<predicts::edm, samplers::ddim>>({{2, 2, 16}, {2, 1, 12}}));
static_assert(is<code_of<predicts::x0, samplers::ddim>>({{2, 1, 12}, {1, 1, 8}}));
// both evaluations; last
static_assert(is<code_of<predicts::edm, samplers::heun>>({{2, 4, 24}, {4, 2, 24}, {2, 1, 12}}));

}  // namespace

// Karras et al., table 1, at alpha = 1; in u = x / alpha and rho = sigma / alpha elsewhere.
BOOST_AUTO_TEST_CASE(table_1) {
  for (double sd : {0.5, 1.3}) {
    predicts::edm const p{.sigma_data = sd};
    for (double alpha : {1.0, 0.3})
      for (double rho : {0.002, 0.4, 1.0, 80.0}) {
        level const t{.t = 0, .alpha = alpha, .sigma = alpha * rho};
        double const skip = sd * sd / (rho * rho + sd * sd);
        double const out = rho * sd / std::sqrt(sd * sd + rho * rho);
        double const in = 1 / std::sqrt(sd * sd + rho * rho);
        BOOST_TEST(std::abs(alpha * of<sym::x>(p.x0_of(t)) / skip - 1) < 1e-14);
        BOOST_TEST(std::abs(of<sym::raw>(p.x0_of(t)) / out - 1) < 1e-14);
        BOOST_TEST(std::abs(alpha * of<sym::x>(p.input_of(t)) / in - 1) < 1e-14);
        BOOST_TEST(std::abs(p.noise_of(t) - std::log(rho) / 4) < 1e-14);
        // eps = (u - D) / rho
        BOOST_TEST(std::abs(alpha * of<sym::x>(p.eps_of(t)) - (1 - skip) / rho) < 1e-12);
        BOOST_TEST(std::abs(of<sym::raw>(p.eps_of(t)) + out / rho) < 1e-14);
        // F = (x0 - c_skip (x0 + rho eps)) / c_out
        BOOST_TEST(std::abs(of<sym::x0>(p.target(t)) - (1 - skip) / out) < 1e-12);
        BOOST_TEST(std::abs(of<sym::eps>(p.target(t)) + skip * rho / out) < 1e-12);
      }
  }
}

BOOST_AUTO_TEST_CASE(both_ends_are_finite) {
  predicts::edm const p{.sigma_data = 0.5};
  level const clean{.t = 0, .alpha = 1, .sigma = 0};
  BOOST_TEST(of<sym::x>(p.x0_of(clean)) == 1);
  BOOST_TEST(of<sym::raw>(p.x0_of(clean)) == 0);
  BOOST_TEST(of<sym::x>(p.eps_of(clean)) == 0);
  BOOST_TEST(of<sym::raw>(p.eps_of(clean)) == -1);
  BOOST_TEST(of<sym::x>(p.input_of(clean)) == 2);
  BOOST_TEST(p.noise_of(clean) == -INFINITY);
  level const noise{.t = 1, .alpha = 0, .sigma = 1};
  BOOST_TEST(of<sym::x>(p.x0_of(noise)) == 0);
  BOOST_TEST(of<sym::raw>(p.x0_of(noise)) == 0.5);
  BOOST_TEST(of<sym::x>(p.eps_of(noise)) == 1);
  BOOST_TEST(of<sym::raw>(p.eps_of(noise)) == 0);
  BOOST_TEST(of<sym::x>(p.input_of(noise)) == 1);
}

// The exact F answers to c_in u; samples are those of a network that answers E[x0 | x].
BOOST_AUTO_TEST_CASE(edm_and_x0_give_the_same_samples) {
  auto const m = two_classes(3);
  auto schedules = all_schedules();
  schedules.emplace_back(tweedie::schedules::edm{});
  double largest = 0;
  for (auto const& schedule : schedules)
    for (double sd : {0.5, 1.3}) {
      predicts::edm const p{.sigma_data = sd};
      auto const compare = [&](auto sampler) {
        request const r{.shape = {20, 3}, .seed = 8};
        auto const grid = off_the_end(schedule, 30);
        auto const a = pipeline_of(schedule, p, sampler, m.predicting(p)).plan(grid, 30).sample(r);
        auto const b = pipeline_of(schedule, predicts::x0{}, sampler, m.predicting<predicts::x0>())
                           .plan(grid, 30)
                           .sample(r);
        double const d = largest_difference(a.data, b.data);
        BOOST_TEST_MESSAGE(schedule.called << ", sigma_data = " << sd << ": " << d);
        BOOST_TEST(d < 1e-5, schedule.called << ", sigma_data = " << sd << ": " << d);
        largest = std::max(largest, d);
      };
      compare(samplers::ddim{});
      compare(samplers::heun{});
    }
  record("edm", "largest difference from the samples of a network that predicts x0", largest);
}

// The general exact network is the one that knows its parameterization by name.
BOOST_AUTO_TEST_CASE(exact_targets) {
  auto const m = two_classes(3);
  auto const schedule = any_schedule(schedules::continuous::linear{});
  auto const compare = [&]<class P>(P p) {
    auto const grid = off_the_end(schedule, 10);
    auto const a = pipeline_of(schedule, p, samplers::ddim{}, m.predicting(p)).plan(grid, 10);
    auto const b =
        pipeline_of(schedule, p, samplers::ddim{}, m.template predicting<P>()).plan(grid, 10);
    request const r{.shape = {20, 3}, .seed = 8};
    BOOST_TEST(largest_difference(a.sample(r).data, b.sample(r).data) < 1e-6, P::name);
  };
  compare(predicts::epsilon{});
  compare(predicts::v{});
}

// Every evaluation of a run: c_in u at its own level, of the x that the state holds, rounded once.
BOOST_AUTO_TEST_CASE(the_network_sees_the_scaled_input) {
  auto const m = two_classes(3);
  predicts::edm const p{.sigma_data = 0.8};
  for (auto const& schedule : {any_schedule(schedules::edm{}), any_schedule(schedules::cosine{})})
    for (bool midway : {false, true}) {
      network_function const exact = m.predicting(p);
      float const* held = nullptr;
      std::size_t calls = 0;
      double worst = 0;
      network_function const spy = [&](batch const& b) {
        ++calls;
        level const& t = b.level_of(0);
        double const rho = t.sigma / t.alpha, in = 1 / std::sqrt(0.64 + rho * rho);
        for (std::size_t i = 0; i < b.samples * b.pitch; ++i) {
          double const expected = in * static_cast<double>(held[i]) / t.alpha;
          double const d =
              std::abs(static_cast<double>(b.x[i]) - expected) / (1 + std::abs(expected));
          worst = d <= worst ? worst : d;
        }
        BOOST_TEST(b.x != held);
        exact(b);
      };
      auto const whole =
          pipeline_of(schedule, p, samplers::heun{}, spy).plan(off_the_end(schedule, 6), 6);
      auto const plan = whole.from(midway ? 3 : 0);
      request const r{.shape = {5, 3}, .seed = 2};
      images const clean{r.shape, std::vector<float>(15, 0.25f)};
      state s = midway ? plan.start_from(clean, r) : plan.start(r);
      held = s.x.data();
      while (!plan.finished(s)) plan.advance(s);
      BOOST_TEST(calls == plan.network_evaluations());
      BOOST_TEST(worst < 2e-7, schedule.called << " " << worst);
    }
}

BOOST_AUTO_TEST_CASE(what_it_refuses) {
  auto const said = [](double sd) {
    return sentence([&] {
      pipeline_of(any_schedule(schedules::edm{}), predicts::edm{.sigma_data = sd}, samplers::ddim{},
                  network_function([](batch const&) {}))
          .plan(grids::karras{}, 5);
    });
  };
  BOOST_TEST(said(0.5) == "nothing was thrown");
  for (double bad : {0.0, -1.0, static_cast<double>(NAN), static_cast<double>(INFINITY)})
    BOOST_TEST(contains(said(bad), "predicts::edm: sigma_data = "), said(bad));
}
