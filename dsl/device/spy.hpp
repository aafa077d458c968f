// A spy at the door to the hardware: with tweedie::core_spy linked in place of a backend, every
// launch is counted, however small.
#pragma once

#include <cstdint>

namespace tweedie::spy {

/// Launches since the program began, or since forget(). A program with reductions is one launch on
/// a host: a task runs all phases of a sample.
std::uint64_t launches();
void forget();

}  // namespace tweedie::spy
