// Dhariwal & Nichol 2021, "Diffusion Models Beat GANs on Image Synthesis", Algorithm 2.
//
//   eps <- eps - s sigma grad log p(y | x_t)
//
// The classifier p is trained on noisy x_t.
#pragma once

#include <tweedie/guidances/guidance.hpp>

#include <fmt/ranges.h>

namespace tweedie::guidance {

/// `guidance::classifier{1.0, gradient}`: the gradient is called as a network is, with a batch of
/// x_t and its labels y (no_label where none is given), and writes grad log p(y | x_t) in x_t into
/// b.out_of(row). One that says `elements`, or has check(shape, labels, branches) as a network has,
/// is asked before anything is drawn.
///
/// The pipeline's network is given the labels too. If it knows classes,
/// networks::unconditional{net} asks it without: the algorithm with an unconditional network.
template <class Gradient> struct classifier {
  using kind = kinds::guidance;
  static constexpr char const* name = "guidance::classifier";
  static constexpr int branches = 1, extras = 1;
  double s = 1;
  static constexpr auto fields = std::tuple{field{"s", &classifier::s}};
  Gradient gradient;
  void check() const { detail::check_weight("classifier", "s", s); }
  void check(std::span<std::size_t const> shape, std::span<int const> labels) const {
    if constexpr (requires { gradient.check(shape, labels, 1); }) gradient.check(shape, labels, 1);
    else if constexpr (requires { std::size_t{gradient.elements}; }) {
      std::size_t expected = 1;
      for (std::size_t extent : shape.subspan(1)) expected *= extent;
      if (gradient.elements != expected)
        throw error(
            fmt::format("guidance::classifier: a gradient of {} elements was given for samples of "
                        "shape {{{}}}, "
                        "expected {}",
                        gradient.elements, fmt::join(shape.subspan(1), ", "), expected));
    }
  }
  Gradient const& asks() const { return gradient; }
  auto eps_of(level t) const { return eps - s * t.sigma * grad; }
  void evaluate(batch const& b) const { gradient(b); }
  constexpr device_use on_devices() const { return device_use_of(gradient); }
};
template <class Gradient> classifier(double, Gradient) -> classifier<Gradient>;

}  // namespace tweedie::guidance
