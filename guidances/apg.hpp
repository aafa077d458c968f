// Sadat et al. 2024, "Eliminating Oversaturation and Artifacts of High Guidance Scales in Diffusion
// Models" (adaptive projected guidance), section 4 and Algorithm 1, in the denoised prediction x0.
//
//   d = c - u + beta (d of the evaluation before)     momentum; the paper has beta < 0
//   d <- min(1, r / |d|) d
//   x0 = c + (s - 1) (d - (1 - eta) (<d, c> / <c, c>) c)
//
// c and u are the conditional and the unconditional x0; eta is the part kept of d along c.
#pragma once

#include <tweedie/guidances/guidance.hpp>

#include <tweedie/dsl/language/expression.hpp>
#include <tweedie/dsl/language/statement.hpp>

namespace tweedie::guidance {

namespace detail {

struct norm_limit {  // min(1, r / |d|), with 1 / r: that of r = infinity is a number
  static constexpr std::size_t parameters = 1;
  static constexpr char const* name = "norm limit";
  TWEEDIE_HD static float apply(float const* p, float const* a) {
    float const over = p[0] * a[0];
    return over <= 1 ? 1.0f : 1 / over;
  }
};
struct projection {  // nothing is along a vector of zeros
  static constexpr std::size_t parameters = 0;
  static constexpr char const* name = "projection";
  TWEEDIE_HD static float apply(float const*, float const* a) {
    return a[1] == 0 ? 0.0f : a[0] / a[1] / a[1];
  }
};
struct projected_guidance {
  static constexpr std::size_t parameters = 2;
  static constexpr char const* name = "projected guidance";
  TWEEDIE_HD static float apply(float const* p, float const* a) {
    float const c = a[0], d = a[1], limit = a[2], along = a[3];
    return std::fma(p[0] * limit, std::fma(-p[1] * along, c, d), c);
  }
};

}  // namespace detail

/// What pushes x0 along itself saturates colours: it is damped, and the step's length is limited.
/// s = 1 is the conditional network; eta = 1, r = infinity and beta = 0 are classifier-free
/// guidance of scale s. Two kernels.
struct apg {
  using kind = kinds::guidance;
  static constexpr char const* name = "guidance::apg";
  static constexpr int branches = 2;
  double s = 4;
  double r = 2.5;  ///< norm of a sample's update at most, above 0; infinity for no limit
  double eta = 0;  ///< share of the update along c that is kept
  double beta = -0.75;
  static constexpr auto fields = std::tuple{field{"s", &apg::s}, field{"r", &apg::r},
                                            field{"eta", &apg::eta}, field{"beta", &apg::beta}};
  void check() const {
    detail::check_weight("apg", "s", s);
    detail::check_weight("apg", "eta", eta);
    detail::check_weight("apg", "beta", beta);
    if (!(r > 0))
      throw error(
          fmt::format("guidance::apg: a norm limit r = {} was given, expected one above 0", r));
  }
  auto update() const { return branch_x0<0> - branch_x0<1> + beta * memory<0>; }  // d, not limited
  auto remember(level) const { return tweedie::step(memory<0> = update()); }
  auto x0_of(level) const {
    auto const c = +branch_x0<0>;
    auto const limit = tweedie::detail::pointwise_of<detail::norm_limit>({1 / r}, norm(update()));
    auto const along =
        tweedie::detail::pointwise_of<detail::projection>({}, dot(update(), c), norm(c));
    return tweedie::detail::pointwise_of<detail::projected_guidance>({s - 1, 1 - eta}, c, update(),
                                                                     limit, along);
  }
};

}  // namespace tweedie::guidance
