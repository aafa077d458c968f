#include <tweedie/pipelines/continuous_batch.hpp>
#include <tweedie/pipelines/ready/recipe.hpp>
#include <tweedie/pipelines/state_file.hpp>
#include <tweedie/tweedie.hpp>

tweedie::images other() {
  using namespace tweedie;
  networks::gaussian_mixture const mixture{{{.mean = {0.5, -0.5}, .variance = 0.01}}};
  auto const recipe =
      ready::parse_recipe("sampler = \"heun\"\nsteps = 10", ready::recipe_format::toml, "here");
  return ready::make_plan(recipe, schedules::cosine{}, predicts::v{},
                          forget_network(mixture.predicting<predicts::v>()))
      .sample({.shape = {100, 2}, .seed = 1});
}
