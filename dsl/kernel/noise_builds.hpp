// The builds of fill_normals for x86's vectors. Each lives in a source file of its own, compiled
// for its instruction set.
#pragma once

#include "noise.hpp"

namespace tweedie::detail {

fill_function fill_normals_avx2;
fill_function fill_normals_avx512;
fill_scattered_function fill_scattered_avx2;
fill_scattered_function fill_scattered_avx512;

}  // namespace tweedie::detail
