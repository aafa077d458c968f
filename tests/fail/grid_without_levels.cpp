// expect: a grid needs std::vector<level> levels(schedule, int evaluations) const
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/schedules/cosine.hpp>

using namespace tweedie;
inline constexpr auto network = [](batch const&) {};

inline constexpr auto pipeline_ = schedules::cosine{} | predicts::v{} | samplers::ddim{} | network;

struct my_grid {
  using kind = kinds::grid;
#ifndef MISTAKE
  template <class Schedule> std::vector<level> levels(Schedule const& schedule, int n) const {
    std::vector<level> r;
    for (int k = n; k > 0; --k) r.push_back(schedule.at(schedule.end() * k / n));
    r.push_back(schedule.clean());
    return r;
  }
#endif
};

images result() { return pipeline_.plan(my_grid{}, 10).sample({.shape = {1, 4}}); }
