// expect: a network is called with a tweedie::batch const& and is const itself
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/schedules/cosine.hpp>

using namespace tweedie;

struct my_network {
  using kind = kinds::network;
#ifdef MISTAKE
  void operator()(batch const&) {}
#else
  void operator()(batch const&) const {}
#endif
};
auto const pipeline_ = schedules::cosine{} | predicts::v{} | samplers::ddim{} | my_network{};

images result() { return pipeline_.sample({.shape = {1, 4}, .steps = 2}); }
