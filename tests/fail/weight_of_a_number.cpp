// expect: a weight is a function of the level
#include <vector>

#include <tweedie/pipelines/objective.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/schedules/cosine.hpp>

using namespace tweedie;

struct my_weight {
#ifdef MISTAKE
  double operator()(double t) const { return t < 500; }
#else
  double operator()(level t) const { return t.t < 500; }
#endif
};

examples result(std::vector<float>& x) {
  objective const o{schedules::cosine{}, predicts::v{}, my_weight{}};
  sample_key const key{.seed = 1};
  return o({&key, 1}, x.data(), x.data() + 4, x.data() + 8, 4);
}
