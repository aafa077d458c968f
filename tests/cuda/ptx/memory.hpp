// The memory that a kernel may touch: the buffers it was given. Every access is looked up, so that
// one beside them is found, and how wide accesses are is counted by buffer.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace ptx {

/// Accesses of 1, 2, 4, 8 and 16 bytes, and more.
inline constexpr std::size_t widths = 6;
using counts = std::array<std::uint64_t, widths>;

/// What a launch did to one buffer.
struct buffer_use {
  std::uintptr_t base = 0;
  std::size_t bytes = 0;
  counts loads{}, stores{};  ///< how many, by width
  bool is_used = false;

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

  /// Counts an access that lies in one buffer as a whole; false where none holds it. `hint` is
  /// where the last one of the same instruction was found.
  bool touch(std::uintptr_t address, std::size_t bytes, bool stores, buffer_use*& hint) {
    bool const same =
        hint && address - hint->base < hint->bytes && address - hint->base + bytes <= hint->bytes;
    if (!same && !(hint = search(address, bytes))) return false;
    if (!hint->is_used) {
      hint->is_used = true;
      used_.push_back(hint);
    }
    ++(stores ? hint->stores : hint->loads)[static_cast<std::size_t>(std::countr_zero(bytes))];
    return true;
  }
  /// "4 bytes behind the end of a buffer of 640 bytes"
  std::string where(std::uintptr_t address) const;

  /// What has been used since, and forgets it.
  std::vector<buffer_use> take_uses();

 private:
  buffer_use* search(std::uintptr_t address, std::size_t bytes);

  std::map<std::uintptr_t, buffer_use> buffers_;
  std::vector<buffer_use*> used_;
};

}  // namespace ptx
