// The README's listing: a hundred pictures of clothes, ten of each class, a row each, drawn by a
// declared pipeline.
#include <tweedie/io/png.hpp>
#include <tweedie/networks/unet_file.hpp>
#include <tweedie/networks/unet_network.hpp>
#include <tweedie/tweedie.hpp>

using namespace tweedie;

int main() {
  auto const network =
      networks::unet_network{networks::load_model("models/fashion-v.safetensors").network};
  auto const pipeline = schedules::cosine{} | predicts::v{} | guidance::classifier_free{.w = 1} |
                        thresholds::clip{1} | samplers::ddim{} | network;
  labels classes(100);
  for (std::size_t i = 0; i < 100; ++i) classes[i] = static_cast<int>(i / 10);
  images const pictures =
      pipeline.sample({.shape = {100, 1, 28, 28}, .steps = 50, .seed = 7}, classes);
  io::write_png("clothes.png", pictures.data, {.count = 100, .height = 28, .width = 28},
                {.upscale = 2});
}
