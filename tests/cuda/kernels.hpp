// Runs all programs of a pipeline by themselves, on the host and on the device, over buffers that
// are filled the same, and compares what both wrote, bit for bit. Where one is NaN the other is
// one: machines differ in its bits.
//
// With TWEEDIE_INTERPRETED the device is the interpreter, and more is known of each launch: how
// many there were, that all accesses to a row's buffers are as wide as they can be, and how many
// bytes went to and fro, which are the program's `bytes_per_element`.
#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include <tweedie/dsl/device/launch.hpp>
#include <tweedie/pipelines/compiled.hpp>

#if defined(TWEEDIE_INTERPRETED)
#include "ptx/records.hpp"
#endif

namespace kernels {

using namespace tweedie;

/// A number in (0, 1) that depends on nothing but its place.
inline float number_at(symbol_id s, std::uint64_t i) {
  std::uint64_t h = ((static_cast<std::uint64_t>(s.is) * 0x10000 + s.index) << 40) + i + 1;
  h = (h ^ h >> 31) * 0x9e3779b97f4a7c15u;
  h = (h ^ h >> 29) * 0xbf58476d1ce4e5b9u;
  return (static_cast<float>((h ^ h >> 32) & 0xffff) + 0.5f) / 65536;
}

/// How the rows of a launch lie.
struct layout {
  char const* name;
  std::size_t rows, count, pitch, elements;
  bool per_sample, some_rows, special;
};
/// One row that is no multiple of a tile; rows with a tail; more chunks than a block takes, and no
/// multiple of them; a few rows of many, each with its own numbers; numbers that are none.
inline constexpr layout layouts[] = {
    {"a row", 1, 1, 24, 18, false, false, false},
    {"rows", 3, 3, 136, 129, false, false, false},
    {"blocks", 7, 7, 600, 600, false, false, false},
    {"some rows", 5, 3, 40, 33, true, true, false},
    {"special values", 4, 4, 64, 61, true, false, true},
};

/// A buffer for each symbol that a program names, made when it is asked for.
class places {
 public:
  places(layout const& l, placement const& on) : layout_(l), on_(on) {}

  template <class S> float* pointer(S) {
    using element = element_of<S>;
    bool const one_a_row = S::id.is_scalar();
    std::size_t const n = layout_.rows * (one_a_row ? 1 : layout_.pitch);
    auto& b = made_[S::id];
    if (!b.data()) {
      b = buffer(n * sizeof(element) / sizeof(float), on_);
      auto* const to = reinterpret_cast<element*>(b.data());
      for (std::size_t i = 0; i < n; ++i) to[i] = from_float<element>(value(S::id, i));
      if (!one_a_row) dense_.insert(b.data());
      if constexpr (!std::is_same_v<element, float>) widened_[S::id] = widened<element>;
    }
    return b.data();
  }
  template <class S> broadcast_view view(S) {
    constexpr std::size_t period = 12;
    auto& b = made_[S::id];
    if (!b.data()) {
      b = buffer(layout_.rows * period, on_);
      for (std::size_t i = 0; i < b.size(); ++i)
        b.data()[i] = number_at(S::id, i) < 0.5f ? 0.0f : number_at(S::id, i);
    }
    return {b.data(), period, period};
  }

  std::map<symbol_id, buffer> const& all() const { return made_; }
  /// What a buffer holds, as floats.
  std::vector<float> numbers(symbol_id s) const {
    auto const at = widened_.find(s);
    buffer const& b = made_.at(s);
    return at == widened_.end() ? std::vector<float>(b.data(), b.data() + b.size()) : at->second(b);
  }
  /// The buffers of whole rows.
  std::set<float const*> const& dense() const { return dense_; }

 private:
  float value(symbol_id s, std::uint64_t i) const {
    float const a = 4 * number_at(s, i) - 2;
    if (!layout_.special || i % 7 != 3) return a;
    constexpr float all[] = {0.0f,         -0.0f, __builtin_inff(),  0x1p-149f,
                             -0x1.8p-127f, 1e38f, __builtin_nanf("")};
    return all[i / 7 % 7];
  }

  template <class T> static std::vector<float> widened(buffer const& b) {
    auto const* const from = reinterpret_cast<T const*>(b.data());
    std::vector<float> r(b.size() * sizeof(float) / sizeof(T));
    for (std::size_t i = 0; i < r.size(); ++i) r[i] = to_float(from[i]);
    return r;
  }

  layout layout_;
  placement on_;
  std::map<symbol_id, buffer> made_;
  std::set<float const*> dense_;
  std::map<symbol_id, std::vector<float> (*)(buffer const&)> widened_;
};

/// Nobody asks it anything: a program is made of what a network predicts.
struct network {
  using kind = kinds::network;
  void operator()(batch const&) const {}
};

/// The results of all pipelines of a source.
class session {
 public:
  session() {
    std::setvbuf(stdout, nullptr, _IOLBF, 1 << 16);  // nothing is lost where a launch throws
  }

  /// All programs of a pipeline.
  template <class Pipeline> void run(std::string const& name, Pipeline const&) {
    using stages = decltype(std::declval<Pipeline const&>().stage_set());
    run_all(name, typename compiled<stages>::programs{});
  }

  /// One program, once: pipelines share them.
  template <class Program> void run(std::string const& name) {
    static bool done = false;
    if (done) return;
    done = true;
    ++programs_;
    for (layout const& l : layouts)
      if (!has_failed_) run_on<Program>(name + ", " + l.name, l);
  }

  /// The program of one formula without a pipeline.
  template <class... Statements>
  void run_step(std::string const& name, step_of<evaluation<Statements...>> const& one) {
    using fused = decltype(fuse(std::get<0>(one.evaluations).statements));
    run<typename fused::type>(name);
  }

  /// `source`, a file of this folder, includes all headers of a folder of the library.
  void expect_all_of(std::string const& folder, std::string const& source) {
    char const* const root = std::getenv("TWEEDIE_SOURCE_DIR");
    if (!root) throw std::runtime_error("TWEEDIE_SOURCE_DIR is not set");
    std::filesystem::path const top(root);
    std::ifstream file(top / "tests/cuda/kernels" / source);
    std::string const text(std::istreambuf_iterator<char>(file), {});
    for (auto const& header : std::filesystem::directory_iterator(top / folder)) {
      auto const name = header.path().filename().string();
      std::ifstream content(header.path());
      std::string const said(std::istreambuf_iterator<char>(content), {});
      // One that names a sampler is in <tweedie/generated/samplers.hpp>.
      if (name.ends_with(".hpp") && said.find("\n// name: ") == said.npos)
        expect(text.find("/" + folder + "/" + name + ">") != text.npos,
               source + " leaves out " + name + " of " + folder + "/");
    }
  }

  int finish() {
#if defined(TWEEDIE_INTERPRETED)
    for (auto const& name : ptx::never_launched())
      expect(false, "a kernel that no program launched: " + name);
    std::printf("%llu launches, %.1f million instructions\n",
                static_cast<unsigned long long>(launches_),
                static_cast<double>(instructions_) * 1e-6);
#endif
    std::printf("%d programs, %llu values compared, %d wrong\n", programs_,
                static_cast<unsigned long long>(compared_), wrong_);
    return wrong_ == 0 && compared_ > 0 ? 0 : 1;
  }

 private:
  void expect(bool right, std::string const& what) {
    if (right) return;
    ++wrong_;
    if (wrong_ <= 40) std::printf("WRONG: %s\n", what.c_str());
  }

  void compare(std::string const& name, std::vector<float> const& device,
               std::vector<float> const& host) {
    expect(device.size() == host.size(), name + ": another number of elements");
    for (std::size_t i = 0; i < device.size() && i < host.size(); ++i) {
      ++compared_;
      auto const a = std::bit_cast<std::uint32_t>(device[i]),
                 b = std::bit_cast<std::uint32_t>(host[i]);
      if (a == b || (std::isnan(device[i]) && std::isnan(host[i]))) continue;
      char line[160];
      std::snprintf(line, sizeof line, ", element %zu: %a (0x%08x) instead of %a (0x%08x)", i,
                    static_cast<double>(device[i]), a, static_cast<double>(host[i]), b);
      return expect(false, name + line);
    }
  }

  template <class... P> void run_all(std::string const& name, list<P...>) {
    int i = 0;
    (run<P>(name + ", structure " + std::to_string(i++)), ...);
  }

  template <class Program> void run_on(std::string const& name, layout const& l) {
    places device(l, default_placement()), host(l, {});
    try {
      launch_on<Program>(host, l, {});
      launch_on<Program>(device, l, default_placement());
    } catch (std::exception const& e) {
      has_failed_ = true;  // no kernel is launched any more after one that failed
      return expect(false, name + ": " + e.what());
    }
#if defined(TWEEDIE_INTERPRETED)
    look_at<Program>(name, l, device);
#endif
    for (auto const& [s, b] : device.all())
      compare(name + ", " + name_of(s), device.numbers(s), host.numbers(s));
  }

  template <class Program>
  static void launch_on(places& where, layout const& l, placement const& on) {
    // In memory that the host may write.
    buffer held_keys(l.rows * sizeof(sample_key) / sizeof(float), on), held_which(3, on);
    auto* const keys = reinterpret_cast<sample_key*>(held_keys.data());
    for (std::size_t i = 0; i < l.rows; ++i)
      keys[i] = {0x9876543210u + i, (std::uint64_t{7} << 40) + 3 * i,
                 static_cast<std::uint32_t>(5 + i)};
    auto* const which = reinterpret_cast<std::uint32_t*>(held_which.data());
    which[0] = 4;
    which[1] = 0;
    which[2] = 3;
    rows const r{.count = l.count,
                 .pitch = l.pitch,
                 .keys = keys,
                 .elements = l.elements,
                 .which = l.some_rows ? which : nullptr,
                 .on = on};
    // Small and positive: among them are a quantile's parameters.
    std::vector<float> numbers(Program::coefficients * (l.per_sample ? l.count : 1) + 1);
    for (std::size_t i = 0; i < numbers.size(); ++i)
      numbers[i] = 0.45f * number_at({sym::word::noise_stream, 9999}, i) + 0.03f;
    std::span<float const> const given(numbers.data(), numbers.size() - 1);
    if (l.per_sample) launch_per_sample<Program>(given, where, r);
    else launch<Program>(given, where, r);
  }

#if defined(TWEEDIE_INTERPRETED)
  template <class Program>
  void look_at(std::string const& name, layout const& l, places const& where) {
    auto const all = ptx::take_launches();
    launches_ += all.size();
    for (auto const& one : all) instructions_ += one.instructions;
    auto const expected = [&](bool right, std::string const& what) {
      expect(right, name + ": " + what);
    };
    expected(all.size() == Program::kernels, std::to_string(all.size()) + " kernels instead of " +
                                                 std::to_string(Program::kernels));
    std::uint64_t bytes = 0;
    for (auto const& one : all)
      for (auto const& use : one.uses) {
        if (!where.dense().contains(reinterpret_cast<float const*>(use.base))) continue;
        // 16 bytes an access; what reductions read they read one element at a time.
        constexpr std::size_t wide = 4;
        for (std::size_t w = 0; w < ptx::widths; ++w) {
          bool const reduced = is_phased<Program> && w == 2;
          expected(
              w == wide || reduced || use.loads[w] == 0,
              std::to_string(use.loads[w]) + " loads of " + std::to_string(1u << w) + " bytes");
          expected(w == wide || use.stores[w] == 0, std::to_string(use.stores[w]) + " stores of " +
                                                        std::to_string(1u << w) + " bytes");
        }
        bytes += ptx::buffer_use::bytes_of(use.loads) + ptx::buffer_use::bytes_of(use.stores);
      }
    if constexpr (!is_phased<Program>) {
      std::uint64_t const elements = l.count * l.pitch;
      std::uint64_t const all_bytes =
          elements * (Program::bytes_per_element - sizeof(float) * Program::masks);
      expected(bytes == all_bytes, std::to_string(bytes) +
                                       " bytes of rows went to and fro instead of " +
                                       std::to_string(all_bytes));
    }
  }
  std::uint64_t launches_ = 0, instructions_ = 0;
#endif

  std::uint64_t compared_ = 0;
  int programs_ = 0, wrong_ = 0;
  bool has_failed_ = false;
};

}  // namespace kernels
