// A pipeline from a text, without compiling it: the sampler, the grid and every number are data.
// Its C++ twin gives the same bits.
#include <fmt/format.h>

#include <tweedie/pipelines/ready/recipe.hpp>
#include <tweedie/tweedie.hpp>

using namespace tweedie;

constexpr char const* text = R"(
title = "Ten steps of Heun's method, guided"
schedule = "cosine"
predicts = "v"
guidance = { name = "classifier_free", w = 0.5 }
threshold = "clip"
sampler = "heun"
grid = { name = "karras", sigma_max = 80.0 }
steps = 10
)";

int main() {
  networks::gaussian_mixture const mixture{{{.mean = {0.8, 0.8}, .variance = 0.01, .label = 0},
                                            {.mean = {-0.8, 0.4}, .variance = 0.02, .label = 1}}};
  auto const network = mixture.predicting<predicts::v>();
  request const two{.shape = {2, 2}, .seed = 3};

  auto const recipe = ready::parse_recipe(text, ready::recipe_format::toml, "example");
  auto const plan =
      ready::make_plan(recipe, *recipe.schedule, *recipe.predicts, forget_network(network));
  auto const from_text = plan.sample(two, label{1});

  auto const twin = schedules::cosine{} | predicts::v{} | guidance::classifier_free{.w = 0.5} |
                    thresholds::clip{} | samplers::heun{} | network;
  auto const from_types = twin.plan(grids::karras{.sigma_max = 80}, 10).sample(two, label{1});

  fmt::print("{}: {}\n\n{}\n", recipe.title, words_of(recipe), explain_step(plan, 1));
  bool const same = from_text.data == from_types.data;
  fmt::print("text and types give the same bits: {}\n", same ? "yes" : "no");

  try {
    ready::parse_recipe("sampler = \"huen\"", ready::recipe_format::toml, "mistyped");
  } catch (error const& e) {
    fmt::print("{}\n", e.what());
  }
  return same ? 0 : 1;
}
