// The lowering of flat values beside that of types: the same kernels, the same numbers.
#define BOOST_TEST_DYN_LINK
#include <algorithm>
#include <vector>

#include <boost/test/unit_test.hpp>
#include <tweedie/pipelines/formulas.hpp>
#include <tweedie/pipelines/ready/stages.hpp>
#include <tweedie/tweedie.hpp>

using namespace tweedie;

namespace {

template <class V> using functions_of = typename lowering::functions_in<V>::type;

/// The functions that the stages name.
template <class Stages> struct formulas {
  using P = decltype(Stages::predicts);
  using G = decltype(Stages::guidance);
  using T = decltype(Stages::threshold);
  static auto functions() {
    auto const raw = [] {
      if constexpr (detail::guides_raw<G>)
        return functions_of<decltype(std::declval<G const&>().raw_of(level{}))>{};
      else return list<>{};
    };
    auto const x0 = [] {
      if constexpr (detail::guides_x0<G>)
        return functions_of<decltype(std::declval<G const&>().x0_of(level{}))>{};
      else return list<>{};
    };
    auto const eps = [] {
      if constexpr (detail::guides_eps<G>)
        return functions_of<decltype(std::declval<G const&>().eps_of(level{}))>{};
      else return list<>{};
    };
    auto const kept = [] {
      if constexpr (detail::remembers<G>)
        return functions_of<std::remove_cvref_t<
            decltype(std::get<0>(std::declval<G const&>().remember(level{}).evaluations)
                         .statements)>>{};
      else return list<>{};
    };
    auto const clipped = [] {
      if constexpr (!std::is_same_v<T, no_threshold>)
        return functions_of<decltype(std::declval<T const&>().x0_of(level{}))>{};
      else return list<>{};
    };
    return detail::concat(list<lowering::function_entry<detail::same_function, 1>>{}, raw(), x0(),
                          eps(), kept(), clipped());
  }
};

/// compiled<Stages> without its programs.
template <class Stages> struct few_facts {
  using sampler = decltype(Stages::sampler);
  using kinds = detail::kinds_of_step<sampler>;
  using structures = decltype(detail::structures_of<Stages>(kinds{}));
  using mentioned = decltype(detail::concat(detail::all_mentioned<sampler>(kinds{}),
                                            detail::mentioned_on_entering<sampler>()));
  static constexpr int past_x0 = detail::largest_index<sym::past_x0<0>::rank>(mentioned{});
  static constexpr int past_eps = detail::largest_index<sym::past_eps<0>::rank>(mentioned{});
  using buffers = typename Stages::buffers;
  static constexpr bool writes_input = detail::scales_input<decltype(Stages::predicts)> ||
                                       !std::is_same_v<typename buffers::input, float> ||
                                       buffers::duplicates;
  static constexpr int inputs = !writes_input         ? 0
                                : buffers::duplicates ? decltype(Stages::guidance)::branches
                                                      : 1;
  template <class Structure>
  using statements_of = std::remove_cvref_t<
      decltype(std::get<Structure::evaluation>(
                   std::declval<detail::formula_of<sampler, typename Structure::kind>>()
                       .evaluations)
                   .statements)>;
};
template <class Stages, class Structure> struct lowered {
  using facts = few_facts<Stages>;
  using sampler = decltype(Stages::sampler);
  using kind = typename Structure::kind;
  using written = typename facts::template statements_of<Structure>;
  static auto entering() {
    if constexpr (detail::has_enter<sampler>)
      return std::type_identity<std::remove_cvref_t<
          decltype(std::get<0>(detail::enter_of(std::declval<sampler const&>(), level{}, level{},
                                                std::declval<path const&>())
                                   .evaluations)
                       .statements)>>{};
    else return std::type_identity<std::tuple<>>{};
  }
  using entered = typename decltype(entering())::type;
  using functions = decltype(detail::concat(formulas<Stages>::functions(), functions_of<written>{},
                                            functions_of<entered>{}));

  /// The lines of the evaluation: of its types alone in a constant expression.
  static constexpr void lower(lowering::ir& p, Stages const* s, level t, written const& formula,
                              path const* between, detail::upcoming const& next) {
    using lowering::said;
    auto const part = [&](auto Stages::*member) {
      return std::is_constant_evaluated() ? nullptr : &(s->*member);
    };
    auto const stages = lowering::put_stages<Structure::guided>(p, s, t);
    lowering::statements all;
    put_all(p, formula, all);
    constexpr bool final =
        Structure::evaluation + 1 ==
        detail::evaluations_in(static_cast<detail::formula_of<sampler, kind>*>(nullptr));
    constexpr bool goes_on = !kind::is_last || !final;
    if constexpr (detail::has_enter<sampler> && goes_on && final) {
      lowering::statements after;
      put_all(p,
              said(part(&Stages::sampler),
                   [&](sampler const& one) {
                     return std::get<0>(detail::enter_of(one, next.t, next.s, *between).evaluations)
                         .statements;
                   }),
              after);
      then(p, all, after);
    }
    if constexpr (facts::writes_input && goes_on) {
      using P = decltype(Stages::predicts);
      lowering::statements after;
      for (int b = 0; b < facts::inputs; ++b)
        if constexpr (detail::scales_input<P>)
          after.add({sym::net_in<0>::rank + b,
                     put_expression(p, said(part(&Stages::predicts), [&](P const& one) {
                                      return one.input_of(next.where);
                                    }))});
        else after.add(lowering::copy_of(p, sym::net_in<0>::rank + b, sym::x::rank));
      then(p, all, after);
    }
    if (facts::past_x0 > 0 && goes_on)
      all.add(lowering::copy_of(p, sym::past_x0<0>::rank, sym::x0::rank));
    if (facts::past_eps > 0 && goes_on)
      all.add(lowering::copy_of(p, sym::past_eps<0>::rank, sym::eps::rank));
    lower_evaluation(p, stages, all);
  }
  static constexpr lowering::program_value value = [] {
    lowering::ir p;
    lower(p, nullptr, lowering::any_level, written{}, nullptr, {});
    return assemble(p);
  }();
  using type = typename lowering::typed<value, functions>::type;
};
template <class Stages, class... S>
auto programs_in(list<S...>) -> list<typename lowered<Stages, S>::type...>;
template <class Stages, class... S>
auto plain_programs_in(list<S...>) -> list<typename decltype(compiled<Stages>::template fuse<S>(
    std::declval<Stages const&>(), level{},
    std::declval<typename compiled<Stages>::template statements_of<S> const&>(),
    std::declval<path const&>(), detail::upcoming{}))::type...>;

/// Holds the flat lowering to that of types, for each structure of a set of stages.
template <class Stages> void check(char const* name, Stages const& s) {
  using facts = few_facts<Stages>;
  using programs = decltype(programs_in<Stages>(typename facts::structures{}));
  static_assert(
      std::is_same_v<programs, decltype(plain_programs_in<Stages>(typename facts::structures{}))>);
  std::vector<level> levels;
  for (int i = 0; i < 9; ++i) levels.push_back(s.schedule.at(s.schedule.end() * (0.9 - i * 0.1)));
  path const between = schedules::path_along(s.schedule);
  detail::upcoming const next{levels[5], levels[5], levels[6]};
  auto const one = [&]<class Structure>(Structure) {
    auto const formula = Structure::kind::formula(s.sampler, &levels[4], between);
    auto const& e = std::get<Structure::evaluation>(formula.evaluations);
    level const t = e.where.value_or(levels[4]);
    auto const expected =
        compiled<Stages>::template fuse<Structure>(s, t, e.statements, between, next);

    lowering::ir p;
    std::vector<double> numbers;
    lowered<Stages, Structure>::lower(p, &s, t, e.statements, &between, next);
    auto const made = assemble(p, [&](double c) { numbers.push_back(c); });
    auto const& of_types = lowered<Stages, Structure>::value;
    BOOST_TEST(std::equal(made.symbols.begin(), made.symbols.end(), of_types.symbols.begin(),
                          of_types.symbols.end()));
    BOOST_TEST_CONTEXT(name << ", " << Structure::kind::name() << ", evaluation "
                            << Structure::evaluation << (Structure::guided ? ", guided" : "")) {
      BOOST_TEST(numbers == std::vector<double>(expected.c.begin(), expected.c.end()),
                 boost::test_tools::per_element());
    }
  };
  [&]<class... S>(list<S...>) { (one(S{}), ...); }(typename facts::structures{});
}

template <class P, class G, class T, class S> void check(char const* name, P p, G g, T t, S s) {
  check(name, stage_set<schedules::continuous::cosine, P, G, T, S>{{}, p, g, t, s});
}

constexpr guidance::classifier_free guide{.w = 2.3};
constexpr thresholds::clip clip{1};

}  // namespace

BOOST_AUTO_TEST_CASE(every_sampler_has_the_kernels_and_numbers_of_the_types) {
  std::apply([](auto const&... s) { (check(s.name, predicts::v{}, guide, clip, s.value), ...); },
             ready::samplers);
}

BOOST_AUTO_TEST_CASE(samplers_around_samplers_have_the_kernels_and_numbers_of_the_types) {
  using namespace samplers;
  guidance::none const none;
  no_threshold const unlimited;
  check("replacement", predicts::v{}, none, unlimited, replacement{ancestral{}});
  check("predictor_corrector", predicts::epsilon{}, none, unlimited,
        predictor_corrector{euler_maruyama{}});
  check("ancestral_learned", predicts::v{}, none, clip, ancestral_learned{});
}

BOOST_AUTO_TEST_CASE(every_guidance_has_the_kernels_and_numbers_of_the_types) {
  std::apply(
      [](auto const&... g) {
        (check(g.name, predicts::velocity{}, g.value, thresholds::dynamic{}, samplers::ddim{}),
         ...);
        (check(g.name, predicts::v{}, g.value, no_threshold{}, samplers::dpmpp_2m{}), ...);
      },
      ready::guidances);
  check("within", predicts::v{}, guidance::within{guide, 0.2, 0.6}, clip, samplers::heun{});
}

BOOST_AUTO_TEST_CASE(every_prediction_and_threshold_has_the_kernels_and_numbers_of_the_types) {
  std::apply(
      [](auto const&... p) { (check(p.name, p.value, guide, clip, samplers::unipc_2{}), ...); },
      ready::predictions);
  std::apply(
      [](auto const&... t) {
        (check(t.name, predicts::epsilon{}, guide, t.value, samplers::edm_stochastic{}), ...);
      },
      ready::thresholds);
}

BOOST_AUTO_TEST_CASE(buffers_and_noise_of_another_have_the_kernels_and_numbers_of_the_types) {
  using half = network_buffers<bfloat16, float16, true>;
  check("buffers",
        stage_set<schedules::rectified_flow, predicts::velocity, guidance::classifier_free,
                  no_threshold, samplers::ancestral, drawn_noise, half>{{}, {}, {}, {}, {}});
}
