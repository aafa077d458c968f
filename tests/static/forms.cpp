// Forms as types: however a formula is written, it is one type, hence one kernel.
#include <tweedie/dsl/lowering/typed.hpp>
#include <type_traits>

namespace {

using namespace tweedie;
using namespace tweedie::symbols;

static_assert(std::is_empty_v<sym::x> && std::is_trivially_copyable_v<form<sym::x, sym::eps>>);
constexpr auto written = x + 2 * eps + 3 * x - eps / 4;
static_assert(coefficient<sym::x>(written) == 4 && coefficient<sym::eps>(written) == 1.75);
static_assert(coefficient<sym::noise_stream<0>>(written) == 0);

/// The form with like terms merged, in the order of words.
constexpr auto canonical(auto f) {
  lowering::ir p;
  auto const of = lowering::collapse(p, put(p, lift(f)));
  lowering::fixed_list<lowering::term, 8, true> r;
  for (int i = of.first; i < of.end; ++i) r.add(p.terms[i]);
  return r;
}
constexpr auto merged = canonical(written);
static_assert(merged.size == 2 && merged[0].symbol == sym::x::id &&
              merged[1].symbol == sym::eps::id && merged[0].c == 4 && merged[1].c == 1.75);

template <class A, class B> constexpr bool same_kernel(A a, B b) {
  return std::is_same_v<decltype(fuse(std::tuple{x = a})), decltype(fuse(std::tuple{x = b}))>;
}
static_assert(same_kernel(x + 2 * known, 2 * known + x));
static_assert(same_kernel(noise + x - known / 3, known + noise * 2 + x));
static_assert(same_kernel((x + known) / 2 - (noise - 3 * x), noise + known + x));
static_assert(same_kernel(x - (noise - noise), noise + x),
              "a symbol whose numbers cancel stays: a type cannot depend on values");
static_assert(!same_kernel(x + known, x + noise));

static_assert(linear<sym::x> && linear<form<sym::x>> && !linear<double>);

}  // namespace
