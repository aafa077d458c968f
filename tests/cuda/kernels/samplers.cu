// Every sampler of samplers/, over v, classifier-free guidance and a clip.
#include "../kernels.hpp"

#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/samplers/ancestral.hpp>
#include <tweedie/samplers/ancestral_learned.hpp>
#include <tweedie/samplers/annealed_langevin.hpp>
#include <tweedie/samplers/consistency.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/samplers/dpm_solver_2.hpp>
#include <tweedie/samplers/dpmpp_2m.hpp>
#include <tweedie/samplers/dpmpp_3m.hpp>
#include <tweedie/samplers/edm_stochastic.hpp>
#include <tweedie/samplers/euler.hpp>
#include <tweedie/samplers/euler_maruyama.hpp>
#include <tweedie/samplers/heun.hpp>
#include <tweedie/samplers/heun_in_rho.hpp>
#include <tweedie/samplers/lms_3.hpp>
#include <tweedie/samplers/predictor_corrector.hpp>
#include <tweedie/samplers/repaint.hpp>
#include <tweedie/samplers/replacement.hpp>
#include <tweedie/samplers/runge_kutta.hpp>
#include <tweedie/samplers/sde_dpmpp_2m.hpp>
#include <tweedie/samplers/step_length.hpp>
#include <tweedie/samplers/tableaux.hpp>
#include <tweedie/samplers/unipc_2.hpp>
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
  with("ddim", samplers::ddim{});
  with("ddim_eta", samplers::ddim_eta{});
  with("ancestral", samplers::ancestral{});
  with("ancestral_learned", samplers::ancestral_learned{});
  with("annealed_langevin", samplers::annealed_langevin{});
  with("consistency", samplers::consistency{});
  with("euler", samplers::euler{});
  with("euler_maruyama", samplers::euler_maruyama{});
  with("heun", samplers::heun{});
  with("heun_in_rho", samplers::heun_in_rho{});
  with("midpoint", samplers::runge_kutta<tableaux::midpoint>{});
  with("kutta_3", samplers::runge_kutta<tableaux::kutta_3>{});
  with("rk4", samplers::runge_kutta<tableaux::rk4>{});
  with("dpm_solver_2", samplers::dpm_solver_2{});
  with("dpmpp_2m", samplers::dpmpp_2m{});
  with("dpmpp_3m", samplers::dpmpp_3m{});
  with("dpmpp_3m_published", samplers::dpmpp_3m_published{});
  with("unipc_2", samplers::unipc_2{});
  with("lms_3", samplers::lms_3{});
  with("sde_dpmpp_2m", samplers::sde_dpmpp_2m{});
  with("edm_stochastic", samplers::edm_stochastic{});
  with("predictor_corrector", samplers::predictor_corrector{samplers::ancestral{}});
  with("predictor_corrector by norms",
       samplers::predictor_corrector{samplers::ancestral{}, 1, 0.16, samplers::by_norms{}});
  with("replacement", samplers::replacement{samplers::dpmpp_2m{}});
  with("repaint", samplers::repaint{samplers::ancestral{}, 2});
  return all.finish();
}
