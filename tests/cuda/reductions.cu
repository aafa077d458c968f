// Pipelines whose steps reduce over a sample, and one whose network reads and writes 16 bits: an elementwise kernel,
// then a block per sample that reduces and goes on.
// kernels: 8
// scalar: a reduction adds strided elements, a selection counts them, one at a time; a mask has a period
// scalar store: the value of a reduction is one float a sample
#include <tweedie/networks/predicts.hpp>
#include <tweedie/networks/thresholds.hpp>
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/schedules/cosine.hpp>

using namespace tweedie;

struct network {
  using kind = kinds::network;
  void operator()(batch const&) const {}
};
struct half_network {
  using kind = kinds::network;
  using input = bfloat16;
  using output = float16;
  void operator()(batch const&) const {}
};

images dynamic() {
  auto const pipeline =
      schedules::cosine{} | predicts::v{} | thresholds::dynamic{} | samplers::ddim{} | network{};
  return pipeline.sample({.shape = {4, 1, 8, 8}, .steps = 10}, label{3});
}
images in_16_bits() {
  auto const pipeline = schedules::cosine{} | predicts::v{} | samplers::ddim{} | half_network{};
  return pipeline.sample({.shape = {4, 1, 8, 8}, .steps = 10}, label{3});
}
