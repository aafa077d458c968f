// Runs a fused program on buffers: which pointer each symbol stands for, how the rows lie, whose
// noise it is.
#pragma once

#include <cstddef>
#include <span>

#include <tweedie/dsl/execute.hpp>
#include <tweedie/dsl/fuse.hpp>

namespace tweedie {

/// Rows of `pitch` floats and, for a program that draws noise, one key per row.
struct rows {
  std::size_t count = 1;
  std::size_t pitch = 0;
  sample_key const* keys = nullptr;
};

/// The buffer a symbol stands for.
template <symbol S> struct bound {
  float* pointer(S) const { return data; }
  float* data;
};

/// Where each symbol of a program lies: `bind(x, p)`; several with a comma in `bindings{...}`.
template <class... Bound> struct bindings : Bound... { using Bound::pointer...; };
template <class... Bound> bindings(Bound...) -> bindings<Bound...>;

template <symbol S> constexpr bound<S> bind(S, float* data) { return {data}; }
/// A buffer that is only read.
template <symbol S> constexpr bound<S> bind(S, float const* data) {
  return {const_cast<float*>(data)};
}

namespace detail {

template <class Program, class Where, class... R, class... W>
kernel<Program, width> make_kernel(Where&& where, rows const& r, list<R...>, list<W...>) {
  kernel<Program, width> k{};
  std::size_t i = 0;
  ((k.read[i++] = where.pointer(R{})), ...);
  i = 0;
  ((k.write[i++] = where.pointer(typename W::target{})), ...);
  k.keys = r.keys;
  k.pitch = r.pitch;
  return k;
}

template <class Program> void run(kernel<Program, width>& k, std::size_t count) {
  // Without noise or numbers of their own, all rows are one.
  if (Program::deterministic && !k.table) {
    k.pitch *= count;
    count = 1;
  }
  k.one_row = count == 1;
  k.chunks_per_row = (k.pitch + width - 1) / width;
  execute<Program>(k, count);
}

}  // namespace detail

/// All rows with the same numbers.
template <class Program, class Where>
void launch(std::span<float const> numbers, Where&& where, rows const& r) {
  auto k = detail::make_kernel<Program>(where, r, typename Program::read_list{},
                                        typename Program::write_list{});
  std::copy(numbers.begin(), numbers.end(), k.c);
  detail::run(k, r.count);
}

/// Row i with the numbers table[i * Program::coefficients] and following.
template <class Program, class Where>
void launch_per_sample(std::span<float const> table, Where&& where, rows const& r) {
  auto k = detail::make_kernel<Program>(where, r, typename Program::read_list{},
                                        typename Program::write_list{});
  k.table = table.data();
  detail::run(k, r.count);
}

/// One formula without a pipeline: `launch(step(x = t.alpha * known + t.sigma * noise),
/// bindings{...}, rows)`.
template <class... Statements, class Where>
void launch(step_of<evaluation<Statements...>> const& step, Where&& where, rows const& r) {
  auto const f = fuse(no_answers, std::tuple<>{}, std::get<0>(step.evaluations).statements);
  using type = typename decltype(f)::type;
  std::array<float, type::coefficients> numbers;
  std::transform(f.c.begin(), f.c.end(), numbers.begin(),
                 [](double c) { return static_cast<float>(c); });
  launch<type>(numbers, where, r);
}

}  // namespace tweedie
