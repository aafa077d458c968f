// expect: an evaluation has more in it than fits: 1000 parameters of functions are the most
#include <tweedie/dsl/device/launch.hpp>

using namespace tweedie;
using namespace tweedie::symbols;

struct curve {
#ifdef MISTAKE
  float values[1000];
#else
  float values[100];
#endif
  TWEEDIE_HD float operator()(float a) const { return a * values[0]; }
};

auto const made = fuse(std::tuple{x = pointwise(curve{}, x)});
