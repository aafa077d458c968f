// From the text of an entry to its code.
#pragma once

#include "machine.hpp"
#include "text.hpp"

namespace ptx {

/// Throws fault where the entry has an opcode, a register or a label that is not known, or memory
/// of its threads' own (`.local`). `globals` is where the file's variables lie.
entry decode(entry_text const& text, std::map<std::string, std::uint64_t> const& globals);

}  // namespace ptx
