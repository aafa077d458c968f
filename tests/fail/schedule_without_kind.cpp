// expect: a pipeline has a stage that answers as a schedule does and has no kind
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/schedules/cosine.hpp>

using namespace tweedie;
inline constexpr auto network = [](batch const&) {};

struct my_schedule {
#ifndef MISTAKE
  using kind = kinds::schedule;
#endif
  level at(double t) const { return {t, 1 - t, t, -1, 1}; }
  double end() const { return 1; }
  int table_steps() const { return 0; }
  double t_of_rho(double rho) const { return rho / (1 + rho); }
  level clean() const { return at(0); }
};
auto const pipeline_ = my_schedule{} | predicts::v{} | samplers::ddim{} | network;

images result() { return pipeline_.sample({.shape = {1, 4}, .steps = 2}); }
