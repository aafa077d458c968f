// The backend that runs the tests on a device: a state that is not told where lies there, in memory
// that the host shares; what is for hosts alone runs on one thread.
#include <tweedie/dsl/device/backends/cuda.hpp>
#include <tweedie/dsl/device/execute.hpp>

namespace tweedie {

char const* backend() { return "CUDA"; }
void set_threads(int) {}

placement const& default_placement() {
  static placement const device = on(nullptr, {.shared_with_host = true});
  return device;
}

namespace detail {

std::uint64_t const serially_below = serial_below;

void for_each_index(std::uint64_t count, void (*body)(void const* what, std::uint64_t i),
                    void const* what) {
  for (std::uint64_t i = 0; i < count; ++i) body(what, i);
}

}  // namespace detail
}  // namespace tweedie
