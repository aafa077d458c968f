// One program for every network: it is templated on what its network predicts, and on nothing else.
//
//   any_prediction [models/fashion-v.safetensors models/fashion-epsilon.safetensors ...]
#include <fmt/format.h>
#include <exception>

#include <tweedie/io/png.hpp>
#include <tweedie/networks/unet_file.hpp>
#include <tweedie/networks/unet_network.hpp>
#include <tweedie/tweedie.hpp>

using namespace tweedie;

namespace {

template <class Predicts> void draw(networks::model const& model, std::string const& to) {
  auto const pipeline = schedules::cosine{} | Predicts{} | guidance::classifier_free{.w = 1} |
                        thresholds::clip{1} | samplers::dpmpp_2m{} |
                        networks::unet_network{model.network};
  labels const classes{0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
  images const pictures =
      pipeline.sample({.shape = {10, 1, 28, 28}, .steps = 20, .seed = 1}, classes);
  io::write_png(to, pictures.data, {.count = 10, .height = 28, .width = 28},
                {.rows = 1, .upscale = 2});
  fmt::print("{}: a network that predicts {}\n", to, Predicts::name);
}

/// The stage whose name the model's file gives.
template <class... Predicts> void draw_any(networks::model const& model, std::string const& to) {
  bool const found =
      ((model.predicts == Predicts::name && (draw<Predicts>(model, to), true)) || ...);
  if (!found)
    throw error(
        fmt::format("the model predicts {}, which this program does not know", model.predicts));
}

}  // namespace

int main(int argc, char** argv) try {
  std::vector<std::string> files(argv + 1, argv + argc);
  if (files.empty()) files = {"models/fashion-v.safetensors", "models/fashion-epsilon.safetensors"};
  for (std::size_t i = 0; i < files.size(); ++i)
    draw_any<predicts::v, predicts::epsilon, predicts::x0, predicts::score, predicts::velocity>(
        networks::load_model(files[i]), fmt::format("clothes-{}.png", i));
} catch (std::exception const& e) {
  fmt::print(stderr, "any_prediction: {}\n", e.what());
  return 1;
}
