// The methods of the field, each as the line that a user writes. docs/methods.md is made of this
// file by table.py: the comment above a line is the method, its source and, after the bar, the keys
// under which tests record the number that proves it; the kernels are those that the compiler made.
#include <tweedie/tweedie.hpp>

#include <fmt/format.h>

using namespace tweedie;

namespace {

/// "1", "1 + 1", "2": the kernels after each evaluation of an inner step.
template <class... Stages> void row(pipeline<Stages...> const& p) {
  using code = typename decltype(p.plan(2))::code;
  std::string text;
  [&]<class... S>(list<S...>) {
    constexpr int longest = code::longest;
    std::size_t i = 0;
    (((std::is_same_v<typename S::kind, tweedie::detail::inner_step<longest>> && S::guided)
          ? void(text += fmt::format("{}{}", text.empty() ? "" : " + ", code::facts[i].kernels))
          : void(),
      ++i),
     ...);
  }(typename code::structures{});
  fmt::print("{}\n", text);
}

/// A network of any prediction: what counts here are the kernels beside it.
struct of_anything {
  void operator()(batch const&) const {}
  void vjp(batch const&, float const*, float*) const {}
};

/// What is no pipeline: the kernels are said, the line must compile.
template <class F> void row(std::size_t kernels, F const&) { fmt::print("{}\n", kernels); }

}  // namespace

int main() {
  auto const vp = schedules::continuous::linear{};
  auto const v = predicts::v{};
  networks::gaussian_mixture const mixture{{{.mean = {0.5}, .variance = 0.25, .label = 0},
                                            {.mean = {-0.5}, .variance = 0.25, .label = 1}}};
  of_anything const network;
  auto const classifier = mixture.classifier_gradient();
  images const pictures{{1, 1}, {0.5f}};

#include <sampler_rows.inc>  // those that samplers/*.hpp name themselves
  // Adaptive steps, Bogacki-Shampine 3(2) | adaptive_23
  row(5, [&] {
    return (vp | v | samplers::adaptive<tableaux::bogacki_shampine>{.tolerance = 1e-3} | network)
        .sample({.shape = {4, 1}});
  });
  // Adaptive steps, Dormand-Prince 5(4) | adaptive_54
  row(8, [&] {
    return (vp | v | samplers::adaptive<tableaux::dormand_prince>{.tolerance = 1e-4} | network)
        .sample({.shape = {4, 1}});
  });
  // EDM with churn (Karras et al. 2022, Algorithm 2) | edm_stochastic
  row(schedules::edm{} | v | samplers::edm_stochastic{} | network);
  // EDM preconditioning and input scaling (Karras et al. 2022, table 1) | edm
  row(schedules::edm{} | predicts::edm{} | samplers::heun{} | mixture.predicting(predicts::edm{}));
  // Consistency, multistep (Song et al. 2023, Algorithm 1) | consistency
  row(schedules::edm{} | predicts::consistency{} | samplers::consistency{} | network);
  // Rectified flow (Liu et al. 2022, Rectified Flow; Lipman et al. 2022) | rectified_flow
  row(schedules::rectified_flow{} | predicts::velocity{} | samplers::euler{} | network);
  // Annealed Langevin dynamics (Song & Ermon 2019, Algorithm 1) | annealed_langevin
  row(schedules::variance_exploding{} | predicts::score{} | samplers::annealed_langevin{} |
      network);
  // Predictor-corrector (Song et al. 2021, Algorithms 2 to 5) | predictor_corrector
  row(vp | v | samplers::predictor_corrector{samplers::euler_maruyama{}} | network);
  // Learned variance (Nichol & Dhariwal 2021) | learned_variance
  row(schedules::cosine{} | predicts::epsilon{} | samplers::ancestral_learned{} | network);
  // Clipping | clip
  row(vp | v | thresholds::clip{1} | samplers::ddim{} | network);
  // Dynamic thresholding (Saharia et al. 2022, Imagen) | dynamic
  row(vp | v | thresholds::dynamic{0.995} | samplers::ddim{} | network);
  // Classifier-free guidance (Ho & Salimans 2022) | classifier_free
  row(vp | v | guidance::classifier_free{.w = 3} | samplers::ddim{} | network);
  // Guidance in an interval (Kynkaanniemi et al. 2024) | within
  row(vp | v | guidance::within{guidance::classifier_free{.w = 3}, 0.2, 0.8} | samplers::ddim{} |
      network);
  // Guidance rescale (Lin et al. 2023) | rescaled
  row(vp | v | guidance::rescaled{.s = 4, .phi = 0.7} | samplers::ddim{} | network);
  // Adaptive projected guidance (Sadat et al. 2024) | apg
  row(vp | v | guidance::apg{} | samplers::ddim{} | network);
  // CFG-Zero* (Fan et al. 2025) | cfg_zero_star
  row(vp | predicts::velocity{} | guidance::cfg_zero_star{} | samplers::euler{} | network);
  // CFG++ (Chung et al. 2024) | cfg_plus_plus
  row(vp | v | guidance::cfg_plus_plus{} | samplers::ddim{} | network);
  // Two conditions (Liu et al. 2022, Composable Diffusion) | two_conditions
  row(vp | v | guidance::two_conditions{} | samplers::ddim{} | network);
  // Autoguidance by a weaker network (Karras et al. 2024) | autoguidance
  row(vp | v | guidance::autoguidance{2.0, network, v} | samplers::ddim{} | network);
  // Classifier guidance (Dhariwal & Nichol 2021) | classifier
  row(vp | v | guidance::classifier{1.0, classifier} | samplers::ddim{} | network);
  // Inpainting by replacement (Song et al. 2021) | replacement
  row(vp | v | samplers::replacement{samplers::ancestral{}} | network);
  // RePaint (Lugmayr et al. 2022, Algorithm 1) | repaint
  row(vp | v | samplers::repaint{samplers::ancestral{}, 10} | network);
  // Colorization by a linear operator (Song et al. 2021) | colorization
  row(vp | v | samplers::repaint{samplers::ancestral{}, 10} |
      networks::in_basis{network, networks::channel_basis::gray()});
  // img2img (Meng et al. 2022, SDEdit) | img2img
  row(1, [&] {
    auto const p = (vp | v | samplers::ddim{} | network).plan(50).from(25);
    return p.run(p.start_from(pictures, {}));
  });
  // Encoding (Song et al. 2021, DDIM, 4.3) | encoding
  row(1, [&] {
    auto const p = (vp | v | samplers::ddim{} | network).encoder(50);
    return p.run(p.start_at(pictures, {}));
  });
  // Interpolation between two encoded pictures | slerp
  row(0, [&] { return slerp(pictures, pictures, 0.5); });
  // The log-likelihood (Song et al. 2021, eq. 39) | likelihood
  row(2, [&] {
    return log_likelihood(vp | v | samplers::heun{} | network, pictures, grids::uniform{}, 50);
  });
  // Training for any prediction, any schedule (Ho et al. 2020, Algorithm 1) | training
  row(1, [&] {
    return objective{schedules::cosine{}, predicts::v{}, weights::min_snr{.gamma = 5}};
  });
}
