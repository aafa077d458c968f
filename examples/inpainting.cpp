// Pictures of clothes of which one half is hidden: the shipped network draws it anew, by RePaint.
//
//   build/examples/inpainting
//
// writes inpainting.png, which is docs/inpainting.png: in each row a picture that the network was
// not trained on, what is left of it, and three ways to go on. The pictures are the first of each
// class in the test part of Fashion-MNIST (Debian: dataset-fashion-mnist).
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <tweedie/io/fashion_mnist.hpp>
#include <tweedie/io/png.hpp>
#include <tweedie/networks/unet_file.hpp>
#include <tweedie/networks/unet_network.hpp>
#include <tweedie/samplers/repaint.hpp>
#include <tweedie/tweedie.hpp>
#include <vector>

using namespace tweedie;

int main() {
  if (!io::has_fashion_mnist(io::fashion_mnist_part::test)) {
    fmt::print("skipped: no Fashion-MNIST in {} (Debian: dataset-fashion-mnist)\n",
               io::fashion_mnist_folder);
    return 77;
  }
  bool const smoke = std::getenv("TWEEDIE_SMOKE");
  auto const data = io::read_fashion_mnist(io::fashion_mnist_part::test);
  std::size_t const side = 28, pixels = side * side, classes = smoke ? 2 : 10, ways = 3;

  // The first picture of each class, `ways` times over; known is its left half.
  images known{{classes * ways, 1, side, side}, {}};
  for (std::size_t c = 0; c < classes; ++c) {
    std::size_t const n = static_cast<std::size_t>(
        std::ranges::find(data.labels, static_cast<std::uint8_t>(c)) - data.labels.begin());
    for (std::size_t way = 0; way < ways; ++way)
      known.data.insert(known.data.end(), &data.images[n * pixels], &data.images[(n + 1) * pixels]);
  }
  images mask{{side, side}, {}};
  for (std::size_t i = 0; i < pixels; ++i) mask.data.push_back(i % side < side / 2 ? 1.0f : 0.0f);

  auto const network =
      networks::unet_network{networks::load_model("models/fashion-v.safetensors").network};
  auto const pipeline = schedules::cosine{} | predicts::v{} | thresholds::clip{1} |
                        samplers::repaint{samplers::ancestral{}, smoke ? 2 : 10} | network;
  images const drawn = pipeline.sample(
      {.shape = known.shape, .steps = smoke ? 3 : 50, .seed = 4, .known = known, .mask = mask});

  std::vector<float> grid;
  for (std::size_t c = 0; c < classes; ++c) {
    auto const one = known[c * ways];
    grid.insert(grid.end(), one.begin(), one.end());
    for (std::size_t i = 0; i < pixels; ++i) grid.push_back(mask.data[i] == 1 ? one[i] : 0.0f);
    for (std::size_t way = 0; way < ways; ++way) {
      auto const result = drawn[c * ways + way];
      grid.insert(grid.end(), result.begin(), result.end());
    }
  }
  io::write_png("inpainting.png", grid,
                {.count = classes * (2 + ways), .height = side, .width = side},
                {.columns = 2 + ways, .upscale = 2});
}
