// Stages of one's own with a mistake that no compiler sees: one sentence each, before any work.
// What the compiler sees is in tests/fail/.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <limits>

#include <tweedie/pipelines/plan_builder.hpp>
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
    any_plan const plan = build_plan(stages, forget_network(pipeline_.network()),
                                     grids::uniform{}.levels(schedule, 4), {}, {});
    plan.sample({.shape = {1, 2}});
  });
}

auto over = [](auto symbol) {
  return [symbol](lowering::ir& p, level) { return put_expression(p, symbol); };
};
auto form_of = [](auto symbol) {
  return [symbol](lowering::ir& p, level) { return put(p, symbol); };
};

}  // namespace

BOOST_AUTO_TEST_CASE(stages_without_types_read_what_is_there) {
  BOOST_TEST(sentence_of([](any_stages&) {}) == "nothing was thrown");
  says(sentence_of([](auto& s) { s.guidance.raw_of = over(sym::out<2>{}); }),
       "a guidance: raw_of reads out<2>");
  says(sentence_of([](auto& s) { s.guidance.raw_of = over(sym::x0{}); }),
       "raw_of reads x0, expected what is there before x0 and eps are");
  says(sentence_of([](auto& s) { s.guidance.x0_of = over(sym::branch_x0<2>{}); }),
       "x0_of reads branch_x0<2>");
  says(sentence_of([](auto& s) { s.guidance.eps_of = over(sym::grad{}); }), "eps_of reads grad");
  says(sentence_of([](auto& s) { s.guidance.raw_of = over(sym::memory<0>{}); }),
       "raw_of reads memory<0>");
  says(sentence_of([](auto& s) { s.guidance.raw_of = {}; }),
       "a guidance without raw_of, x0_of and eps_of was given");
  says(sentence_of([](auto& s) { s.guidance.conditions = 3; }),
       "3 condition(s) and 2 branch(es) was given");
  says(sentence_of([](auto& s) { s.guidance.extras = 1; }), "without evaluate");
  says(sentence_of([](auto& s) { s.guidance.memories = 1; }), "without remember");
  says(sentence_of([](auto& s) { s.guidance.branches = 0; }), "a guidance of 0 branch(es)");
  says(sentence_of([](auto& s) { s.threshold.x0_of = over(sym::out<0>{}); }),
       "a threshold: x0_of reads out<0>");
  says(sentence_of([](auto& s) { s.threshold.eps_of = {}; }), "a threshold with one of");
  says(sentence_of([](auto& s) { s.predicts.x0_of = form_of(sym::out<0>{}); }),
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
  any_plan const plan = build_plan(forget_stages(p.stage_set()), forget_network(p.network()),
                                   grids::uniform{}.levels(schedule, 3), {}, {});
  BOOST_TEST(equal_bits(plan.sample({.shape = {1, 2}}, given).data, typed.data));
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

/// A grid of one's own, which forgets the clean level or gives one level less than asked for.
struct my_grid {
  std::size_t leave_out = 0;
  template <schedule S> std::vector<level> levels(S const& schedule, int n) const {
    std::vector<level> r;
    for (int k = 0; k <= n; ++k) {
      double const t = schedule.end() * (n - k) / n;
      r.push_back(t == 0 ? schedule.clean() : schedule.at(t));
    }
    r.resize(r.size() - leave_out);
    return r;
  }
};

BOOST_AUTO_TEST_CASE(a_grid_has_one_level_more_than_steps) {
  auto const p = schedules::cosine{} | predicts::v{} | samplers::ddim{} | network;
  says(sentence([&] { p.plan(my_grid{}, 4); }), "nothing was thrown");
  for (std::size_t left : {std::size_t{1}, std::size_t{2}}) {
    says(sentence([&] { p.plan(my_grid{left}, 4); }),
         "the grid: 4 steps were asked for and it gave");
    says(sentence([&] { p.encoder(my_grid{left}, 4); }), "expected 5");
  }
  auto const levels = grids::uniform{}.levels(schedules::cosine{}, 4);
  says(sentence([&] { p.plan(grids::given{levels}, 4); }), "nothing was thrown");
  says(sentence([&] { p.plan(grids::given{levels}, 0); }), "nothing was thrown");
  says(sentence([&] { p.plan(grids::given{levels}, 9); }),
       "grids::given: 9 steps were asked for and it gave 5 level(s), expected 10");
}

/// A guidance of one's own that is on below a time.
struct on_below : guidance_of_two {
  double time = 0;
  bool on(level t) const { return t.t < time; }
};

BOOST_AUTO_TEST_CASE(a_guidance_that_is_off_everywhere) {
  auto const told = [](double time) {
    on_below guide;
    guide.time = time;
    return sentence([&] {
      (schedules::cosine{} | predicts::v{} | guide | samplers::ddim{} | network).plan(4);
    });
  };
  says(told(300), "nothing was thrown");
  says(told(0.3), "a guidance of one's own was given, which is off wherever this plan asks");
  says(told(0.3), "from t = 250 to t = 1000; expected one whose on(level) is true somewhere");
}

/// The linear schedule with a sigma that is none at one time, between those that a plan probes.
struct holed : schedules::linear {
  static constexpr auto name = "holed";
  level at(double t) const {
    level r = schedules::linear::at(t);
    if (t == 500) r.sigma = std::numeric_limits<double>::quiet_NaN();
    return r;
  }
};

BOOST_AUTO_TEST_CASE(a_schedule_with_a_hole) {
  says(sentence([&] { (holed{} | predicts::v{} | samplers::ddim{} | network).plan(2); }),
       "holed: at t = 500 alpha = ");
}

/// A sampler with bounds of one's own.
struct bounded {
  double low = -1, high = 1;
  auto step(level, level s) const {
    using namespace symbols;
    return tweedie::step(let<0> = clamp(x0, low, high), x = s.alpha * let<0> + s.sigma * eps);
  }
};
struct quantile_bounded {
  double p = 0.9;
  auto step(level, level s) const {
    using namespace symbols;
    return tweedie::step(let<0> = quantile_of_abs(x0, p), x = s.alpha * x0 + s.sigma * let<0>);
  }
};

BOOST_AUTO_TEST_CASE(bounds_that_are_none) {
  auto const told = [](auto sampler) {
    return sentence([&] { (schedules::cosine{} | predicts::v{} | sampler | network).plan(3); });
  };
  double const none = std::numeric_limits<double>::quiet_NaN();
  says(told(bounded{}), "nothing was thrown");
  says(told(bounded{1, -1}), "clamp: low = 1 and high = -1 were given");
  says(told(bounded{1, -1}), "expected low <= high");
  says(told(bounded{none, 1}), "clamp: low = ");
  says(told(bounded{0, 1e300}), "high = 1e+300 were given, expected low <= high, both finite");
  says(told(quantile_bounded{}), "nothing was thrown");
  for (double p : {0.0, -1.0, 1.5, none}) says(told(quantile_bounded{p}), "quantile_of_abs: p = ");
}

BOOST_AUTO_TEST_CASE(who_is_to_blame_for_a_step_that_is_too_long) {
  says(sentence([&] {
         (schedules::cosine{} | predicts::v{} | guidance::classifier_free{5000} | samplers::ddim{} |
          network)
             .plan(10);
       }),
       "the guidance makes it so much larger; use a smaller weight, or leave these levels to");
  // An epsilon of an ordinary weight is told as without a guidance.
  says(sentence([&] {
         (schedules::linear{} | predicts::epsilon{} | guidance::classifier_free{1} |
          samplers::ddim{} | network)
             .plan(1);
       }),
       "predicts::epsilon says next to nothing of x0 there");
  // Between the clean level and the smallest sigma of a variance-exploding schedule there is none.
  says(sentence([&] {
         (schedules::variance_exploding{} | predicts::epsilon{} | samplers::heun{} | network)
             .encoder(10);
         (schedules::variance_exploding{} | predicts::epsilon{} |
          samplers::runge_kutta<tableaux::rk4>{} | network)
             .encoder(10);
       }),
       "the sampler asks the network between two levels, at rho = sigma / alpha = ");
}

/// Decorators of one's own whose members are there if they are there within, an adapter from one
/// prediction to another, a parameterization made of v: all of them right.
template <class Inner> struct logged {
  using kind = kinds::guidance;
  static constexpr int branches = Inner::branches;
  Inner inner;
  void check() const requires requires(Inner const& i) { i.check(); }
  { inner.check(); }
  bool on(level t) const requires requires(Inner const& i, level l) { i.on(l); }
  { return inner.on(t); }
  auto raw_of(level t) const { return inner.raw_of(t); }
};
template <class Network> struct from_epsilon {
  Network network;
  void operator()(batch const& b) const { network(b); }
};
struct my_v : predicts::v {
  static constexpr char const* name = "my_v";
};
struct guarded_x0 : predicts::x0 {
  static constexpr char const* name = "guarded_x0";
  auto eps_of(level t) const {
    return (symbols::x - t.alpha * symbols::raw) / std::max(t.sigma, 0.02);
  }
};
struct has_flag_on : guidance_of_two {
  bool on = true;  // a number of its formula's, and no interval
  auto raw_of(level) const {
    return (on ? 3 : 1) * symbols::out<0> - (on ? 2 : 0) * symbols::out<1>;
  }
};

BOOST_AUTO_TEST_CASE(what_is_right_is_not_refused) {
  auto const cosine = schedules::cosine{};
  networks::gaussian_mixture const data{{{.mean = {0.5, 0}, .variance = 0.2}}};
  auto const nothing = [](auto const& pipeline) {
    says(sentence([&] { pipeline.plan(4); }), "nothing was thrown");
  };
  nothing(cosine | predicts::v{} | logged<guidance_of_two>{} | samplers::ddim{} | network);
  nothing(cosine | predicts::v{} | has_flag_on{} | samplers::ddim{} | network);
  auto const epsilon = data.predicting<predicts::epsilon>();
  nothing(cosine | predicts::v{} | samplers::ddim{} | from_epsilon<decltype(epsilon)>{epsilon});
  nothing(cosine | my_v{} | samplers::ddim{} | data.predicting<predicts::v>());
  nothing(schedules::edm{} | guarded_x0{} | samplers::ddim{} | network);
  nothing(cosine | predicts::v{} | samplers::ddim{} | networks::unconditional{network});
  constexpr auto bounds = clamp(symbols::x0, -1, 1);
  static_assert(bounds.parameters[1] == 1);
  auto const plain = cosine | predicts::v{} | samplers::ddim{} | network;
  says(sentence([&] { plain.plan({4}); }), "nothing was thrown");
  says(sentence([&] { plain.plan(std::size_t{4}); }), "nothing was thrown");
  says(sentence([&] { plain.plan((1LL << 32) + 4); }), "4294967300 steps were asked for");
  says(sentence([&] { plain.plan(grids::uniform{}, (1LL << 32) + 4); }), "4294967300 steps");
  says(sentence([&] { plain.plan(my_grid{}, -2); }),
       "-2 steps were asked for, expected one or more");
}

BOOST_AUTO_TEST_CASE(a_network_of_other_parameters) {
  networks::gaussian_mixture const data{{{.mean = {0.5, 0}, .variance = 0.2}}};
  auto const told = [&](double sd) {
    return sentence([&] {
      (schedules::edm{} | predicts::edm{.sigma_data = sd} | samplers::heun{} |
       data.predicting(predicts::edm{}))
          .plan(4);
    });
  };
  says(told(0.5), "nothing was thrown");
  says(told(5), "sigma_data = 0.5} and the pipeline takes it for");
}

/// A grid and a source of noise whose parameters make none.
struct checked_grid : my_grid {
  void check() const { throw error("checked_grid: none"); }
};
struct checked_noise {
  using kind = kinds::noise;
  void check() const { throw error("checked_noise: none"); }
  void operator()(noise_request const&) const {}
};

BOOST_AUTO_TEST_CASE(every_check_is_heard) {
  auto const p = schedules::cosine{} | predicts::v{} | samplers::ddim{} | network;
  says(sentence([&] { p.plan(checked_grid{}, 4); }), "checked_grid: none");
  says(sentence([&] { (p | checked_noise{}).plan(4); }), "checked_noise: none");
}

BOOST_AUTO_TEST_CASE(intervals_within_intervals) {
  auto const times = [](auto guide) {
    auto const plan =
        (schedules::cosine{} | predicts::v{} | guide | samplers::ddim{} | network).plan(10);
    std::vector<double> r;
    for (auto const& row : plan.rows())
      if (row.branches == 2) r.push_back(row.where.t);
    return r;
  };
  on_below below;
  below.time = 450;
  std::vector<double> const expected{400, 300, 200};
  auto const equal = [&](std::vector<double> const& given) {
    BOOST_TEST(given == expected, boost::test_tools::per_element());
  };
  equal(times(guidance::within{below, 150.0, 1000.0}));
  equal(times(guidance::within{guidance::within{guidance_of_two{}, 0.0, 450.0}, 150.0, 1000.0}));
  equal(
      times(guidance::within{guidance::within_share{guidance_of_two{}, 0.0, 0.45}, 150.0, 1000.0}));
  equal(times(
      guidance::within_share{guidance::within_share{guidance_of_two{}, 0.0, 0.45}, 0.15, 1.0}));
}
