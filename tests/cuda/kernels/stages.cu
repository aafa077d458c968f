// Predictions, guidances, thresholds, buffers of 16 bits, and what has no sampler: the start,
// noised samples, a training example, the weights' average.
#include "../kernels.hpp"

#include <tweedie/guidances/apg.hpp>
#include <tweedie/guidances/cfg_plus_plus.hpp>
#include <tweedie/guidances/cfg_zero_star.hpp>
#include <tweedie/guidances/classifier.hpp>
#include <tweedie/guidances/rescaled.hpp>
#include <tweedie/guidances/two_conditions.hpp>
#include <tweedie/pipelines/objective.hpp>
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/predicts/edm.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/samplers/ancestral.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/samplers/dpmpp_2m.hpp>
#include <tweedie/samplers/replacement.hpp>
#include <tweedie/schedules/cosine.hpp>
#include <tweedie/schedules/edm.hpp>
#include <tweedie/thresholds/thresholds.hpp>

using namespace tweedie;

template <class Input, class Output> struct network_of {
  using kind = kinds::network;
  using input = Input;
  using output = Output;
  void operator()(batch const&) const {}
};

int main() {
  kernels::session all;
  using namespace symbols;
  schedules::cosine const cosine{};
  kernels::network const network{};

  all.run("no guidance", cosine | predicts::epsilon{} | samplers::dpmpp_2m{} | network);
  all.run("x0, noise", cosine | predicts::x0{} | samplers::ancestral{} | network);
  all.run("input scaled by c_in",
          schedules::edm{} | predicts::edm{} | samplers::ddim_eta{} | network);

  auto const guided = [&](std::string const& name, auto guidance) {
    all.run(name, cosine | predicts::v{} | guidance | samplers::ddim{} | network);
    all.run(name + ", clip", cosine | predicts::v{} | guidance | thresholds::clip{1} |
                                 samplers::ddim_eta{} | network);
  };
  guided("two conditions", guidance::two_conditions{});
  guided("rescaled", guidance::rescaled{});
  guided("apg", guidance::apg{});
  guided("cfg_zero_star", guidance::cfg_zero_star{});
  guided("cfg_plus_plus", guidance::cfg_plus_plus{});
  guided("classifier", guidance::classifier{1.0, network});
  guided("in an interval", guidance::within{guidance::classifier_free{.w = 1}, 0.0, 1.0});

  auto const limited = [&](std::string const& name, auto threshold) {
    all.run(name, cosine | predicts::v{} | guidance::classifier_free{.w = 3} | threshold |
                      samplers::dpmpp_2m{} | network);
  };
  limited("clip_x0_only", thresholds::clip_x0_only{});
  limited("dynamic", thresholds::dynamic{});
  all.run("dynamic, noise",
          cosine | predicts::v{} | thresholds::dynamic{} | samplers::ancestral{} | network);

  all.run("bfloat16 in, float16 out", cosine | predicts::v{} | guidance::classifier_free{.w = 3} |
                                          samplers::ancestral{} | network_of<bfloat16, float16>{});
  all.run("float16 in, bfloat16 out", cosine | predicts::v{} | thresholds::dynamic{} |
                                          samplers::dpmpp_2m{} | network_of<float16, bfloat16>{});
  all.run("inpainting in 16 bits", cosine | predicts::v{} |
                                       samplers::replacement{samplers::ddim_eta{}} |
                                       network_of<float16, float16>{});

  all.run_step("start", step(x = 0.5 * noise_stream<start_stream>));
  all.run_step("noised", step(x = 0.5 * known + 0.25 * noise_stream<noising_stream>));
  all.run_step("average of weights", step(x = 0.5 * x + 0.25 * known));
  all.run<objective<schedules::cosine, predicts::v>::program>("training example");
  return all.finish();
}
