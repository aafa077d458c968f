// A training example and the weights' average, compiled for a GPU.
// kernels: 2
// scalar: a sample's own numbers and key are one load each, not per element
#include <tweedie/networks/predicts.hpp>
#include <tweedie/pipelines/objective.hpp>
#include <tweedie/schedules/cosine.hpp>

using namespace tweedie;

examples draw(std::span<sample_key const> keys, float* clean, float* noisy, float* target) {
  objective const o{schedules::cosine{}, predicts::v{}, weights::min_snr{}};
  return o(keys, clean, noisy, target, 784);
}

void average(float* a, float const* w) { average_weights(a, w, 4096, 0.999); }
