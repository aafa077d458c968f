// Every sampler over v, classifier-free guidance and a clip.
#include "../kernels.hpp"

#include <tweedie/networks/predicts.hpp>
#include <tweedie/networks/thresholds.hpp>
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/samplers/ancestral.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/samplers/heun.hpp>
#include <tweedie/schedules/cosine.hpp>

using namespace tweedie;

int main(int count, char** words) {
  kernels::session all(count, words);
  auto const with = [&](std::string const& name, auto sampler) {
    all.run(name, schedules::cosine{} | predicts::v{} | guidance::classifier_free{.w = 3} |
                      thresholds::clip{1} | sampler | kernels::network{});
  };
  with("ddim", samplers::ddim{});
  with("ddim_eta", samplers::ddim_eta{});
  with("heun", samplers::heun{});
  return all.finish();
}
