// expect: a network's input and output are float, bfloat16 or float16
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/schedules/cosine.hpp>

using namespace tweedie;

struct my_network {
  using kind = kinds::network;
#ifdef MISTAKE
  using output = double;
#else
  using output = bfloat16;
#endif
  void operator()(batch const&) const {}
};
auto const pipeline_ = schedules::cosine{} | predicts::v{} | samplers::ddim{} | my_network{};

images result() { return pipeline_.sample({.shape = {1, 4}, .steps = 2}); }
