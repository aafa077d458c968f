// A PTX file taken apart: variables, entries, statements with their operands. Nothing is known here
// of what an instruction does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace ptx {

struct operand {
  enum class kinds { name, number, address, vector };
  kinds kind = kinds::name;
  std::string name;          ///< of a register or a symbol; empty in [number]
  std::uint64_t number = 0;  ///< the bits of a literal
  std::int64_t offset = 0;   ///< of an address
  std::vector<operand> parts;
};

struct statement {
  std::size_t line = 0;
  std::string text;
  std::string guard;  ///< the predicate before it; empty: none
  bool negated = false;
  std::vector<std::string> opcode;  ///< "ld", "global", "v4", "f32"
  std::vector<operand> operands;
};

/// A parameter, or a variable in shared or global memory.
struct variable {
  std::string space, name;
  std::size_t bytes = 0, alignment = 1;
};

struct entry_text {
  std::string name;
  std::vector<variable> parameters, variables;
  std::map<std::string, std::size_t> registers;  ///< prefix and how many; 0: the name alone
  std::vector<statement> statements;
  std::map<std::string, std::size_t> labels;  ///< the statement that each stands before
};

struct file_text {
  std::vector<variable> variables;
  std::vector<entry_text> entries;
};

/// Throws fault where the text is none that nvcc writes.
file_text parse(std::string_view text);

}  // namespace ptx
