// torch.randn in the same run, where LibTorch was found.
#pragma once

#include <cstddef>

#if defined(TWEEDIE_BENCH_TORCH)
/// Seconds that LibTorch takes to fill a tensor of n float32 normals; the least of five.
double peer_normals_seconds(std::size_t n, int threads);
#else
inline double peer_normals_seconds(std::size_t, int) { return 0; }
#endif
