// Runs an entry over a grid: block after block, and in a block each thread up to its next barrier.
#pragma once

#include <cstdint>

#include "machine.hpp"

namespace ptx {

struct extent {
  std::uint32_t x = 1, y = 1, z = 1;
  std::uint64_t size() const { return std::uint64_t{x} * y * z; }
};

/// `parameters` are e.parameter_bytes bytes. Returns how many instructions all threads took. Throws
/// fault at the first access outside of `global`, at a thread that waits where others have left,
/// and after `limit` instructions of one thread.
std::uint64_t run(entry const& e, extent grid, extent block, unsigned char const* parameters,
                  memory& global, std::uint64_t limit = 1u << 28);

}  // namespace ptx
