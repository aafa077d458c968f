// Stages of one's own with a mistake that no compiler sees: one sentence each, before any work. What
// the compiler sees is in tests/fail/.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <limits>

#include <tweedie/pipelines/run_time.hpp>
#include <tweedie/tweedie.hpp>

#include "laws_common.hpp"

using namespace laws;

namespace {

struct guidance_of_two {
  using kind = kinds::guidance;
  static constexpr int branches = 2;
  auto raw_of(level) const { return 3 * symbols::out<0> - 2 * symbols::out<1>; }
};
/// A threshold of one's own, with a function of an element.
struct folded {
  using kind = kinds::threshold;
  struct halved {
    TWEEDIE_HD float operator()(float a) const { return a > 1 ? (1 + a) / 2 : a; }
  };
  auto x0_of(level) const { return pointwise(halved{}, symbols::x0); }
  auto eps_of(level) const { return +symbols::eps; }
};

inline constexpr auto network = [](batch const& b) {
  std::fill_n(b.out, b.rows() * b.pitch, 0.0f);
};
auto const pipeline_ = schedules::continuous::linear{} | predicts::v{} | guidance_of_two{} |
                       folded{} | samplers::ddim{} | network;

/// The sentence of a plan whose stages have been changed by `change`.
template <class F> std::string sentence_of(F change) {
  return sentence([&] {
    auto const& schedule = std::get<0>(pipeline_.stages);
    any_stages stages = forget_stages(pipeline_.stage_set());
    change(stages);
    run_time_plan const plan(stages, forget_network(pipeline_.network()),
                             grids::uniform{}.levels(schedule, 4), {}, {});
    plan.sample({.shape = {1, 2}});
  });
}

any_form form_over(int rank) { return {{1.0, {rank}}}; }
auto over(int rank) {
  return [rank](level) { return any_expression{.form = form_over(rank)}; };
}
auto form_of(int rank) {
  return [rank](level) { return form_over(rank); };
}

void says(std::string const& what, std::string const& part) {
  BOOST_TEST(contains(what, part), what << " does not say " << part);
}

}  // namespace

BOOST_AUTO_TEST_CASE(stages_without_types_read_what_is_there) {
  BOOST_TEST(sentence_of([](any_stages&) {}) == "nothing was thrown");
  says(sentence_of([](auto& s) { s.guidance.raw_of = over(sym::out<2>::rank); }),
       "a guidance: raw_of reads out<2>");
  says(sentence_of([](auto& s) { s.guidance.raw_of = over(sym::x0::rank); }),
       "raw_of reads x0, expected what is there before x0 and eps are");
  says(sentence_of([](auto& s) { s.guidance.x0_of = over(sym::branch_x0<2>::rank); }),
       "x0_of reads branch_x0<2>");
  says(sentence_of([](auto& s) { s.guidance.eps_of = over(sym::grad::rank); }),
       "eps_of reads grad");
  says(sentence_of([](auto& s) { s.guidance.raw_of = over(sym::memory<0>::rank); }),
       "raw_of reads memory<0>");
  says(sentence_of([](auto& s) { s.guidance.raw_of = {}; }),
       "a guidance without raw_of, x0_of and eps_of was given");
  says(sentence_of([](auto& s) { s.guidance.conditions = 3; }),
       "3 condition(s) and 2 branch(es) was given");
  says(sentence_of([](auto& s) { s.guidance.extras = 1; }), "without evaluate");
  says(sentence_of([](auto& s) { s.guidance.memories = 1; }), "without remember");
  says(sentence_of([](auto& s) { s.guidance.branches = 0; }), "a guidance of 0 branch(es)");
  says(sentence_of([](auto& s) { s.threshold.x0_of = over(sym::out<0>::rank); }),
       "a threshold: x0_of reads out<0>");
  says(sentence_of([](auto& s) { s.threshold.eps_of = {}; }), "a threshold with one of");
  says(sentence_of([](auto& s) { s.predicts.x0_of = form_of(sym::out<0>::rank); }),
       "predicts::v: x0_of reads out<0>");
}

BOOST_AUTO_TEST_CASE(a_symbol_is_no_number) {
  says(sentence([] { [[maybe_unused]] double const w = static_cast<double>(symbols::eps); }),
       "a symbol was given where a number is expected");
  says(sentence([] { [[maybe_unused]] auto const w = std::exp(2 * symbols::eps); }),
       "a symbol was given where a number is expected");
}

/// What is checked is not changed: a guidance that remembers, asks and guides x0.
struct averaging {
  using kind = kinds::guidance;
  static constexpr int branches = 2, conditions = 2, extras = 1;
  auto remember(level) const {
    return step(symbols::memory<0> = 0.5 * (symbols::memory<0> + symbols::out<0>));
  }
  auto raw_of(level) const { return symbols::memory<0> + symbols::out<1>; }
  auto x0_of(level) const { return clamp(symbols::x0 + symbols::branch_x0<1>, -1, 1); }
  auto eps_of(level t) const { return symbols::eps - t.sigma * symbols::grad; }
  void evaluate(batch const& b) const { std::fill_n(b.out, b.rows() * b.pitch, 0.0f); }
};

BOOST_AUTO_TEST_CASE(what_is_there_may_be_read) {
  auto const p =
      schedules::cosine{} | predicts::v{} | averaging{} | folded{} | samplers::ddim{} | network;
  conditions const given{labels{1}, labels{2}};
  auto const typed = p.plan(3).sample({.shape = {1, 2}}, given);
  auto const schedule = std::get<0>(p.stages);
  run_time_plan const plan(forget_stages(p.stage_set()), forget_network(p.network()),
                           grids::uniform{}.levels(schedule, 3), {}, {});
  BOOST_TEST((plan.sample({.shape = {1, 2}}, given).data == typed.data));
}

/// What enters the first step without a sentence would draw infinite numbers.
struct entering {
  using kind = kinds::sampler;
  static constexpr char const* name = "entering";
  double factor = 1;
  auto enter(level, level) const { return tweedie::step(symbols::x = factor * symbols::x); }
  auto step(level, level s) const {
    return tweedie::step(symbols::x = s.alpha * symbols::x0 + s.sigma * symbols::eps);
  }
};

BOOST_AUTO_TEST_CASE(what_enters_is_finite) {
  auto const told = [](double factor) {
    return sentence(
        [&] { (schedules::cosine{} | predicts::v{} | entering{factor} | network).plan(3); });
  };
  says(told(2), "nothing was thrown");
  says(told(std::numeric_limits<double>::infinity()), "enter has a number that is not finite");
  says(told(std::numeric_limits<double>::quiet_NaN()), "enter has a number that is not finite");
}

BOOST_AUTO_TEST_CASE(a_shape_is_that_of_the_samples) {
  auto const plan = (schedules::cosine{} | predicts::v{} | samplers::ddim{} | network).plan(3);
  images const given{{2, 3}, std::vector<float>(6)};
  says(sentence([&] {
         plan.start_from(given, {.shape = {4, 3}});
       }),
       "shape = {4, 3} was given with clean samples of shape {2, 3}");
  says(sentence([&] {
         plan.start_at(given, {.shape = {2, 4}});
       }),
       "shape = {2, 4} was given with samples x_t of shape {2, 3}");
  says(sentence([&] {
         plan.start_at(given, {.shape = {2, 3}});
         plan.start_at(given, {});
       }),
       "nothing was thrown");
}

/// v, with a sign of one's own in eps.
struct mistaken_v : predicts::v {
  static constexpr char const* name = "mistaken_v";
  double sign = -1;
  auto eps_of(level t) const { return t.sigma * symbols::x + sign * t.alpha * symbols::raw; }
};

BOOST_AUTO_TEST_CASE(x0_and_eps_make_up_x) {
  auto const told = [](double sign) {
    mistaken_v predicts;
    predicts.sign = sign;
    return sentence([&] { (schedules::cosine{} | predicts | samplers::ddim{} | network).plan(3); });
  };
  says(told(1), "nothing was thrown");
  says(told(-1), "predicts::mistaken_v: at t = ");
  says(told(-1), "expected x");
}

BOOST_AUTO_TEST_CASE(samples_that_are_given_are_finite) {
  auto const plan = (schedules::cosine{} | predicts::v{} | samplers::ddim{} | network).plan(3);
  images given{{2, 3}, std::vector<float>(6)};
  given.data[4] = std::numeric_limits<float>::quiet_NaN();
  says(sentence([&] { plan.start_from(given, {}); }),
       "clean samples: value 4 is nan, expected finite ones");
  says(sentence([&] { plan.start_at(given, {}); }),
       "samples x_t: value 4 is nan, expected finite ones");
}

/// A midpoint of one's own, on the schedule or not.
struct midway {
  using kind = kinds::sampler;
  static constexpr char const* name = "midway";
  bool on_the_schedule = true;
  auto step(level t, level s, path const& p) const {
    using namespace symbols;
    level m = p.at((t.t + s.t) / 2);
    if (!on_the_schedule) m.alpha = m.sigma = 0.7;
    return stages(at(t, keep<0> = x, x = m.alpha * x0 + m.sigma * eps),
                  at(m, x = s.alpha * x0 + s.sigma * eps + 0 * keep<0>));
  }
};

BOOST_AUTO_TEST_CASE(a_samplers_own_level_is_the_schedules) {
  auto const told = [](bool on_the_schedule) {
    return sentence(
        [&] { (schedules::cosine{} | predicts::v{} | midway{on_the_schedule} | network).plan(3); });
  };
  says(told(true), "nothing was thrown");
  says(told(false), "the sampler's at(...) has the level t = ");
}
