#include <tweedie/pipelines/torch_noise.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <utility>
#include <vector>

namespace tweedie {

// PyTorch takes the low 32 bits of a seed.
torch_normals::torch_normals(std::uint64_t seed) : engine_(static_cast<std::uint32_t>(seed)) {}

double torch_normals::uniform_of_53_bits() {
  std::uint64_t const high = engine_(), low = engine_();
  return static_cast<double>(((high << 32) | low) & ((std::uint64_t{1} << 53) - 1)) * 0x1p-53;
}

void torch_normals::draw(std::span<float> to) {
  constexpr std::size_t block = 16;
  if (to.size() < block) {
    for (float& one : to)
      if (has_next_) {
        has_next_ = false;
        one = static_cast<float>(next_);
      } else {
        double const angle = 2 * std::numbers::pi * uniform_of_53_bits();
        double const radius = std::sqrt(-2 * std::log1p(-uniform_of_53_bits()));
        next_ = radius * std::sin(angle);
        has_next_ = true;
        one = static_cast<float>(radius * std::cos(angle));
      }
    return;
  }
  auto const uniform = [&] { return static_cast<float>(engine_() & 0xffffff) * 0x1p-24f; };
  auto const transform = [](float* u) {
    for (std::size_t j = 0; j < block / 2; ++j) {
      double const radius = std::sqrt(-2 * std::log1p(-double{u[j]}));
      double const angle = 2 * std::numbers::pi * u[j + block / 2];
      u[j] = static_cast<float>(radius * std::cos(angle));
      u[j + block / 2] = static_cast<float>(radius * std::sin(angle));
    }
  };
  for (float& one : to) one = uniform();
  for (std::size_t i = 0; i + block <= to.size(); i += block) transform(&to[i]);
  if (to.size() % block != 0) {  // the last 16 are drawn once more
    float* const last = to.data() + (to.size() - block);
    for (std::size_t j = 0; j < block; ++j) last[j] = uniform();
    transform(last);
  }
}

namespace noises {

void torch_cpu::operator()(noise_request const& r) const {
  std::scoped_lock const lock(of_->mutex);
  // A run begins with its start, or, where it was given x_t, at what does not come after the last
  // draw: evaluations follow one another, from -1 (before the first step) on.
  std::pair<std::int64_t, std::int64_t> now{-1, 0};
  bool const starts = r.stream == start_stream || r.stream == noising_stream;
  if (!starts && !r.keys.empty()) now = {static_cast<std::uint32_t>(r.keys[0].step + 1), r.stream};
  if (starts || now <= of_->last) of_->normals = torch_normals(seed);
  of_->last = now;
  std::vector<float> all(r.keys.size() * r.elements);
  of_->normals.draw(all);
  for (std::size_t i = 0; i < r.keys.size(); ++i)
    std::copy_n(&all[i * r.elements], r.elements, r.to + i * r.pitch);
}

}  // namespace noises
}  // namespace tweedie
