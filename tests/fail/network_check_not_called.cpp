// expect: a network's check would never be called
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/schedules/cosine.hpp>

using namespace tweedie;

struct my_network {
  using kind = kinds::network;
  void operator()(batch const&) const {}
#ifdef MISTAKE
  void check(std::span<std::size_t const>, std::span<int const>) const {}
#else
  void check(std::span<std::size_t const>, std::span<int const>, int) const {}
#endif
};
auto const pipeline_ = schedules::cosine{} | predicts::v{} | samplers::ddim{} | my_network{};

images result() { return pipeline_.sample({.shape = {1, 4}, .steps = 2}); }
