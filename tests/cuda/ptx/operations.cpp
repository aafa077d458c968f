#include "operations.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <string_view>

namespace ptx {

namespace {

template <class T> inline constexpr bool is_float = std::is_floating_point_v<T>;
template <class T> inline constexpr int bits_of = static_cast<int>(8 * sizeof(T));

float canonical(float a) { return std::isnan(a) ? std::bit_cast<float>(0x7fffffffu) : a; }
double canonical(double a) { return a; }

// Two operands.

struct add {
  template <class T> static T of(T a, T b) {
    if constexpr (is_float<T>) return canonical(a + b);
    else return static_cast<T>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
  }
};
struct subtract {
  template <class T> static T of(T a, T b) {
    if constexpr (is_float<T>) return canonical(a - b);
    else return static_cast<T>(static_cast<std::uint64_t>(a) - static_cast<std::uint64_t>(b));
  }
};
struct multiply {
  template <class T> static T of(T a, T b) {
    if constexpr (is_float<T>) return canonical(a * b);
    else return static_cast<T>(static_cast<std::uint64_t>(a) * static_cast<std::uint64_t>(b));
  }
};
struct multiply_high {
  template <class T> static T of(T a, T b) {
    __extension__ using wide = std::conditional_t<std::is_signed_v<T>, __int128, unsigned __int128>;
    return static_cast<T>(static_cast<wide>(a) * static_cast<wide>(b) >> bits_of<T>);
  }
};
struct smaller {
  template <class T> static T of(T a, T b) {
    if constexpr (is_float<T>) {
      if (std::isnan(a) || std::isnan(b)) return canonical(std::isnan(a) ? b : a);
      if (a == b) return std::signbit(a) ? a : b;
    }
    return b < a ? b : a;
  }
};
struct larger {
  template <class T> static T of(T a, T b) {
    if constexpr (is_float<T>) {
      if (std::isnan(a) || std::isnan(b)) return canonical(std::isnan(a) ? b : a);
      if (a == b) return std::signbit(a) ? b : a;
    }
    return a < b ? b : a;
  }
};
struct conjunction {
  template <class T> static T of(T a, T b) { return a & b; }
};
struct disjunction {
  template <class T> static T of(T a, T b) { return a | b; }
};
struct exclusive {
  template <class T> static T of(T a, T b) { return a ^ b; }
};
struct exchange {
  template <class T> static T of(T, T b) { return b; }
};

template <class T, class F> flow binary(thread& t, instruction const& i) {
  set<T>(t, i.d, F::template of<T>(get<T>(t, i.a), get<T>(t, i.b)));
  return flow::next;
}

template <class T, class> flow divide(thread& t, instruction const& i) {
  T const a = get<T>(t, i.a), b = get<T>(t, i.b);
  if constexpr (is_float<T>) set<T>(t, i.d, canonical(a / b));
  else if (b == 0) fail(t, i, "a division by 0");
  else set<T>(t, i.d, static_cast<T>(a / b));
  return flow::next;
}
template <class T, class> flow remainder(thread& t, instruction const& i) {
  T const a = get<T>(t, i.a), b = get<T>(t, i.b);
  if (b == 0) fail(t, i, "a division by 0");
  set<T>(t, i.d, static_cast<T>(a % b));
  return flow::next;
}
template <class T, class> flow shift_left(thread& t, instruction const& i) {
  std::uint32_t const n = get<std::uint32_t>(t, i.b);
  set<T>(t, i.d, n < bits_of<T> ? static_cast<T>(get<T>(t, i.a) << n) : T{0});
  return flow::next;
}
template <class T, class> flow shift_right(thread& t, instruction const& i) {
  auto const n = std::min<std::uint32_t>(get<std::uint32_t>(t, i.b), bits_of<T>);
  T const a = get<T>(t, i.a);
  if constexpr (std::is_signed_v<T>)
    set<T>(t, i.d, static_cast<T>(a >> std::min<std::uint32_t>(n, bits_of<T> - 1)));
  else set<T>(t, i.d, n < bits_of<T> ? static_cast<T>(a >> n) : T{0});
  return flow::next;
}

template <class T>
using twice =
    std::conditional_t<sizeof(T) == 4,
                       std::conditional_t<std::is_signed_v<T>, std::int64_t, std::uint64_t>,
                       std::conditional_t<std::is_signed_v<T>, std::int32_t, std::uint32_t>>;
template <class T, class> flow multiply_wide(thread& t, instruction const& i) {
  using wide = twice<T>;
  set<wide>(t, i.d, static_cast<wide>(get<T>(t, i.a)) * static_cast<wide>(get<T>(t, i.b)));
  return flow::next;
}
template <class T, class> flow multiply_wide_add(thread& t, instruction const& i) {
  using wide = twice<T>;
  set<wide>(t, i.d,
            add::of<wide>(static_cast<wide>(get<T>(t, i.a)) * static_cast<wide>(get<T>(t, i.b)),
                          get<wide>(t, i.c)));
  return flow::next;
}
template <class T, class F> flow multiply_add(thread& t, instruction const& i) {
  set<T>(t, i.d, add::of<T>(F::template of<T>(get<T>(t, i.a), get<T>(t, i.b)), get<T>(t, i.c)));
  return flow::next;
}
template <class T, class> flow fused(thread& t, instruction const& i) {
  set<T>(t, i.d, canonical(std::fma(get<T>(t, i.a), get<T>(t, i.b), get<T>(t, i.c))));
  return flow::next;
}

// One operand.

struct negate {
  template <class T> static T of(T a) {
    if constexpr (is_float<T>) return -a;
    else return static_cast<T>(std::uint64_t{0} - static_cast<std::uint64_t>(a));
  }
};
struct magnitude {
  template <class T> static T of(T a) {
    if constexpr (is_float<T>) return std::abs(a);
    else return a < 0 ? negate::of<T>(a) : a;
  }
};
struct complement {
  template <class T> static T of(T a) { return static_cast<T>(~a); }
};
struct root {
  template <class T> static T of(T a) { return canonical(std::sqrt(a)); }
};
struct reciprocal {
  template <class T> static T of(T a) { return canonical(T{1} / a); }
};
struct same {
  template <class T> static T of(T a) { return a; }
};
template <class T, class F> flow unary(thread& t, instruction const& i) {
  set<T>(t, i.d, F::template of<T>(get<T>(t, i.a)));
  return flow::next;
}
flow population(thread& t, instruction const& i) {
  set<std::uint32_t>(t, i.d, static_cast<std::uint32_t>(std::popcount(get<std::uint32_t>(t, i.a))));
  return flow::next;
}
flow leading_zeros(thread& t, instruction const& i) {
  set<std::uint32_t>(t, i.d,
                     static_cast<std::uint32_t>(std::countl_zero(get<std::uint32_t>(t, i.a))));
  return flow::next;
}

// Comparisons and choices. An unordered comparison ends in u.

struct equal {
  template <class T> static bool of(T a, T b) { return a == b; }
};
struct not_equal {  // of a NaN: false, where C++ says true
  template <class T> static bool of(T a, T b) { return a < b || a > b; }
};
struct less {
  template <class T> static bool of(T a, T b) { return a < b; }
};
struct less_equal {
  template <class T> static bool of(T a, T b) { return a <= b; }
};
struct greater {
  template <class T> static bool of(T a, T b) { return a > b; }
};
struct greater_equal {
  template <class T> static bool of(T a, T b) { return a >= b; }
};
template <class F> struct or_unordered {
  template <class T> static bool of(T a, T b) {
    if constexpr (is_float<T>)
      if (std::isnan(a) || std::isnan(b)) return true;
    return F::template of<T>(a, b);
  }
};
struct both_numbers {
  template <class T> static bool of(T a, T b) { return a == a && b == b; }
};
struct any_nan {
  template <class T> static bool of(T a, T b) { return a != a || b != b; }
};
template <class T, class F> flow compare(thread& t, instruction const& i) {
  t.r[i.d] = F::template of<T>(get<T>(t, i.a), get<T>(t, i.b));
  return flow::next;
}
template <class F, class Join> struct joined {
  template <class T> static flow run(thread& t, instruction const& i) {
    bool const made = F::template of<T>(get<T>(t, i.a), get<T>(t, i.b));
    t.r[i.d] = Join::template of<unsigned>(made, t.r[i.c] & 1);
    return flow::next;
  }
};
template <class T, class> flow select(thread& t, instruction const& i) {
  set<T>(t, i.d, t.r[i.c] & 1 ? get<T>(t, i.a) : get<T>(t, i.b));
  return flow::next;
}
flow invert(thread& t, instruction const& i) {
  t.r[i.d] = !(t.r[i.a] & 1);
  return flow::next;
}

// Bits.

template <class T, class> flow extract(thread& t, instruction const& i) {
  std::uint32_t const start = get<std::uint32_t>(t, i.b) & 0xff,
                      length = get<std::uint32_t>(t, i.c) & 0xff;
  T const a = get<T>(t, i.a);
  constexpr std::uint32_t last = bits_of<T> - 1;
  T r = 0;
  bool const sign =
      std::is_signed_v<T> && length > 0 && (a >> std::min(start + length - 1, last) & 1);
  for (std::uint32_t j = 0; j <= last; ++j) {
    bool const bit = j < length && start + j <= last ? (a >> (start + j) & 1) : sign;
    r = static_cast<T>(r | static_cast<T>(T{bit} << j));
  }
  set<T>(t, i.d, r);
  return flow::next;
}
template <class T, class> flow insert(thread& t, instruction const& i) {
  std::uint32_t const start = get<std::uint32_t>(t, i.c) & 0xff,
                      length = get<std::uint32_t>(t, i.e) & 0xff;
  T const a = get<T>(t, i.a);
  T r = get<T>(t, i.b);
  for (std::uint32_t j = 0; j < length && start + j < bits_of<T>; ++j) {
    T const one = static_cast<T>(T{1} << (start + j));
    r = static_cast<T>((r & ~one) | (a >> j & 1 ? one : 0));
  }
  set<T>(t, i.d, r);
  return flow::next;
}
flow permute(thread& t, instruction const& i) {
  std::uint64_t const all = get<std::uint32_t>(t, i.a) | std::uint64_t{get<std::uint32_t>(t, i.b)}
                                                             << 32;
  std::uint32_t const selector = get<std::uint32_t>(t, i.c);
  std::uint32_t r = 0;
  for (std::uint32_t j = 0; j < 4; ++j) {
    std::uint32_t const s = selector >> (4 * j) & 15;
    std::uint32_t byte = all >> (8 * (s & 7)) & 0xff;
    if (s & 8) byte = byte & 0x80 ? 0xff : 0;
    r |= byte << (8 * j);
  }
  set(t, i.d, r);
  return flow::next;
}
flow three_bits(thread& t, instruction const& i) {
  std::uint32_t const a = get<std::uint32_t>(t, i.a), b = get<std::uint32_t>(t, i.b),
                      c = get<std::uint32_t>(t, i.c), table = get<std::uint32_t>(t, i.e);
  std::uint32_t r = 0;
  for (std::uint32_t row = 0; row < 8; ++row)
    if (table >> row & 1) r |= (row & 4 ? a : ~a) & (row & 2 ? b : ~b) & (row & 1 ? c : ~c);
  set(t, i.d, r);
  return flow::next;
}
template <bool left, bool wraps> flow funnel(thread& t, instruction const& i) {
  std::uint64_t const all = get<std::uint32_t>(t, i.a) | std::uint64_t{get<std::uint32_t>(t, i.b)}
                                                             << 32;
  std::uint32_t n = get<std::uint32_t>(t, i.c);
  n = wraps ? n & 31 : std::min(n, 32u);
  set(t, i.d, static_cast<std::uint32_t>(left ? all << n >> 32 : all >> n));
  return flow::next;
}

// Conversions. Beyond an integer's range they stop at its ends, as the hardware does.

enum class rounding { exact, nearest, zero, down, up };

template <class T> T rounded(T a, rounding how) {
  switch (how) {
    case rounding::nearest:
      return std::nearbyint(a);
    case rounding::zero:
      return std::trunc(a);
    case rounding::down:
      return std::floor(a);
    case rounding::up:
      return std::ceil(a);
    case rounding::exact:
      break;
  }
  return a;
}
template <class To, class From, rounding how> flow convert(thread& t, instruction const& i) {
  From const a = get<From>(t, i.a);
  if constexpr (is_float<From> && !is_float<To>) {
    From const r = rounded(a, how);
    constexpr To low = std::numeric_limits<To>::lowest(), high = std::numeric_limits<To>::max();
    if (std::isnan(r))
      set<To>(t, i.d, sizeof(From) == 8 && sizeof(To) == 8 ? static_cast<To>(1ull << 63) : To{0});
    else if (r <= static_cast<From>(low)) set<To>(t, i.d, low);
    else if (r >= static_cast<From>(high)) set<To>(t, i.d, high);
    else set<To>(t, i.d, static_cast<To>(r));
  } else if constexpr (is_float<From> && is_float<To>) {
    if constexpr (std::is_same_v<From, To>) set<To>(t, i.d, canonical(rounded(a, how)));
    else set<To>(t, i.d, canonical(static_cast<To>(a)));
  } else set<To>(t, i.d, static_cast<To>(a));
  return flow::next;
}

// Moves, and several registers as one.

template <class Part> flow pack(thread& t, instruction const& i) {
  std::uint64_t all = 0;
  for (std::uint8_t j = 0; j < i.vector; ++j)
    all |= std::uint64_t{get<Part>(t, i.parts[j])} << (j * bits_of<Part>);
  t.r[i.d] = all;
  return flow::next;
}
template <class Part> flow unpack(thread& t, instruction const& i) {
  std::uint64_t const all = t.r[i.a];
  for (std::uint8_t j = 0; j < i.vector; ++j)
    set<Part>(t, i.parts[j], static_cast<Part>(all >> (j * bits_of<Part>)));
  return flow::next;
}

// Memory. Generic addresses of parameters and of shared memory are those of this machine.

enum class spaces { global, shared, parameters, generic };

std::string bytes_at(char const* verb, std::size_t bytes, std::uint64_t address) {
  char hex[32];
  std::snprintf(hex, sizeof hex, "0x%llx", static_cast<unsigned long long>(address));
  return std::string(verb) + " " + std::to_string(bytes) + " bytes at " + hex;
}

unsigned char* shared_at(thread& t, instruction const& i, std::uint64_t offset, std::size_t bytes,
                         shared_races::kinds kind) {
  auto& all = *t.in->shared;
  char const* verb = kind == shared_races::kinds::load ? "it loads" : "it stores";
  if (offset > all.size() || all.size() - offset < bytes)
    fail(t, i,
         bytes_at(verb, bytes, offset) + " of shared memory, of which there are " +
             std::to_string(all.size()));
  for (std::size_t at = 0; at < bytes; at += 4) {
    if (kind != shared_races::kinds::store && !t.in->races->is_written(offset + at))
      fail(t, i, bytes_at(verb, bytes, offset) + " of shared memory that no thread has written");
    std::uint32_t const met = t.in->races->touch(offset + at, t.index, kind);
    if (met != shared_races::nobody)
      fail(t, i,
           bytes_at(verb, bytes, offset) + " of shared memory that " +
               (met == shared_races::several ? "other threads have"
                                             : "thread " + std::to_string(met) + " has") +
               " touched with no barrier between");
  }
  return all.data() + offset;
}

/// Where an access goes, once it is found to be allowed.
template <spaces Space>
unsigned char* place(thread& t, instruction const& i, std::size_t bytes, shared_races::kinds kind) {
  std::uint64_t const address = t.r[i.a] + static_cast<std::uint64_t>(i.offset);
  bool const is_load = kind == shared_races::kinds::load;
  char const* verb = is_load ? "it loads" : "it stores";
  if (address % bytes != 0)
    fail(t, i,
         bytes_at(verb, bytes, address) + ", which is no multiple of " + std::to_string(bytes));
  if constexpr (Space == spaces::parameters) {
    std::size_t const all = t.in->of->parameter_bytes;
    if (!is_load) fail(t, i, "it stores to a parameter");
    if (address > all || all - address < bytes)
      fail(t, i,
           bytes_at(verb, bytes, address) + " of the parameters, of which there are " +
               std::to_string(all));
    return const_cast<unsigned char*>(t.in->parameters) + address;
  } else if constexpr (Space == spaces::shared) {
    return shared_at(t, i, static_cast<std::uint32_t>(address), bytes, kind);
  } else {
    if constexpr (Space == spaces::generic) {
      auto const within = [&](unsigned char const* base, std::size_t size) {
        auto const start = reinterpret_cast<std::uintptr_t>(base);
        return address >= start && address - start < size && size - (address - start) >= bytes;
      };
      if (is_load && within(t.in->parameters, t.in->of->parameter_bytes))
        return reinterpret_cast<unsigned char*>(address);
      if (within(t.in->shared->data(), t.in->shared->size()))
        return shared_at(t, i, address - reinterpret_cast<std::uintptr_t>(t.in->shared->data()),
                         bytes, kind);
    }
    if (!t.in->global->touch(address, bytes, !is_load, i.hint))
      fail(t, i, bytes_at(verb, bytes, address) + ", " + t.in->global->where(address));
    return reinterpret_cast<unsigned char*>(address);
  }
}

template <spaces Space> struct in_space {
  template <class T, class> static flow load(thread& t, instruction const& i) {
    auto const* from = place<Space>(t, i, sizeof(T) * i.vector, shared_races::kinds::load);
    for (std::uint8_t j = 0; j < i.vector; ++j) {
      T v;
      std::memcpy(&v, from + j * sizeof(T), sizeof(T));
      set<T>(t, i.parts[j], v);
    }
    return flow::next;
  }
  template <class T, class> static flow store(thread& t, instruction const& i) {
    auto* const to = place<Space>(t, i, sizeof(T) * i.vector, shared_races::kinds::store);
    for (std::uint8_t j = 0; j < i.vector; ++j) {
      T const v = get<T>(t, i.parts[j]);
      std::memcpy(to + j * sizeof(T), &v, sizeof(T));
    }
    return flow::next;
  }
  template <class T, class F> static flow update(thread& t, instruction const& i) {
    auto* const at = place<Space>(t, i, sizeof(T), shared_races::kinds::atomic);
    T old;
    std::memcpy(&old, at, sizeof(T));
    T const v = F::template of<T>(old, get<T>(t, i.b));
    std::memcpy(at, &v, sizeof(T));
    set<T>(t, i.d, old);
    return flow::next;
  }
};

template <bool to_generic> flow shared_address(thread& t, instruction const& i) {
  auto const base = reinterpret_cast<std::uint64_t>(t.in->shared->data());
  t.r[i.d] = to_generic ? t.r[i.a] + base : t.r[i.a] - base;
  return flow::next;
}
flow parameter_address(thread& t, instruction const& i) {
  t.r[i.d] = t.r[i.a] + reinterpret_cast<std::uint64_t>(t.in->parameters);
  return flow::next;
}

// What leads elsewhere.

flow branch(thread& t, instruction const& i) {
  t.at = i.target;
  return flow::next;
}
flow leave(thread&, instruction const&) { return flow::exit; }
flow wait(thread&, instruction const&) { return flow::barrier; }
flow stop(thread& t, instruction const& i) { fail(t, i, "the kernel stops itself"); }
flow nothing(thread&, instruction const&) { return flow::next; }

// From names to functions.

// f.operator()<T>() with the C++ type of a PTX type; null where the type is not of that sort.
template <class F> operation of_integers(std::string_view type, F f) {
  if (type == "u16" || type == "b16") return f.template operator()<std::uint16_t>();
  if (type == "u32" || type == "b32") return f.template operator()<std::uint32_t>();
  if (type == "u64" || type == "b64") return f.template operator()<std::uint64_t>();
  if (type == "s16") return f.template operator()<std::int16_t>();
  if (type == "s32") return f.template operator()<std::int32_t>();
  if (type == "s64") return f.template operator()<std::int64_t>();
  return nullptr;
}
template <class F> operation of_floats(std::string_view type, F f) {
  if (type == "f32") return f.template operator()<float>();
  if (type == "f64") return f.template operator()<double>();
  return nullptr;
}
template <class F> operation of_numbers(std::string_view type, F f) {
  operation const o = of_integers(type, f);
  return o ? o : of_floats(type, f);
}
template <class F> operation of_stored(std::string_view type, F f) {
  if (type == "u8" || type == "b8") return f.template operator()<std::uint8_t>();
  if (type == "s8") return f.template operator()<std::int8_t>();
  return of_numbers(type, f);
}

template <class F> operation arithmetic(std::string_view type) {
  return of_numbers(type, []<class T>() -> operation { return binary<T, F>; });
}
template <class F> operation logic(std::string_view type) {
  if (type == "pred")
    return +[](thread& t, instruction const& i) {
      t.r[i.d] = F::template of<unsigned>(t.r[i.a] & 1, t.r[i.b] & 1);
      return flow::next;
    };
  return of_integers(type, []<class T>() -> operation { return binary<T, F>; });
}

/// f.operator()<F>() with the comparison of that name.
template <class F> operation of_comparison(std::string_view name, F f) {
  if (name == "eq") return f.template operator()<equal>();
  if (name == "ne") return f.template operator()<not_equal>();
  if (name == "lt" || name == "lo") return f.template operator()<less>();
  if (name == "le" || name == "ls") return f.template operator()<less_equal>();
  if (name == "gt" || name == "hi") return f.template operator()<greater>();
  if (name == "ge" || name == "hs") return f.template operator()<greater_equal>();
  if (name == "equ") return f.template operator()<or_unordered<equal>>();
  if (name == "neu") return f.template operator()<or_unordered<not_equal>>();
  if (name == "ltu") return f.template operator()<or_unordered<less>>();
  if (name == "leu") return f.template operator()<or_unordered<less_equal>>();
  if (name == "gtu") return f.template operator()<or_unordered<greater>>();
  if (name == "geu") return f.template operator()<or_unordered<greater_equal>>();
  if (name == "num") return f.template operator()<both_numbers>();
  if (name == "nan") return f.template operator()<any_nan>();
  return nullptr;
}

using words = std::vector<std::string>;

operation comparison(words const& o) {
  std::string_view const type = o.back();
  return of_comparison(o[1], [&]<class F>() -> operation {
    if (o.size() == 3)
      return of_numbers(type, []<class T>() -> operation { return compare<T, F>; });
    auto const with = [&]<class Join>(Join) {
      return of_numbers(type,
                        []<class T>() -> operation { return joined<F, Join>::template run<T>; });
    };
    if (o.size() != 4) return nullptr;
    if (o[2] == "and") return with(conjunction{});
    if (o[2] == "or") return with(disjunction{});
    if (o[2] == "xor") return with(exclusive{});
    return nullptr;
  });
}

template <rounding how> operation conversion_to(std::string_view to, std::string_view from) {
  return of_stored(to, [&]<class To>() {
    auto const made = []<class From>() -> operation { return convert<To, From, how>; };
    if constexpr (how == rounding::exact) return of_stored(from, made);
    else return of_floats(from, made);
  });
}
operation conversion(words const& o) {
  if (o.size() != 3 && o.size() != 4) return nullptr;
  std::string_view const to = o[o.size() - 2], from = o.back();
  std::string_view const how = o.size() == 4 ? std::string_view(o[1]) : "";
  bool const of_float = from[0] == 'f', to_float = to[0] == 'f';
  // To nearest is what a C++ cast does; to an integer, or from a float to itself, it needs a name.
  if (how == "" || (how == "rn" && to_float)) {
    if (of_float && !to_float) return nullptr;
    return conversion_to<rounding::exact>(to, from);
  }
  if (!of_float) return nullptr;
  if (how == "rni") return conversion_to<rounding::nearest>(to, from);
  if (how == "rzi") return conversion_to<rounding::zero>(to, from);
  if (how == "rmi") return conversion_to<rounding::down>(to, from);
  if (how == "rpi") return conversion_to<rounding::up>(to, from);
  return nullptr;
}

/// ".wb", ".nc", ".L1::no_allocate" and others that say where data is kept on its way; "volatile".
bool is_about_caches(std::string_view word) {
  constexpr std::string_view all[] = {"wb", "wt", "ca",       "cg",      "cs",   "cv", "lu",
                                      "nc", "L1", "volatile", "relaxed", "weak", "gpu"};
  return std::ranges::find(all, word.substr(0, word.find(':'))) != std::end(all);
}

template <spaces Space> operation access(words const& o) {
  return of_stored(o.back(), [&]<class T>() -> operation {
    if (o[0] == "ld") return in_space<Space>::template load<T, void>;
    return in_space<Space>::template store<T, void>;
  });
}
operation memory_access(words const& o) {
  std::size_t i = 1;
  while (i < o.size() && is_about_caches(o[i])) ++i;
  std::string_view const space = i < o.size() ? std::string_view(o[i]) : "";
  bool const named = space == "global" || space == "const" || space == "shared" || space == "param";
  if (named) ++i;
  while (i < o.size() && is_about_caches(o[i])) ++i;
  if (i < o.size() && (o[i] == "v2" || o[i] == "v4" || o[i] == "v8")) ++i;
  if (i + 1 != o.size()) return nullptr;
  if (space == "global" || space == "const") return access<spaces::global>(o);
  if (space == "shared") return access<spaces::shared>(o);
  if (space == "param") return access<spaces::parameters>(o);
  return access<spaces::generic>(o);
}

template <spaces Space> operation update_in(words const& o) {
  return of_integers(o.back(), [&]<class T>() -> operation {
    using here = in_space<Space>;
    std::string_view const what = o[o.size() - 2];
    if (what == "add") return here::template update<T, add>;
    if (what == "min") return here::template update<T, smaller>;
    if (what == "max") return here::template update<T, larger>;
    if (what == "and") return here::template update<T, conjunction>;
    if (what == "or") return here::template update<T, disjunction>;
    if (what == "xor") return here::template update<T, exclusive>;
    if (what == "exch") return here::template update<T, exchange>;
    return nullptr;
  });
}
operation atomic(words const& o) {
  if (std::ranges::find(o, "shared") != o.end()) return update_in<spaces::shared>(o);
  if (std::ranges::find(o, "global") != o.end()) return update_in<spaces::global>(o);
  return update_in<spaces::generic>(o);
}

operation move(statement const& s) {
  std::string_view const type = s.opcode.back();
  auto const parts = [&](std::size_t which) {
    return which < s.operands.size() && s.operands[which].kind == operand::kinds::vector
               ? s.operands[which].parts.size()
               : 0;
  };
  std::size_t const bits = type == "b64" ? 64 : type == "b32" ? 32 : 0;
  if (parts(1) > 0) {
    if (bits / parts(1) == 32) return pack<std::uint32_t>;
    if (bits / parts(1) == 16) return pack<std::uint16_t>;
    return nullptr;
  }
  if (parts(0) > 0) {
    if (bits / parts(0) == 32) return unpack<std::uint32_t>;
    if (bits / parts(0) == 16) return unpack<std::uint16_t>;
    return nullptr;
  }
  if (type == "pred") return unary<std::uint8_t, same>;
  // Bits, so that no NaN is touched.
  std::string const plain = "b" + std::string(type.substr(1));
  return of_integers(plain, []<class T>() -> operation { return unary<T, same>; });
}

operation product(words const& o) {
  std::string_view const type = o.back();
  bool const adds = o[0] == "mad";
  if (o.size() < 3) return adds ? nullptr : arithmetic<multiply>(type);
  if (o[1] == "wide")
    return of_integers(type, [&]<class T>() -> operation {
      if constexpr (sizeof(T) == 8) return nullptr;
      else return adds ? multiply_wide_add<T, void> : multiply_wide<T, void>;
    });
  return of_integers(type, [&]<class T>() -> operation {
    if (o[1] == "lo") return adds ? multiply_add<T, multiply> : binary<T, multiply>;
    if (o[1] == "hi") return adds ? multiply_add<T, multiply_high> : binary<T, multiply_high>;
    return nullptr;
  });
}

operation address(words const& o) {
  bool const back = o[1] == "to";
  std::string_view const space = o[back ? 2 : 1];
  if (space == "global" || space == "const") return unary<std::uint64_t, same>;
  if (space == "shared") return back ? shared_address<false> : shared_address<true>;
  if (space == "param" && !back) return parameter_address;
  return nullptr;
}

}  // namespace

operation operation_of(statement const& s) {
  auto o = s.opcode;
  std::string const name = o[0], last = o.back();

  if (name == "ld" || name == "st") return memory_access(o);
  if (name == "atom") return atomic(o);
  if (name == "mov") return move(s);
  if (name == "cvta") return address(o);
  if (name == "cvt") return conversion(o);
  if (name == "setp") return comparison(o);
  if (name == "bra") return o.size() == 1 || o[1] == "uni" ? branch : nullptr;
  if (name == "ret" || name == "exit") return leave;
  if (name == "trap") return stop;
  if (name == "membar" || name == "fence") return nothing;
  if ((name == "bar" || name == "barrier") && o.size() > 1 &&
      (o[1] == "sync" || (o.size() > 2 && o[2] == "sync")))
    return wait;

  // To nearest is how all of these round; another way, or less than that, is refused.
  bool const says_nearest = o.size() == 3 && o[1] == "rn";
  bool const is_plain = o.size() == 2 || says_nearest;
  bool const of_float = last == "f32" || last == "f64";
  if (name == "mul" || name == "mad") {
    if (of_float) return name == "mul" && is_plain ? product({o[0], last}) : nullptr;
    return product(o);
  }
  if (name == "fma")
    return says_nearest ? of_floats(last, []<class T>() -> operation { return fused<T, void>; })
                        : nullptr;
  if (name == "sqrt")
    return says_nearest ? of_floats(last, []<class T>() -> operation { return unary<T, root>; })
                        : nullptr;
  if (name == "rcp")
    return says_nearest
               ? of_floats(last, []<class T>() -> operation { return unary<T, reciprocal>; })
               : nullptr;
  if (name == "div") {
    if (of_float && !says_nearest) return nullptr;
    return of_numbers(last, []<class T>() -> operation { return divide<T, void>; });
  }
  if (name == "lop3") return o.size() == 2 ? three_bits : nullptr;
  if (name == "shf" && o.size() == 4) {
    bool const wraps = o[2] == "wrap";
    if (o[1] == "l") return wraps ? funnel<true, true> : funnel<true, false>;
    return wraps ? funnel<false, true> : funnel<false, false>;
  }
  if (!is_plain) return nullptr;
  if (name == "add") return arithmetic<add>(last);
  if (name == "sub") return arithmetic<subtract>(last);
  if (name == "min") return arithmetic<smaller>(last);
  if (name == "max") return arithmetic<larger>(last);
  if (name == "and") return logic<conjunction>(last);
  if (name == "or") return logic<disjunction>(last);
  if (name == "xor") return logic<exclusive>(last);
  if (name == "not" && last == "pred") return invert;
  if (name == "not")
    return of_integers(last, []<class T>() -> operation { return unary<T, complement>; });
  if (name == "neg")
    return of_numbers(last, []<class T>() -> operation { return unary<T, negate>; });
  if (name == "abs")
    return of_numbers(last, []<class T>() -> operation { return unary<T, magnitude>; });
  if (name == "rem")
    return of_integers(last, []<class T>() -> operation { return remainder<T, void>; });
  if (name == "shl")
    return of_integers(last, []<class T>() -> operation { return shift_left<T, void>; });
  if (name == "shr")
    return of_integers(last, []<class T>() -> operation { return shift_right<T, void>; });
  if (name == "selp")
    return of_numbers(last, []<class T>() -> operation { return select<T, void>; });
  if (name == "popc") return last == "b32" ? population : nullptr;
  if (name == "clz") return last == "b32" ? leading_zeros : nullptr;
  if (name == "prmt") return last == "b32" ? permute : nullptr;
  if (name == "bfe")
    return of_integers(last, []<class T>() -> operation { return extract<T, void>; });
  if (name == "bfi")
    return of_integers(last, []<class T>() -> operation { return insert<T, void>; });
  return nullptr;
}

}  // namespace ptx
