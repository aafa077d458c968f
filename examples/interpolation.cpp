// Between two pictures, through their noise: both are encoded along the deterministic flow, their
// noise is interpolated on the sphere, and what lies between is decoded (Song et al. 2021, DDIM,
// sections 4.3 and 5.3).
//
//   build/examples/interpolation
//
// writes interpolation.png, which is docs/interpolation.png: four pairs of pictures of one class
// each that the network was not trained on, at the ends of the rows.
#include <fmt/format.h>

#include <cstdlib>
#include <tweedie/io/fashion_mnist.hpp>
#include <tweedie/io/png.hpp>
#include <tweedie/networks/unet_file.hpp>
#include <tweedie/networks/unet_network.hpp>
#include <tweedie/pipelines/slerp.hpp>
#include <tweedie/tweedie.hpp>

using namespace tweedie;

int main() {
  if (!io::has_fashion_mnist(io::fashion_mnist_part::test)) {
    fmt::print("skipped: no Fashion-MNIST in {} (Debian: dataset-fashion-mnist)\n",
               io::fashion_mnist_folder);
    return 77;
  }
  auto const data = io::read_fashion_mnist(io::fashion_mnist_part::test);
  // The first two pictures of a class each.
  images left{{0, 1, 28, 28}, {}}, right = left;
  labels classes;
  for (int c : {9, 3, 2, 8}) {
    int found = 0;
    for (std::size_t i = 0; i < data.count && found < 2; ++i)
      if (data.labels[i] == c) {
        images& to = found++ ? right : left;
        to.data.insert(to.data.end(), &data.images[i * 784], &data.images[i * 784] + 784);
      }
    classes.push_back(c);
  }
  left.shape[0] = right.shape[0] = classes.size();

  auto const network =
      networks::unet_network{networks::load_model("models/fashion-v.safetensors").network};
  auto const pipeline = schedules::cosine{} | predicts::v{} | samplers::heun{} | network;
  grids::karras const grid{.sigma_max = 80};
  int const steps = std::getenv("TWEEDIE_SMOKE") ? 3 : 40;
  auto const encoder = pipeline.encoder(grid, steps);
  auto const encode = [&](images const& x) {
    return encoder.run(encoder.start_at(x, {}, classes));
  };
  images const a = encode(left), b = encode(right);

  std::size_t const columns = 9;
  std::vector<float> rows(classes.size() * columns * 784);
  for (std::size_t column = 0; column < columns; ++column) {
    double const share = static_cast<double>(column) / (columns - 1);
    auto const plan = pipeline.plan(grid, steps);
    images const between = plan.run(plan.start_at(slerp(a, b, share), {}, classes));
    for (std::size_t row = 0; row < classes.size(); ++row)
      std::ranges::copy(between[row],
                        rows.begin() + static_cast<std::ptrdiff_t>((row * columns + column) * 784));
  }
  io::write_png("interpolation.png", rows,
                {.count = classes.size() * columns, .height = 28, .width = 28},
                {.columns = columns, .upscale = 2});
}
