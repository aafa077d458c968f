// The door on one of Thrust's host systems: compiled once for each, THRUST_DEVICE_SYSTEM says which.
#include <thrust/execution_policy.h>
#include <thrust/for_each.h>
#include <thrust/iterator/counting_iterator.h>

#include <tweedie/dsl/execute.hpp>

namespace tweedie {

char const* backend() {
#if THRUST_DEVICE_SYSTEM == THRUST_DEVICE_SYSTEM_OMP
  return "OMP";
#elif THRUST_DEVICE_SYSTEM == THRUST_DEVICE_SYSTEM_TBB
  return "TBB";
#else
  return "CPP";
#endif
}

namespace detail {

std::uint64_t const serially_below = serial_below;

void for_each_index(std::uint64_t count, void (*body)(void const* what, std::uint64_t i),
                    void const* what) {
  thrust::for_each_n(thrust::device, thrust::counting_iterator<std::uint64_t>(0), count,
                     [=](std::uint64_t i) { body(what, i); });
}

}  // namespace detail
}  // namespace tweedie
