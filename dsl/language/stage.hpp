// What a stage of a pipeline says of itself: its kind, and its parameters.
#pragma once

namespace tweedie {

namespace kinds {
struct schedule {};
struct parameterization {};
struct guidance {};
struct threshold {};
struct sampler {};
struct network {};
struct noise {};
struct grid {};  // no stage: plan() takes it
struct unknown {};
}  // namespace kinds

/// A parameter of a stage: its name, and where it is. A stage lists its own in `fields`, so that it
/// prints (dsl/language/stage_format.hpp) and can be read from a recipe.
template <class Stage, class T> struct field {
  char const* name;
  T Stage::*member;
};
template <class Stage, class T> field(char const*, T Stage::*) -> field<Stage, T>;

/// The names of an enumeration's values, in their order, for one that is a parameter.
template <class E> struct names_of;

}  // namespace tweedie
