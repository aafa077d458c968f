// A schedule from what a file says of it: its name and parameters, or its table.
#pragma once

#include <string>

#include <tweedie/networks/schedule_description.hpp>
#include <tweedie/pipelines/ready/stages.hpp>

namespace tweedie::ready {

/// Calls visit(name, member) for every parameter of a stage.
template <class S, class Visit> void each_parameter(S& s, Visit&& visit) {
  if constexpr (requires { S::fields; })
    std::apply([&](auto const&... f) { (visit(f.name, s.*f.member), ...); }, S::fields);
}

/// All parameters of a schedule, also those that have their usual values.
networks::schedule_description describe(schedule_choice const& schedule);

/// "linear {beta_first = 0.0001, beta_last = 0.02, steps = 1000}", "a table of 1000 abar"
std::string in_words(networks::schedule_description const& schedule);

/// The schedule of a description. Throws a sentence that names `source` where a parameter is
/// missing, not known or out of any range; what a card (`is_whole` false) leaves out has its usual
/// value.
schedule_choice schedule_of(networks::schedule_description const& given, std::string const& source,
                            bool is_whole = true);

}  // namespace tweedie::ready
