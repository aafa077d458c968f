// The door on one of Thrust's host systems: compiled once for each, THRUST_DEVICE_SYSTEM says
// which.
#include <thrust/execution_policy.h>
#include <thrust/for_each.h>
#include <thrust/iterator/counting_iterator.h>

#if THRUST_DEVICE_SYSTEM == THRUST_DEVICE_SYSTEM_OMP
#include <omp.h>
#elif THRUST_DEVICE_SYSTEM == THRUST_DEVICE_SYSTEM_TBB
#include <tbb/global_control.h>

#include <optional>
#endif

#include <tweedie/dsl/device/execute.hpp>
#include <tweedie/dsl/device/placement.hpp>

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

placement const& default_placement() {
  static placement const host;
  return host;
}

void set_threads([[maybe_unused]] int n) {
#if THRUST_DEVICE_SYSTEM == THRUST_DEVICE_SYSTEM_OMP
  omp_set_num_threads(n);
#elif THRUST_DEVICE_SYSTEM == THRUST_DEVICE_SYSTEM_TBB
  static std::optional<tbb::global_control> limit;
  limit.emplace(tbb::global_control::max_allowed_parallelism, static_cast<std::size_t>(n));
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
