// Runs a fused program on buffers: which pointer each symbol stands for, how the rows lie, whose
// noise it is.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include <fmt/format.h>

#include <tweedie/dsl/base/error.hpp>
#include <tweedie/dsl/device/buffer.hpp>
#include <tweedie/dsl/device/for_each_sample.hpp>
#include <tweedie/dsl/kernel/bodies.hpp>
#include <tweedie/dsl/lowering/typed.hpp>
#if defined(__CUDACC__)
#include <tweedie/dsl/device/on_device.hpp>
#endif

namespace tweedie {

/// Rows of `pitch` floats and, for a program that draws noise, one key per row. `elements` of each
/// are the sample (0: all of them), the rest is padding that no reduction sees. On a device the
/// buffers, the keys and `which` are in its memory.
struct rows {
  std::size_t count = 1;
  std::size_t pitch = 0;
  sample_key const* keys = nullptr;
  std::size_t elements = 0;
  std::uint32_t const* which = nullptr;  ///< the `count` rows meant; null: the first ones
  std::uint32_t step = 0;                ///< added to that of each key
  placement on = {};
};

/// The buffer a symbol stands for.
template <symbol S> struct bound {
  float* pointer(S) const { return data; }
  float* data;
};

/// A mask's place.
struct bound_mask {
  broadcast_view view(sym::mask) const { return data; }
  float const* pointer(sym::mask) const { return data.data; }
  broadcast_view data;
};

/// Where each symbol of a program lies: `bind(x, p)`; several with a comma in `bindings{...}`.
template <class... Bound> struct bindings : Bound... { using Bound::pointer...; };
template <class... Bound> bindings(Bound...) -> bindings<Bound...>;

template <symbol S> constexpr bound<S> bind(S, float* data) { return {data}; }
/// A buffer of bfloat16 or float16: the program's symbol is as<S, T>.
template <symbol S, stored T>
requires(!std::same_as<T, float>) bound<as<S, T>> bind(S, T* data) {
  return {reinterpret_cast<float*>(data)};
}
/// A buffer that is only read.
template <symbol S> constexpr bound<S> bind(S, float const* data) {
  return {const_cast<float*>(data)};
}

/// `period` floats for every row, or each row's own `row_stride` floats after the last one's.
inline bound_mask bind(sym::mask, float const* data, std::uint64_t period,
                       std::uint64_t row_stride = 0) {
  return {{data, period, row_stride}};
}

namespace detail {

/// The numbers of a launch: one line for all rows, or one for each, `line` floats apart.
struct launch_numbers {
  float const* first;
  std::uint64_t line = 0;  ///< 0: one for all
};

template <std::uint64_t Width, class Program, class Where, class... R, class... W>
kernel<Program, Width> make_kernel(launch_numbers numbers, Where&& where, rows const& r, list<R...>,
                                   list<W...>) {
  kernel<Program, Width> k{};
  std::size_t i = 0;
  ((k.read[i++] = where.pointer(R{})), ...);
  i = 0;
  ((k.write[i++] = where.pointer(typename W::target{})), ...);
  if constexpr (Program::masks > 0)
    [&]<class... M>(list<M...>) {
      std::size_t j = 0;
      ((k.mask[j++] = where.view(M{})), ...);
      for (j = 0; j < sizeof...(M); ++j)
        k.period_reciprocal[j] = detail::reciprocal_of(k.mask[j].period);
    }(typename Program::mask_list{});
  if constexpr (Program::scalars > 0)
    [&]<class... S>(list<S...>) {
      std::size_t j = 0;
      ((k.scalar[j++] = where.pointer(S{})), ...);
    }(typename Program::scalar_list{});
  k.keys = r.keys;
  k.step = r.step;
  k.pitch = r.pitch;
  k.cut_rows();
  if constexpr (Width == device_width)
    if (k.pitch % k.width != 0)
      throw error(fmt::format(
          "rows of {} elements were given to a device, expected a multiple of {}: 16 bytes",
          k.pitch, std::uint64_t{k.width}));
  k.which = r.which;
  k.one_row = r.count == 1;
  if (numbers.line) {
    k.table = numbers.first;
    k.table_pitch = numbers.line;
  } else std::copy_n(numbers.first, Program::coefficients, k.c);
  return k;
}

template <class Program, std::uint64_t Width>
void run(kernel<Program, Width>& k, std::size_t count, [[maybe_unused]] placement const& on) {
  // Without noise or numbers of their own, all rows are one.
  if (Program::deterministic && Program::masks + Program::scalars == 0 && !k.table && !k.which) {
    k.pitch *= count;
    count = 1;
    k.cut_rows();
    k.one_row = true;
  }
  if constexpr (Width == host_width) execute(k, count);
  else execute(k, count, on.memory->stream());
}

/// The kernels of all phases, with the numbers of all rows.
template <std::uint64_t Width, class Phased, class Where> struct phases;
template <std::uint64_t Width, class... P, class... R, class Where>
struct phases<Width, phased<list<P...>, list<R...>>, Where> {
  using type = phased<list<P...>, list<R...>>;

  static phased_kernel<type, Width> make(launch_numbers numbers, Where& where, rows const& r) {
    auto const reductions_of = [&]<class... One>(list<One...>) {
      return std::tuple<placed_reduction<One>...>{place<One>(numbers, where)...};
    };
    auto const part = [&]<class One, class All>(std::type_identity<One>, All all) {
      auto const k = next_kernel<One>(numbers, where, r);
      return std::pair{k, reductions_of(all)};
    };
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
      using programs = std::tuple<P...>;
      // Braces: in this order.
      std::tuple<decltype(part(std::type_identity<std::tuple_element_t<I, programs>>{},
                               R{}))...> const parts{
          part(std::type_identity<std::tuple_element_t<I, programs>>{}, R{})...};
      auto const end = next_kernel<std::tuple_element_t<sizeof...(R), programs>>(numbers, where, r);
      return phased_kernel<type, Width>{{std::get<I>(parts).first..., end},
                                        {std::get<I>(parts).second...},
                                        r.pitch,
                                        r.elements ? r.elements : r.pitch};
    }
    (std::index_sequence_for<R...>{});
  }

 private:
  template <class Program>
  static kernel<Program, Width> next_kernel(launch_numbers& numbers, Where& where, rows const& r) {
    auto const k = make_kernel<Width, Program>(numbers, where, r, typename Program::read_list{},
                                               typename Program::write_list{});
    numbers.first += Program::coefficients;
    return k;
  }
  template <class One> static placed_reduction<One> place(launch_numbers& numbers, Where& where) {
    placed_reduction<One> p{};
    [&]<class... S>(list<S...>) {
      std::size_t i = 0;
      ((p.read[i++] = where.pointer(S{})), ...);
    }(typename One::arguments{});
    p.value = where.pointer(typename One::target{});
    if (numbers.line) {
      p.table = numbers.first;
      p.line = numbers.line;
    } else std::copy_n(numbers.first, One::coefficients, p.c);
    numbers.first += One::coefficients;
    return p;
  }
};

/// Bindings, and room for what the reductions of one formula need.
template <class Where> struct with_scratch {
  Where& where;
  std::size_t count, pitch;
  std::vector<buffer> rows;
  buffer values;
  with_scratch(Where& w, tweedie::rows const& r, std::size_t scratches)
      : where(w),
        count(r.count),
        pitch(r.pitch),
        rows(scratches, buffer(r.count * r.pitch, r.on)),
        values(sym::most_reductions * r.count, r.on) {}

  template <class S> float* pointer(S s) { return where.pointer(s); }
  template <int K> float* pointer(sym::scratch<K>) { return rows[K].data(); }
  template <int K> float* pointer(sym::reduced<K>) { return values.data() + K * count; }
  template <class S> broadcast_view view(S s) { return where.view(s); }
};

/// Bindings that the caller made, each of which has to be of the device.
template <class Where> struct of_device {
  Where& where;
  device_memory const& memory;

  template <class P> P checked(P p) const {
    memory.check_pointer(p, "a formula's buffer");
    return p;
  }
  template <class S> auto pointer(S s) const {
    auto const p = checked(where.pointer(s));
    if (!S::id.is_scalar() && reinterpret_cast<std::uintptr_t>(p) % 16 != 0)
      throw error("a formula's buffer: memory was given that is not aligned, expected 16 bytes");
    return p;
  }
  template <class S> broadcast_view view(S s) const {
    broadcast_view const v = where.view(s);
    checked(v.data);
    return v;
  }
};

template <class Where> inline constexpr bool is_checked = false;
template <class Where> inline constexpr bool is_checked<of_device<Where>> = true;

/// The kernel of a program, or of all its phases.
template <std::uint64_t Width, class Program, class Where>
auto placed_kernel(launch_numbers numbers, Where&& where, rows const& r) {
  if constexpr (is_phased<Program>)
    return phases<Width, Program, std::remove_reference_t<Where>>::make(numbers, where, r);
  else
    return make_kernel<Width, Program>(numbers, where, r, typename Program::read_list{},
                                       typename Program::write_list{});
}

/// Nothing before the kernel.
struct nothing {};

template <std::uint64_t Width, class Program, class Where, class Before>
void launch_wide(launch_numbers numbers, Where&& where, rows const& r,
                 [[maybe_unused]] Before const& before) {
  auto k = placed_kernel<Width, Program>(numbers, where, r);
  if constexpr (!std::is_same_v<Before, nothing>) {
    if constexpr (Width == host_width) execute_preceded(before, k, r.count);
    else execute_preceded(before, k, r.count, r.on.memory->stream());
  } else if constexpr (is_phased<Program>) {
    if constexpr (Width == host_width) execute_phases(k, r.count);
    else execute_phases(k, r.count, r.on.memory->stream());
  } else run(k, r.count, r.on);
}

/// `before`, where it is given, is done to each row by the same kernel.
template <class Program, class Door = door, class Where, class Before = nothing>
void launch_numbered(launch_numbers numbers, Where&& where, rows const& r,
                     Before const& before = {}) {
#if defined(__CUDACC__)
  if (r.on.on_device()) {
    launch_wide<device_width, Program>(numbers, where, r, before);
    if (r.on.memory->is_shared_with_host()) r.on.memory->wait();
    return;
  }
#else
  if (!r.on.for_hosts())
    throw error(
        "buffers on a device were given to a program that was compiled for the host alone; "
        "expected one that nvcc has compiled: write it in a .cu file");
#endif
  launch_wide<host_width, Program>(numbers, where, r, before);
}

}  // namespace detail

/// All rows with the same numbers.
template <class Program, class Door = door, class Where>
void launch(std::span<float const> numbers, Where&& where, rows const& r) {
  detail::launch_numbered<Program, Door>({numbers.data()}, where, r);
}

/// The n-th row with the numbers table[n * Program::coefficients] and following; the table is the
/// host's.
template <class Program, class Door = door, class Where>
void launch_per_sample(std::span<float const> table, Where&& where, rows const& r) {
  if (r.count == 0) return;
  buffer on_device;
  if (r.on.on_device()) {
    on_device = buffer(table.size(), r.on);
    on_device.put(0, table.data(), table.size());
  }
  detail::launch_numbered<Program, Door>(
      {on_device.size() > 0 ? on_device.data() : table.data(), Program::coefficients}, where, r);
}

/// One formula without a pipeline: `launch(step(x = t.alpha * known + t.sigma * noise),
/// bindings{...}, rows)`. Throws tweedie::error where the rows are on a device and a buffer is not.
template <class... Statements, class Where, class Door = door>
void launch(step_of<evaluation<Statements...>> const& step, Where&& where, rows const& r) {
  using bound = std::remove_reference_t<Where>;
  if constexpr (std::is_same_v<Door, device_door> && !detail::is_checked<bound>)
    if (r.on.on_device()) {
      for (void const* p : {static_cast<void const*>(r.keys), static_cast<void const*>(r.which)})
        if (p) r.on.memory->check_pointer(p, "the keys or the rows meant");
      return launch(step, detail::of_device<bound>{where, *r.on.memory}, r);
    }
  static_assert(
      !lowering::gathered<std::tuple<Statements...>>::found.answered,
      "launch(step(...)) is without a pipeline, whose stages say what raw, x0, eps, score, "
      "v, velocity, branch_x0<i> and branch_eps<i> are: write its formula over x, known, "
      "noise and others that you bind");
  auto const f = fuse(std::get<0>(step.evaluations).statements);
  using type = typename decltype(f)::type;
  std::array<float, type::coefficients> numbers;
  std::transform(f.c.begin(), f.c.end(), numbers.begin(),
                 [](double c) { return static_cast<float>(c); });
  if constexpr (is_phased<type>) {
    detail::with_scratch<std::remove_reference_t<Where>> all{where, r, type::scratches};
    launch<type, Door>(numbers, all, r);
  } else launch<type, Door>(numbers, where, r);
}

}  // namespace tweedie
