// Every sampler over v, classifier-free guidance and a clip, compiled for a GPU: one kernel per structure, equal
// structures shared; and one that draws the start.
// kernels: 8
// scalar: the numbers of a sample, where samples differ, are one load each, not per element
#include <tweedie/networks/predicts.hpp>
#include <tweedie/networks/thresholds.hpp>
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/samplers/ancestral.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/samplers/dpmpp_2m.hpp>
#include <tweedie/samplers/euler.hpp>
#include <tweedie/samplers/heun.hpp>
#include <tweedie/schedules/cosine.hpp>

using namespace tweedie;

struct network {
  using kind = kinds::network;
  void operator()(batch const&) const {}
};

template <class Sampler> images draw(Sampler sampler) {
  auto const pipeline = schedules::cosine{} | predicts::v{} | guidance::classifier_free{.w = 3} |
                        thresholds::clip{1} | sampler | network{};
  return pipeline.sample({.shape = {4, 1, 8, 8}, .steps = 10}, label{3});
}

template images draw(samplers::ddim);
template images draw(samplers::ddim_eta);
template images draw(samplers::ancestral);
template images draw(samplers::euler);
template images draw(samplers::heun);
template images draw(samplers::dpmpp_2m);
