// expect: a schedule needs double t_of_rho(double rho) const
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/schedules/cosine.hpp>

using namespace tweedie;
inline constexpr auto network = [](batch const&) {};

struct my_schedule {
  using kind = kinds::schedule;
  level at(double t) const { return {t, 1 - t, t, -1, 1}; }
  double end() const { return 1; }
  int table_steps() const { return 0; }
#ifndef MISTAKE
  double t_of_rho(double rho) const { return rho / (1 + rho); }
#endif
  level clean() const { return at(0); }
};
auto const pipeline_ = my_schedule{} | predicts::v{} | samplers::ddim{} | network;

images result() { return pipeline_.sample({.shape = {1, 4}, .steps = 2}); }
