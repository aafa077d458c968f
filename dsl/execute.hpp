// The door to the hardware: for_each_n over chunks, on Thrust's device system of the build.
#pragma once

#include <cstdint>

#include <thrust/execution_policy.h>
#include <thrust/for_each.h>
#include <thrust/iterator/counting_iterator.h>

#include <tweedie/dsl/kernel.hpp>

namespace tweedie {

#if defined(THRUST_DEVICE_SYSTEM) && THRUST_DEVICE_SYSTEM == THRUST_DEVICE_SYSTEM_CUDA
inline constexpr std::uint64_t width = device_width;
#else
inline constexpr std::uint64_t width = host_width;
#endif

/// Elements below which a state runs serially: waking a second thread costs more than such a step.
inline constexpr std::uint64_t serial_below = 32768;

/// Runs a kernel over `rows` rows.
template <class Program> void execute(kernel<Program, width> const& k, std::uint64_t rows) {
  std::uint64_t const chunks = rows * k.chunks_per_row;
  if (width == host_width && rows * k.pitch < serial_below) {
    for (std::uint64_t i = 0; i < chunks; ++i) k(i);
    return;
  }
  thrust::for_each_n(thrust::device, thrust::counting_iterator<std::uint64_t>(0), chunks, k);
}

}  // namespace tweedie
