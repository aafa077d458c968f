// expect: an inlined network is small
#include <tweedie/networks/inlined.hpp>
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/schedules/cosine.hpp>

using namespace tweedie;

struct scaled {
#ifdef MISTAKE
  float weights[10000] = {};
#else
  float weights[100] = {};
#endif
  TWEEDIE_HD void operator()(networks::inlined_row const& row) const {
    for (std::uint64_t i = row.thread; i < row.elements; i += row.threads)
      row.out[i] = weights[i % 100] * row.x[i];
  }
};
auto const pipeline_ =
    schedules::cosine{} | predicts::v{} | samplers::ddim{} | networks::inlined{scaled{}};

images result() { return pipeline_.sample({.shape = {1, 4}, .steps = 2}); }
