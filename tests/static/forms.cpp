// Forms as types: however a formula is written, it is one type, hence one kernel.
#include <tweedie/dsl/collapse.hpp>
#include <tweedie/dsl/fuse.hpp>
#include <type_traits>

namespace {

using namespace tweedie;
using namespace tweedie::symbols;

template <class A, class B> constexpr bool same_type(A const&, B const&) {
  return std::is_same_v<A, B>;
}
constexpr auto canonical = [](auto f) { return collapse(lift(f)); };

static_assert(std::is_empty_v<sym::x> && std::is_trivially_copyable_v<form<sym::x, sym::eps>>);
static_assert(same_type(canonical(x + 2 * eps), canonical(2 * eps + x)));
static_assert(same_type(canonical(x + 2 * eps), form<sym::x, sym::eps>{}));
static_assert(same_type(canonical((x + eps) / 2 - (noise - 3 * x)), canonical(noise + eps + x)));
static_assert(same_type(canonical(-(raw - raw)), canonical(+raw)),
              "a symbol whose numbers cancel stays: a type cannot depend on values");

constexpr auto merged = canonical(x + 2 * eps + 3 * x - eps / 4);
static_assert(merged.c[0] == 4 && merged.c[1] == 1.75);
static_assert(coefficient<sym::noise_stream<0>>(merged) == 0);

template <class A, class B> constexpr bool same_kernel(A a, B b) {
  return same_type(fuse(no_answers, nothing_before, std::tuple{x = a}).c,
                   fuse(no_answers, nothing_before, std::tuple{x = b}).c) &&
         std::is_same_v<
             typename decltype(fuse(no_answers, nothing_before, std::tuple{x = a}))::type,
             typename decltype(fuse(no_answers, nothing_before, std::tuple{x = b}))::type>;
}
static_assert(same_kernel(x + 2 * known, 2 * known + x));
static_assert(same_kernel(noise + x - known / 3, known + noise * 2 + x));
static_assert(!same_kernel(x + known, x + noise));

static_assert(linear<sym::x> && linear<form<sym::x>> && !linear<double>);

}  // namespace
