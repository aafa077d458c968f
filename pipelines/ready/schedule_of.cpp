#include <tweedie/pipelines/ready/schedule_of.hpp>

#include <algorithm>
#include <cmath>
#include <vector>

#include <tweedie/pipelines/plan_builder.hpp>
#include <tweedie/schedules/check.hpp>

namespace tweedie {
namespace ready {

networks::schedule_description describe(schedule_choice const& schedule) {
  networks::schedule_description r{name_in(schedules, schedule), {}};
  std::visit(
      [&]<class S>(S const& s) {
        each_parameter(s, [&](char const* key, auto value) {
          r.parameters.emplace_back(key, static_cast<double>(value));
        });
        if constexpr (std::is_same_v<S, tweedie::schedules::tabulated>) r.alpha_bar = s.alpha_bar();
      },
      schedule);
  return r;
}

std::string in_words(networks::schedule_description const& schedule) {
  if (!schedule.alpha_bar.empty())
    return fmt::format("a table of {} abar", schedule.alpha_bar.size());
  std::string list;
  for (auto const& [key, value] : schedule.parameters)
    list += fmt::format("{}{} = {}", list.empty() ? "" : ", ", key, value);
  return schedule.name + (list.empty() ? "" : " {" + list + "}");
}

schedule_choice schedule_of(networks::schedule_description const& given, std::string const& source,
                            bool is_whole) {
  if (!given.alpha_bar.empty()) return tweedie::schedules::tabulated{given.alpha_bar};
  schedule_choice schedule = choose(fmt::format("'{}': schedule", source), given.name, schedules);
  std::size_t known = 0;
  std::visit(
      [&](auto& s) {
        each_parameter(s, [&](std::string const& key, auto& value) {
          for (auto const& [name, number] : given.parameters) {
            if (name != key) continue;
            using type = std::remove_reference_t<decltype(value)>;
            if (std::is_same_v<type, int> &&
                !(number >= 1 && number <= 1'000'000 && number == std::floor(number)))
              throw error(
                  fmt::format("'{}': schedule {}: {} = {} was given, expected a whole number "
                              "from 1 to 1000000",
                              source, given.name, key, number));
            value = static_cast<type>(number);
            ++known;
          }
        });
      },
      schedule);
  auto const all = describe(schedule).parameters;
  std::vector<std::string_view> names;
  for (auto const& [name, value] : all) names.push_back(name);
  for (auto const& [name, value] : given.parameters)
    if (!is_whole && std::ranges::find(names, name) == names.end())
      throw error(fmt::format("'{}': schedule {} has no parameter '{}'; {}", source, given.name,
                              name, expected_names(name, names)));
  if (known != given.parameters.size() || (is_whole && known != all.size()))
    throw error(fmt::format("'{}': schedule {}: its parameters are not those of this schedule",
                            source, in_words(given)));
  return schedule;
}

}  // namespace ready

known_schedule know_schedule(networks::training_schedule const& trained) {
  auto const schedule = ready::schedule_of(trained.schedule, trained.source, false);
  std::visit([](auto const& s) { schedules::check(s); }, schedule);
  known_schedule r{trained, ready::in_words(ready::describe(schedule)), {}, {}};
  std::visit(
      [&](auto const& s) {
        r.end = s.end();
        r.levels = schedules::path_along(s);
      },
      schedule);
  return r;
}

}  // namespace tweedie
