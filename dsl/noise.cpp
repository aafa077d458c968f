// The choice among the builds of fill_normals, made once.
#include "noise.hpp"

#include "detail/noise_builds.hpp"

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

fill_function* widest() {
  for (auto const& build : normals_builds())
    if (build.available) return build.fill;
  return fill_normals_portable;
}

}  // namespace

normals_build const (&normals_builds())[normals_build_count] {
#if defined(__x86_64__)
  static normals_build const builds[] = {
      {"avx512", __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq"),
       fill_normals_avx512},
      {"avx2", __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"), fill_normals_avx2},
      {"portable", true, fill_normals_portable}};
#else
  static normals_build const builds[] = {{"avx512", false, fill_normals_portable},
                                         {"avx2", false, fill_normals_portable},
                                         {"portable", true, fill_normals_portable}};
#endif
  return builds;
}

}  // namespace detail

void fill_normals(float* out, std::uint32_t first_group, std::size_t groups, sample_key const& key,
                  std::uint32_t stream) {
  static auto* const fill = detail::widest();
  fill(out, groups, detail::counter_of(first_group, key, stream), detail::key_of(key));
}

}  // namespace tweedie
