// A state as a file: a loop that is left in its middle goes on in another process, to the same
// bits.
#pragma once

#include <filesystem>

#include <tweedie/pipelines/any_plan.hpp>

namespace tweedie {

/// Writes what a loop must know to go on after `plan`'s last step: safetensors, atomically, so that
/// what was there stays until the new file is whole. Throws tweedie::error where the state is not
/// one of the plan's between two steps, or the file cannot be written.
void save_state(std::filesystem::path const& path, any_plan const& plan, state const& s);

/// The way back. Throws tweedie::error, a sentence that names the file, where it is not sound, was
/// changed since, or was saved with another plan: other levels, programs or numbers. What the file
/// claims is compared with its size and with the plan before any memory is taken.
state load_state(std::filesystem::path const& path, any_plan const& plan);

}  // namespace tweedie
