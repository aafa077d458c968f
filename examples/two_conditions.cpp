// Two conditions at once (Liu et al. 2022, composable diffusion): the network's answer without a
// label is moved towards both classes, each with its own weight, s1 (c1 - u) + s2 (c2 - u).
//
//   build/examples/two_conditions
//
// writes two_conditions.png, which is docs/two_conditions.png: from one class on the left to
// another on the right, the weights 2 shared out between them; each row has its own noise.
#include <cstdlib>
#include <tweedie/io/png.hpp>
#include <tweedie/networks/unet_file.hpp>
#include <tweedie/networks/unet_network.hpp>
#include <tweedie/tweedie.hpp>

using namespace tweedie;

int main() {
  auto const network =
      networks::unet_network{networks::load_model("models/fashion-v.safetensors").network};
  int const steps = std::getenv("TWEEDIE_SMOKE") ? 2 : 50;
  labels const first{0, 0, 3, 2},
      second{3, 1, 4, 8};  // t-shirt and dress, trouser; dress and coat; ...
  std::size_t const columns = 9, rows = first.size();
  std::vector<float> grid(rows * columns * 784);
  for (std::size_t column = 0; column < columns; ++column) {
    double const share = static_cast<double>(column) / (columns - 1);
    auto const pipeline = schedules::cosine{} | predicts::v{} |
                          guidance::two_conditions{.s1 = 2 * (1 - share), .s2 = 2 * share} |
                          thresholds::clip{1} | samplers::ddim{} | network;
    images const drawn = pipeline.sample({.shape = {rows, 1, 28, 28}, .steps = steps, .seed = 3},
                                         conditions{first, second});
    for (std::size_t row = 0; row < rows; ++row)
      std::ranges::copy(drawn[row],
                        grid.begin() + static_cast<std::ptrdiff_t>((row * columns + column) * 784));
  }
  io::write_png("two_conditions.png", grid, {.count = rows * columns, .height = 28, .width = 28},
                {.columns = columns, .upscale = 2});
}
