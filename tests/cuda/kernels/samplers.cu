// Every sampler of samplers/, over v, classifier-free guidance and a clip; those with a name in
// their headers are found by the build. Adaptive steps have no plan.
#include "../kernels.hpp"

#include <tweedie/generated/samplers.hpp>
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/samplers/adaptive.hpp>
#include <tweedie/samplers/ancestral_learned.hpp>
#include <tweedie/samplers/annealed_langevin.hpp>
#include <tweedie/samplers/consistency.hpp>
#include <tweedie/samplers/predictor_corrector.hpp>
#include <tweedie/samplers/repaint.hpp>
#include <tweedie/samplers/replacement.hpp>
#include <tweedie/samplers/step_length.hpp>
#include <tweedie/samplers/tableaux.hpp>
#include <tweedie/schedules/cosine.hpp>
#include <tweedie/thresholds/thresholds.hpp>

using namespace tweedie;

int main() {
  kernels::session all;
  all.expect_all_of("samplers", "samplers.cu");
  auto const with = [&](std::string const& name, auto sampler) {
    all.run(name, schedules::cosine{} | predicts::v{} | guidance::classifier_free{.w = 3} |
                      thresholds::clip{1} | sampler | kernels::network{});
  };
  std::apply([&](auto const&... one) { (with(one.name, one.value), ...); }, ready::samplers);
  with("ancestral_learned", samplers::ancestral_learned{});
  with("annealed_langevin", samplers::annealed_langevin{});
  with("consistency", samplers::consistency{});
  with("predictor_corrector", samplers::predictor_corrector{samplers::ancestral{}});
  with("predictor_corrector by norms",
       samplers::predictor_corrector{samplers::ancestral{}, 1, 0.16, samplers::by_norms{}});
  with("replacement", samplers::replacement{samplers::dpmpp_2m{}});
  with("repaint", samplers::repaint{samplers::ancestral{}, 2});
  return all.finish();
}
