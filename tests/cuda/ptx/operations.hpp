// What each opcode does. Floats are rounded once and correctly; a NaN that an operation makes is
// the one that the hardware makes, 0x7fffffff. Everything that is not here is refused by name:
// among it all approximations, and whatever flushes subnormal floats.
#pragma once

#include "machine.hpp"
#include "text.hpp"

namespace ptx {

/// The function of an opcode; null if there is none.
operation operation_of(statement const& s);

}  // namespace ptx
