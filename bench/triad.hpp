// STREAM triad (McCalpin 1995): what the machine's memory gives a loop of one multiply and one add.
#pragma once

#include <cstddef>

namespace bench {

inline void triad(float* to, float const* b, float const* c, float k, std::size_t n) {
#pragma omp parallel for simd schedule(static)
  for (std::size_t i = 0; i < n; ++i) to[i] = b[i] + k * c[i];
}

}  // namespace bench
