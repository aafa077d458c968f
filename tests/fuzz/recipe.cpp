#include <tweedie/pipelines/ready/recipe.hpp>

#include "fuzz.hpp"

// The first byte chooses the format.
extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  using namespace tweedie::ready;
  if (size == 0) return 0;
  auto const parse = [](std::string_view text, recipe_format format) {
    return parse_recipe(text, format, fuzz::name);
  };
  std::string_view const text(reinterpret_cast<char const*>(data) + 1, size - 1);
  auto const format = data[0] & 1 ? recipe_format::json : recipe_format::toml;
  auto const recipe =
      fuzz::accepted(std::as_bytes(std::span(text)), [&](auto) { return parse(text, format); });
  if (!recipe) return 0;
  fuzz::must(recipe->steps >= 1 && recipe->steps <= 1'000'000, "steps are 1 to a million");
  std::string const written = to_toml(*recipe);
  fuzz::must(to_toml(parse(written, recipe_format::toml)) == written,
             "what is written is read as it was");
  return 0;
}
