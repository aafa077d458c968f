#include <tweedie/pipelines/continuous_batch.hpp>
#include <tweedie/pipelines/state_file.hpp>
#include <tweedie/tweedie.hpp>

tweedie::images other() {
  using namespace tweedie;
  networks::gaussian_mixture const mixture{{{.mean = {0.5, -0.5}, .variance = 0.01}}};
  auto const pipeline =
      schedules::cosine{} | predicts::v{} | samplers::heun{} | mixture.predicting<predicts::v>();
  return pipeline.sample({.shape = {100, 2}, .steps = 10, .seed = 1});
}
