// What OpenMP and OpenBLAS read from the environment, once, when they are loaded.
#pragma once

#include <unistd.h>

#include <cstdlib>

namespace tweedie::tool {

/// The kernels of OpenBLAS for this processor, or null where it is trusted to know them: one that
/// came after it, it takes for a processor with SSE3 alone.
inline char const* openblas_kernels() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512bf16")) return "Cooperlake";
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
    return "SkylakeX";
  if (__builtin_cpu_is("intel") && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    return "Haswell";
#endif
  return nullptr;
}

/// Sets what makes threads of one library wait without taking the cores from those of another, and
/// runs the program anew with it, as OpenMP is loaded before `main`. What the user has set stays.
inline void prepare_environment(char** argv) {
  bool const anew = !std::getenv("OMP_WAIT_POLICY");
  if (anew) setenv("OMP_WAIT_POLICY", "passive", 0);
  setenv("OPENBLAS_THREAD_TIMEOUT", "4", 0);  // 2^4 cycles, then they sleep
  if (char const* const kernels = openblas_kernels()) setenv("OPENBLAS_CORETYPE", kernels, 0);
  if (anew) execv("/proc/self/exe", argv);  // where it cannot be, it is slower
}

}  // namespace tweedie::tool
