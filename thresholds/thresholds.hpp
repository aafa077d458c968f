// Thresholds: what happens to the predicted x0 before a sampler sees it.
#pragma once

#include <cmath>

#include <fmt/format.h>

#include <tweedie/dsl/base/error.hpp>
#include <tweedie/dsl/language/expression.hpp>
#include <tweedie/dsl/language/stage.hpp>

namespace tweedie::thresholds {

using namespace symbols;

namespace detail {
/// The eps that goes with x0; 0 at the clean end, which encoding leaves, as of predicts::x0.
inline auto rederived(level t) { return (x - t.alpha * x0) / t.sigma_below(); }
inline void check_limit(double limit) {
  if (!(limit > 0 && std::isfinite(limit)))
    throw error(
        fmt::format("thresholds: a limit of {} was given, expected a finite one above 0", limit));
}
}  // namespace detail

/// x0 clipped to [-limit, limit], eps re-derived from the clipped x0, as improved-diffusion does
/// (Nichol & Dhariwal 2021, the authors' code). The DDIM authors' sampler does not clip.
struct clip {
  using kind = kinds::threshold;
  static constexpr char const* name = "thresholds::clip";
  double limit = 1;
  static constexpr auto fields = std::tuple{field{"limit", &clip::limit}};
  void check() const { detail::check_limit(limit); }
  auto x0_of(level) const { return clamp(x0, -limit, limit); }
  auto eps_of(level t) const { return detail::rederived(t); }  // x0 is the clipped one
};

/// x0 clipped to [-limit, limit], eps left as the network gave it.
struct clip_x0_only {
  using kind = kinds::threshold;
  static constexpr char const* name = "thresholds::clip_x0_only";
  double limit = 1;
  static constexpr auto fields = std::tuple{field{"limit", &clip_x0_only::limit}};
  void check() const { detail::check_limit(limit); }
  auto x0_of(level) const { return clamp(x0, -limit, limit); }
  auto eps_of(level) const { return +eps; }
};

namespace detail {

// Divided after clipping, as the definition is: a factor 1 / s would round twice.
struct scaled_clip {
  static constexpr std::size_t parameters = 0;
  static constexpr char const* name = "clip and divide";
  TWEEDIE_HD static float apply(float const*, float const* a) {
    float const s = a[1], low = a[0] < -s ? -s : a[0];
    return (low > s ? s : low) / s;
  }
};
// A NaN stays one, and with it its sample.
struct at_least {
  static constexpr std::size_t parameters = 1;
  static constexpr char const* name = "at least";
  TWEEDIE_HD static float apply(float const* p, float const* a) {
    return a[0] < p[0] ? p[0] : a[0];
  }
};

}  // namespace detail

/// Dynamic thresholding (Saharia et al. 2022, Imagen, section 2.3): s is the p-quantile of |x0|
/// over the sample, at least 1; x0 is clipped to [-s, s] and divided by s, eps re-derived. Two
/// kernels.
struct dynamic {
  using kind = kinds::threshold;
  static constexpr char const* name = "thresholds::dynamic";
  double p = 0.995;
  static constexpr auto fields = std::tuple{field{"p", &dynamic::p}};
  void check() const {
    if (!(p > 0 && p <= 1))
      throw error(fmt::format(
          "thresholds::dynamic: a quantile of {} was given, expected one in (0, 1]", p));
  }
  auto x0_of(level) const {
    auto const s = tweedie::detail::pointwise_of<detail::at_least>({1.0}, quantile_of_abs(x0, p));
    return tweedie::detail::pointwise_of<detail::scaled_clip>({}, x0, s);
  }
  auto eps_of(level t) const { return detail::rederived(t); }
};

}  // namespace tweedie::thresholds
