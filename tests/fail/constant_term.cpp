// expect: a form has no constant term: every term is a number times a symbol
#include <tweedie/dsl/language/symbols.hpp>

using namespace tweedie::symbols;

#ifdef MISTAKE
auto const f = 2 * x + 1;
#else
auto const f = 2 * x + eps;
#endif
