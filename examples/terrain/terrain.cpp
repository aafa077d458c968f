// Heightfields by somebody else's network: an ONNX file and a card of ten lines.
//
//   pip download --no-deps adaptive-terrain-diffusion==0.4.2 && unzip -j *.whl '*.onnx'
//   terrain terrain_consistency_unet_difficulty100.onnx examples/terrain/terrain.toml terrain.png
//
// The network is a consistency model, distilled to a single step: it answers with x0. Heights are
// h = 0.1 sinh(u asinh(22.17 / 0.1)) metres, u = (x0 + 1) / 2, as the package has it; the picture
// shows them in relief, the light from the upper left.
#include <cmath>
#include <cstddef>
#include <exception>
#include <vector>

#include <fmt/format.h>

#include <tweedie/io/png.hpp>
#include <tweedie/networks/onnx.hpp>
#include <tweedie/tweedie.hpp>

using namespace tweedie;

namespace {

constexpr std::size_t size = 128;

// Slopes of the heights, ten pixels a metre, lit from the upper left: -1 is black.
std::vector<float> relief(std::span<float const> x0) {
  auto const height = [&](std::size_t y, std::size_t x) {
    double const u = std::clamp((double{x0[y * size + x]} + 1) / 2, 0.0, 1.0);
    return 0.1 * std::sinh(u * std::asinh(22.16864013671875 / 0.1));
  };
  std::vector<float> r;
  for (std::size_t y = 0; y < size; ++y)
    for (std::size_t x = 0; x < size; ++x) {
      std::size_t const left = x > 0 ? x - 1 : 0, right = std::min(x + 1, size - 1);
      std::size_t const up = y > 0 ? y - 1 : 0, down = std::min(y + 1, size - 1);
      double const dx = 5 * (height(y, right) - height(y, left));
      double const dy = 5 * (height(down, x) - height(up, x));
      double const light = (1 - dx - dy) / std::sqrt(1 + dx * dx + dy * dy) / std::sqrt(3.0);
      r.push_back(static_cast<float>(std::clamp(2 * light - 1, -1.0, 1.0)));
    }
  return r;
}

}  // namespace

int main(int count, char** arguments) try {
  if (count != 4) throw error("terrain NET.onnx CARD.toml OUT.png: three names are expected");
  networks::onnx const network{arguments[1], {.card = networks::read_card(arguments[2])}};

  auto const pipeline = schedules::edm{} | predicts::x0{} | samplers::ddim{} | network;
  labels const difficulties{0, 24, 49, 74, 99, 0, 24, 49, 74, 99};
  images const terrain =
      pipeline.sample({.shape = {10, 1, size, size}, .steps = 1, .seed = 7}, difficulties);

  std::vector<float> pictures;
  for (std::size_t i = 0; i < terrain.count(); ++i)
    for (float value : relief(terrain[i])) pictures.push_back(value);
  io::write_png(arguments[3], pictures, {.count = 10, .height = size, .width = size},
                {.columns = 5});
  fmt::print("'{}': difficulties 1, 25, 50, 75 and 100 by {}\n", arguments[3],
             network.engine_name());
} catch (std::exception const& e) {
  fmt::print(stderr, "terrain: {}\n", e.what());
  return 1;
}
