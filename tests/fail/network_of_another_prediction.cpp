// expect: the network says that it answers another prediction than the pipeline's
#include <tweedie/networks/gaussian_mixture.hpp>
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/schedules/cosine.hpp>

using namespace tweedie;

images result() {
  networks::gaussian_mixture const mixture{{{.mean = {1, -1}, .variance = 0.1}}};
#ifdef MISTAKE
  auto const network = mixture.predicting<predicts::epsilon>();
#else
  auto const network = mixture.predicting<predicts::v>();
#endif
  auto const pipeline = schedules::cosine{} | predicts::v{} | samplers::ddim{} | network;
  return pipeline.sample({.shape = {1, 2}, .steps = 2});
}
