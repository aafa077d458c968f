// expect: a form is linear: a symbol times a symbol is not one
#include <tweedie/dsl/language/symbols.hpp>

using namespace tweedie::symbols;

#ifdef MISTAKE
auto const f = x * eps;
#else
auto const f = 2 * eps;
#endif
