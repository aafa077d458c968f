// C++17, on LibTorch's headers: see networks/unet_torch.cpp.
#include <algorithm>
#include <chrono>
#include <cstddef>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

double peer_normals_seconds(std::size_t n, int threads) {
  at::set_num_threads(threads);
  at::Tensor t = at::empty({static_cast<std::int64_t>(n)});
  double best = 1e300;
  for (int i = 0; i < 5; ++i) {
    auto const from = std::chrono::steady_clock::now();
    t.normal_();
    best = std::min(best,
                    std::chrono::duration<double>(std::chrono::steady_clock::now() - from).count());
  }
  return best;
}
