// expect: its function must be trivially copyable
#include <vector>

#include <tweedie/networks/inlined.hpp>
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/schedules/cosine.hpp>

using namespace tweedie;

struct halving {
#ifdef MISTAKE
  std::vector<float> weights{0.5f};
#else
  float weights[1]{0.5f};
#endif
  TWEEDIE_HD void operator()(networks::inlined_row const& row) const {
    for (std::uint64_t i = row.thread; i < row.elements; i += row.threads)
      row.out[i] = weights[0] * row.x[i];
  }
};
auto const pipeline_ =
    schedules::cosine{} | predicts::v{} | samplers::ddim{} | networks::inlined{halving{}};

images result() { return pipeline_.sample({.shape = {1, 4}, .steps = 2}); }
