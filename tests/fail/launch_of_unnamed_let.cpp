// expect: a formula reads a let<k> that no statement before it names
#include <tweedie/dsl/device/launch.hpp>

using namespace tweedie;
using namespace tweedie::symbols;

void run(float* p, rows const& r) {
#ifdef MISTAKE
  launch(step(let<0> = 2 * let<1>, let<1> = 2 * x, x = +let<0>), bindings{bind(x, p)}, r);
#else
  launch(step(let<1> = 2 * x, let<0> = 2 * let<1>, x = +let<0>), bindings{bind(x, p)}, r);
#endif
}
