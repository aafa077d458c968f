// The choice among the builds of fill_normals, made once.
#include "noise.hpp"

#include "detail/noise_builds.hpp"

namespace tweedie {
namespace detail {
namespace {

/// One group after the other; on a machine without an fma instruction the C library's fmaf is
/// correct, but slow.
void fill_normals_portable(float* out, std::uint32_t first_group, std::size_t groups,
                           sample_key const& key, std::uint32_t stream) {
  for (std::size_t g = 0; g < groups; ++g) {
    quad const q = normals4(first_group + static_cast<std::uint32_t>(g), key, stream);
    for (std::size_t j = 0; j < 4; ++j) out[4 * g + j] = q.v[j];
  }
}

fill_normals_function* widest() {
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
  fill(out, first_group, groups, key, stream);
}

}  // namespace tweedie
