// The programs of a product of stages, each once.
#pragma once

#include <tuple>
#include <vector>

#include <boost/hana/cartesian_product.hpp>
#include <boost/hana/set.hpp>
#include <boost/hana/tuple.hpp>
#include <boost/hana/type.hpp>
#include <boost/hana/unpack.hpp>

#include <tweedie/pipelines/plan.hpp>
#include <tweedie/pipelines/ready/stages.hpp>

namespace tweedie::ready {

/// Types as a list for Hana.
template <class... T> inline constexpr auto these = boost::hana::tuple_t<T...>;

namespace detail {
template <class... T> constexpr auto types_of(std::tuple<named<T>...> const&) {
  return boost::hana::tuple_t<T...>;
}
}  // namespace detail
/// Every sampler that has a name.
inline constexpr auto all_samplers = decltype(detail::types_of(samplers)){};

/// The programs of every pipeline that has one stage of each list. The schedule is data: any will
/// do.
template <class P, class G, class T, class S>
std::vector<any_code> programs_of_product(P of_predictions, G of_guidances, T of_thresholds,
                                          S of_samplers) {
  namespace hana = boost::hana;
  auto const programs_of = [](auto pipeline) {
    return hana::unpack(pipeline, [](auto... stage) {
      using stages =
          stage_set<tweedie::schedules::rectified_flow, typename decltype(stage)::type...>;
      return typename compiled<stages>::programs{};
    });
  };
  auto const product = hana::cartesian_product(
      hana::make_tuple(of_predictions, of_guidances, of_thresholds, of_samplers));
  auto const all = hana::unpack(
      product, [&](auto... pipeline) { return tweedie::detail::concat(programs_of(pipeline)...); });
  auto const each_once = [&]<class... Program>(list<Program...>) {
    return hana::to_set(hana::tuple_t<Program...>);
  }(all);
  return hana::unpack(each_once, [](auto... p) {
    return std::vector<any_code>{tweedie::detail::code_of<typename decltype(p)::type>()...};
  });
}

}  // namespace tweedie::ready
