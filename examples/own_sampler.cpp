// A sampler of one's own: its formula, and nothing else.
//
// In u = x / alpha and rho = sigma / alpha the probability-flow ODE is du/drho = eps, so the
// two-step Adams-Bashforth method with unequal steps needs the eps of the evaluation before:
// reading past_eps<1> is enough to have it kept. A method that looks back says so by the levels it
// takes; until there are as many, the shorter step is used.
//
// The exact network of a Gaussian mixture shows what the second order is worth at few steps.
#include <fmt/format.h>

#include <tweedie/tweedie.hpp>

using namespace tweedie;

struct adams_bashforth {
  auto step(level t, level s) const {  // warm-up: Euler
    using namespace symbols;
    return tweedie::step(x = s.alpha * (x / t.alpha + (s.rho() - t.rho()) * eps));
  }
  auto step(level r, level t, level s) const {  // r is the level before t
    using namespace symbols;
    double const h = s.rho() - t.rho(), q = h / (2 * (t.rho() - r.rho()));
    return tweedie::step(x = s.alpha * (x / t.alpha + h * ((1 + q) * eps - q * past_eps<1>)));
  }
};

namespace {

/// The largest difference from the same samples at very many steps.
template <class Sampler> float error_of(Sampler sampler, int steps) {
  networks::gaussian_mixture const mixture{{{.mean = {-1, 0.5}, .variance = 0.05, .weight = 0.4},
                                            {.mean = {1, -0.5}, .variance = 0.1, .weight = 0.6}}};
  auto const network = mixture.predicting<predicts::epsilon>();
  auto const flow = schedules::continuous::linear{} | predicts::epsilon{} | sampler | network;
  request const r{.shape = {256, 2}, .seed = 1};
  // From 0.95 T to 0.05 T: the last step to sigma = 0 is of first order whatever the sampler.
  auto const times = [](int n) {
    std::vector<double> t;
    for (int i = 0; i <= n; ++i) t.push_back(0.95 - 0.9 * i / n);
    return grids::custom{t};
  };
  auto const some = flow.plan(times(steps), steps).sample(r),
             many = flow.plan(times(4000), 4000).sample(r);
  float worst = 0;
  for (std::size_t i = 0; i < some.data.size(); ++i)
    worst = std::max(worst, std::abs(some.data[i] - many.data[i]));
  return worst;
}

}  // namespace

int main() {
  fmt::print("steps   euler     adams_bashforth\n");
  for (int steps : {10, 20, 40, 80})
    fmt::print("{:>5}   {:.6f}  {:.6f}\n", steps, error_of(samplers::euler{}, steps),
               error_of(adams_bashforth{}, steps));
  auto const pipeline = schedules::continuous::linear{} | predicts::epsilon{} | adams_bashforth{} |
                        [](batch const&) {};
  fmt::print("\n{}", explain(pipeline.plan(20)));
}
