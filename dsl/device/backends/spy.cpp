// The door that counts: everything runs serially, in order.
#include <atomic>

#include <tweedie/dsl/device/execute.hpp>
#include <tweedie/dsl/device/placement.hpp>
#include <tweedie/dsl/device/spy.hpp>

namespace tweedie {

namespace {
std::atomic<std::uint64_t> count{0};
}

char const* backend() { return "SPY"; }
void set_threads(int) {}
placement const& default_placement() {
  static placement const host;
  return host;
}

namespace detail {

std::uint64_t const serially_below = 0;  // all go through the door

void for_each_index(std::uint64_t n, void (*body)(void const* what, std::uint64_t i),
                    void const* what) {
  ++count;
  for (std::uint64_t i = 0; i < n; ++i) body(what, i);
}

}  // namespace detail

namespace spy {
std::uint64_t launches() { return count; }
void forget() { count = 0; }
}  // namespace spy

}  // namespace tweedie
