// A pipeline on a CUDA device: the network is a kernel, the samples have the host's bits, and the
// whole loop is recorded, so that the next batch is one launch. Compiled by nvcc
// (docs/on_a_gpu.md).
#include <cstdio>

#include <tweedie/dsl/device/backends/cuda.hpp>
#include <tweedie/tweedie.hpp>

using namespace tweedie;

// Clean samples of class k are N(k, 1/4). E[x0 | x] = m + a (x - alpha m) with
// a = alpha s^2 / (alpha^2 s^2 + sigma^2).
TWEEDIE_HD float denoised(float x, int k, float a, float b) {
  float const mean = static_cast<float>(k);
  return fmaf(a, x, b * mean);
}
__global__ void denoise(float const* x, float* out, int const* labels, std::size_t pitch, float a,
                        float b) {
  std::size_t const i = blockIdx.x * std::size_t{256} + threadIdx.x;
  if (i < pitch)
    out[blockIdx.y * pitch + i] = denoised(x[blockIdx.y * pitch + i], labels[blockIdx.y], a, b);
}

struct exact {
  using kind = kinds::network;
  static constexpr bool enqueues = true;  // on a device it waits for nothing

  void operator()(batch const& b) const {
    level const t = b.levels[0];  // all samples of a plan are at the same
    double const gain = t.alpha / 4 / (t.alpha * t.alpha / 4 + t.sigma * t.sigma);
    auto const by_x = static_cast<float>(gain), by_mean = static_cast<float>(1 - gain * t.alpha);
    if (b.on_device) {
      dim3 const blocks(static_cast<unsigned>((b.pitch + 255) / 256),
                        static_cast<unsigned>(b.samples));
      denoise<<<blocks, 256, 0, static_cast<cudaStream_t>(b.stream)>>>(b.x, b.out, b.device_labels,
                                                                       b.pitch, by_x, by_mean);
    } else
      for (std::size_t row = 0; row < b.rows(); ++row)
        for (std::size_t i = 0; i < b.elements; ++i)
          b.out_of(row)[i] = denoised(b.x_of(row)[i], b.label_of(row), by_x, by_mean);
  }
};

int main() {
  try {
    cudaStream_t stream = nullptr;
    cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
    auto const plan =
        (schedules::cosine{} | predicts::x0{} | samplers::ancestral{} | exact{}).plan(20);
    request const first{.shape = {3, 1, 28, 28}, .seed = 7};
    labels const classes{1, 2, 3};

    images const on_host = plan.sample(first, classes, placement{});
    images const on_device = plan.sample(first, classes, on(stream));
    std::printf("the device's samples are the host's: %s\n",
                on_host.data == on_device.data ? "yes" : "no");

    // Runs once and is written down; from then on a batch is one launch.
    auto loop = plan.record(first, classes, on(stream));
    request second = first;
    second.seed = 8;
    images const next = loop.sample(second, classes);
    bool const same = next.data == plan.sample(second, classes, placement{}).data;
    std::printf("the recorded loop's next batch is the host's: %s\n", same ? "yes" : "no");

    for (std::size_t k = 0; k < 3; ++k) {
      double sum = 0;
      for (std::size_t i = 0; i < 784; ++i) sum += on_device.data[k * 784 + i];
      std::printf("class %zu: mean %.2f\n", k + 1, sum / 784);
    }
    return same && on_host.data == on_device.data ? 0 : 1;
  } catch (error const& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
