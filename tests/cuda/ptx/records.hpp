// What was launched through the stand-in for CUDA's runtime (runtime.cpp): nothing of it is there
// where a program is linked with the real one.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "memory.hpp"
#include "run.hpp"

namespace ptx {

struct launch_record {
  std::string entry;
  extent grid, block;
  std::uint64_t instructions = 0;  ///< of all threads
  std::vector<buffer_use> uses;
};

/// The launches since the last call, and calls of the runtime that wait for the device or allocate.
std::vector<launch_record> take_launches();
struct runtime_calls {
  std::uint64_t synchronisations = 0, allocations = 0, copies = 0;
};
runtime_calls take_calls();

/// Kernels of the program that do something, and that nobody has launched.
std::vector<std::string> never_launched();

/// What went wrong in the launches so far; empty: nothing.
std::string const& first_fault();

}  // namespace ptx
