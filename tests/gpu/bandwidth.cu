// A fused step beside the device's own copy: bytes moved per second, as a table. And a
// small state, where a launch is what a step costs: with its network inlined, and called.
// With --interpreted all is little, and no time means anything.
#include <cstdio>
#include <limits>
#include <string_view>
#include <vector>

#include <tweedie/tweedie.hpp>

#include "../unit/tiny_mlp.hpp"

using namespace tweedie;

namespace {

struct network {
  using kind = kinds::network;
  static constexpr bool enqueues = true;
  void operator()(batch const&) const {}
};

struct extents {
  // The second is larger than a device's cache.
  std::vector<std::vector<std::size_t>> pictures = {{64, 3, 256, 256}, {256, 3, 256, 256}};
  int runs = 20, repeats = 20;
  int steps = 1000;  ///< of the small state's loop
};
extents used;

/// The shortest of some runs of `repeats` calls each, in seconds a call.
template <class F> double seconds(cudaStream_t stream, F f) {
  cudaEvent_t begin, end;
  cudaEventCreate(&begin);
  cudaEventCreate(&end);
  float best = std::numeric_limits<float>::max();
  for (int run = 0; run <= used.runs; ++run) {
    cudaEventRecord(begin, stream);
    for (int i = 0; i < used.repeats; ++i) f();
    cudaEventRecord(end, stream);
    cudaEventSynchronize(end);
    float ms = 0;
    cudaEventElapsedTime(&ms, begin, end);
    if (run > 0 && ms < best) best = ms;  // the first warms up
  }
  cudaEventDestroy(begin);
  cudaEventDestroy(end);
  return best / used.repeats / 1000;
}

template <class Pipeline>
void measure(char const* name, Pipeline const& pipeline, std::vector<std::size_t> const& shape,
             cudaStream_t stream, double copy) {
  auto const plan = pipeline.plan(1000);
  state s = plan.start({.shape = shape}, label{}, on(stream));
  auto const& row = plan.rows()[100];
  for (int i = 0; i < 100; ++i) ++s.evaluated;
  double const t = seconds(stream, [&] {
    plan.apply(row, s);
    --s.evaluated;
  });
  double const bytes = static_cast<double>(plan.program(row).bytes_per_element()) *
                       static_cast<double>(s.samples * s.pitch);
  std::printf("| %s | %.1f us | %.0f GB/s | %.0f %% |\n", name, t * 1e6, bytes / t * 1e-9,
              100 * bytes / t / copy);
}

/// A loop on 16x7 numbers, recorded.
template <class Network>
void measure_small(char const* name, Network const& network, cudaStream_t stream) {
  auto const plan =
      (schedules::linear{} | predicts::v{} | samplers::ddim{} | network).plan(used.steps);
  request const r{.shape = {16, 7}};
  auto loop = plan.record(r, label{}, on(stream));
  double const t = seconds(stream, [&] { loop.launch(r, label{}); });
  std::printf("| %s | %.0f us | %.2f us |\n", name, t * 1e6, t * 1e6 / used.steps);
}

}  // namespace

int main(int count, char** words) {
  if (count > 1 && std::string_view(words[1]) == "--interpreted") used = {{{2, 3, 8, 8}}, 1, 1, 3};
  try {
    on(nullptr);  // says so where there is no device
    cudaStream_t stream;
    cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
    auto const v = schedules::cosine{} | predicts::v{};
    auto const guided = v | guidance::classifier_free{2};
    for (auto const& shape : used.pictures) {
      std::size_t const floats = detail::product_of(shape);
      double const bytes = 2.0 * static_cast<double>(floats * sizeof(float));
      double copy = 0;
      {
        placement const there = on(stream);  // one: between two a copy waits
        buffer a(floats, there), b(floats, there);
        copy = bytes / seconds(stream, [&] { buffer::copy(a, 0, b, 0, floats * sizeof(float)); });
      }
      std::printf("| %zux%zux%zux%zu | time | moved | of a copy's |\n|---|---|---|---|\n", shape[0],
                  shape[1], shape[2], shape[3]);
      std::printf("| copy | %.1f us | %.0f GB/s | 100 %% |\n", bytes / copy * 1e6, copy * 1e-9);
      auto const each = [&](char const* name, auto const& pipeline) {
        measure(name, pipeline | network{}, shape, stream, copy);
      };
      each("ddim", v | samplers::ddim{});
      each("ancestral", v | samplers::ancestral{});
      each("guided ddim", guided | samplers::ddim{});
      each("guided dpmpp_2m", guided | samplers::dpmpp_2m{});
      each("ancestral with clip", v | thresholds::clip{} | samplers::ancestral{});
      std::printf("\n");
    }
    std::printf("| 16x7, an MLP of 16 neurons | %d steps | one |\n|---|---|---|\n", used.steps);
    networks::inlined const mlp{tiny_mlp{}};
    measure_small("inlined", mlp, stream);
    measure_small("a kernel of its own", networks::unconditional{mlp}, stream);
    cudaStreamDestroy(stream);
  } catch (error const& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
