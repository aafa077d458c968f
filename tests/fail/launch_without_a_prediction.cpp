// expect: launch(step(...)) is without a pipeline, whose stages say what raw, x0, eps, score, v, velocity, branch_x0<i> and branch_eps<i> are: write its formula over x, known, noise and others that you bind
#include <tweedie/dsl/device/launch.hpp>

using namespace tweedie;
using namespace tweedie::symbols;

void run(float* p, float const* clean, rows const& r) {
#ifdef MISTAKE
  launch(step(x = 0.5 * x + branch_x0<0>), bindings{bind(x, p), bind(known, clean)}, r);
#else
  launch(step(x = 0.5 * x + known), bindings{bind(x, p), bind(known, clean)}, r);
#endif
}
