// States on a CUDA device: `plan.sample(request, on(stream))`. Link tweedie::core_cuda, and put the
// pipeline together in a .cu file: its kernels are nvcc's. There alone: of two copies of a
// pipeline, one of nvcc and one of the host's compiler, the linker keeps either.
#pragma once

#include <cstddef>
#include <functional>

#include <cuda_runtime_api.h>

#include <tweedie/dsl/device/placement.hpp>

namespace tweedie {

struct device_options {
  /// The caller's own memory in place of cudaMallocAsync. Both work in the order of the stream;
  /// allocate gives what is aligned to 256 bytes, or null where there is no more.
  std::function<void*(std::size_t bytes, cudaStream_t)> allocate = {};
  std::function<void(void* p, std::size_t bytes, cudaStream_t)> release = {};

  /// Managed memory, and every launch is waited for, so that the host may read and write a state
  /// between two calls and a network for hosts runs. To look into things and for tests: it is slow.
  bool shared_with_host = false;
};

/// The device of a stream, and the stream in whose order all happens. The stream outlives what is
/// placed there. Throws tweedie::error where there is no device, it is older than compute
/// capability 7.5, has no memory pools and no allocator was given, or is not the calling thread's.
placement on(cudaStream_t stream, device_options options = {});

namespace detail {

/// Throws a sentence about a cudaError_t that is not cudaSuccess.
void check_cuda(int code, char const* doing);

}  // namespace detail

}  // namespace tweedie
