// What an entry is once decoded: instructions that are function pointers over numbered registers.
// Literals and addresses of symbols lie in registers of their own, so that every operand is one.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "memory.hpp"
#include "races.hpp"

namespace ptx {

using reg = std::uint32_t;
inline constexpr reg no_register = ~reg{0};

struct instruction;
struct thread;

/// What comes after an instruction: the next one of the thread, another thread of its block (it
/// waits at a barrier), or nothing.
enum class flow : std::uint8_t { next, barrier, exit };
using operation = flow (*)(thread&, instruction const&);

struct instruction {
  operation run = nullptr;
  reg guard = no_register;
  bool negated = false;
  std::uint8_t vector = 1;   ///< elements of a load or a store, or of a pack
  std::uint32_t target = 0;  ///< of a branch
  reg d = no_register, a = no_register, b = no_register, c = no_register, e = no_register;
  reg parts[8] = {};  ///< of a vector
  std::int64_t offset = 0;
  std::size_t source = 0;  ///< the statement
  mutable buffer_use* hint = nullptr;
};

struct parameter {
  std::string name;
  std::size_t offset = 0, bytes = 0;
};

struct entry {
  std::string name;
  std::vector<parameter> parameters;
  std::size_t parameter_bytes = 0, shared_bytes = 0;
  std::vector<instruction> code;
  std::vector<std::uint64_t> registers;  ///< as a thread finds them: the literals are in place
  /// Registers of %tid, %ntid, %ctaid, %nctaid: x, y, z each; unused ones are no_register.
  std::vector<reg> special = std::vector<reg>(12, no_register);
  std::vector<std::string> text;  ///< of the statements, with their lines
  bool has_barriers = false;
};

/// The threads of a block share it.
struct block {
  entry const* of;
  memory* global;
  unsigned char const* parameters;
  std::vector<unsigned char>* shared;
  shared_races* races;
  std::uint32_t x = 0, y = 0, z = 0;
};

struct thread {
  std::uint64_t* r;
  block const* in;
  std::uint32_t index;  ///< in its block
  std::uint32_t at = 0;
  flow state = flow::next;
};

/// The register's low bits.
template <class T> T get(thread const& t, reg r) {
  if constexpr (std::is_same_v<T, float>)
    return std::bit_cast<float>(static_cast<std::uint32_t>(t.r[r]));
  else if constexpr (std::is_same_v<T, double>) return std::bit_cast<double>(t.r[r]);
  else return static_cast<T>(t.r[r]);
}
/// With the sign carried on, since a narrow signed load may go to a wider register.
template <class T> void set(thread& t, reg r, T v) {
  if constexpr (std::is_same_v<T, float>) t.r[r] = std::bit_cast<std::uint32_t>(v);
  else if constexpr (std::is_same_v<T, double>) t.r[r] = std::bit_cast<std::uint64_t>(v);
  else if constexpr (std::is_signed_v<T>)
    t.r[r] = static_cast<std::uint64_t>(static_cast<std::int64_t>(v));
  else t.r[r] = v;
}

/// "thread 3 of block 1: what; 'st.global.v4.f32 ...' (line 120) of NAME"
[[noreturn]] void fail(thread const& t, instruction const& i, std::string const& what);

}  // namespace ptx
