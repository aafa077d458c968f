// A level of noise: x_t = alpha x0 + sigma eps, eps ~ N(0, I).
//
// Everything a formula may ask of a schedule at one time, in double. The derivatives are those in
// t: flow velocity is alpha' x0 + sigma' eps, and a schedule's SDE is dx = f x dt + g dw (Song et
// al. 2021; Kingma et al. 2021).
#pragma once

#include <cmath>
#include <limits>

namespace tweedie {

struct level {
  double t =
      0;  ///< time, in the schedule's own unit (1..T for a table of T steps, 0 at the clean end)
  double alpha = 1;   ///< factor of x0; sqrt(abar_t) of DDPM
  double sigma = 0;   ///< factor of eps
  double dalpha = 0;  ///< alpha', the derivative in t
  double dsigma = 0;  ///< sigma', the derivative in t
  double steps = 1;   ///< T on a table, whose flow is told in t / T (predicts::velocity); else 1

  /// Half the log of the signal-to-noise ratio, ln(alpha / sigma), as in DPM-Solver (Lu et al.
  /// 2022).
  double lambda() const { return std::log(alpha) - std::log(sigma); }
  /// Noise over signal, the "sigma" of Karras et al. 2022.
  double rho() const { return sigma / alpha; }
  /// The angle whose tangent is rho, from 0 at the clean end to pi / 2 where alpha = 0: the one
  /// variable of the flow that is regular at both ends of every schedule.
  double theta() const { return std::atan2(sigma, alpha); }
  /// sqrt(alpha^2 + sigma^2): 1 on a schedule that preserves variance.
  double scale() const { return std::hypot(alpha, sigma); }
  /// The standard deviation of x_t where nothing is known of the data, from which sampling starts:
  /// that of data of unit variance, and of the noise alone where alpha = 1, since such schedules go
  /// on until no data are seen.
  double prior_deviation() const { return alpha == 1 ? sigma : scale(); }
  /// sigma as a divisor: infinite at the clean end, where what follows from x - alpha x0 = 0, such
  /// as eps, is taken as 0.
  constexpr double sigma_below() const {
    return sigma == 0 ? std::numeric_limits<double>::infinity() : sigma;
  }
  /// Signal-to-noise ratio alpha^2 / sigma^2.
  double snr() const { return alpha * alpha / (sigma * sigma); }
  /// Drift f of the forward SDE dx = f x dt + g dw.
  double f() const { return dalpha / alpha; }
  /// Squared diffusion g^2 of the forward SDE.
  double g2() const { return 2 * sigma * (dsigma - f() * sigma); }
};

}  // namespace tweedie
