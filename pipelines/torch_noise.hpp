// The normals of PyTorch's CPU generator: noise by which a seed gives the picture that it gives
// there.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <random>
#include <span>
#include <utility>

#include <tweedie/dsl/language/composition.hpp>
#include <tweedie/pipelines/state.hpp>

namespace tweedie {

/// torch.Generator().manual_seed(seed), of which torch.randn draws float32: Mersenne Twister 19937
/// and Box and Muller's method, 16 normals at a time, or one by one where fewer than 16 are asked.
/// Read in PyTorch 2's ATen/native/cpu/DistributionTemplates.h; equal to rounding.
class torch_normals {
 public:
  explicit torch_normals(std::uint64_t seed);
  /// One torch.randn of to.size() numbers.
  void draw(std::span<float> to);

 private:
  double uniform_of_53_bits();
  std::mt19937 engine_;
  bool has_next_ = false;
  double next_ = 0;
};

namespace noises {

/// A stage: the noise that diffusers' pipelines draw on the CPU by torch.manual_seed(seed). One
/// draw for all samples of a batch each time: unlike Philox a sample's noise depends on those
/// beside it. Each run begins at the seed again. Its copies share one generator: run the plans of
/// one stage one after another, and each to its end. The seed is the stage's, not the request's.
struct torch_cpu {
  using kind = kinds::noise;
  std::uint64_t seed;

  explicit torch_cpu(std::uint64_t s) : seed(s) {}
  void operator()(noise_request const& r) const;

 private:
  struct shared {
    std::mutex mutex;
    torch_normals normals;
    std::pair<std::int64_t, std::int64_t> last{-1, 0};  ///< the evaluation and stream last drawn
    explicit shared(std::uint64_t s) : normals(s) {}
  };
  std::shared_ptr<shared> of_ = std::make_shared<shared>(seed);
};

}  // namespace noises
}  // namespace tweedie
