// What is chosen by name on the command line. Names end here: everything below has types.
#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include <tweedie/dsl/language/form.hpp>
#include <tweedie/networks/unet_file.hpp>
#include <tweedie/pipelines/objective.hpp>
#include <tweedie/pipelines/ready/schedule_of.hpp>

namespace tweedie::tool {

/// A variant with a name per alternative, in one order.
template <class T> struct named {
  char const* name;
  T value;
};

/// The alternative of that name. Throws a sentence that lists what there is and names the nearest.
template <class Named>
auto choose(std::string const& option, std::string const& given, Named const& there) {
  std::vector<std::string_view> names;
  for (auto const& entry : there) {
    if (given == entry.name) return entry.value;
    names.push_back(entry.name);
  }
  throw error(
      fmt::format("{} '{}' was given; {}", option, given, ready::expected_names(given, names)));
}
template <class Named> std::string list_of(Named const& there) {
  std::string list;
  for (auto const& entry : there) list += (list.empty() ? "" : ", ") + std::string(entry.name);
  return list;
}

/// A schedule that is known at run time only: levels are asked for once per evaluation, on the
/// host, so a pipeline need not be compiled for each.
struct any_schedule {
  using kind = kinds::schedule;
  static constexpr auto name = "schedule";
  ready::schedule_choice which;

  level at(double t) const {
    return std::visit([t](auto const& s) { return s.at(t); }, which);
  }
  double end() const {
    return std::visit([](auto const& s) { return s.end(); }, which);
  }
  int table_steps() const {
    return std::visit([](auto const& s) { return s.table_steps(); }, which);
  }
  double t_of_rho(double rho) const {
    return std::visit([rho](auto const& s) { return s.t_of_rho(rho); }, which);
  }
  level clean() const {
    return std::visit([](auto const& s) { return s.clean(); }, which);
  }
};

/// The names of one of the library's lists: "cosine, linear, ...".
template <class List> std::string names_of_list(List const& list) {
  return fmt::format("{}", fmt::join(ready::names(list), ", "));
}

using ready::each_parameter;

inline networks::schedule_description describe(any_schedule const& schedule) {
  return ready::describe(schedule.which);
}

/// As ready::schedule_of.
inline any_schedule schedule_of(networks::schedule_description const& given,
                                std::string const& source, bool is_whole = true) {
  return {ready::schedule_of(given, source, is_whole)};
}

/// A prediction that is known at run time only, for pipelines with types: x0 and eps are forms over
/// x and raw whatever is predicted.
struct run_time_prediction {
  using kind = kinds::parameterization;
  ready::prediction_choice which;
  std::string name = std::visit([](auto const& p) { return std::string(p.name); }, which);

  using form_of_both = form<sym::x, sym::raw>;
  form_of_both x0_of(level t) const {
    return std::visit([t](auto const& p) { return of_both(p.x0_of(t)); }, which);
  }
  form_of_both eps_of(level t) const {
    return std::visit([t](auto const& p) { return of_both(p.eps_of(t)); }, which);
  }

 private:
  template <class F> static form_of_both of_both(F const& f) {
    return {{coefficient<sym::x>(f), coefficient<sym::raw>(f)}};
  }
};

/// What a network is trained to predict. Not consistency: such a network learns from itself.
using trained_prediction = std::variant<predicts::v, predicts::epsilon, predicts::x0,
                                        predicts::score, predicts::velocity, predicts::edm>;
inline std::initializer_list<named<trained_prediction>> const trained_choices{
    {predicts::v::name, predicts::v{}},
    {predicts::epsilon::name, predicts::epsilon{}},
    {predicts::x0::name, predicts::x0{}},
    {predicts::score::name, predicts::score{}},
    {predicts::velocity::name, predicts::velocity{}},
    {predicts::edm::name, predicts::edm{}}};

/// What a model file's network predicts, by name.
inline ready::prediction_choice prediction_of(std::string const& what, std::string const& name) {
  return ready::choose(what, name, ready::predictions);
}

/// A weight that is known at run time only, as any_schedule.
struct any_weight {
  std::variant<weights::plain, weights::uniform, weights::snr_plus_1, weights::truncated_snr,
               weights::min_snr, weights::p2, weights::edm, weights::flow_matching,
               weights::sigmoid>
      which;
  double of_raw(level t, double b) const {
    return std::visit([&](auto const& w) { return detail::weight_of_raw(w, t, b); }, which);
  }
};
inline std::initializer_list<named<any_weight>> const weight_choices{
    {weights::plain::name, {weights::plain{}}},
    {weights::uniform::name, {weights::uniform{}}},
    {weights::snr_plus_1::name, {weights::snr_plus_1{}}},
    {weights::truncated_snr::name, {weights::truncated_snr{}}},
    {weights::min_snr::name, {weights::min_snr{}}},
    {weights::p2::name, {weights::p2{}}},
    {weights::edm::name, {weights::edm{}}},
    {weights::flow_matching::name, {weights::flow_matching{}}},
    {weights::sigmoid::name, {weights::sigmoid{}}}};

/// How times are drawn, known at run time only; stratified or not.
struct any_times {
  std::variant<times::uniform, times::log_normal, times::logit_normal, times::by_loss> which;
  bool stratified = true;

  double spread(double u, std::size_t row, std::size_t rows) const {
    return stratified ? times::stratified<>::spread(u, row, rows) : u;
  }
  template <class Schedule> double share(Schedule const& schedule, double u) const {
    return std::visit([&](auto const& t) { return t.share(schedule, u); }, which);
  }
  double density(double share) const { return by_loss() ? by_loss()->density(share) : 1; }
  void observe(double share, double loss) {
    if (by_loss()) by_loss()->observe(share, loss);
  }
  /// Those that remember the losses, or null.
  times::by_loss* by_loss() { return std::get_if<times::by_loss>(&which); }
  times::by_loss const* by_loss() const { return std::get_if<times::by_loss>(&which); }
};
inline std::vector<named<any_times>> const times_choices{
    {"stratified", {times::uniform{}}},
    {"stratified_log_normal", {times::log_normal{}}},
    {"stratified_logit_normal", {times::logit_normal{}}},
    {"stratified_by_loss", {times::by_loss{}}},
    {times::uniform::name, {times::uniform{}, false}},
    {times::log_normal::name, {times::log_normal{}, false}},
    {times::logit_normal::name, {times::logit_normal{}, false}},
    {times::by_loss::name, {times::by_loss{}, false}}};

}  // namespace tweedie::tool
