// Training, Algorithm 1 of DDPM: one fused kernel makes a batch of examples, LibTorch's U-Net
// learns from them, one kernel averages its weights. `tweedie train` is this loop with checkpoints.
#include <fmt/format.h>
#include <algorithm>
#include <exception>

#include <tweedie/io/fashion_mnist.hpp>
#include <tweedie/networks/unet.hpp>
#include <tweedie/tweedie.hpp>

using namespace tweedie;

int main() try {
  if (!io::has_fashion_mnist(io::fashion_mnist_part::train)) {
    fmt::print("skipped: Fashion-MNIST was not found (Debian: dataset-fashion-mnist)\n");
    return 77;
  }
  auto const data = io::read_fashion_mnist(io::fashion_mnist_part::train);
  networks::unet_config config;
  config.base = 8;
  networks::unet network(config, /*seed=*/1);
  objective const examples_of{schedules::cosine{}, predicts::v{}, weights::plain{},
                              times::stratified{}};

  constexpr std::size_t batch = 32, pixels = 28 * 28;
  buffer clean(batch * pixels), noisy(batch * pixels), target(batch * pixels);
  std::vector<float> average(network.parameters().begin(), network.parameters().end());
  for (unsigned step = 0; step < 40; ++step) {
    std::vector<sample_key> keys;  // whose noise: training seed, example, step
    std::vector<int> classes;
    for (std::size_t i = 0; i < batch; ++i) {
      std::size_t const picture = step * batch + i;
      std::copy_n(data.images.data() + picture * pixels, pixels, clean.data() + i * pixels);
      classes.push_back(data.labels[picture]);
      keys.push_back({.seed = 1, .id = picture, .step = step});
    }
    examples const e = examples_of(keys, clean.data(), noisy.data(), target.data(), pixels);
    std::vector<double> times;
    std::vector<float> weights(e.weights.begin(), e.weights.end());
    for (level const& t : e.levels) times.push_back(t.t);
    double const loss = network.train_step(noisy.data(), target.data(), times.data(),
                                           classes.data(), weights.data(), batch,
                                           /*dropout_seed=*/step, networks::adam{.rate = 1e-3});
    average_weights(average.data(), network.parameters().data(), average.size(), 0.9);
    if (step % 10 == 9) fmt::print("step {:>2}: loss {:.4f}\n", step + 1, loss);
  }
} catch (std::exception const& e) {
  fmt::print(stderr, "training: {}\n", e.what());
  return 1;
}
