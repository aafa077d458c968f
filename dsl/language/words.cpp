#include <tweedie/dsl/language/words.hpp>

#include <fmt/format.h>

namespace tweedie {
namespace {

std::string spelled(symbol_id s, char const* form, char const* of_zero) {
  return s.index == 0 && of_zero ? of_zero : fmt::format(fmt::runtime(form), s.index);
}

}  // namespace

std::string name_of(symbol_id s) {
  sym::about const& a = sym::about_word(s.is);
  return spelled(s, a.name, a.zero);
}
std::string latex_of(symbol_id s) {
  sym::about const& a = sym::about_word(s.is);
  return spelled(s, a.latex, a.latex_zero);
}

}  // namespace tweedie
