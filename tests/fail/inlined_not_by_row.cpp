// expect: an inlined network is asked row by row
#include <tweedie/networks/inlined.hpp>
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/schedules/cosine.hpp>

using namespace tweedie;

struct silent {
#ifdef MISTAKE
  void operator()(batch const&) const {}
#else
  TWEEDIE_HD void operator()(networks::inlined_row const&) const {}
#endif
};
auto const pipeline_ =
    schedules::cosine{} | predicts::v{} | samplers::ddim{} | networks::inlined{silent{}};

images result() { return pipeline_.sample({.shape = {1, 4}, .steps = 2}); }
