// expect: a parameterization's target(level) is a form over x0 and eps
#include <tweedie/pipelines/objective.hpp>
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/schedules/cosine.hpp>

using namespace tweedie;

struct my_prediction {
  using kind = kinds::parameterization;
  static constexpr char const* name = "mine";
  auto x0_of(level t) const { return (symbols::x - t.sigma * symbols::raw) / t.alpha; }
  auto eps_of(level) const { return +symbols::raw; }
#ifdef MISTAKE
  auto target(level t) const { return (symbols::x - t.alpha * symbols::x0) / t.sigma; }
#else
  auto target(level) const { return +symbols::eps; }
#endif
};

using objective_ = objective<schedules::cosine, my_prediction>;
examples result(objective_ const& o, float* x) { return o({}, x, x, x, 4); }
