// A CUDA runtime without a device, linked in place of the real one: memory is the host's, copies
// are made at once, kernels are counted and not run. It keeps the rules that a device keeps: a copy
// stays within what was allocated, and what is recorded is not done.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include <cuda_runtime_api.h>

namespace stub {

/// What happened since forget().
struct seen {
  std::size_t kernels = 0;   ///< launched, one by one or in a graph
  std::size_t launches = 0;  ///< of kernels, one by one
  std::size_t graph_launches = 0;
  std::size_t allocations = 0;
  std::size_t copies_in = 0, copies_out = 0, copies = 0, clears = 0;
  std::size_t waits = 0;
  std::vector<std::string> names;     ///< of the kernels, as the compiler mangled them
  std::vector<cudaStream_t> streams;  ///< on which anything was enqueued, each once
};
seen const& now();
void forget();

/// What the machine is like. reset() gives one device of compute capability 9.0 without limits.
struct machine {
  int devices = 1, current = 0, major = 9, minor = 0;
  bool memory_pools = true;
  std::size_t memory = std::size_t{1} << 30;
  cudaError_t next_launch = cudaSuccess;  ///< what the next launch of a kernel answers
};
machine& about();
void reset();

/// Bytes that are allocated now.
std::size_t allocated();

/// A stream of a device.
cudaStream_t new_stream(int device = 0);
void delete_stream(cudaStream_t);

}  // namespace stub
