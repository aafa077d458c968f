#include "memory.hpp"

namespace ptx {

void memory::add(void const* base, std::size_t bytes) {
  auto const at = reinterpret_cast<std::uintptr_t>(base);
  if (bytes > 0) buffers_[at] = {at, bytes};
}

void memory::remove(void const* base) { buffers_.erase(reinterpret_cast<std::uintptr_t>(base)); }

std::size_t memory::size_of(void const* base) const {
  auto const at = buffers_.find(reinterpret_cast<std::uintptr_t>(base));
  return at == buffers_.end() ? 0 : at->second.bytes;
}

buffer_use* memory::search(std::uintptr_t address, std::size_t bytes) {
  auto after = buffers_.upper_bound(address);
  if (after == buffers_.begin()) return nullptr;
  buffer_use& b = (--after)->second;
  return address + bytes <= b.base + b.bytes ? &b : nullptr;
}

std::string memory::where(std::uintptr_t address) const {
  auto const of = [](buffer_use const& b) {
    return " a buffer of " + std::to_string(b.bytes) + " bytes";
  };
  auto const after = buffers_.upper_bound(address);
  constexpr std::uintptr_t near = 65536;
  if (after != buffers_.begin()) {
    buffer_use const& b = std::prev(after)->second;
    std::uintptr_t const end = b.base + b.bytes;
    if (address < end) return std::to_string(end - address) + " bytes before the end of" + of(b);
    if (address - end < near)
      return std::to_string(address - end) + " bytes behind the end of" + of(b);
  }
  if (after != buffers_.end() && after->first - address < near)
    return std::to_string(after->first - address) + " bytes before the start of" +
           of(after->second);
  return "near no buffer";
}

std::vector<buffer_use> memory::take_uses() {
  std::vector<buffer_use> r;
  for (buffer_use* b : used_) {
    r.push_back(*b);
    *b = {b->base, b->bytes};
  }
  used_.clear();
  return r;
}

}  // namespace ptx
