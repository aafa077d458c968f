#include <tweedie/dsl/device/buffer.hpp>

#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace tweedie::detail {
namespace {

constexpr std::size_t line = 64, huge_page = std::size_t{2} << 20;

std::align_val_t alignment_of(std::size_t floats) {
  return std::align_val_t(floats * sizeof(float) < 2 * huge_page ? line : huge_page);
}

}  // namespace

// A step streams through several large buffers at once: with small pages their addresses do not fit
// the processor's tables. A system that has no huge pages to give ignores the advice.
float* allocate_floats(std::size_t floats) {
  if (floats == 0) return nullptr;
  void* const p = ::operator new(floats * sizeof(float), alignment_of(floats));
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  if (alignment_of(floats) == std::align_val_t(huge_page))
    madvise(p, floats * sizeof(float) / huge_page * huge_page, MADV_HUGEPAGE);
#endif
  return static_cast<float*>(p);
}

void release_floats(float* p, std::size_t floats) { ::operator delete(p, alignment_of(floats)); }

}  // namespace tweedie::detail
