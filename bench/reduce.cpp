// Dynamic thresholding, a quantile per sample between two kernels, beside one deterministic
// out-of-place pass: the same step without a threshold.
#include <cstdlib>

#include <fmt/format.h>

#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/schedules/cosine.hpp>
#include <tweedie/thresholds/thresholds.hpp>

#include "timing.hpp"

using namespace tweedie;

namespace {

/// A step of ddim whose first evaluation, the one that is measured, leaves x alone.
struct out_of_place {
  using kind = kinds::sampler;
  auto step(level t, level s) const {
    using namespace symbols;
    return stages(at(t, keep<0> = s.alpha * x0 + s.sigma * eps), at(s, x = +keep<0>));
  }
};

struct free_network {
  using kind = kinds::network;
  void operator()(batch const&) const {}
};

void measure(std::size_t samples, std::size_t side, double asked) {
  std::size_t const elements = 3 * side * side;
  auto const pass = (schedules::cosine{} | predicts::v{} | out_of_place{} | free_network{}).plan(2);
  auto const dynamic = (schedules::cosine{} | predicts::v{} | thresholds::dynamic{0.995} |
                        out_of_place{} | free_network{})
                           .plan(2);
  // Both on x and v from N(0, 1): so is x0.
  request const r{.shape = {samples, 3, side, side}, .seed = 1};
  state plain = pass.start(r), limited = dynamic.start(r);
  state const other = pass.start({.shape = r.shape, .seed = 2});
  plain.out = limited.out = other.x;
  auto const best = bench::seconds({
      [&] { pass.apply(pass.rows()[0], plain); },
      [&] { dynamic.apply(dynamic.rows()[0], limited); },
  });
  double const n = static_cast<double>(samples * elements);
  fmt::print("| {:>4} x 3x{}x{} | {:>7.3f} | {:>7.3f} | {:.2f} (asked: {}) |\n", samples, side,
             side, best[0] / n * 1e9, best[1] / n * 1e9, best[1] / best[0], asked);
}

}  // namespace

int main() {
  set_threads(2);
  bool const smoke = std::getenv("TWEEDIE_SMOKE");
  fmt::print(
      "Nanoseconds per element, best of 25, taking turns\n\n"
      "| samples | pass | dynamic thresholding | times |\n|---|---|---|---|\n");
  measure(smoke ? 2 : 256, 256, 3);
  measure(smoke ? 32 : 4096, 64, 6);
}
