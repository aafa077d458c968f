// The reductions, a block of 256 threads per sample: compiled for a GPU, no array out of registers.
// kernels: 5
// scalar: element i belongs to accumulator i mod 256, so a thread's elements lie 256 apart; a warp's 32 are one access
#include <tweedie/dsl/reduce.hpp>

using namespace tweedie;

namespace {

struct rows_of {
  float const* first[2];
  std::uint64_t pitch, n;
};

}  // namespace

template <class Reduction>
__global__ void reduce(rows_of from, float p, float rest, float4* values) {
  __shared__ reductions::scratch shared;
  float const parameters[] = {p, rest};
  float const* const rows[] = {from.first[0] + blockIdx.x * from.pitch,
                               from.first[1] + blockIdx.x * from.pitch};
  float const value = Reduction::of_block(parameters, rows, from.n, &shared);
  if (threadIdx.x == 0) values[blockIdx.x] = make_float4(value, value, value, value);
}

template __global__ void reduce<reductions::dot>(rows_of, float, float, float4*);
template __global__ void reduce<reductions::norm>(rows_of, float, float, float4*);
template __global__ void reduce<reductions::mean>(rows_of, float, float, float4*);
template __global__ void reduce<reductions::deviation>(rows_of, float, float, float4*);
template __global__ void reduce<reductions::quantile_of_abs>(rows_of, float, float, float4*);
