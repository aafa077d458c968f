// What is known of the numbers of stages before anything runs: each of these throws tweedie::error
// with what to write instead, or finds the sentence.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <tweedie/dsl/language/level.hpp>
#include <tweedie/dsl/language/path.hpp>
#include <tweedie/pipelines/any_stages.hpp>

namespace tweedie::detail {

/// Each level of a grid is one, and all fall in noise or all rise.
void check_order(std::vector<level> const& levels);

/// The level that a sampler asks the network at is one of the schedule's.
void check_is_on_path(level w, path const& between);

/// x0 and eps, as a parameterization derives them, make up x: alpha x0 + sigma eps. A divisor may
/// be kept from 0 at the ends, so that it is asked of most levels.
void check_predictions(any_stages const& stages, lowering::ir& p, std::vector<level> const& levels);

/// The network's output does not enter x with so large a factor that its errors would dominate, in
/// the evaluation at t that was lowered into p, on the way to s. `unguided` lowers the same without
/// the guidance in its place.
void check_share(lowering::ir& p, any_stages const& stages, level t, level s,
                 std::function<void()> const& unguided);

/// The sentence about the stage that is not finite at a level; "" where none of these is.
std::string why_not_finite(any_stages const& stages, level t);

}  // namespace tweedie::detail
