// Rows of floats, each padded to 32 bytes, the first aligned to a cache line, or to a huge page
// where there are many; on the host, or in a device's memory.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <utility>

#include <tweedie/dsl/device/placement.hpp>

namespace tweedie {

/// Elements from one row to the next for rows of `elements`: 16 bytes even where they are of 16
/// bits.
constexpr std::size_t pitch_of(std::size_t elements) { return (elements + 7) / 8 * 8; }

namespace detail {
float* allocate_floats(std::size_t floats);
void release_floats(float* p, std::size_t floats);
}  // namespace detail

/// Zeros at first; copied by value, to the same place.
class buffer {
 public:
  buffer() = default;
  /// Throws tweedie::error where a device has no room.
  explicit buffer(std::size_t floats, placement const& where = {})
      : floats_(floats), data_(allocate(floats, where)) {
    if (floats == 0) return;
    if (where.on_device()) where.memory->zero(data(), floats * sizeof(float));
    else std::fill_n(data(), floats, 0.0f);
  }
  buffer(buffer const& other) : floats_(other.floats_), data_(allocate(floats_, other.where())) {
    copy(other, 0, *this, 0, floats_ * sizeof(float));
  }
  buffer(buffer&& other) noexcept = default;
  buffer& operator=(buffer other) noexcept {
    std::swap(floats_, other.floats_);
    std::swap(data_, other.data_);
    return *this;
  }

  /// A device's pointer, where the buffer lies on one.
  float* data() { return data_.get(); }
  float const* data() const { return data_.get(); }
  std::size_t size() const { return floats_; }
  placement const& where() const { return data_.get_deleter().where; }

  /// Floats from the host, and to it: wherever the buffer lies.
  void put(std::size_t at, float const* from, std::size_t floats) {
    if (where().on_device()) where().memory->copy_in(data() + at, from, floats * sizeof(float));
    else std::copy_n(from, floats, data() + at);
  }
  void get(std::size_t at, float* to, std::size_t floats) const {
    if (where().on_device()) where().memory->copy_out(to, data() + at, floats * sizeof(float));
    else std::copy_n(data() + at, floats, to);
  }

  /// The same floats elsewhere.
  buffer at(placement const& elsewhere) const {
    buffer r(floats_, elsewhere);
    copy(*this, 0, r, 0, floats_ * sizeof(float));
    return r;
  }

  /// Bytes from one buffer to another, or to another part of the same, wherever the two lie.
  static void copy(buffer const& from, std::size_t at, buffer& to, std::size_t to_at,
                   std::size_t bytes) {
    if (bytes == 0) return;
    auto const* const source = reinterpret_cast<std::byte const*>(from.data()) + at;
    auto* const target = reinterpret_cast<std::byte*>(to.data()) + to_at;
    auto const &of = from.where(), &into = to.where();
    if (of.on_device() && into.on_device()) {
      if (of != into) of.memory->wait();
      into.memory->copy(target, source, bytes);
      if (of != into) into.memory->wait();  // `from` may be given back in its own stream's order
    } else if (into.on_device()) into.memory->copy_in(target, source, bytes);
    else if (of.on_device()) of.memory->copy_out(target, source, bytes);
    else std::memmove(target, source, bytes);
  }

 private:
  struct release {
    placement where;
    std::size_t floats;
    void operator()(float* p) const {
      if (where.on_device()) where.memory->release(p, floats * sizeof(float));
      else detail::release_floats(p, floats);
    }
  };
  static std::unique_ptr<float, release> allocate(std::size_t floats, placement const& where) {
    if (!where.on_device()) return {detail::allocate_floats(floats), release{where, floats}};
    void* const room = floats ? where.memory->allocate(floats * sizeof(float)) : nullptr;
    return {static_cast<float*>(room), release{where, floats}};
  }

  std::size_t floats_ = 0;
  std::unique_ptr<float, release> data_;
};

}  // namespace tweedie
