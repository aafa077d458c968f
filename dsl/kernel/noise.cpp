// The choice among the builds of fill_normals, made once.
#include "noise.hpp"

#include "noise_builds.hpp"

namespace tweedie {
namespace detail {
namespace {

/// One group after the other; on a machine without an fma instruction the C library's fmaf is
/// correct, but slow.
void fill_normals_portable(float* out, std::size_t groups, philox_counter counter, philox_key key) {
  for (; groups > 0; --groups, ++counter.word[0], out += 4) {
    quad const q = normals_of(philox4x32_10(counter, key));
    for (int j = 0; j < 4; ++j) out[j] = q.v[j];
  }
}

void fill_scattered_portable(float* out, std::size_t groups, scattered_groups const& at) {
  for (std::size_t g = 0; g < groups; ++g) {
    auto const& c = at.counter;
    fill_normals_portable(out + 4 * g, 1, {{c[0][g], c[1][g], c[2][g], c[3][g]}},
                          {{at.key[0][g], at.key[1][g]}});
  }
}

normals_build const& widest() {
  static normals_build const& found = [&]() -> normals_build const& {
    for (auto const& build : normals_builds())
      if (build.available) return build;
    return normals_builds()[normals_build_count - 1];
  }();
  return found;
}

}  // namespace

normals_build const (&normals_builds())[normals_build_count] {
#if defined(__x86_64__)
  static normals_build const builds[] = {
      {"avx512", __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq"),
       fill_normals_avx512, fill_scattered_avx512},
      {"avx2", __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"), fill_normals_avx2,
       fill_scattered_avx2},
      {"portable", true, fill_normals_portable, fill_scattered_portable}};
#else
  static normals_build const builds[] = {
      {"avx512", false, fill_normals_portable, fill_scattered_portable},
      {"avx2", false, fill_normals_portable, fill_scattered_portable},
      {"portable", true, fill_normals_portable, fill_scattered_portable}};
#endif
  return builds;
}

}  // namespace detail

void fill_normals(float* out, std::uint32_t first_group, std::size_t groups, sample_key const& key,
                  std::uint32_t stream) {
  detail::widest().fill(out, groups, detail::counter_of(first_group, key, stream),
                        detail::key_of(key));
}

void fill_normals_of_rows(float* out, std::size_t rows, std::size_t groups, sample_key const* keys,
                          std::uint32_t stream, std::uint32_t steps) {
  constexpr std::size_t room = detail::scattered_groups::room;
  detail::scattered_groups at{};
  std::size_t n = 0;
  auto const flush = [&] {
    detail::widest().fill_scattered(out, n, at);
    out += 4 * n;
    n = 0;
  };
  for (std::size_t row = 0; row < rows; ++row) {
    auto const key = detail::key_of(keys[row]);
    for (std::size_t g = 0; g < groups; ++g) {
      auto const counter =
          detail::counter_of(static_cast<std::uint32_t>(g), keys[row].later(steps), stream);
      for (int i = 0; i < 4; ++i) at.counter[i][n] = counter.word[i];
      for (int i = 0; i < 2; ++i) at.key[i][n] = key.word[i];
      if (++n == room) flush();
    }
  }
  if (n > 0) flush();
}

}  // namespace tweedie
