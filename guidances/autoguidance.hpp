// Karras et al. 2024, "Guiding a Diffusion Model with a Bad Version of Itself", eq. 3 with the
// weaker network in place of the unconditional one.
//
//   x0 = D_weak + s (D - D_weak)
//
// D and D_weak are the x0 that follow from each network's output by its own parameterization.
#pragma once

#include <tweedie/dsl/language/hooks.hpp>
#include <tweedie/guidances/guidance.hpp>

#include <algorithm>
#include <vector>

namespace tweedie::guidance {

/// `guidance::autoguidance{2.0, weak, predicts::v{}}`: a network of the same task, smaller or
/// trained for a shorter time, with the same conditions. s = 1 is the main network alone.
template <class Network, class Predicts> struct autoguidance {
  using kind = kinds::guidance;
  static constexpr char const* name = "guidance::autoguidance";
  static constexpr int branches = 1, extras = 1;
  double s = 2;
  static constexpr auto fields = std::tuple{field{"s", &autoguidance::s}};
  Network weak;
  Predicts weak_predicts;
  void check() const { detail::check_weight("autoguidance", "s", s); }
  void check(std::span<std::size_t const> shape, std::span<int const> labels) const {
    tweedie::detail::check_request(weak, shape, labels, 1);
  }
  Network const& asks() const { return weak; }
  template <int I, class P> auto predicts_of(P own) const {
    if constexpr (I == 0) return own;
    else return weak_predicts;
  }
  auto x0_of(level) const { return branch_x0<1> + s * (branch_x0<0> - branch_x0<1>); }
  void evaluate(batch b) const {
    std::vector<float> scaled;
    if constexpr (requires { weak_predicts.input_of(level{}); }) {  // its own c_in
      scaled.resize(b.samples * b.pitch);
      for (std::size_t row = 0; row < b.samples; ++row) {
        form<sym::x> const input = lift(weak_predicts.input_of(b.level_of(row)));
        std::ranges::transform(b.x_of(row),
                               scaled.begin() + static_cast<std::ptrdiff_t>(row * b.pitch),
                               [c = static_cast<float>(input.c[0])](float a) { return c * a; });
      }
      b.input = b.x = scaled.data();
    }
    weak(b);
  }
  constexpr device_use on_devices() const {
    if constexpr (requires { weak_predicts.input_of(level{}); })
      return {.why_not =
                  "the host scales what the weaker network sees, expected one whose prediction "
                  "scales nothing, or a call without on(stream)"};
    else return device_use_of(weak);
  }
};
template <class Network, class Predicts>
autoguidance(double, Network, Predicts) -> autoguidance<Network, Predicts>;

}  // namespace tweedie::guidance
