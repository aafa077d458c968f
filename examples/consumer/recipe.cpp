// Part of the program where recipes are installed: it stops at its start if one of them is broken.
#include <tweedie/pipelines/ready/recipe.hpp>

namespace {
bool const sound = [] {
  for (auto const& shipped : tweedie::ready::shipped_recipes())
    tweedie::ready::parse_recipe(shipped.text, tweedie::ready::recipe_format::toml, shipped.name);
  return true;
}();
}  // namespace
