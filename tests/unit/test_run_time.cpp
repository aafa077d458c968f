// A pipeline put together at run time is the typed one: the same programs, the same numbers, the
// same bits, whether a kernel was compiled or the terms are followed one by one.
#include <bit>
#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <vector>

#include <tweedie/pipelines/plan_builder.hpp>
#include <tweedie/tweedie.hpp>

#include "common.hpp"

using common::equal_bits;
using namespace tweedie;

namespace {

/// Bits that depend on all of x, the level, the branch and the label.
struct scrambled {
  using kind = kinds::network;
  void operator()(batch const& b) const {
    for (std::size_t row = 0; row < b.rows(); ++row) {
      auto const x = b.x_of(row);
      auto const to = b.out_of(row);
      auto const shift = static_cast<float>(0.01 * b.level_of(row).sigma + 0.001 * b.label_of(row));
      for (std::size_t i = 0; i < x.size(); ++i)
        to[i] = 0.7f * x[i] - 0.2f * x[(i + 1) % x.size()] + shift;
    }
    if (b.variance)
      for (std::size_t row = 0; row < b.samples; ++row)
        for (float& a : b.variance_of(row)) a = 0.25f;
  }
};

std::vector<any_code> codes_of(any_plan const& p) {
  std::vector<any_code> r;
  for (auto const& s : p.structures()) r.push_back(s.code);
  return r;
}

/// The numbers of a structure's typed formulas are those of the plan, which forgot their types.
template <class Plan> void numbers_are_those_of_the_types(Plan const& plan, path const& between) {
  using code = typename Plan::code;
  if constexpr (!code::enters && !code::writes_input)  // else they depend on what comes next
    for (auto const& row : plan.rows())
      plan.visit(row, [&]<class P, class S>(P, S, std::span<double const> m) {
        auto const formula =
            S::kind::formula(plan.stages().sampler, &plan.levels()[row.step], between);
        auto const n = code::template lowered<S>::with_numbers(
                           {&plan.stages(),
                            row.where,
                            std::get<S::evaluation>(formula.evaluations).statements,
                            &between,
                            {}})
                           .c;
        BOOST_TEST(std::equal(m.begin(), m.end(), n.begin(), n.end(), [](double a, double b) {
          return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b);
        }));
      });
}

template <class... Stages, class Grid>
void agrees(char const* what, pipeline<Stages...> const& typed, Grid const& grid, int steps,
            bool inpaints = false) {
  BOOST_TEST_CONTEXT(what) {
    auto const plan = typed.plan(grid, steps);
    auto const stages = typed.stage_set();
    path const between{
        .at = [&](double t) { return stages.schedule.at(t); },
        .at_rho = [&](double rho) { return stages.schedule.at(stages.schedule.t_of_rho(rho)); }};
    auto const forgotten = forget_stages(stages);
    auto const network = forget_network(typed.network());
    auto const kernels = codes_of(plan);
    any_plan const compiled = build_plan(forgotten, network, plan.levels(), between, kernels);
    any_plan const followed = build_plan(forgotten, network, plan.levels(), between, {});

    BOOST_REQUIRE(compiled.rows().size() == plan.rows().size());
    BOOST_TEST(equal_bits(compiled.layout(), plan.layout()));
    numbers_are_those_of_the_types(plan, between);
    for (std::size_t i = 0; i < plan.rows().size(); ++i) {
      auto const &a = plan.rows()[i], &b = compiled.rows()[i];
      BOOST_TEST(equal_bits(plan.program(a), compiled.program(b)));
      auto const m = plan.numbers(a), n = compiled.numbers(b);
      BOOST_TEST(m.size() == n.size());
      for (std::size_t k = 0; k < std::min(m.size(), n.size()); ++k)
        BOOST_TEST(std::bit_cast<std::uint64_t>(m[k]) == std::bit_cast<std::uint64_t>(n[k]));
      BOOST_TEST(compiled.structures()[b.structure].code->is_compiled());
      BOOST_TEST(!followed.structures()[followed.rows()[i].structure].code->is_compiled());
    }
    BOOST_TEST(plan.fingerprint() == compiled.fingerprint());

    // 147 floats: a tail in the last tile, and a padded row.
    request r{.shape = {3, 1, 7, 21}, .seed = 5};
    if (inpaints) {
      r.known = {r.shape, std::vector<float>(3 * 147, 0.25f)};
      r.mask = {{7, 21}, std::vector<float>(147)};
      for (std::size_t i = 0; i < 147; i += 2) r.mask.data[i] = 1;
    }
    labels const given{1, 2, no_label};
    auto const expected = plan.sample(r, given).data;
    BOOST_TEST(equal_bits(compiled.sample(r, given).data, expected));
    BOOST_TEST(equal_bits(followed.sample(r, given).data, expected));
  }
}

/// A function of more values than any of the library's takes.
struct of_twelve {
  auto step(level t, level s) const {
    using namespace symbols;
    auto const sum = [](float a, float b, float c, float d, float e, float f, float g, float h,
                        float i, float j, float k,
                        float l) { return a + b * c + d + e * f + g + h * i + j + k * l; };
    return tweedie::step(
        let<0> = pointwise(sum, x, x0, eps, 0.5 * x, x0, eps, x, 0.5 * x0, eps, x, x0, 0.5 * eps),
        x = s.alpha * x0 + s.sigma * eps + 0.01 * t.sigma * let<0>);
  }
};

auto const vp = schedules::continuous::linear{};
auto const v = predicts::v{};
using guidance::classifier_free;

}  // namespace

BOOST_AUTO_TEST_CASE(samplers_of_one_evaluation) {
  grids::uniform const uniform;
  agrees("ddim", vp | v | samplers::ddim{} | scrambled{}, uniform, 4);
  agrees("ddim_eta", vp | predicts::epsilon{} | samplers::ddim_eta{.eta = 0.4} | scrambled{},
         uniform, 4);
  agrees("dpmpp_3m", vp | v | classifier_free{2} | samplers::dpmpp_3m{} | scrambled{}, uniform, 6);
  agrees("unipc_2", vp | v | samplers::unipc_2{} | scrambled{}, uniform, 5);
  agrees("x0, clip", vp | predicts::x0{} | thresholds::clip{0.8} | samplers::ddim{} | scrambled{},
         uniform, 4);
}

BOOST_AUTO_TEST_CASE(samplers_of_several_evaluations) {
  agrees("heun", schedules::cosine{} | v | thresholds::clip{} | samplers::heun{} | scrambled{},
         grids::uniform{}, 4);
  agrees("dpm_solver_2", vp | predicts::velocity{} | samplers::dpm_solver_2{} | scrambled{},
         grids::uniform{}, 10);
  agrees("predictor_corrector",
         vp | predicts::score{} |
             samplers::predictor_corrector{samplers::ancestral{}, 2, 0.16, samplers::by_norms{}} |
             scrambled{},
         grids::uniform{}, 3);
}

BOOST_AUTO_TEST_CASE(what_a_kernel_does_for_the_next_evaluation) {
  agrees("churn, c_in",
         schedules::edm{} | predicts::edm{} | samplers::edm_stochastic{.gamma = 0.2} | scrambled{},
         grids::karras{.sigma_max = 40}, 8);
}

BOOST_AUTO_TEST_CASE(reductions_and_memories) {
  agrees(
      "dynamic",
      vp | v | classifier_free{1} | thresholds::dynamic{0.9} | samplers::ancestral{} | scrambled{},
      grids::uniform{}, 3);
  agrees("apg", vp | v | guidance::apg{} | samplers::ddim{} | scrambled{}, grids::uniform{}, 3);
  agrees("rescaled, clip",
         vp | v | guidance::rescaled{} | thresholds::clip{} | samplers::ddim{} | scrambled{},
         grids::uniform{}, 3);
}

BOOST_AUTO_TEST_CASE(guidances_in_x0_or_eps_and_within_an_interval) {
  agrees("cfg++", vp | v | guidance::cfg_plus_plus{} | samplers::ddim{} | scrambled{},
         grids::uniform{}, 3);
  agrees("classifier",
         vp | v | guidance::classifier{0.5, scrambled{}} | samplers::euler{} | scrambled{},
         grids::uniform{}, 3);
  agrees("within",
         vp | v | guidance::within{classifier_free{2}, 0.2, 0.7} | samplers::ddim{} | scrambled{},
         grids::uniform{}, 5);
}

BOOST_AUTO_TEST_CASE(masks_learned_variance_and_functions) {
  agrees("repaint", vp | v | samplers::repaint{samplers::ancestral{}, 3} | scrambled{},
         grids::uniform{}, 3, true);
  agrees("learned variance", vp | v | samplers::ancestral_learned{} | scrambled{}, grids::uniform{},
         3);
}

BOOST_AUTO_TEST_CASE(functions_of_many_values) {
  agrees("of_twelve", vp | v | of_twelve{} | scrambled{}, grids::uniform{}, 3);
}

// Each kind of room, one after the other: never more is written than there is.
BOOST_AUTO_TEST_CASE(an_evaluation_longer_than_there_is_room_for_is_refused) {
  using namespace lowering;
  auto const refused = [](char const* what, char const* most, auto const& add) {
    any_stages stages = forget_stages((vp | v | samplers::ddim{} | scrambled{}).stage_set());
    stages.sampler.last = [add](ir& p, level const*, path const&) {
      any_step s;
      s.evaluations.resize(1);
      add(p, s.evaluations[0].statements);
      s.evaluations[0].statements.add(copy_of(p, sym::x::id, sym::x0::id));
      return s;
    };
    BOOST_TEST_CONTEXT(what)
    BOOST_CHECK_EXCEPTION(
        build_plan(stages, forget_network(scrambled{}), grids::uniform{}.levels(vp, 3), {}, {}),
        error, [&](error const& e) {
          return std::string(e.what()) ==
                 fmt::format("an evaluation has more in it than fits: {} are the most", most);
        });
  };
  refused("statements", "160 statements", [](ir& p, statements& all) {
    for (int i = 0; i < 170; ++i) all.add(copy_of(p, {sym::word::let, i % 100}, sym::x0::id));
  });
  refused("terms as they are written", "6000 terms of sums", [](ir& p, statements& all) {
    form<sym::x0, sym::eps, sym::x, sym::known> const f{};
    for (int i = 0; i < 100; ++i) {
      all.add({{sym::word::let, i}, put_expression(p, f)});
      for (int k = 0; k < 20; ++k) put(p, f);
    }
  });
  for (int written : {5990, 5993, 5996, 5999, 6000})
    refused("terms as they are merged", "6000 terms of sums", [written](ir& p, statements& all) {
      for (int i = p.terms.size; i < written; ++i) put(p, sym::x{});
      all.add({sym::keep<0>::id, put_expression(p, form<sym::x0, sym::eps, sym::known>{})});
    });
  refused("symbols", "400 symbols in a kernel", [](ir& p, statements& all) {
    int const first = p.terms.size;
    for (int k = 0; k < 450; ++k) p.terms.add({1, {sym::word::noise_stream, k}});
    all.add({sym::keep<0>::id, p.expressions.add({{first, p.terms.size}, {}, {}, {}})});
  });
  refused("nodes", "200 lines", [](ir& p, statements& all) {
    auto const node = clamp(clamp(clamp(clamp(symbols::x, -1, 1), -1, 1), -1, 1), -1, 1);
    for (int i = 0; i < 90; ++i) all.add({{sym::word::let, i}, put_expression(p, node)});
  });
}

BOOST_AUTO_TEST_CASE(more_reductions_than_a_state_has_room_for_are_refused) {
  using namespace lowering;
  any_stages stages = forget_stages((vp | v | samplers::ddim{} | scrambled{}).stage_set());
  stages.sampler.last = [](ir& p, level const*, path const&) {
    any_step s;
    s.evaluations.resize(1);
    int const first = p.terms.size;
    for (int k = 0; k < 21; ++k) p.terms.add({1, {sym::word::let, k}});
    int const end = p.terms.size;
    for (int k = 0; k < 21; ++k)
      s.evaluations[0].statements.add({{sym::word::let, k}, put_expression(p, norm(symbols::x))});
    s.evaluations[0].statements.add({sym::x::id, p.expressions.add({{first, end}, {}, {}, {}})});
    return s;
  };
  BOOST_CHECK_EXCEPTION(
      build_plan(stages, forget_network(scrambled{}), grids::uniform{}.levels(vp, 3), {}, {}),
      error, [](error const& e) {
        return std::string(e.what()) == "an evaluation has reduced<20>, expected an index below 20";
      });
}

// The terms of a state that lives in many tiles are followed by many threads.
BOOST_AUTO_TEST_CASE(many_elements) {
  auto const typed = vp | v | thresholds::dynamic{} | samplers::ancestral{} | scrambled{};
  auto const plan = typed.plan(3);
  auto const stages = typed.stage_set();
  any_plan const followed =
      build_plan(forget_stages(stages), forget_network(scrambled{}), plan.levels(), {});
  request const r{.shape = {40, 1, 37, 31}, .seed = 5};
  BOOST_TEST(equal_bits(followed.sample(r).data, plan.sample(r).data));
}
