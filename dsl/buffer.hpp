// Rows of floats, each padded to 16 bytes, the first aligned to a cache line, or to a huge page
// where there are many.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>

namespace tweedie {

/// Floats from one row to the next for rows of `elements` floats.
constexpr std::size_t pitch_of(std::size_t elements) { return (elements + 3) / 4 * 4; }

namespace detail {
float* allocate_floats(std::size_t floats);
void release_floats(float* p, std::size_t floats);
}  // namespace detail

/// Zeros at first; copied by value.
class buffer {
 public:
  buffer() = default;
  explicit buffer(std::size_t floats) : floats_(floats), data_(allocate(floats)) {
    std::fill_n(data_.get(), floats, 0.0f);
  }
  buffer(buffer const& other) : floats_(other.floats_), data_(allocate(other.floats_)) {
    std::copy_n(other.data(), floats_, data_.get());
  }
  buffer(buffer&& other) noexcept = default;
  buffer& operator=(buffer other) noexcept {
    std::swap(floats_, other.floats_);
    std::swap(data_, other.data_);
    return *this;
  }

  float* data() { return data_.get(); }
  float const* data() const { return data_.get(); }
  std::size_t size() const { return floats_; }

 private:
  struct release {
    std::size_t floats;
    void operator()(float* p) const { detail::release_floats(p, floats); }
  };
  static std::unique_ptr<float, release> allocate(std::size_t floats) {
    return {detail::allocate_floats(floats), release{floats}};
  }

  std::size_t floats_ = 0;
  std::unique_ptr<float, release> data_;
};

}  // namespace tweedie
