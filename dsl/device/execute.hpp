// The door to the hardware: every chunk of a kernel once, on Thrust's device system.
//
// On a host the door is a function of the library that is linked (dsl/device/backends/), so that a
// program is compiled once whatever carries it: tweedie::core_cpp, core_omp, core_tbb or core_spy.
// What nvcc compiles has a second door beside it, to a device (dsl/device/on_device.hpp).
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include <tweedie/dsl/kernel/kernel.hpp>

namespace tweedie {

/// Whether programs are compiled for devices too: by nvcc.
#if defined(__CUDACC__)
inline constexpr bool for_devices = true;
#else
inline constexpr bool for_devices = false;
#endif

/// What a launch can reach. A parameter of what launches, so that in a program of both compilers
/// neither's copy stands for the other's.
struct host_door {};
struct device_door {};
using door = std::conditional_t<for_devices, device_door, host_door>;

/// The system that carries the kernels on the host: "OMP", "TBB", "CPP", "SPY".
char const* backend();

/// How many threads the backend uses from now on; by default those of the machine. More than one
/// where the backend has no threads is as one.
void set_threads(int n);

/// Elements below which a state runs serially: waking a second thread costs more than such a step.
inline constexpr std::uint64_t serial_below = 32768;

namespace detail {

/// The same of the backend that is linked: the spy has none.
extern std::uint64_t const serially_below;

/// body(what, i) for i = 0 .. count - 1, in any order.
void for_each_index(std::uint64_t count, void (*body)(void const* what, std::uint64_t i),
                    void const* what);

}  // namespace detail

/// f(i) for i = 0 .. count - 1 on the host, in any order, `together` one after the other; serially
/// where `elements`, those of all, are few.
template <class F>
void for_each_on_host(std::uint64_t count, std::uint64_t elements, F const& f,
                      std::uint64_t together = 1) {
  if (elements < detail::serially_below) {
    for (std::uint64_t i = 0; i < count; ++i) f(i);
    return;
  }
  struct span {
    F const& f;
    std::uint64_t count, together;
  } const all{f, count, together};
  detail::for_each_index((count + together - 1) / together,
                         [](void const* what, std::uint64_t n) {
                           auto const& of = *static_cast<span const*>(what);
                           std::uint64_t const end = std::min(of.count, (n + 1) * of.together);
                           for (std::uint64_t i = n * of.together; i < end; ++i) of.f(i);
                         },
                         &all);
}

/// Elements of a task, in tiles one after the other.
inline constexpr std::uint64_t elements_of_task = 16 * host_width;

/// Runs a kernel over `rows` rows of the host's, which may be empty.
template <class Program> void execute(kernel<Program, host_width> const& k, std::uint64_t rows) {
  if (rows * k.pitch == 0) return;
  if constexpr (Program::noises > 0)
    if (rows > 1 && k.rows_share()) {
      // The vectors of noise are wider than a short row.
      std::uint64_t const together = host_width / k.pitch;
      for_each_on_host((rows + together - 1) / together, rows * k.pitch, [&](std::uint64_t i) {
        k.tile_of_rows(i * together, std::min(together, rows - i * together));
      });
      return;
    }
  std::uint64_t const of_chunk = std::min<std::uint64_t>(k.width, k.pitch);
  for_each_on_host(rows * k.chunks_per_row, rows * k.pitch, k,
                   std::max<std::uint64_t>(1, elements_of_task / of_chunk));
}

}  // namespace tweedie
