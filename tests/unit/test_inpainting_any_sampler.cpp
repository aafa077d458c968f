// What it costs to wrap a sampler for inpainting, and that everything a sampler may have is handed
// on: more levels, a path, enter, first, last, repetitions, what it keeps.
#define BOOST_TEST_DYN_LINK
#include <boost/test/unit_test.hpp>
#include <tweedie/samplers/ancestral.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/samplers/dpmpp_2m.hpp>
#include <tweedie/samplers/heun.hpp>
#include <tweedie/samplers/heun_in_rho.hpp>
#include <tweedie/samplers/repaint.hpp>

#include "inpainting_common.hpp"
#include "laws_common.hpp"

using namespace laws;
using namespace tweedie::symbols;
using inpainting::asked;
using inpainting::filled;

// Not in the unnamed namespace: clang++ 14 warns of functions that are only asked for their type.
namespace own {

/// A step with its own levels between, one that changes x before the network sees it, one that
/// remembers across steps: what a wrapper has to hand on.
struct by_path {
  using kind = kinds::sampler;
  auto step(level t, level s, path const& p) const {
    level const m = p.at((t.t + s.t) / 2);
    return stages(at(t, x = m.alpha * x0 + m.sigma * eps), at(m, x = s.alpha * x0 + s.sigma * eps));
  }
};
struct entering {
  using kind = kinds::sampler;
  auto enter(level t, level) const {
    return tweedie::step(x = x + 0.1 * t.sigma * noise_stream<1>);
  }
  auto step(level, level s) const { return tweedie::step(x = s.alpha * x0 + s.sigma * eps); }
};
struct remembering {
  using kind = kinds::sampler;
  static constexpr bool keeps_across_steps = true;
  auto step(level, level s) const {
    return tweedie::step(keep<0> = eps, x = s.alpha * x0 + s.sigma * eps);
  }
  auto step(level, level, level s) const {
    return tweedie::step(keep<0> = eps, x = s.alpha * x0 + s.sigma * (0.5 * eps + 0.5 * keep<0>));
  }
};
struct with_first {
  using kind = kinds::sampler;
  auto step(level, level s) const { return tweedie::step(x = s.alpha * x0 + s.sigma * eps); }
  auto first(level, level s) const { return tweedie::step(x = s.sigma * x); }
  auto last(level, level s) const { return tweedie::step(x = 0.5 * s.alpha * x0); }
};

}  // namespace own

using namespace own;

namespace {

std::size_t const elements = 12;
network_function const network = two_classes(elements).predicting<predicts::v>();

template <class Sampler> auto pipeline_of(Sampler sampler) {
  return schedules::cosine{} | predicts::v{} | sampler | network;
}

template <class F> void for_each_sampler(F f) {
  f("ddim", samplers::ddim{});
  f("ancestral", samplers::ancestral{});
  f("heun", samplers::heun{});
  f("dpmpp_2m", samplers::dpmpp_2m{});
  f("by_path", by_path{});
  f("entering", entering{});
  f("remembering", remembering{});
  f("with_first", with_first{});
}

}  // namespace

// One kernel an evaluation, and of memory only the known samples besides; the mask is not counted
// by the element.
BOOST_AUTO_TEST_CASE(replacement_costs_no_kernel) {
  constexpr auto alone = decltype(pipeline_of(samplers::ddim{}))::facts();
  constexpr auto around = decltype(pipeline_of(samplers::replacement{samplers::ddim{}}))::facts();
  static_assert(alone.size() == 2 && around.size() == 2);
  static_assert(around[0].kernels == 1 && around[1].kernels == 1);
  static_assert(around[0].writes == alone[0].writes && around[1].writes == alone[1].writes);
  static_assert(around[0].noise_streams == 1, "the known part's own");
  static_assert(around[1].noise_streams == 0, "what is known ends without noise");
  constexpr auto again = decltype(pipeline_of(samplers::repaint{samplers::ddim{}, 3}))::facts();
  BOOST_TEST(again.size() == 3u);
  static_assert(again[0].kernels == 1 && again[1].kernels == 1);
  static_assert(again[0].writes == 1 && again[0].bytes_per_element == around[0].bytes_per_element);
  static_assert(again[0].noise_streams == 2 && again[1].noise_streams == 1);
  // From alpha = 0 nothing is done again.
  constexpr auto in_rho =
      decltype(pipeline_of(samplers::repaint{samplers::heun_in_rho{}, 3}))::facts();
  static_assert(in_rho.size() == 1 + 4 + 1);
}

BOOST_AUTO_TEST_CASE(evaluations_are_those_of_the_repetitions) {
  for_each_sampler([](char const* name, auto sampler) {
    auto const alone = pipeline_of(sampler).plan(8);
    auto const around = pipeline_of(samplers::replacement{sampler}).plan(8);
    BOOST_TEST(around.network_evaluations() == alone.network_evaluations(), name);
    for (std::size_t i = 0; i < alone.rows().size(); ++i) {
      BOOST_TEST(around.rows()[i].structure == alone.rows()[i].structure, name);
      BOOST_TEST(around.rows()[i].where.t == alone.rows()[i].where.t, name);
    }
  });
  // Eight steps, of which the last is done once.
  BOOST_TEST(pipeline_of(samplers::repaint{samplers::ddim{}, 5}).plan(8).network_evaluations() ==
             7u * 5 + 1);
  BOOST_TEST(pipeline_of(samplers::repaint{samplers::heun{}, 5}).plan(8).network_evaluations() ==
             7u * 2 * 5 + 1);
  auto const from_zero = (schedules::continuous::cosine{} | predicts::v{} |
                          samplers::repaint{samplers::heun_in_rho{}, 5} | network)
                             .plan(8);
  BOOST_TEST(from_zero.network_evaluations() == 1u + 6 * 2 * 5 + 1, "alpha = 0 is left once");
}

BOOST_AUTO_TEST_CASE(a_mask_of_ones_gives_back_what_is_known) {
  auto const r = asked(filled({2, 2}, 1));
  for_each_sampler([&](char const* name, auto sampler) {
    BOOST_TEST(largest_difference(pipeline_of(samplers::replacement{sampler}).sample(r).data,
                                  r.known.data) == 0,
               name);
  });
  BOOST_TEST(largest_difference(pipeline_of(samplers::repaint{samplers::heun{}, 3}).sample(r).data,
                                r.known.data) == 0);
}

BOOST_AUTO_TEST_CASE(a_mask_of_zeros_is_the_sampler_alone) {
  auto const r = asked(filled({2, 2}, 0));
  request const bare{.shape = r.shape, .steps = r.steps, .seed = r.seed};
  for_each_sampler([&](char const* name, auto sampler) {
    auto const alone = pipeline_of(sampler).sample(bare);
    BOOST_TEST(largest_difference(pipeline_of(samplers::replacement{sampler}).sample(r).data,
                                  alone.data) == 0,
               name);
  });
}

BOOST_AUTO_TEST_CASE(one_resampling_is_replacement) {
  auto const r = asked({{2, 2}, {1, 0, 0.25f, 0}});
  auto const compare = [&](char const* name, auto sampler) {
    BOOST_TEST(largest_difference(pipeline_of(samplers::repaint{sampler, 1}).sample(r).data,
                                  pipeline_of(samplers::replacement{sampler}).sample(r).data) == 0,
               name);
  };
  compare("ddim", samplers::ddim{});
  compare("ancestral", samplers::ancestral{});
  compare("heun", samplers::heun{});
  compare("by_path", by_path{});
  compare("entering", entering{});
  compare("with_first", with_first{});
}

// A sampler that changes x before each of its steps does so before each repetition: this one
// doubles x on entering and halves it in its step.
BOOST_AUTO_TEST_CASE(a_repetition_enters_again) {
  struct doubling {
    auto enter(level, level) const { return then(tweedie::step(x = 4 * x), x = 0.5 * x); }
    auto step(level, level) const { return tweedie::step(x = 0.5 * x); }
    auto last(level, level) const { return tweedie::step(x = 0.5 * x); }
  };
  auto const plan =
      pipeline_of(samplers::repaint{doubling{}, 2}).plan(grids::custom{{900, 350, 0}}, 2);
  state const start = plan.start(asked(filled({2, 2}, 0)));
  auto const samples = plan.run(start);
  level const t = plan.levels()[0], s = plan.levels()[1];
  double const ratio = t.alpha / s.alpha,
               beta = t.sigma * t.sigma - ratio * ratio * s.sigma * s.sigma;
  std::vector<float> n(elements);
  fill_normals(n.data(), 0, elements / 4, start.keys[0], 19);
  for (std::size_t j = 0; j < elements; ++j)
    BOOST_TEST(std::abs(double{samples[0][j]} - (ratio * double{start.x.data()[j]} / 2 +
                                                 std::sqrt(beta) * double{n[j]})) < 1e-5);
}

BOOST_AUTO_TEST_CASE(repetitions_nest) {
  struct corrected {
    using kind = kinds::sampler;
    int corrections = 3;
    auto step(level t, level s) const {
      return stages(repeat(corrections, at(t, x = x + 0.01 * score)),
                    at(t, x = s.alpha * x0 + s.sigma * eps));
    }
    auto last(level, level s) const { return tweedie::step(x = s.alpha * x0); }
  };
  auto const order = [](auto const& plan) {
    std::string r;
    for (auto const& row : plan.rows()) r += std::to_string(row.structure);
    return r;
  };
  auto const plan_of = [](auto sampler) {
    return pipeline_of(sampler).plan(grids::custom{{600, 0}}, 1);
  };
  grids::custom const two{{600, 350, 0}};
  BOOST_TEST(order(pipeline_of(corrected{}).plan(two, 2)) == "00012");
  BOOST_TEST(order(pipeline_of(corrected{0}).plan(two, 2)) == "12");
  BOOST_TEST(order(pipeline_of(samplers::replacement{corrected{2}}).plan(two, 2)) == "0012");
  // Correction and prediction with the way back are 0 and 1, without it 2 and 3.
  BOOST_TEST(order(pipeline_of(samplers::repaint{corrected{2}, 3}).plan(two, 2)) == "0010012234");
  BOOST_TEST(order(pipeline_of(samplers::repaint{corrected{2}, 1}).plan(two, 2)) == "2234");
  BOOST_TEST(order(plan_of(samplers::repaint{corrected{2}, 3})) == "4");
  BOOST_TEST(contains(sentence([&] { pipeline_of(corrected{-1}).plan(two, 2); }),
                      "-1 repetitions were given, expected 0 or more"));
}
