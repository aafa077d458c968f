#include <tweedie/dsl/lowering/any_program.hpp>

#include <tweedie/dsl/lowering/ir.hpp>

namespace tweedie {
namespace {

template <class Count> std::size_t over_kernels(any_program const& p, Count count) {
  std::size_t r = 0;
  for (any_kernel const& k : p.kernels) r += count(k);
  return r;
}

std::size_t bytes_of(any_symbol s) { return s.element == element_type::float32 ? 4 : 2; }

std::size_t arguments_of(any_kernel const& k) {
  std::size_t r = 0;
  for (any_line const& l : k.reductions) r += l.sums.size();
  return r;
}

}  // namespace

any_program detail::program_of(lowering::program_value const& value) {
  using lowering::range;
  auto const symbols = [&](range r) {
    std::vector<any_symbol> some;
    for (int i = r.first; i < r.end; ++i) some.push_back({value.symbols[i]});
    return some;
  };
  auto const lines = [&](range r) {
    std::vector<any_line> some;
    for (int i = r.first; i < r.end; ++i) {
      lowering::program_line const& l = value.lines[i];
      some.push_back({{l.target}, l.by.function, l.by.reduction, {}});
      for (int s = l.sums.first; s < l.sums.end; ++s)
        some.back().sums.push_back(symbols(value.sums[s]));
    }
    return some;
  };
  any_program r;
  for (lowering::kernel const& k : value.kernels)
    r.kernels.push_back({symbols(k.reads), symbols(k.masks), symbols(k.noises), symbols(k.scalars),
                         lines(k.uniform), lines(k.nodes), lines(k.writes), lines(k.reductions)});
  return r;
}

std::size_t any_program::coefficients() const {
  return over_kernels(*this, [](any_kernel const& k) {
    std::size_t r = 0;
    for (auto const* lines : {&k.uniform, &k.nodes, &k.writes})
      for (any_line const& l : *lines) r += l.coefficients();
    for (any_line const& l : k.reductions) r += l.parameters();
    return r;
  });
}
std::size_t any_program::reads() const {
  return over_kernels(*this, [](any_kernel const& k) { return k.reads.size(); });
}
std::size_t any_program::writes() const {
  return over_kernels(*this, [](any_kernel const& k) { return k.writes.size(); });
}
std::size_t any_program::noises() const {
  return over_kernels(*this, [](any_kernel const& k) { return k.noises.size(); });
}
std::size_t any_program::scratches() const { return over_kernels(*this, arguments_of); }
// A mask that all channels share counts as a whole one; the reductions' own reading of what the
// kernel before wrote counts as well.
std::size_t any_program::bytes_per_element() const {
  return over_kernels(*this, [](any_kernel const& k) {
    std::size_t r = sizeof(float) * (k.masks.size() + arguments_of(k));
    for (any_symbol s : k.reads) r += bytes_of(s);
    for (any_line const& l : k.writes) r += bytes_of(l.target);
    return r;
  });
}

}  // namespace tweedie
