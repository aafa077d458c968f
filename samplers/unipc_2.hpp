// Zhao et al. 2023, "UniPC: A Unified Predictor-Corrector Framework for Fast Sampling of Diffusion
// Models", Algorithms 1 and 2 at p = 2, with the network as a prediction of x0 (appendix A).
//
//   UniP, t to s:  x_s = (sigma_s / sigma_t) xc_t + alpha_s ((1 - e^-h) m_t + B(h) D_r / 2)
//   UniC, r to t:  xc_t = (sigma_t / sigma_r) xc_r + alpha_t ((1 - e^-h) m_r + w_q D_q + w_t D_t)
//   D_i = (m_i - m of the start) / r_i,  r_i = (lambda_i - lambda of the start) / h
//   B(h) = 1 - e^-h or h
//
// h is the step in lambda = ln(alpha / sigma), m_t the x0 that the network gave at the predicted
// x_t: the corrected xc_t costs no evaluation. The weights of UniC solve w_q + w_t = g_1,
// r_q w_q + w_t = g_2, where g_k is the integral of e^(l - h) (l / h)^k over 0 < l < h; B(h) has
// cancelled there. Corrector and next predictor are one form.
//
// The paper's order of accuracy is p + 1 = 3 (Corollary 3.2).
//
// name: unipc_2 = unipc_2{} | UniPC of order 2, predictor and corrector (Zhao et al. 2023)
#pragma once

#include <cmath>

#include <tweedie/dsl/language/stage.hpp>
#include <tweedie/dsl/language/statement.hpp>
#include <tweedie/samplers/step_length.hpp>

namespace tweedie::samplers {

using namespace symbols;

/// B(h) of UniPC: 1 - e^-h ("bh2", the usual one and the one for guided sampling) or h ("bh1").
enum class b_of_h { expm1, h };

struct unipc_2 {
  using kind = kinds::sampler;
  static constexpr char const* name = "samplers::unipc_2";
  static constexpr bool keeps_across_steps = true;  // keep<0> is the corrected x
  b_of_h b = b_of_h::expm1;
  static constexpr auto fields = std::tuple{field{"b", &unipc_2::b}};

 private:
  /// B = h is meant for small h. From alpha = 0 it is infinite, and from close by it is far above
  /// the integral of e^-l that it stands for: beyond 1 it is 1 - e^-h.
  double big_b(double h) const { return b == b_of_h::h && h < 1 ? h : -std::expm1(-h); }

  /// What both add to: order 1, which is DDIM.
  static auto ddim(level t, level s, auto from, auto m) {
    return s.sigma / t.sigma * from - s.alpha * std::expm1(t.lambda() - s.lambda()) * m;
  }
  auto predicted(level r, level t, level s, auto corrected) const {
    double const h = s.lambda() - t.lambda(), before = t.lambda() - r.lambda();
    double const r_r = -before / detail::followed(h, before);
    return ddim(t, s, corrected, x0) + s.alpha * big_b(h) / (2 * r_r) * (past_x0<1> - x0);
  }

 public:
  auto step(level t, level s) const {  // warm-up: order 1
    return tweedie::step(keep<0> = x, x = ddim(t, s, x, x0));
  }
  auto step(level r, level t, level s) const {  // warm-up: UniC of order 1, whose weight is B / 2
    double const w = t.alpha * big_b(t.lambda() - r.lambda()) / 2;
    auto const corrected = ddim(r, t, keep<0>, past_x0<1>) + w * (x0 - past_x0<1>);
    return tweedie::step(keep<0> = corrected, x = predicted(r, t, s, corrected));
  }
  auto step(level q, level r, level t, level s) const {
    double const h = t.lambda() - r.lambda(), r_q = (q.lambda() - r.lambda()) / h;
    double const g1 = 1 + std::expm1(-h) / h, g2 = 1 - 2 * g1 / h;
    double const w_q = (g1 - g2) / (1 - r_q), w_t = g1 - w_q;
    auto const d_q = (past_x0<2> - past_x0<1>) / r_q;
    auto const d_t = x0 - past_x0<1>;
    auto const corrected = ddim(r, t, keep<0>, past_x0<1>) + t.alpha * (w_q * d_q + w_t * d_t);
    return tweedie::step(keep<0> = corrected, x = predicted(r, t, s, corrected));
  }
};

}  // namespace tweedie::samplers

template <> struct tweedie::names_of<tweedie::samplers::b_of_h> {
  static constexpr char const* values[] = {"expm1", "h"};
};
