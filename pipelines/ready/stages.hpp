// The stages that have a name at run time: the lists behind recipes and the command line. A sampler
// says its name in its own header (`// name: ddim = ddim{}`); another new stage is one line here.
#pragma once

#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include <tweedie/generated/samplers.hpp>
#include <tweedie/guidances/apg.hpp>
#include <tweedie/guidances/cfg_plus_plus.hpp>
#include <tweedie/guidances/cfg_zero_star.hpp>
#include <tweedie/guidances/guidance.hpp>
#include <tweedie/guidances/rescaled.hpp>
#include <tweedie/io/nearest.hpp>
#include <tweedie/pipelines/evaluation.hpp>
#include <tweedie/pipelines/ready/named.hpp>
#include <tweedie/predicts/edm.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/schedules/cosine.hpp>
#include <tweedie/schedules/edm.hpp>
#include <tweedie/schedules/grids.hpp>
#include <tweedie/schedules/linear.hpp>
#include <tweedie/schedules/rectified_flow.hpp>
#include <tweedie/schedules/scaled_linear.hpp>
#include <tweedie/schedules/sub_variance_preserving.hpp>
#include <tweedie/schedules/tabulated.hpp>
#include <tweedie/schedules/variance_exploding.hpp>
#include <tweedie/thresholds/thresholds.hpp>

namespace tweedie::ready {

inline auto const schedules =
    std::tuple{named{"cosine", tweedie::schedules::cosine{}},
               named{"linear", tweedie::schedules::linear{}},
               named{"scaled_linear", tweedie::schedules::scaled_linear{}},
               named{"continuous_cosine", tweedie::schedules::continuous::cosine{}},
               named{"continuous_linear", tweedie::schedules::continuous::linear{}},
               named{"continuous_scaled_linear", tweedie::schedules::continuous::scaled_linear{}},
               named{"rectified_flow", tweedie::schedules::rectified_flow{}},
               named{"variance_exploding", tweedie::schedules::variance_exploding{}},
               named{"sub_variance_preserving", tweedie::schedules::sub_variance_preserving{}},
               named{"edm", tweedie::schedules::edm{}},
               named{"tabulated", tweedie::schedules::tabulated{}}};

inline auto const grids = std::tuple{named{"usual", tweedie::grids::usual{}},
                                     named{"uniform", tweedie::grids::uniform{}},
                                     named{"quadratic", tweedie::grids::quadratic{}},
                                     named{"quadratic_ddim", tweedie::grids::quadratic_ddim{}},
                                     named{"leading", tweedie::grids::leading{}},
                                     named{"leading_solver", tweedie::grids::leading_solver{}},
                                     named{"trailing", tweedie::grids::trailing{}},
                                     named{"linspace", tweedie::grids::linspace{}},
                                     named{"linspace_solver", tweedie::grids::linspace_solver{}},
                                     named{"karras", tweedie::grids::karras{}},
                                     named{"exponential", tweedie::grids::exponential{}}};

inline auto const predictions = std::tuple{named{"v", predicts::v{}},
                                           named{"epsilon", predicts::epsilon{}},
                                           named{"x0", predicts::x0{}},
                                           named{"score", predicts::score{}},
                                           named{"velocity", predicts::velocity{}},
                                           named{"edm", predicts::edm{}}};

inline auto const guidances =
    std::tuple{named{"none", guidance::none{}},
               named{"classifier_free", guidance::classifier_free{}},
               named{"classifier_free_scale", guidance::classifier_free_scale{}},
               named{"rescaled", guidance::rescaled{}},
               named{"apg", guidance::apg{}},
               named{"cfg_zero_star", guidance::cfg_zero_star{}},
               named{"cfg_plus_plus", guidance::cfg_plus_plus{}}};

inline auto const thresholds =
    std::tuple{named{"none", no_threshold{}}, named{"clip", tweedie::thresholds::clip{}},
               named{"clip_x0_only", tweedie::thresholds::clip_x0_only{}},
               named{"dynamic", tweedie::thresholds::dynamic{}}};

using schedule_choice = any_of<decltype(schedules)>;
using grid_choice = any_of<decltype(grids)>;
using prediction_choice = any_of<decltype(predictions)>;
using guidance_choice = any_of<decltype(guidances)>;
using threshold_choice = any_of<decltype(thresholds)>;
using sampler_choice = any_of<decltype(samplers)>;

/// Whether a stage is one by its name alone: `tabulated` is not, and no list shows it.
template <class Stage> constexpr bool is_made_by_name() {
  return !requires { requires Stage::needs_numbers; };
}
/// The names of a list, in its order.
template <class List> std::vector<std::string_view> names(List const& list) {
  std::vector<std::string_view> r;
  auto const add = [&]<class T>(named<T> const& one) {
    if (is_made_by_name<T>()) r.emplace_back(one.name);
  };
  std::apply([&](auto const&... one) { (add(one), ...); }, list);
  return r;
}
/// The name under which a stage is in its list.
template <class List, class Any> char const* name_in(List const& list, Any const& any) {
  return std::apply(
      [&](auto const&... one) {
        char const* const all[] = {one.name...};
        return all[any.index()];
      },
      list);
}

using io::expected_names;

/// The stage of that name. Throws tweedie::error, which begins with `what`.
template <class List>
any_of<List> choose(std::string const& what, std::string_view given, List const& list) {
  any_of<List> r;
  auto const is = [&]<class T>(named<T> const& one) {
    return is_made_by_name<T>() && given == one.name && (r = one.value, true);
  };
  bool const found = std::apply([&](auto const&... one) { return (is(one) || ...); }, list);
  if (!found)
    throw error(
        fmt::format("{} '{}' was given; {}", what, given, expected_names(given, names(list))));
  return r;
}

}  // namespace tweedie::ready
