// The fused step beside the machine's limit, in one run: STREAM triad (McCalpin 1995) with the same
// number of buffers and the same kind of store, in place beside in place, out of place beside out
// of place; a stochastic step also beside its noise alone. Ratios count; the nanoseconds say what
// machine it was.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include <fmt/format.h>

#include <tweedie/dsl/device/launch.hpp>
#include <tweedie/pipelines/pipeline.hpp>
#include <tweedie/predicts/predicts.hpp>
#include <tweedie/samplers/ancestral.hpp>
#include <tweedie/samplers/ddim.hpp>
#include <tweedie/schedules/cosine.hpp>

#include "peer_normals.hpp"
#include "timing.hpp"
#include "triad.hpp"

using namespace tweedie;
using namespace tweedie::symbols;
using bench::seconds;
using bench::triad;

namespace {

struct free_network {
  using kind = kinds::network;
  void operator()(batch const&) const {}
};

template <class Sampler> double tiny(Sampler sampler) {
  auto const plan = (schedules::cosine{} | predicts::v{} | sampler | free_network{}).plan(1000);
  request const r{.shape = {16, 7}, .seed = 1};
  state const start = plan.start(r);
  return seconds([&] {
           state s = start;
           while (!plan.finished(s)) plan.advance(s);
         }) /
         static_cast<double>(plan.steps());
}

void row(char const* what, double s, std::size_t n, double bytes, double limit,
         char const* beside) {
  std::string const ratio = limit > 0 ? fmt::format("{:.2f} x {}", s / limit, beside) : "";
  fmt::print("| {:<46} | {:>7.3f} | {:>6.1f} | {:<28} |\n", what, s / static_cast<double>(n) * 1e9,
             bytes * static_cast<double>(n) / s * 1e-9, ratio);
}

}  // namespace

int main() {
  int const threads = 2;
  set_threads(threads);
  bool const smoke = std::getenv("TWEEDIE_SMOKE");
  std::size_t const samples = smoke ? 64 : 16384, elements = 3 * 32 * 32, n = samples * elements;
  buffer a(n), b(n), c(n);
  std::vector<sample_key> keys;
  for (std::size_t i = 0; i < samples; ++i) keys.push_back({.seed = 1, .id = i, .step = 0});
  rows const all{.count = samples, .pitch = elements, .keys = keys.data()};
  // First touched by the threads that will use them.
  launch(step(x = noise), bindings{bind(x, a.data())}, all);
  launch(step(x = noise), bindings{bind(x, b.data())}, all);
  launch(step(x = noise), bindings{bind(x, c.data())}, all);

  auto const ddim = [&](auto to, float* written) {
    launch(step(to = 0.9 * x + 0.1 * known),
           bindings{bind(keep<0>, written), bind(x, b.data()), bind(known, c.data())}, all);
  };
  auto const noisy = [&](auto to, float* written) {
    launch(step(to = 0.9 * x + 0.1 * known + 0.2 * noise),
           bindings{bind(keep<0>, written), bind(x, b.data()), bind(known, c.data())}, all);
  };
  auto const best = seconds({
      [&] { triad(a.data(), b.data(), c.data(), 0.9f, n); },
      [&] { ddim(keep<0>, a.data()); },
      [&] { triad(b.data(), b.data(), c.data(), 0.9f, n); },
      [&] { ddim(x, nullptr); },
      [&] {  // noise alone, into a tile that stays in the first-level cache
#pragma omp parallel for schedule(static)
        for (std::size_t i = 0; i < samples; ++i) {
          alignas(64) float tile[host_width];
          for (std::size_t j = 0; j < elements; j += host_width)
            fill_normals(tile, static_cast<std::uint32_t>(j / 4), host_width / 4, keys[i], 0);
        }
      },
      [&] { noisy(keep<0>, a.data()); },
      [&] { noisy(x, nullptr); },
  });
  double const triad_out = best[0], ddim_out = best[1], triad_in = best[2], ddim_in = best[3],
               normals = best[4], noisy_out = best[5], noisy_in = best[6];

  fmt::print("{} floats a buffer, {} threads, best of 25, taking turns\n\n", n, threads);
  fmt::print("| {:<46} | {:>7} | {:>6} | {:<28} |\n|---|---|---|---|\n", "what", "ns/el.", "GB/s",
             "time over");
  row("STREAM triad, out of place", triad_out, n, 12, 0, "");
  row("ddim, one branch, out of place", ddim_out, n, 12, triad_out, "triad, out of place");
  row("STREAM triad, in place", triad_in, n, 12, 0, "");
  row("ddim, one branch, in place", ddim_in, n, 12, triad_in, "triad, in place");
  row("normals alone", normals, n, 0, 0, "");
  row("stochastic step, out of place", noisy_out, n, 12, std::max(triad_out, normals),
      "the larger of both");
  row("stochastic step, in place", noisy_in, n, 12, std::max(triad_in, normals),
      "the larger of both");
  fmt::print(
      "\nddim reaches {:.0f} % of the triad out of place, {:.0f} % in place (asked: 95).\n"
      "The stochastic step reaches {:.0f} % of the triad out of place (asked: 55 with AVX2, 75 "
      "with AVX-512), and {:.2f} and {:.2f} times the larger of triad and normals (asked: 1.2).\n",
      100 * triad_out / ddim_out, 100 * triad_in / ddim_in, 100 * triad_out / noisy_out,
      noisy_out / std::max(triad_out, normals), noisy_in / std::max(triad_in, normals));
  if (double const peer = peer_normals_seconds(n, threads); peer > 0) {
    double const ours = seconds([&] { launch(step(x = noise), bindings{bind(x, a.data())}, all); });
    fmt::print(
        "{:.2f} G normals/s into memory, torch.randn {:.3f} G/s: {:.1f} times as many (asked: "
        "2).\n",
        static_cast<double>(n) / ours * 1e-9, static_cast<double>(n) / peer * 1e-9, peer / ours);
  } else {
    fmt::print("torch.randn: skipped, LibTorch was not found\n");
  }
  fmt::print(
      "A step on 16x7 floats with a free network: {:.3f} us deterministic, {:.3f} us stochastic "
      "(asked: 0.3 and 1).\n",
      tiny(samplers::ddim{}) * 1e6, tiny(samplers::ancestral{}) * 1e6);
}
