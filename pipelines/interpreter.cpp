// A program that no compiler has seen, followed line by line over tiles of 128 elements. Per
// element the operations and their order are those of dsl/kernel/compute.hpp, so the bits are a
// kernel's.
#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <mutex>

#include <tweedie/dsl/device/launch.hpp>
#include <tweedie/pipelines/plan_builder.hpp>

namespace tweedie {
namespace {

constexpr std::size_t tile = host_width;

/// A line with the places of what it reads and makes.
struct placed_line {
  any_function const* function;
  std::size_t parameters;
  std::vector<std::vector<std::size_t>> sums;  ///< the slots of the terms
  std::size_t slot;                            ///< of its value
};

/// A kernel with a slot for each value: reads, masks, noises, scalars, nodes, then what is stored.
struct placed_kernel {
  any_kernel kernel;
  std::vector<placed_line> uniform, nodes, writes;
  std::size_t slots = 0, uniform_coefficients = 0, reduction_parameters = 0, coefficients = 0;

  explicit placed_kernel(any_kernel k) : kernel(std::move(k)) {
    std::map<symbol_id, std::size_t> slot_of;
    for (auto const* symbols : {&kernel.reads, &kernel.masks, &kernel.noises, &kernel.scalars})
      for (any_symbol s : *symbols) slot_of[s.id] = slots++;
    auto const place = [&](std::vector<any_line> const& lines, bool stored) {
      std::vector<placed_line> r;
      for (any_line const& l : lines) {
        placed_line p{l.function, l.parameters(), {}, slots++};
        for (any_sum const& sum : l.sums) {
          p.sums.emplace_back();
          for (any_symbol s : sum) p.sums.back().push_back(slot_of.at(s.id));
        }
        if (!stored) slot_of[l.target.id] = p.slot;  // what is stored is read as it was before
        coefficients += l.coefficients();
        r.push_back(std::move(p));
      }
      return r;
    };
    uniform = place(kernel.uniform, false);
    uniform_coefficients = coefficients;
    nodes = place(kernel.nodes, false);
    writes = place(kernel.writes, true);
    for (any_line const& l : kernel.reductions) reduction_parameters += l.parameters();
    coefficients += reduction_parameters;
  }
};

/// The values of a tile: slot s lies at at[s].
struct tile_values {
  std::vector<float> room;
  std::vector<float const*> at;
  std::vector<float> made;  ///< the arguments of a function
  std::vector<float const*> arguments;
  float* of(std::size_t slot) { return room.data() + slot * tile; }
};

void add_terms(std::vector<std::size_t> const& slots, float const*& c, tile_values const& v,
               float* to, std::size_t n) {
  if (slots.empty()) std::fill_n(to, n, 0.0f);
  for (std::size_t i = 0; i < slots.size(); ++i) {
    float const* const from = v.at[slots[i]];
    float const k = *c++;
    if (i == 0)
      for (std::size_t j = 0; j < n; ++j) to[j] = k * from[j];
    else
      for (std::size_t j = 0; j < n; ++j) to[j] = std::fma(k, from[j], to[j]);
  }
}

void compute(std::vector<placed_line> const& lines, float const*& c, tile_values& v,
             std::size_t n) {
  for (placed_line const& l : lines) {
    float* const to = v.of(l.slot);
    if (!l.function) add_terms(l.sums[0], c, v, to, n);
    else {
      v.made.resize(l.sums.size() * tile);
      v.arguments.resize(l.sums.size());
      float const* const parameters = c;
      c += l.parameters;
      for (std::size_t i = 0; i < l.sums.size(); ++i) {
        float* const made = v.made.data() + i * tile;
        add_terms(l.sums[i], c, v, made, n);
        v.arguments[i] = made;
      }
      l.function->apply(parameters, v.arguments.data(), to, n);
    }
    v.at[l.slot] = to;
  }
}

float const* read_tile(any_symbol s, float const* buffer, std::size_t at, float* room,
                       std::size_t n) {
  auto const convert = [&]<class T>(T const* from) {
    for (std::size_t j = 0; j < n; ++j) room[j] = to_float(from[at + j]);
    return static_cast<float const*>(room);
  };
  if (s.element == element_type::bfloat16)
    return convert(reinterpret_cast<bfloat16 const*>(buffer));
  if (s.element == element_type::float16) return convert(reinterpret_cast<float16 const*>(buffer));
  return buffer + at;
}

void write_tile(any_symbol s, float* buffer, std::size_t at, float const* made, std::size_t n) {
  auto const convert = [&]<class T>(T* to) {
    for (std::size_t j = 0; j < n; ++j) to[at + j] = from_float<T>(made[j]);
  };
  if (s.element == element_type::bfloat16) convert(reinterpret_cast<bfloat16*>(buffer));
  else if (s.element == element_type::float16) convert(reinterpret_cast<float16*>(buffer));
  else std::copy_n(made, n, buffer + at);
}

/// A kernel on a state's buffers.
struct bound_kernel {
  placed_kernel const* code;
  detail::launch_numbers numbers;
  std::vector<float const*> read, scalar;
  std::vector<float*> write;
  broadcast_view mask;
  struct reduction {
    any_reduction const* function;
    std::vector<float const*> read;
    float* value;
  };
  std::vector<reduction> reductions;

  bound_kernel(placed_kernel const& k, detail::launch_numbers with, state& s)
      : code(&k), numbers(with), mask(s.view(sym::mask{})) {
    for (any_symbol one : k.kernel.reads) read.push_back(s.pointer_of(one));
    for (any_symbol one : k.kernel.scalars) scalar.push_back(s.pointer_of(one));
    for (any_line const& l : k.kernel.writes) write.push_back(s.pointer_of(l.target));
    for (any_line const& l : k.kernel.reductions) {
      reductions.push_back({l.reduction, {}, s.pointer_of(l.target)});
      for (any_sum const& sum : l.sums) reductions.back().read.push_back(s.pointer_of(sum[0]));
    }
  }

  void run_tile(std::size_t n_th, std::size_t row, std::size_t start, rows const& r) const {
    thread_local tile_values v;
    v.room.resize(code->slots * tile);
    v.at.assign(code->slots, nullptr);
    std::size_t const n = std::min(tile, r.pitch - start), at = row * r.pitch + start;
    std::size_t slot = 0;
    for (std::size_t i = 0; i < read.size(); ++i, ++slot)
      v.at[slot] = read_tile(code->kernel.reads[i], read[i], at, v.of(slot), n);
    for (std::size_t i = 0; i < code->kernel.masks.size(); ++i, ++slot) {
      for (std::size_t j = 0; j < n; ++j)
        v.of(slot)[j] = mask.data[row * mask.row_stride + (start + j) % mask.period];
      v.at[slot] = v.of(slot);
    }
    for (any_symbol s : code->kernel.noises) {
      fill_normals(v.of(slot), static_cast<std::uint32_t>(start / 4), n / 4,
                   r.keys[row].later(r.step), std::uint32_t{s.id.index});
      v.at[slot] = v.of(slot);
      ++slot;
    }
    for (float const* one : scalar) {
      std::fill_n(v.of(slot), n, one[row]);
      v.at[slot] = v.of(slot);
      ++slot;
    }
    float const* c = numbers.first + n_th * numbers.line;
    compute(code->uniform, c, v, n);
    compute(code->nodes, c, v, n);
    compute(code->writes, c, v, n);
    for (std::size_t i = 0; i < write.size(); ++i)
      write_tile(code->kernel.writes[i].target, write[i], at, v.at[code->writes[i].slot], n);
  }

  void reduce(std::size_t n_th, std::size_t row, rows const& r) const {
    float const* c =
        numbers.first + n_th * numbers.line + code->coefficients - code->reduction_parameters;
    std::size_t const elements = r.elements ? r.elements : r.pitch;
    for (reduction const& one : reductions) {
      std::vector<float const*> rows_read;
      for (float const* p : one.read) rows_read.push_back(p + row * r.pitch);
      one.value[row] = one.function->of(c, rows_read.data(), elements);
      c += one.function->parameters;
    }
  }
};

class interpreted final : public runnable {
 public:
  explicit interpreted(any_program p) : program_(std::move(p)) {
    for (any_kernel const& k : program_.kernels) kernels_.emplace_back(k);
  }
  any_program const& program() const override { return program_; }
  bool is_compiled() const override { return false; }
  bool runs_on_devices() const override { return false; }

  void launch(detail::launch_numbers numbers, state& s, rows const& r) const override {
    std::vector<bound_kernel> bound;
    for (placed_kernel const& k : kernels_) {
      bound.emplace_back(k, numbers, s);
      numbers.first += k.coefficients;
    }
    std::size_t const tiles = (r.pitch + tile - 1) / tile;
    auto const row_of = [&](std::size_t n) { return r.which ? r.which[n] : n; };
    if (bound.size() == 1) {
      for_each_on_host(r.count * tiles, r.count * r.pitch, [&](std::size_t i) {
        bound[0].run_tile(i / tiles, row_of(i / tiles), i % tiles * tile, r);
      });
      return;
    }
    for_each_on_host(r.count, r.count * r.pitch, [&](std::size_t n) {
      for (bound_kernel const& k : bound) {
        for (std::size_t i = 0; i < tiles; ++i) k.run_tile(n, row_of(n), i * tile, r);
        k.reduce(n, row_of(n), r);
      }
    });
  }

 private:
  any_program program_;
  std::vector<placed_kernel> kernels_;
};

}  // namespace

// One object for equal programs, so that plans which share a structure share a launch.
any_code list_of_terms(any_program program) {
  static std::mutex mutex;
  static std::vector<std::weak_ptr<runnable const>> made;
  std::scoped_lock const lock(mutex);
  std::erase_if(made, [](auto const& one) { return one.expired(); });
  for (auto const& one : made)
    if (auto const there = one.lock(); there && there->program() == program) return there;
  auto const one = std::make_shared<interpreted const>(std::move(program));
  made.push_back(one);
  return one;
}

}  // namespace tweedie
