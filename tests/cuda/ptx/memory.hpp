// The memory that a kernel may touch: the buffers it was given. Every access is looked up, so that
// one beside them is found, and how wide accesses are is counted by buffer.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <new>
#include <string>
#include <vector>

namespace ptx {

/// Accesses of 1, 2, 4, 8 and 16 bytes, and more.
inline constexpr std::size_t widths = 6;
using counts = std::array<std::uint64_t, widths>;

/// Memory that holds the list of memory, where operator new is the one that adds to it.
template <class T> struct plain_allocator {
  using value_type = T;
  plain_allocator() = default;
  template <class U> plain_allocator(plain_allocator<U> const&) {}
  T* allocate(std::size_t n) {
    if (void* p = std::malloc(n * sizeof(T))) return static_cast<T*>(p);
    throw std::bad_alloc();
  }
  void deallocate(T* p, std::size_t) { std::free(p); }
  bool operator==(plain_allocator const&) const = default;
};

/// What a launch did to one buffer.
struct buffer_use {
  std::uintptr_t base = 0;
  std::size_t bytes = 0;
  counts loads{}, stores{};  ///< how many, by width

  static std::uint64_t bytes_of(counts const& c) {
    std::uint64_t r = 0;
    for (std::size_t i = 0; i < widths; ++i) r += c[i] << i;
    return r;
  }
};

class memory {
 public:
  void add(void const* base, std::size_t bytes);
  void remove(void const* base);
  /// Bytes that begin at `base`; 0 where no buffer does.
  std::size_t size_of(void const* base) const;

  /// The buffer that holds all of an access; null if there is none. `hint` is where the last one of
  /// the same instruction was found.
  buffer_use* find(std::uintptr_t address, std::size_t bytes, buffer_use*& hint) {
    if (hint && address - hint->base < hint->bytes && address - hint->base + bytes <= hint->bytes)
      return hint;
    return hint = search(address, bytes);
  }
  /// "4 bytes behind the end of a buffer of 640 bytes"
  std::string where(std::uintptr_t address) const;

  /// What has been used since, and forgets it.
  std::vector<buffer_use> take_uses();

 private:
  buffer_use* search(std::uintptr_t address, std::size_t bytes);

  std::map<std::uintptr_t, buffer_use, std::less<>,
           plain_allocator<std::pair<std::uintptr_t const, buffer_use>>>
      buffers_;
};

}  // namespace ptx
